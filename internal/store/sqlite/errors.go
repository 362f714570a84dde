package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"stint/internal/task"
)

// retryAfter is what a client is told to wait when the file cannot be written.
const retryAfter = 5 * time.Second

// interpret turns an error of the driver into the typed one; what is typed
// already, and the caller's own cancellation, pass unchanged.
func interpret(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*task.Error](err); ok {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, errClosed) {
		return unavailable("the database is closed", fmt.Errorf("%s: %w", doing, err))
	}
	switch primaryCode(err) {
	case lib.SQLITE_FULL:
		return unavailable("the disk is full; nothing was written", fmt.Errorf("%s: %w", doing, err))
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_NOMEM:
		return unavailable("the database cannot be used right now", fmt.Errorf("%s: %w", doing, err))
	}
	return &task.Error{Kind: task.Internal, Msg: "internal error", Err: fmt.Errorf("%s: %w", doing, err)}
}

func unavailable(msg string, err error) error {
	return &task.Error{Kind: task.Unavailable, Msg: msg, RetryAfter: retryAfter, Err: err}
}

// breaksTransaction reports whether SQLite may have rolled back the whole
// transaction on this error, other writes included.
func breaksTransaction(err error) bool {
	switch primaryCode(err) {
	case lib.SQLITE_FULL, lib.SQLITE_IOERR, lib.SQLITE_NOMEM, lib.SQLITE_BUSY, lib.SQLITE_INTERRUPT,
		lib.SQLITE_CORRUPT, lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN:
		return true
	}
	return errors.Is(err, sql.ErrTxDone) || errors.Is(err, sql.ErrConnDone)
}

func primaryCode(err error) int {
	if e, ok := errors.AsType[*driver.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}
