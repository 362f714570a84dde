package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Sentinels for errors.Is. Those but ErrUnreachable match an [Error] by what the server said.
var (
	// ErrUnreachable: no answer came from the server.
	ErrUnreachable = errors.New("server not reachable")
	// ErrNotFound: 404.
	ErrNotFound = errors.New("not found")
	// ErrUnauthorized: 401.
	ErrUnauthorized = errors.New("not signed in")
	// ErrForbidden: 403.
	ErrForbidden = errors.New("not allowed")
	// ErrConflict: 409, whatever the reason.
	ErrConflict = errors.New("conflict")
	// ErrStale: a report of an attempt that was replaced.
	ErrStale = errors.New("report of a replaced attempt")
	// ErrLate: a report to a task that is complete. See also TakenForLost.
	ErrLate = errors.New("report to a completed task")
	// ErrDuplicate: a report whose sequence number was used already.
	ErrDuplicate = errors.New("duplicate report")

	errTooLong = errors.New("the answer is longer than any that a Stint server sends")
)

// Refused is why a report was refused.
type Refused string

// The reasons of a refused report.
const (
	RefusedStale     Refused = "stale"
	RefusedLate      Refused = "late"
	RefusedDuplicate Refused = "duplicate"
	RefusedToken     Refused = "token"
)

// Error is an answer of the server that says no.
type Error struct {
	// Op is the request, such as "GET /stint/v1/tasks".
	Op string
	// Status is the HTTP status.
	Status int
	// DetailCode is the server's code, such as "400.1.3 Illegal value".
	DetailCode string
	// TrackingID finds the request in the server's log.
	TrackingID string
	// Causes are the specific texts, or the generic one where there is none.
	Causes []string
	// Refused is set where a report was refused.
	Refused Refused
	// Stop says that the reporting program should stop working.
	Stop bool
	// RetryAfter is how long the server asked to wait; zero if it did not.
	RetryAfter time.Duration
	// Unknown says that what was asked for may have been done all the same.
	Unknown bool
}

// Error says what the server said, in one line, without the tracking id.
func (e *Error) Error() string {
	text := strings.Join(e.Causes, "; ")
	if text == "" {
		text = http.StatusText(e.Status)
	}
	code := e.DetailCode
	if code == "" {
		code = strconv.Itoa(e.Status)
	}
	return fmt.Sprintf("%s: %s (%s)", e.Op, text, code)
}

// Is matches the sentinels of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.Status == http.StatusNotFound
	case ErrUnauthorized:
		return e.Status == http.StatusUnauthorized
	case ErrForbidden:
		return e.Status == http.StatusForbidden
	case ErrConflict:
		return e.Status == http.StatusConflict
	case ErrStale:
		return e.Refused == RefusedStale
	case ErrLate:
		return e.Refused == RefusedLate
	case ErrDuplicate:
		return e.Refused == RefusedDuplicate
	}
	return false
}

// networkError is a request that got no answer.
type networkError struct {
	url string
	op  string
	err error
}

func (e *networkError) Error() string {
	err := e.err
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		// It would say the method and the URL a second time.
		err = wrapped.Err
	}
	return fmt.Sprintf("%s: no answer from %s: %v", e.op, e.url, err)
}

func (e *networkError) Unwrap() error { return e.err }

func (e *networkError) Is(target error) bool {
	return target == ErrUnreachable
}

// readError decodes every error form that the API has; what is none of them (a proxy's page)
// keeps its status and the beginning of its text.
func readError(resp *http.Response, op string, now time.Time) *Error {
	e := &Error{
		Op: op, Status: resp.StatusCode,
		TrackingID: resp.Header.Get("X-Request-Id"),
		RetryAfter: retryAfter(resp.Header.Get("Retry-After"), now),
		Unknown:    resp.Header.Get("Stint-Outcome") == "unknown",
	}
	type text struct {
		Text string `json:"text"`
	}
	var wire struct {
		DetailCode  string  `json:"detailCode"`
		TrackingID  string  `json:"trackingId"`
		Messages    []text  `json:"messages"`
		Causes      []text  `json:"causes"`
		Error       string  `json:"error"`
		Description string  `json:"error_description"`
		Message     string  `json:"message"`
		Refused     Refused `json:"refused"`
		Stop        bool    `json:"stop"`
	}
	// A body that cannot be read or is too long is shortened, not a second error.
	body, _ := readBounded(resp.Body, maxError)
	if err := json.Unmarshal(body, &wire); err != nil {
		if resp.StatusCode >= 300 && resp.StatusCode < 400 {
			e.Causes = []string{"redirected to " + resp.Header.Get("Location") + ", which a Stint server never does"}
		} else if first := firstLine(body); first != "" {
			e.Causes = []string{first}
		}
		return e
	}
	e.DetailCode, e.Refused, e.Stop = wire.DetailCode, wire.Refused, wire.Stop
	if wire.TrackingID != "" {
		e.TrackingID = wire.TrackingID
	}
	for _, texts := range [][]text{wire.Causes, wire.Messages} {
		for _, t := range texts {
			if t.Text != "" {
				e.Causes = append(e.Causes, t.Text)
			}
		}
		if len(e.Causes) > 0 {
			return e
		}
	}
	for _, plain := range []string{wire.Description, wire.Error, strings.TrimSpace(wire.Message)} {
		if plain != "" {
			e.Causes = []string{plain}
			break
		}
	}
	return e
}

func firstLine(body []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	return strings.ToValidUTF8(string(line[:min(200, len(line))]), "")
}

// retryAfter reads both forms of the header.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 86400)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// TakenForLost says that a report came too late because the server had not heard of the task
// for longer than its heartbeat limit, and ended it. Nobody asked the work to stop.
func TakenForLost(err error) bool {
	var answer *Error
	return errors.As(err, &answer) && errors.Is(err, ErrLate) && !answer.Stop
}
