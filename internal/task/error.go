package task

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind says what went wrong in terms that every layer understands. It is
// closed: the HTTP layer maps each kind to one status and detail code.
type ErrorKind int

// The kinds of error. Internal is the zero value, so that an error nobody
// classified is never shown to a client.
const (
	Internal             ErrorKind = iota
	Syntax                         // cannot be parsed
	Content                        // well formed, but makes no sense here
	Missing                        // required data is missing or empty
	IllegalUpdate                  // a change that is not allowed
	IllegalValue                   // a value outside its set or range
	Unauthenticated                // unknown caller
	Forbidden                      // known caller, not allowed
	NotFound                       // no such thing, or not visible
	MethodNotAllowed               // the resource exists, the method does not
	NotAcceptable                  // the client accepts nothing we can send
	Conflict                       // the state of the thing refuses it
	PreconditionFailed             // If-Match did not match
	TooLarge                       // a body over its limit
	UnsupportedMediaType           // a body of a type we do not read
	TooMany                        // too many requests
	Unavailable                    // try again later
)

// Refusal says why a report was refused.
type Refusal string

// The refusals of a report.
const (
	RefusedStale     Refusal = "stale"     // another attempt has the fence
	RefusedLate      Refusal = "late"      // the task is complete
	RefusedDuplicate Refusal = "duplicate" // this report was accepted before
	RefusedToken     Refusal = "token"     // the report token is not this task's
)

// Error is the one error type that crosses layers. Msg is shown to clients as
// it is, so it holds no secret and no internal detail; those go in Err, which
// only the log sees.
type Error struct {
	Kind    ErrorKind
	Field   string // the parameter, member or JSON pointer at fault; may be empty
	Msg     string // for people; names the value and what is allowed
	Refused Refusal
	// Stop tells a worker to stop its work.
	Stop bool
	// RetryAfter is set for Unavailable and TooMany.
	RetryAfter time.Duration
	// Unknown says of Unavailable that what was asked for may have been done.
	Unknown bool
	// Allow lists the methods of the resource, for MethodNotAllowed.
	Allow string
	Err   error
}

// Error returns the message with its field and cause, for logs.
func (e *Error) Error() string {
	s := e.Text()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Text returns what a client is shown.
func (e *Error) Text() string {
	if e.Field != "" {
		return e.Field + ": " + e.Msg
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind about a field.
func Errorf(kind ErrorKind, field, format string, args ...any) *Error {
	return &Error{Kind: kind, Field: field, Msg: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first Error in err's chain, or Internal.
func KindOf(err error) ErrorKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// Abbreviate cuts a caller's text to what fits in an error.
func Abbreviate(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
