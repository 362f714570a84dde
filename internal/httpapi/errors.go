package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"stint/internal/task"
)

// errorBody is the contract's error form (section 9). Refused and Stop are
// Stint's own and stand only in the answer to a refused report.
type errorBody struct {
	DetailCode string         `json:"detailCode"`
	TrackingID string         `json:"trackingId"`
	Messages   []errorMessage `json:"messages"`
	Causes     []errorMessage `json:"causes"`
	Refused    task.Refusal   `json:"refused,omitempty"`
	Stop       bool           `json:"stop,omitempty"`
}

type errorMessage struct {
	Locale       string `json:"locale"`
	LocaleOrigin string `json:"localeOrigin"`
	Text         string `json:"text"`
}

func english(text string) []errorMessage {
	return []errorMessage{{Locale: "en-US", LocaleOrigin: "DEFAULT", Text: text}}
}

// statusOf maps a kind of error to its status, detail code and generic text.
func statusOf(kind task.ErrorKind) (status int, code, generic string) {
	switch kind {
	case task.Syntax:
		return http.StatusBadRequest, "400.0 Bad Request Syntax", "The request could not be parsed."
	case task.Content:
		return http.StatusBadRequest, "400.1 Bad Request Content", "The request was syntactically correct but its content is semantically invalid."
	case task.Missing:
		return http.StatusBadRequest, "400.1.0 Required data missing or empty", "Required data was missing or empty."
	case task.IllegalUpdate:
		return http.StatusBadRequest, "400.1.1 Illegal update attempt", "The request attempts to update a field that cannot be updated."
	case task.IllegalValue:
		return http.StatusBadRequest, "400.1.3 Illegal value", "The request contains a value that is not allowed."
	case task.Unauthenticated:
		return http.StatusUnauthorized, "401.0 Unauthorized", "The request has no valid token."
	case task.Forbidden:
		return http.StatusForbidden, "403.0 Forbidden", "The server understood the request but refuses to authorize it."
	case task.NotFound:
		return http.StatusNotFound, "404.0 Not Found", "The server did not find a current representation for the target resource."
	case task.MethodNotAllowed:
		return http.StatusMethodNotAllowed, "405.0 Method Not Allowed", "The resource does not support this method."
	case task.NotAcceptable:
		return http.StatusNotAcceptable, "406.0 Not Acceptable", "The server cannot answer in a form that the request accepts."
	case task.Conflict:
		return http.StatusConflict, "409.0 Conflict", "The request conflicts with the current state of the resource."
	case task.PreconditionFailed:
		return http.StatusPreconditionFailed, "412.0 Precondition Failed", "The resource is not in the state that the request asks for."
	case task.TooLarge:
		return http.StatusRequestEntityTooLarge, "413.0 Content Too Large", "The request body is too large."
	case task.UnsupportedMediaType:
		return http.StatusUnsupportedMediaType, "415.0 Unsupported Media Type", "The server does not read request bodies of this type here."
	case task.TooMany:
		return http.StatusTooManyRequests, "429.0 Too Many Requests", "Too many requests."
	case task.Unavailable:
		return http.StatusServiceUnavailable, "503.0 Service Unavailable", "The service cannot answer right now. Please try again later."
	case task.Internal:
	}
	return http.StatusInternalServerError, "500.0 Internal Fault", "An internal fault occurred."
}

// writeError answers a request with an error and logs what the client is not
// told, under the same id.
func (a *api) writeError(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	e, typed := errors.AsType[*task.Error](err)
	if !typed {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			// The client has gone, or has closed its half: no answer is better than one of 200.
			panic(http.ErrAbortHandler)
		}
		e = &task.Error{Kind: task.Internal, Err: err}
	}
	status, code, generic := statusOf(e.Kind)
	// A name in a body may hold U+0000; no text of ours does.
	cause := strings.ReplaceAll(e.Text(), "\x00", `\u0000`)
	if e.Kind == task.Internal {
		cause = "The details are in the server's log under the tracking id."
	}
	if status >= http.StatusInternalServerError {
		a.log.ErrorContext(ctx, "request failed", slog.String("request_id", requestID(ctx)), slog.Any("error", err))
	}
	h := w.Header()
	h.Del("ETag")
	if e.Allow != "" {
		h.Set("Allow", e.Allow)
	}
	if e.Kind == task.Unavailable || e.Kind == task.TooMany {
		h.Set("Retry-After", strconv.Itoa(int(max(1, (e.RetryAfter+time.Second-1)/time.Second))))
	}
	if e.Unknown {
		h.Set("Stint-Outcome", "unknown")
	}
	var form any = errorBody{
		DetailCode: code, TrackingID: requestID(ctx), Messages: english(generic), Causes: english(cause),
		Refused: e.Refused, Stop: e.Stop,
	}
	switch e.Kind { //nolint:exhaustive // two kinds have a form of their own (contract, section 7)
	case task.Unauthenticated:
		h.Set("WWW-Authenticate", challenge(cause))
		form = map[string]string{"error": cause}
	case task.TooMany:
		form = map[string]string{"message": " Rate Limit Exceeded "}
	}
	body, merr := json.Marshal(form)
	if merr != nil {
		body = []byte("{}")
	}
	writeJSON(w, status, body)
}

// challenge tells a client how to prove itself (RFC 6750, section 3).
func challenge(cause string) string {
	description := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, cause)
	return `Bearer realm="stint", error="invalid_token", error_description="` + description + `"`
}

// writeJSON answers with a body that is JSON already.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) //nolint:gosec // JSON, and said to be; a client that has gone is no fault of ours
}
