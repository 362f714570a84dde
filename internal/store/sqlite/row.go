package sqlite

import (
	"database/sql"
	"encoding/hex"
	"time"

	"stint/internal/task"
)

// rowColumns are those of a task.Row, in the order of scanRow.
const rowColumns = `id, wire, kind, source_id, status IS NOT NULL, launched IS NOT NULL, attempt, last_report,
	heartbeat_limit, cancel_requested, job IS NOT NULL`

func scanRow(row rowScanner) (task.Row, error) {
	var (
		r                   task.Row
		id                  []byte
		source              sql.NullString
		completed, launched bool
		lastReport, stopped sql.NullInt64
		limit               int64
	)
	err := row.Scan(&id, &r.Wire, &r.Kind, &source, &completed, &launched, &r.Attempt, &lastReport, &limit, &stopped, &r.BuiltIn)
	if err != nil {
		return task.Row{}, err
	}
	r.ID = task.ID(hex.EncodeToString(id))
	switch {
	case completed:
		r.State = task.Completed
	case launched:
		r.State = task.Running
	default:
		r.State = task.Queued
	}
	r.SourceID, r.LastReport, r.CancelRequested = source.String, at(lastReport), at(stopped)
	r.HeartbeatLimit = time.Duration(limit) * time.Millisecond
	return r, nil
}

// millis and at convert between times and stored milliseconds; zero is NULL.
func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

func at(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return time.UnixMilli(ms.Int64).UTC()
}
