package auth

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	// refusalInterval is how long refusals are collected.
	refusalInterval = 10 * time.Second
	// maxRefusals bounds how many are told apart in that time; the rest is counted
	// together.
	maxRefusals = 100
)

// manyMore is what the rest is counted under.
func manyMore() refusal { return refusal{why: "many more"} }

// refusals collects refused sign-ins: whoever guesses must not be able to fill the
// audit.
type refusals struct {
	store Store
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	waiting map[refusal]*counted
	cancel  context.CancelFunc
	done    chan struct{}
}

// refusal is what is told apart.
type refusal struct{ client, why, host string }

type counted struct {
	n    int
	last audit.Origin
	at   time.Time
}

func (r *refusals) add(client, why string, from audit.Origin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = map[refusal]*counted{}
	}
	// What is no id is not written down: people confuse their id with their secret.
	id, _ := task.ParseID(client)
	key := refusal{string(id), why, host(from.Address)}
	if r.waiting[key] == nil && len(r.waiting) >= maxRefusals {
		key = manyMore()
	}
	c := r.waiting[key]
	if c == nil {
		c = &counted{}
		r.waiting[key] = c
	}
	c.n++
	c.last, c.at = from, task.Millis(r.now())
}

func (r *refusals) start(ctx context.Context) {
	ctx, r.cancel = context.WithCancel(ctx)
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		ticker := time.NewTicker(refusalInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				r.flush(ctx)
			case <-ctx.Done():
				r.flush(context.WithoutCancel(ctx))
				return
			}
		}
	}()
}

func (r *refusals) stop() {
	if r.cancel != nil {
		r.cancel()
		<-r.done
	}
}

// flush writes what was collected; what cannot be written now is kept for the
// next time.
func (r *refusals) flush(ctx context.Context) {
	r.mu.Lock()
	batch := r.waiting
	r.waiting = nil
	r.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	entries := make([]audit.Entry, 0, len(batch))
	for _, key := range slices.SortedFunc(maps.Keys(batch), func(a, b refusal) int { return batch[a].at.Compare(batch[b].at) }) {
		c := batch[key]
		from := c.last
		from.Actor = "anonymous"
		entries = append(entries, audit.Entry{
			At: c.at, Origin: from, Action: audit.TokenRefuse, Object: key.client,
			Words: fmt.Sprintf("%d times: %s", c.n, key.why),
		})
	}
	if err := r.store.AddAudit(ctx, entries); err != nil {
		r.log.WarnContext(ctx, "refused sign-ins could not be written to the audit yet", slog.Any("error", err))
		r.putBack(batch)
	}
}

func (r *refusals) putBack(batch map[refusal]*counted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, newer := range r.waiting {
		if batch[key] == nil && len(batch) >= maxRefusals {
			key = manyMore()
		}
		if c := batch[key]; c != nil {
			newer.n += c.n
		}
		batch[key] = newer
	}
	r.waiting = batch
}
