package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v5"

	"stint/internal/audit"
	"stint/internal/task"
)

// The waits between two tries to reach a storage that is away.
const (
	firstWait   = 200 * time.Millisecond
	longestWait = 10 * time.Second
)

// attempt runs one attempt of a task from its start to its end, or finds that it
// is not to be run any more.
func (j *Jobs[TTx]) attempt(ctx context.Context, args attemptArgs) {
	log := j.log.With(slog.String("task_id", string(args.TaskID)), slog.Int("attempt", args.Attempt))
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	defer j.tasks.onEnd(args.TaskID, cancel)()
	var report task.Report
	started := false
	err := j.whileAway(running, log, func() error {
		t, err := j.tasks.update(running, args.TaskID, time.Time{}, func(t task.Task) (audit.Change, error) {
			if started { // the same attempt goes on, if the task is still its own
				return audit.Change{Change: t.ApplyReport(task.Report{Attempt: args.Attempt}, j.now())}, nil
			}
			return audit.Change{Change: t.ApplyStart(args.Attempt, j.now())}, nil
		})
		if err != nil {
			return err
		}
		started = true
		if t.Status != task.InProgress {
			return context.Canceled // a repeat that has nothing to do any more
		}
		report, err = j.execute(running, t)
		return err
	})
	j.end(running, log, args, report, err)
}

// end writes what became of an attempt.
func (j *Jobs[TTx]) end(ctx context.Context, log *slog.Logger, args attemptArgs, report task.Report, err error) {
	refused, _ := errors.AsType[*task.Error](err)
	decide := func(t task.Task) task.Change { return t.ApplyReport(report, j.now()) }
	report.Attempt = args.Attempt
	switch {
	case err == nil:
	case refused != nil && refused.Refused != "":
		log.InfoContext(ctx, "stopped an attempt that had lost its task", slog.Any("reason", err))
		return
	case ctx.Err() != nil && !j.stopping.Load():
		log.InfoContext(ctx, "stopped the work of a task that has ended")
		return
	case ctx.Err() != nil, task.KindOf(err) == task.Unavailable: // the latter is waited for, except by a stop
		decide = func(t task.Task) task.Change {
			return t.ApplyInterrupted(args.Attempt, "the server was stopped", j.now())
		}
	default:
		if task.KindOf(err) != task.NotFound {
			log.ErrorContext(ctx, "an attempt failed", slog.Any("error", err))
		}
		report = failure(args.Attempt, err)
		decide = func(t task.Task) task.Change {
			if t.Status != task.InProgress || t.Attempt != args.Attempt {
				return task.Change{Task: t} // what it works on was deleted, and the task ended with it
			}
			return t.ApplyReport(report, j.now())
		}
	}
	// The outcome is written even when the server is stopping: that is no reason
	// to do the work again.
	last := context.WithoutCancel(ctx)
	err = j.whileAway(last, log, func() error {
		_, err := j.tasks.update(last, args.TaskID, time.Time{}, func(t task.Task) (audit.Change, error) {
			return audit.Change{Change: decide(t)}, nil
		})
		return err
	})
	switch {
	case task.KindOf(err) == task.NotFound:
		log.InfoContext(ctx, "stopped an attempt that had lost its task", slog.Any("reason", err))
	case err != nil:
		log.WarnContext(ctx, "the outcome of an attempt was not taken", slog.Any("error", err))
	}
}

// failure is the report of an attempt that failed for good.
func failure(attempt int, err error) task.Report {
	text := "The work failed for a reason inside the server. The details are in its log under the task's id."
	key := "internal_fault"
	if e, ok := errors.AsType[*task.Error](err); ok && e.Kind != task.Internal {
		text, key = e.Text(), "failed"
	}
	return task.Report{
		Attempt: attempt, Completion: task.Failure,
		Messages: []task.Message{{Type: task.MessageError, Key: key, Locale: "en", Text: text}},
	}
}

// execute runs the executor and turns a panic into an error: the process is
// everybody's.
func (j *Jobs[TTx]) execute(ctx context.Context, t task.Task) (r task.Report, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return j.executor.Execute(ctx, t)
}

// whileAway calls fn until the storage is there, ctx ends, or the server stops.
func (j *Jobs[TTx]) whileAway(ctx context.Context, log *slog.Logger, fn func() error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstWait, longestWait
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := fn()
		if err != nil && (task.KindOf(err) != task.Unavailable || j.stopping.Load()) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		log.WarnContext(ctx, "the storage cannot be used; trying again", slog.Any("error", err))
	}))
	return err
}
