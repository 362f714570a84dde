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
	if err := j.recoverDeliveries(ctx); err != nil && ctx.Err() == nil {
		j.log.WarnContext(ctx, "cannot look for late deliveries", slog.Any("error", err))
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
		missing := make(map[int64]bool, len(open))
		for i, a := range open {
			ids[i], missing[a.Job] = a.Job, true
		}
		rows, err := j.driver.GetExecutor().JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids})
		if err != nil {
			return err
		}
		lost, err := j.lost(ctx, rows)
		if err != nil {
			return err
		}
		for _, row := range rows {
			delete(missing, row.ID)
		}
		for _, a := range open {
			if lost[a.Job] || missing[a.Job] && j.members.Leads() {
				j.interrupt(ctx, attemptArgs{a.ID, a.Attempt})
			}
		}
		after = open[len(open)-1].Job
	}
}

// lost returns the jobs that neither wait nor run: those of this process that it
// does not know of, and, where it leads, those that have ended or whose process is
// gone. What others run is theirs to know.
func (j *Jobs[TTx]) lost(ctx context.Context, rows []*rivertype.JobRow) (map[int64]bool, error) {
	lost, leads := map[int64]bool{}, j.members.Leads()
	var elsewhere []string
	for _, row := range rows {
		switch row.State {
		case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRetryable:
		case rivertype.JobStateRunning:
			if by := runner(row); by != j.id {
				elsewhere = append(elsewhere, by)
			} else if !j.runs(row) {
				lost[row.ID] = true
			}
		case rivertype.JobStateCancelled, rivertype.JobStateCompleted, rivertype.JobStateDiscarded:
			lost[row.ID] = leads
		}
	}
	if !leads || len(elsewhere) == 0 {
		return lost, nil
	}
	gone, err := j.members.Gone(ctx, elsewhere)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.State == rivertype.JobStateRunning && gone[runner(row)] {
			lost[row.ID] = true
		}
	}
	return lost, nil
}

// runs reports whether a job runs in this process, or may be about to.
func (j *Jobs[TTx]) runs(row *rivertype.JobRow) bool {
	if row.Kind == (deliveryArgs{}).Kind() {
		return j.sending.has(row.ID, j.now())
	}
	return j.active.has(row.ID, j.now())
}

// runner names the process that runs a job.
func runner(row *rivertype.JobRow) string {
	if len(row.AttemptedBy) == 0 {
		return ""
	}
	return row.AttemptedBy[len(row.AttemptedBy)-1]
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
		lost, err := j.lost(ctx, list.Jobs)
		if err != nil {
			return err
		}
		for id := range lost {
			if _, err := j.endRunning(ctx, j.driver.GetExecutor(), id, rivertype.JobStateCancelled); err != nil {
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
