package engine

import (
	"context"
	"log/slog"
	"time"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	livenessInterval = 2 * time.Second
	// livenessGrace is how long executors have to be heard again after this
	// process could not hear them: it was not running, or was stopped itself.
	// With the interval it stays below the 15 s in which a silent task must end.
	livenessGrace = 10 * time.Second
	livenessBatch = 500
)

// Liveness ends the tasks whose executor has been silent for longer than the
// task's heartbeat limit.
type Liveness struct {
	loop
	tasks *Tasks
	log   *slog.Logger

	// quietUntil is the end of the grace; lastRun tells whether this process was
	// stopped in between.
	quietUntil time.Time
	lastRun    time.Time
}

// NewLiveness returns the loop; Start and Stop begin and end it.
func NewLiveness(tasks *Tasks, log *slog.Logger) *Liveness {
	l := &Liveness{tasks: tasks, log: log}
	l.loop = loop{interval: livenessInterval, run: l.runOnce}
	l.lastRun = tasks.now()
	l.quietUntil = l.lastRun.Add(livenessGrace)
	return l
}

// runOnce ends what is overdue now.
func (l *Liveness) runOnce(ctx context.Context) {
	now := l.tasks.now()
	// A gap means that this process, not the executors, was away.
	if now.Sub(l.lastRun) > 3*livenessInterval {
		l.quietUntil = now.Add(livenessGrace)
	}
	l.lastRun = now
	if now.Before(l.quietUntil) {
		return
	}
	ids, err := l.tasks.store.Overdue(ctx, now, livenessBatch)
	if err != nil {
		l.log.WarnContext(ctx, "cannot look for silent tasks", slog.Any("error", err))
		return
	}
	for _, id := range ids {
		// A report may have come in between: Lost looks again, in the transaction.
		t, err := l.tasks.update(ctx, id, time.Time{}, func(t task.Task) (audit.Change, error) {
			return audit.Change{Change: t.Lost(now)}, nil
		})
		if err != nil {
			l.log.WarnContext(ctx, "cannot end a silent task", slog.String("task_id", string(id)), slog.Any("error", err))
			return
		}
		if t.Status != task.InProgress {
			l.log.WarnContext(ctx, "ended a silent task", slog.String("task_id", string(id)),
				slog.String("completion_status", string(t.Status)), slog.Time("last_report", t.LastReport))
		}
	}
}
