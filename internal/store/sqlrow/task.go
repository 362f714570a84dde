package sqlrow

import (
	"time"

	"stint/internal/task"
)

// RowColumns are those of a task.Row, in the order of ScanRow.
const RowColumns = `id, wire, kind, source_id, status IS NOT NULL, launched IS NOT NULL, attempt, last_report,
	heartbeat_limit, cancel_requested, job IS NOT NULL`

// ScanRow reads a task as lists show it.
func ScanRow(row Scanner) (task.Row, error) {
	var (
		r                   task.Row
		id                  []byte
		source              *string
		completed, launched bool
		lastReport, stopped *int64
		limit               int64
	)
	err := row.Scan(&id, &r.Wire, &r.Kind, &source, &completed, &launched, &r.Attempt, &lastReport, &limit, &stopped, &r.BuiltIn)
	if err != nil {
		return task.Row{}, err
	}
	r.ID = ID(id)
	switch {
	case completed:
		r.State = task.Completed
	case launched:
		r.State = task.Running
	default:
		r.State = task.Queued
	}
	r.SourceID, r.LastReport, r.CancelRequested = orEmpty(source), Time(lastReport), Time(stopped)
	r.HeartbeatLimit = time.Duration(limit) * time.Millisecond
	return r, nil
}

// TaskColumns are those of a task, in the order of ScanTask.
const TaskColumns = `kind, source_id, attempt, sequence, last_report, heartbeat_limit, cancel_requested, cancel_reason, reported,
	job, interruptions, wire`

// ScanTask reads a task as writes need it, but for its id, and more columns behind it.
func ScanTask(row Scanner, more ...any) (task.Task, error) {
	var (
		t                   task.Task
		source, reported    *string
		why, wire           []byte
		lastReport, stopped *int64
		limit               int64
		job                 *int64
	)
	err := row.Scan(append([]any{
		&t.Kind, &source, &t.Attempt, &t.Sequence, &lastReport, &limit, &stopped, &why, &reported, &job, &t.Interruptions, &wire,
	}, more...)...)
	if err != nil {
		return task.Task{}, err
	}
	t.SourceID, t.CancelReason, t.Reported = orEmpty(source), string(why), task.CompletionStatus(orEmpty(reported))
	t.LastReport, t.CancelRequested = Time(lastReport), Time(stopped)
	if job != nil {
		t.BuiltIn, t.Job = true, *job
	}
	t.HeartbeatLimit = time.Duration(limit) * time.Millisecond
	if err := t.UnmarshalWire(wire); err != nil {
		return task.Task{}, err
	}
	return t, nil
}

// Job returns the number of a task's job, or NULL where others run it.
func Job(t *task.Task) any {
	if !t.BuiltIn {
		return nil
	}
	return t.Job
}

// NoTask is the error of a look-up that found no task.
func NoTask(id task.ID) error {
	return task.Errorf(task.NotFound, "", "no task has the id %s", id)
}
