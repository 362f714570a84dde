package sqlrow

import (
	"strings"
	"time"

	"stint/internal/store/dump"
	"stint/internal/task"
)

// RowColumns are those of a task.Row, in the order of ScanRow.
const RowColumns = `id, wire, kind, source_id, status IS NOT NULL, launched IS NOT NULL, attempt, last_report,
	heartbeat_limit, cancel_requested, job IS NOT NULL, created, completed - launched`

// ScanRow reads a task as lists show it, and more columns behind it.
func ScanRow(row Scanner, more ...any) (task.Row, error) {
	var (
		r                   task.Row
		created             int64
		duration            *int64
		id                  []byte
		source              *string
		completed, launched bool
		lastReport, stopped *int64
		limit               int64
	)
	err := row.Scan(append([]any{
		&id, &r.Wire, &r.Kind, &source, &completed, &launched, &r.Attempt, &lastReport, &limit, &stopped, &r.BuiltIn, &created, &duration,
	}, more...)...)
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
	r.Created = time.UnixMilli(created).UTC()
	if duration != nil {
		took := time.Duration(*duration) * time.Millisecond
		r.Duration = &took
	}
	return r, nil
}

// SearchedColumns are those that hold again what the TaskStatus says, so that tasks
// can be found and sorted by it; in the order of Searched.
const SearchedColumns = `unique_name, description, target_id, target_name, percent`

// Searched are the values of SearchedColumns.
type Searched [5]any

// SearchedOf returns those of a task.
func SearchedOf(t *task.Task) Searched {
	s := Searched{t.UniqueName, t.Description, nil, nil, t.PercentComplete}
	if t.Target != nil {
		s[2], s[3] = t.Target.ID, t.Target.Name
	}
	return s
}

// SearchedIn returns those of a row of a dump.
func SearchedIn(row *dump.Row) (Searched, error) {
	s, err := SearchedInWire(row.Wire())
	if err != nil {
		misfit := row.Errorf("wire", "a TaskStatus is allowed")
		misfit.Err = err
		return s, misfit
	}
	return s, nil
}

// SearchedInWire returns those of a stored TaskStatus.
func SearchedInWire(wire []byte) (Searched, error) {
	var t task.Task
	if err := t.UnmarshalWire(wire); err != nil {
		return Searched{}, err
	}
	return SearchedOf(&t), nil
}

// SearchedNames are SearchedColumns one by one.
func SearchedNames() []string { return strings.Split(SearchedColumns, ", ") }

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
