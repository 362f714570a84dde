package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/test/harness"
)

// sort is a sort of fault.
type sort string

const (
	aKill    sort = "kill"
	aStop    sort = "stop"
	aCut     sort = "cut"
	aStall   sort = "stall"
	aMute    sort = "mute"
	aCrash   sort = "postgres crashes"
	aRestart sort = "postgres restarts"
)

// fault is one fault of a schedule.
type fault struct {
	at, lasts time.Duration
	sort      sort
	node      int
	reset     bool // of a way to the database: its connections are ended afterwards
	hunt      bool // rather of a node that runs something, if one does soon
}

func (f fault) String() string {
	return fmt.Sprintf("%s of node %d for %s (reset: %t)", f.sort, f.node, f.lasts.Round(time.Millisecond), f.reset)
}

// draw makes the faults of a schedule, each sort once before any comes again.
func draw(random *rand.Rand, nodes int, longest time.Duration, long bool) []fault {
	deck := []sort{aKill, aKill, aStop, aStop, aCut, aStall, aMute, aCrash, aRestart}
	seconds := func(low, high float64) time.Duration {
		return time.Duration((low + random.Float64()*(high-low)) * float64(time.Second))
	}
	var faults []fault
	var left []sort
	for at := seconds(1, 3); at < longest; {
		if len(left) == 0 {
			left = append(left, deck...)
			random.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		f := fault{at: at, sort: left[0], node: random.IntN(nodes), reset: random.IntN(2) == 0, hunt: random.IntN(3) > 0}
		left = left[1:]
		switch f.sort {
		case aKill:
			f.lasts = seconds(0.1, 6)
			if random.IntN(3) == 0 {
				f.lasts = seconds(12, 20)
			}
		case aStop:
			// Long enough, mostly, that another node has taken over meanwhile.
			if f.lasts = seconds(0.5, 4); random.IntN(4) > 0 {
				f.lasts, f.hunt = seconds(14, 22), true
			}
		case aCut, aStall, aMute:
			f.lasts = seconds(0.2, 8)
			if long && random.IntN(3) == 0 {
				f.lasts = seconds(12, 20)
			}
		case aCrash, aRestart:
			f.lasts = seconds(0, 3)
		}
		faults = append(faults, f)
		// Sometimes at once, so that they meet.
		switch at += seconds(1, 8); {
		case random.IntN(4) == 0:
			at = f.at + seconds(0, 1)
		case long && random.IntN(3) == 0:
			at += f.lasts + seconds(5, 20) // some peace, in which work gets on
		}
	}
	return faults
}

// attempted is an attempt that ran on a node when that was hurt.
type attempted struct {
	Task    string `json:"taskId"`
	Attempt int    `json:"attempt"`
	at      time.Time
	sort    sort
	node    int
}

// hurt brings the faults of a schedule about, and heals everything at the end.
type hurt struct {
	c      *cluster
	faults []fault

	mu       sync.Mutex
	attempts []attempted
	ways     []int // by node: how many faults its way has now
	database sync.Mutex
}

func (h *hurt) run() {
	h.ways = make([]int, len(h.c.nodes))
	began := time.Now()
	var wg sync.WaitGroup
	for _, f := range h.faults {
		harness.Pause(f.at - time.Since(began))
		h.c.journal.add("faults: "+string(f.sort), 1)
		wg.Go(func() { h.bring(f) })
	}
	wg.Wait()
}

// bring brings one fault about and heals it.
func (h *hurt) bring(f fault) {
	if f.hunt && f.sort != aCrash && f.sort != aRestart {
		f.node = h.find(f.node, f.sort)
	}
	h.c.journal.note("", "fault: %s", f)
	n := h.c.nodes[f.node]
	h.look(n, f.sort)
	switch f.sort {
	case aKill:
		h.c.kill(n)
		harness.Pause(f.lasts)
		if !n.alive() { // nobody else has started it
			h.c.start(n)
		}
	case aStop:
		h.c.stop(n)
		harness.Pause(f.lasts)
		h.c.cont(n)
	case aCut, aStall, aMute:
		h.block(n, map[sort]mode{aCut: cut, aStall: stall, aMute: mute}[f.sort], f)
	case aCrash, aRestart:
		h.away(map[sort]string{aCrash: "immediate", aRestart: "fast"}[f.sort], f.lasts)
	}
	h.c.journal.note("", "healed: %s", f)
}

// block blocks the way of a node to the database. Where two faults meet there, it
// opens when the last one ends.
func (h *hurt) block(n *node, m mode, f fault) {
	h.mu.Lock()
	h.ways[n.number]++
	n.proxy.set(m, false)
	h.mu.Unlock()
	harness.Pause(f.lasts)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ways[n.number]--; h.ways[n.number] == 0 {
		n.proxy.set(open, f.reset)
	}
}

// away takes the database away for a while.
func (h *hurt) away(how string, lasts time.Duration) {
	h.database.Lock()
	defer h.database.Unlock()
	ctx := context.Background()
	if err := h.c.pg.Halt(ctx, how); err != nil {
		h.c.tb.Errorf("stop PostgreSQL: %v", err)
	}
	harness.Pause(lasts)
	if err := h.c.pg.Resume(ctx); err != nil {
		h.c.tb.Errorf("start PostgreSQL: %v", err)
	}
}

// find returns a node that runs something, but does not wait for one for long: longest
// for what is of little use otherwise.
func (h *hurt) find(otherwise int, s sort) int {
	longest := 2 * time.Second
	if s == aStop {
		longest = 10 * time.Second
	}
	for deadline := time.Now().Add(longest); time.Now().Before(deadline); harness.Pause(20 * time.Millisecond) {
		for i := range h.c.nodes {
			n := h.c.nodes[(otherwise+i)%len(h.c.nodes)]
			if running, err := h.running(n); err == nil && len(running) > 0 {
				return n.number
			}
		}
	}
	return otherwise
}

// running returns the arguments of the jobs that run on a node, as the queue knows it.
func (h *hurt) running(n *node) ([][]byte, error) {
	id := n.nodeID()
	if id == "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	rows, err := h.c.db.Query(ctx, "SELECT args FROM river_job WHERE state = 'running' AND attempted_by[array_length(attempted_by, 1)] = $1", id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[[]byte])
}

// look remembers which attempts run on a node that is about to be hurt.
func (h *hurt) look(n *node, s sort) {
	if s == aCrash || s == aRestart {
		return
	}
	all, err := h.running(n)
	if err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, args := range all {
		a := attempted{at: time.Now(), sort: s, node: n.number}
		if err := json.Unmarshal(args, &a); err == nil {
			h.attempts = append(h.attempts, a)
			h.c.journal.note(a.Task, "attempt %d runs on node %d, which is hurt: %s", a.Attempt, n.number, s)
		}
	}
}
