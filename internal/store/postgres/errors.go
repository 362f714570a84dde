package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"stint/internal/task"
)

// retryAfter is what a client is told to wait when the database is away.
const retryAfter = 5 * time.Second

var (
	errClosed = errors.New("the store is closed")
	// errLost is the error of a connection that was lost, or could not be made.
	errLost = errors.New("the connection was lost")
	// errUnknown is the error of a commit whose answer never came.
	errUnknown = errors.New("the connection was lost while committing")
	// errAgain asks for the write to be run again: somebody else was first.
	errAgain = errors.New("another write came first")
)

// The SQLSTATEs that mean something here.
const (
	classConstraint       = "23"
	stateUniqueViolation  = "23505"
	stateReadOnly         = "25006"
	stateSerialization    = "40001"
	stateDeadlock         = "40P01"
	stateUndefinedTable   = "42P01"
	stateDuplicateTable   = "42P07"
	stateDiskFull         = "53100"
	stateLockNotAvailable = "55P03"
	stateCancelled        = "57014"
)

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
	err = fmt.Errorf("%s: %w", doing, err)
	switch state := stateOf(err); {
	case errors.Is(err, errClosed):
		return unavailable("the database is closed", err)
	case errors.Is(err, errUnknown):
		return &task.Error{
			Kind: task.Unavailable, Msg: "the database was lost; what was asked for may have been done or not",
			RetryAfter: retryAfter, Unknown: true, Err: err,
		}
	case state == stateDiskFull:
		return unavailable("the disk is full; nothing was written", err)
	case state == stateReadOnly:
		return unavailable("the database cannot be written right now", err)
	case errors.Is(err, errLost), errors.Is(err, errAgain), passes(state):
		return unavailable("the database cannot be used right now", err)
	}
	return &task.Error{Kind: task.Internal, Msg: "internal error", Err: err}
}

// passes reports whether an error is one of the moment: of the connection (class
// 08), of resources (53), of an operator who stops the server (57), of the machine
// (58), or of others who are in the way.
func passes(state string) bool {
	switch state {
	case "":
		return false
	case stateSerialization, stateDeadlock, stateLockNotAvailable:
		return true
	}
	for _, class := range []string{"08", "53", "57", "58"} {
		if strings.HasPrefix(state, class) {
			return true
		}
	}
	return false
}

// again reports whether a write that failed so has left nothing and may succeed
// when it is run once more.
func again(err error) bool {
	if errors.Is(err, errUnknown) || errors.Is(err, errClosed) {
		return false
	}
	state := stateOf(err)
	return state == stateSerialization || state == stateDeadlock || errors.Is(err, errAgain) || errors.Is(err, errLost)
}

// ended reports whether an answer says for sure that nothing was committed: the
// server undid it and goes on. One that ends the connection says nothing.
func ended(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.SeverityUnlocalized == "ERROR"
}

// violates reports whether err says that a row would stand twice in a unique
// index.
func violates(err error, index string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == stateUniqueViolation && e.ConstraintName == index
}

// beaten is the error of a write that had looked for a row that was not there, and
// then found it in the unique index: run again, it sees it.
func beaten(err error, index string) error {
	if violates(err, index) {
		return fmt.Errorf("%w: %w", errAgain, err)
	}
	return err
}

func stateOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// noConnection is the error of a connection that could not be made. It is not made
// again and again here: whoever asked may come back.
func noConnection(err error) error {
	return unavailable("the database cannot be reached right now", err)
}

func unavailable(msg string, err error) error {
	return &task.Error{Kind: task.Unavailable, Msg: msg, RetryAfter: retryAfter, Err: err}
}
