package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	livenessInterval = time.Second
	// livenessGrace is how long executors have to be heard again after this
	// process could not hear them: it was not running, was stopped itself, or
	// could not write. With two intervals it stays below the 15 s in which a silent
	// task must end.
	livenessGrace = 10 * time.Second
	livenessBatch = 500
	// livenessWriters share commits.
	livenessWriters = 32
)

// Liveness ends the tasks whose executor has been silent for longer than the
// task's heartbeat limit.
type Liveness struct {
	loop
	tasks *Tasks
	log   *slog.Logger

	// quietUntil is the end of the grace.
	quietUntil time.Time
	// lastRun tells whether this process was stopped in between, and what was
	// overdue then already.
	lastRun time.Time
}

// NewLiveness returns the loop; Start and Stop begin and end it.
func NewLiveness(tasks *Tasks, log *slog.Logger) *Liveness {
	l := &Liveness{tasks: tasks, log: log}
	l.loop = loop{interval: livenessInterval, run: l.runOnce}
	l.lastRun = tasks.now()
	l.quietUntil = l.lastRun.Add(livenessGrace)
	return l
}

// runOnce ends what was overdue at the last run and is still.
func (l *Liveness) runOnce(ctx context.Context) {
	// The monotonic clock, which Round takes away, stands still while the machine
	// sleeps: its gaps would not show.
	now, before := l.tasks.now().Round(0), l.lastRun
	l.lastRun = now
	// A gap means that this process, not the executors, was away.
	if now.Sub(before) > 5*livenessInterval {
		l.quietUntil = now.Add(livenessGrace)
	}
	// So does a write that failed: it may have been a report.
	if failed := l.tasks.lastFailure().Add(livenessGrace); failed.After(l.quietUntil) {
		l.quietUntil = failed
	}
	if now.Before(l.quietUntil) {
		return
	}
	// Only what was overdue an interval ago: a report that waits in this process,
	// because the machine is busy or was stopped, has had the time to be taken.
	for ctx.Err() == nil {
		ids, err := l.tasks.store.Overdue(ctx, before, livenessBatch)
		if err != nil {
			l.log.WarnContext(ctx, "cannot look for silent tasks", slog.Any("error", err))
			return
		}
		if ended := l.end(ctx, ids, now); ended == 0 || len(ids) < livenessBatch {
			return
		}
	}
}

// end ends those of the tasks that are overdue, many at a time, and returns how
// many that were.
func (l *Liveness) end(ctx context.Context, ids []task.ID, now time.Time) int {
	var ended atomic.Int64
	var wg sync.WaitGroup
	queue := make(chan task.ID)
	for range min(livenessWriters, len(ids)) {
		wg.Go(func() {
			for id := range queue {
				if l.endOne(ctx, id, now) {
					ended.Add(1)
				}
			}
		})
	}
	for _, id := range ids {
		queue <- id
	}
	close(queue)
	wg.Wait()
	return int(ended.Load())
}

func (l *Liveness) endOne(ctx context.Context, id task.ID, now time.Time) bool {
	lost := false
	// A report may have come in between: Lost looks again, in the transaction.
	t, err := l.tasks.update(ctx, id, time.Time{}, func(t task.Task) (audit.Change, error) {
		c := t.Lost(now)
		lost = c.Changed
		return audit.Change{Change: c}, nil
	})
	if err != nil {
		if ctx.Err() == nil {
			l.log.WarnContext(ctx, "cannot end a silent task", slog.String("task_id", string(id)), slog.Any("error", err))
		}
		return false
	}
	if lost {
		l.log.WarnContext(ctx, "ended a silent task", slog.String("task_id", string(id)),
			slog.String("completion_status", string(t.Status)), slog.Time("last_report", t.LastReport))
	}
	return lost
}
