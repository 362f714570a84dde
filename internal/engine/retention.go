package engine

import (
	"context"
	"log/slog"
	"time"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	retentionInterval = time.Minute
	// retentionBatch is small, so that no other write waits long behind one.
	retentionBatch = 200
)

// Retention deletes the tasks that have been kept long enough.
type Retention struct {
	loop
	tasks *Tasks
	keep  time.Duration
	log   *slog.Logger
}

// NewRetention returns the loop; Start and Stop begin and end it. keep is
// counted from a task's creation; 0 is for ever.
func NewRetention(tasks *Tasks, keep time.Duration, log *slog.Logger) *Retention {
	r := &Retention{tasks: tasks, keep: keep, log: log}
	r.loop = loop{interval: retentionInterval, run: r.runOnce}
	return r
}

// runOnce deletes all that is due now, in small batches.
func (r *Retention) runOnce(ctx context.Context) {
	if r.keep <= 0 {
		return
	}
	total := 0
	for ctx.Err() == nil {
		now := task.Millis(r.tasks.now())
		n, err := r.tasks.store.Purge(ctx, now.Add(-r.keep), retentionBatch, func(t task.Task) (audit.Change, error) {
			return withEntry(t, t.Expire(now), audit.Entry{
				At: now, Origin: audit.System(), Action: audit.Expire, Reason: "in progress at the end of its retention",
			})
		})
		if err != nil {
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "cannot delete old tasks", slog.Any("error", err))
			}
			return
		}
		total += n
		if n < retentionBatch {
			break
		}
	}
	if total > 0 {
		r.log.InfoContext(ctx, "deleted old tasks", slog.Int("count", total))
	}
}
