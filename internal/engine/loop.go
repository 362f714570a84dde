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
func (l *loop) Start(ctx context.Context) {
	l.start.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		ctx, l.cancel = context.WithCancel(ctx)
		l.done = make(chan struct{})
		go l.loop(ctx, l.done)
	})
}

func (l *loop) loop(ctx context.Context, done chan<- struct{}) {
	defer close(done)
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

// Stop ends the loop and returns when its last run has ended. It is safe before
// Start and more than once.
func (l *loop) Stop() {
	l.mu.Lock()
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if cancel == nil {
		return
	}
	cancel()
	<-done
}
