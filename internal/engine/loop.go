package engine

import (
	"context"
	"sync"
	"time"
)

// loop runs a function again and again until it is stopped.
type loop struct {
	interval time.Duration
	run      func(ctx context.Context)
	when     func() bool // nil: always
	routine
}

// routine is what goes on beside requests, between Start and Stop.
type routine struct {
	start  sync.Once
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// OnlyWhen has the loop pass over a run where when says no. It is called before
// Start.
func (l *loop) OnlyWhen(when func() bool) { l.when = when }

// Start begins the loop: the first run comes one interval later. A second call
// does nothing.
func (l *loop) Start(ctx context.Context) { l.begin(ctx, l.loop) }

func (l *loop) loop(ctx context.Context) {
	tick := time.NewTicker(l.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if l.when == nil || l.when() {
				l.run(ctx)
			}
		}
	}
}

// begin runs fn, which ends soon after its context has. A second call does nothing.
func (r *routine) begin(ctx context.Context, fn func(ctx context.Context)) {
	r.start.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		ctx, r.cancel = context.WithCancel(ctx)
		done := make(chan struct{})
		r.done = done
		go func() {
			defer close(done)
			fn(ctx)
		}()
	})
}

// Stop ends what Start began and returns when that has ended. It is safe before
// Start and more than once.
func (r *routine) Stop() {
	r.mu.Lock()
	cancel, done := r.cancel, r.done
	r.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
}
