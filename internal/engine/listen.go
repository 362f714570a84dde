package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"stint/internal/task"
)

// Listener hears which tasks other processes have ended: it wakes those that wait
// for them here, and stops their work here.
type Listener struct {
	tasks  *Tasks
	log    *slog.Logger
	mu     sync.Mutex
	cancel context.CancelFunc
	done   chan struct{}
}

// NewListener returns a listener on the bus of tasks; Start and Stop begin and end
// it.
func NewListener(tasks *Tasks, log *slog.Logger) *Listener { return &Listener{tasks: tasks, log: log} }

// Start begins to listen. It is called once.
func (l *Listener) Start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, l.cancel = context.WithCancel(ctx)
	l.done = make(chan struct{})
	go func(done chan<- struct{}) {
		defer close(done)
		l.tasks.bus.Listen(ctx, l.tasks.heard, func() { l.catchUp(ctx) })
	}(l.done)
}

// Stop ends the listener and returns when it has ended. It is safe before Start and
// more than once.
func (l *Listener) Stop() {
	l.mu.Lock()
	cancel, done := l.cancel, l.done
	l.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// catchUp does what the listener would have done for all that it has not heard.
func (l *Listener) catchUp(ctx context.Context) {
	s := l.tasks
	s.hub.notifyAll()
	s.endsMu.Lock()
	running := slices.Collect(maps.Keys(s.ends))
	s.endsMu.Unlock()
	for _, id := range running {
		row, err := s.store.Get(ctx, id, time.Time{})
		switch {
		case err == nil && row.State == task.Completed, task.KindOf(err) == task.NotFound:
			s.ended(id)
		case err != nil && ctx.Err() == nil:
			l.log.WarnContext(ctx, "cannot look at a task that runs here", slog.String("task_id", string(id)), slog.Any("error", err))
		}
	}
}
