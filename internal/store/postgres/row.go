package postgres

import (
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
		source              *string
		completed, launched bool
		lastReport, stopped *int64
		limit               int64
	)
	err := row.Scan(&id, &r.Wire, &r.Kind, &source, &completed, &launched, &r.Attempt, &lastReport, &limit, &stopped, &r.BuiltIn)
	if err != nil {
		return task.Row{}, err
	}
	r.ID = idOf(id)
	switch {
	case completed:
		r.State = task.Completed
	case launched:
		r.State = task.Running
	default:
		r.State = task.Queued
	}
	r.SourceID, r.LastReport, r.CancelRequested = orEmpty(source), at(lastReport), at(stopped)
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

func at(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// blob returns the 16 bytes of an id, for a column of type uuid; nil, which is
// NULL and equals nothing, for what is no id.
func blob(id task.ID) []byte {
	b, err := hex.DecodeString(string(id))
	if err != nil || len(b) != 16 {
		return nil
	}
	return b
}

// idOf returns the id that blob made the bytes of; "" for NULL.
func idOf(b []byte) task.ID { return task.ID(hex.EncodeToString(b)) }

// text returns s, or NULL for "".
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// bytesOf is text for a column of type bytea, which holds every character.
func bytesOf(s string) any {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// sinceMillis returns the time to compare created with; the zero time lets
// everything through.
func sinceMillis(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}
