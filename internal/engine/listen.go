package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"stint/internal/task"
)

// Listener hears which tasks other processes have ended: it wakes those that wait
// for them here, and stops their work here. It hears, too, that they have changed
// some: then those who follow the feed look.
type Listener struct {
	routine
	tasks *Tasks
	feed  *Feed
	log   *slog.Logger
}

// NewListener returns a listener on the bus of tasks; Start and Stop begin and end
// it.
func NewListener(tasks *Tasks, feed *Feed, log *slog.Logger) *Listener {
	return &Listener{tasks: tasks, feed: feed, log: log}
}

// Start begins to listen. A second call does nothing.
func (l *Listener) Start(ctx context.Context) {
	l.begin(ctx, func(ctx context.Context) {
		l.tasks.bus.Listen(ctx, l.tasks.heard, l.feed.Changed, func() { l.catchUp(ctx) })
	})
}

// catchUp does what the listener would have done for all that it has not heard.
func (l *Listener) catchUp(ctx context.Context) {
	l.feed.Changed()
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
