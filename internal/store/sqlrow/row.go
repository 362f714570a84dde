// Package sqlrow is what both stores keep in the same form: how the values of the
// domain and the columns of a row become one another.
//
// It owns the lists of columns, the JSON of the columns that hold it, and the errors
// of look-ups that find nothing. It owns no statement: those are each store's.
//
// Invariants: what is written reads back as it was; NULL is the zero value.
package sqlrow

import (
	"database/sql"
	"encoding/hex"
	"errors"
	"time"

	"stint/internal/task"
)

// Scanner is a row that was found, of either driver.
type Scanner interface{ Scan(dest ...any) error }

// Millis returns a time as it is stored, in milliseconds; NULL for the zero time.
func Millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// Time returns the time that Millis made the milliseconds of.
func Time(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// Blob returns the 16 bytes of an id; nil, which is NULL and equals nothing, for what
// is no id.
func Blob(id task.ID) []byte {
	b, err := hex.DecodeString(string(id))
	if err != nil || len(b) != 16 {
		return nil
	}
	return b
}

// ID returns the id that Blob made the bytes of; "" for NULL.
func ID(b []byte) task.ID { return task.ID(hex.EncodeToString(b)) }

// Text returns s, or NULL for "".
func Text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Since returns the time to compare created with; the zero time lets
// everything through.
func Since(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

// none is the error of a look-up; where that found nothing, one that says what is not
// there.
func none(err error, what string, id task.ID) error {
	if errors.Is(err, sql.ErrNoRows) {
		return task.Errorf(task.NotFound, "", "no %s has the id %s", what, id)
	}
	return err
}
