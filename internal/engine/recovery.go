package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	recoveryInterval = 5 * time.Second
	recoveryBatch    = 100
)

// recoverOnce gives the next attempt to the tasks whose attempt nobody runs any
// more, and ends the rows of jobs that nobody runs.
func (j *Jobs[TTx]) recoverOnce(ctx context.Context) {
	if err := j.recoverTasks(ctx); err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "cannot look for interrupted tasks", slog.Any("error", err))
	}
	if err := j.recoverRows(ctx); err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "cannot look for orphaned jobs", slog.Any("error", err))
	}
}

// recoverTasks looks at every task in progress: its job must wait or run.
func (j *Jobs[TTx]) recoverTasks(ctx context.Context) error {
	for after := int64(-1); ; {
		open, err := j.store.BuiltIn(ctx, after, recoveryBatch)
		if err != nil || len(open) == 0 {
			return err
		}
		ids := make([]int64, len(open))
		for i, a := range open {
			ids[i] = a.Job
		}
		rows, err := j.driver.GetExecutor().JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids})
		if err != nil {
			return err
		}
		alive := map[int64]bool{}
		for _, row := range rows {
			alive[row.ID] = j.alive(row)
		}
		for _, a := range open {
			if !alive[a.Job] {
				j.interrupt(ctx, attemptArgs{a.ID, a.Attempt})
			}
		}
		after = open[len(open)-1].Job
	}
}

// alive tells whether a job waits, or runs in a process that lives.
func (j *Jobs[TTx]) alive(row *rivertype.JobRow) bool {
	switch row.State {
	case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRetryable:
		return true
	case rivertype.JobStateRunning:
		return j.mine(row)
	case rivertype.JobStateCancelled, rivertype.JobStateCompleted, rivertype.JobStateDiscarded:
	}
	return false
}

// mine tells whether this process runs a job. No other process has the file.
func (j *Jobs[TTx]) mine(row *rivertype.JobRow) bool {
	return len(row.AttemptedBy) > 0 && row.AttemptedBy[len(row.AttemptedBy)-1] == j.id
}

// recoverRows ends the rows that run nowhere and belong to no attempt.
func (j *Jobs[TTx]) recoverRows(ctx context.Context) error {
	running := river.NewJobListParams().States(rivertype.JobStateRunning).First(recoveryBatch).
		OrderBy(river.JobListOrderByID, river.SortOrderAsc)
	for {
		list, err := j.client.JobList(ctx, running)
		if err != nil || len(list.Jobs) == 0 {
			return err
		}
		for _, row := range list.Jobs {
			if j.mine(row) {
				continue
			}
			if _, err := j.endRunning(ctx, j.driver.GetExecutor(), row.ID, rivertype.JobStateCancelled); err != nil {
				return err
			}
		}
		running = running.After(list.LastCursor)
	}
}

func (j *Jobs[TTx]) interrupt(ctx context.Context, args attemptArgs) {
	t, err := j.tasks.update(ctx, args.TaskID, time.Time{}, func(t task.Task) (audit.Change, error) {
		return audit.Change{Change: t.ApplyInterrupted(args.Attempt, "the process that ran it has ended", j.now())}, nil
	})
	if err != nil {
		if ctx.Err() == nil {
			j.log.WarnContext(ctx, "cannot go on with an interrupted task", slog.String("task_id", string(args.TaskID)), slog.Any("error", err))
		}
		return
	}
	j.log.InfoContext(ctx, "a task was interrupted", slog.String("task_id", string(args.TaskID)),
		slog.Int("next_attempt", t.Attempt), slog.String("completion_status", string(t.Status)))
}
