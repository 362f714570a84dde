package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// beatInterval is how often a node says that it lives.
	beatInterval = 2 * time.Second
	// silence is how long a node says nothing until the others take it for gone, and
	// how long one may lead without asking again.
	silence = 10 * time.Second
	// maxSkew is how far a node's clock may be from the database's before it says so:
	// deadlines are written by one node and watched by another.
	maxSkew = 2 * time.Second
)

// Members tells which processes share the storage.
type Members interface {
	// Leads reports whether this process does what is done once for all of them.
	Leads() bool
	// Gone reports which of some processes have ended, or are taken for it. They must
	// have been seen at work before the call.
	Gone(ctx context.Context, ids []string) (map[string]bool, error)
}

// Alone is a process that has its storage for itself.
type Alone struct{}

// Leads implements Members.
func (Alone) Leads() bool { return true }

// Gone implements Members.
func (Alone) Gone(_ context.Context, ids []string) (map[string]bool, error) {
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	return gone, nil
}

// NodeStore is what a Cluster needs of storage.
type NodeStore interface {
	// Beat notes that a node lives, and gives it the lead for as long as lead says
	// where nobody else has it. It returns a number for each node, which differs
	// after each of its beats, whether this one leads, and the storage's clock.
	Beat(ctx context.Context, id, role string, lead time.Duration) (beats map[string]int64, leads bool, clock time.Time, err error)
	// Leave forgets a node, and its lead.
	Leave(ctx context.Context, id string) error
}

// Cluster is a node among others. It takes a node for gone when the node's beats
// have stood still for as long as this one has been able to see: no two clocks are
// compared, and a storage that was away for everybody ends nobody.
type Cluster struct {
	loop
	store    NodeStore
	id, role string
	now      func() time.Time
	log      *slog.Logger
	silence  time.Duration

	mu         sync.Mutex
	looked     time.Time // when storage was last seen
	leadsUntil time.Time
	skewed     bool
	seen       map[string]sighting
}

// sighting is what was last seen of a node.
type sighting struct {
	beat  int64
	since time.Time // when it was first seen
}

// ClusterOptions are the settings of a Cluster.
type ClusterOptions struct {
	Store NodeStore
	// ID is the node's own, never used before.
	ID   string
	Role string // for people
	Now  func() time.Time
	Log  *slog.Logger
}

// JoinCluster makes the process a node. Start keeps it one, Leave ends that.
func JoinCluster(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	c := newCluster(o)
	return c, c.look(ctx)
}

func newCluster(o ClusterOptions) *Cluster {
	c := &Cluster{store: o.Store, id: o.ID, role: o.Role, now: o.Now, log: o.Log, silence: silence, seen: map[string]sighting{}}
	c.loop = loop{interval: beatInterval, run: c.runOnce}
	return c
}

// Leave tells the others that this node has ended.
func (c *Cluster) Leave(ctx context.Context) error {
	c.mu.Lock()
	c.leadsUntil = time.Time{}
	c.mu.Unlock()
	return c.store.Leave(ctx, c.id)
}

// Leads implements Members.
func (c *Cluster) Leads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Before(c.leadsUntil)
}

// Gone implements Members.
func (c *Cluster) Gone(ctx context.Context, ids []string) (map[string]bool, error) {
	// A node is known before it works: one that is not found by now has left.
	if err := c.look(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := make(map[string]bool, len(ids))
	for _, id := range ids {
		last, known := c.seen[id]
		gone[id] = !known || c.looked.Sub(last.since) > c.silence
	}
	return gone, nil
}

func (c *Cluster) runOnce(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, c.silence/2)
	defer cancel()
	if err := c.look(limited); err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "cannot tell the other nodes that this one lives", slog.Any("error", err))
	}
}

// look beats, and looks at the beats of the others.
func (c *Cluster) look(ctx context.Context) error {
	asked := c.now()
	beats, leads, clock, err := c.store.Beat(ctx, c.id, c.role, c.silence)
	if err != nil {
		return err
	}
	skew := clock.Sub(c.now())
	c.mu.Lock()
	defer c.mu.Unlock()
	if asked.Before(c.looked) {
		return nil // a later look was faster
	}
	// Whoever could not see, or stood still, does not know who was silent meanwhile.
	blind := asked.Sub(c.looked) > c.silence/2
	for id := range c.seen {
		if _, there := beats[id]; !there {
			delete(c.seen, id)
		}
	}
	for id, beat := range beats {
		if last, known := c.seen[id]; !known || blind || last.beat != beat {
			c.seen[id] = sighting{beat, asked}
		}
	}
	c.looked = asked
	if led := asked.Before(c.leadsUntil); led != leads {
		c.log.InfoContext(ctx, "the lead has changed", slog.Bool("leads", leads))
	}
	c.leadsUntil = time.Time{}
	if leads {
		c.leadsUntil = asked.Add(c.silence)
	}
	c.tellSkew(ctx, skew)
	return nil
}

// tellSkew says once that the node's clock is wrong, or the database's.
func (c *Cluster) tellSkew(ctx context.Context, skew time.Duration) {
	skewed := skew.Abs() > maxSkew
	if skewed && !c.skewed {
		c.log.WarnContext(ctx, "this node's clock is not the database's: have both follow the same time", slog.Duration("database_ahead", skew))
	}
	c.skewed = skewed
}
