package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"stint/internal/strictjson"
	"stint/internal/task"
)

// The largest bodies that are read, and the time a client has to send one.
const (
	maxPatch    = 64 << 10
	maxBody     = 1 << 20
	bodyTimeout = 30 * time.Second
	maxReason   = 1024
)

// readBody reads a whole body of one of the media types (or of none).
func (a *api) readBody(w http.ResponseWriter, r *http.Request, limit int64, types ...string) ([]byte, error) {
	if header := r.Header.Get("Content-Type"); header != "" {
		given, _, err := mime.ParseMediaType(header)
		if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || !slices.Contains(types, given) {
			return nil, task.Errorf(task.UnsupportedMediaType, "Content-Type", "%q is not read here: %s", header, strings.Join(types, " or "))
		}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, task.Errorf(task.UnsupportedMediaType, "Content-Encoding", "%q is not read here: send the body as it is", coding)
	}
	// A client that stops sending must not hold a connection for ever.
	_ = http.NewResponseController(w).SetReadDeadline(a.now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, task.Errorf(task.TooLarge, "body", "is too large: at most %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return nil, &task.Error{Kind: task.Syntax, Field: "body", Msg: "did not arrive whole", Err: err}
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, a.still(r.Context())
}

// readJSON reads a JSON body into v, strictly.
func (a *api) readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := a.readBody(w, r, maxBody, "application/json")
	if err != nil {
		return err
	}
	return strictjson.Unmarshal(body, v)
}

// whole is a whole number in a body. Some languages write 50 as 50.0.
type whole int64

// UnmarshalJSON reads a number without a fraction.
func (n *whole) UnmarshalJSON(data []byte) error {
	if i, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		*n = whole(i)
		return nil
	}
	const exact = 1 << 53 // beyond it a float64 is not every whole number
	f, err := strconv.ParseFloat(string(data), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return errNotWhole
	}
	*n = whole(f)
	return nil
}

var errNotWhole = errors.New("not a whole number")

// taskID returns the id in the path; what cannot be one is not found.
func taskID(r *http.Request) (task.ID, error) {
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return "", task.Errorf(task.NotFound, "", "no task has the id %q", r.PathValue("id"))
	}
	return id, nil
}

// reason reads the optional header Stint-Reason.
func reason(r *http.Request) (string, error) {
	s := r.Header.Get("Stint-Reason")
	return s, checkReason("Stint-Reason", s)
}

func checkReason(field, s string) error {
	if !utf8.ValidString(s) {
		return task.Errorf(task.IllegalValue, field, "is not valid UTF-8")
	}
	if n := utf8.RuneCountInString(s); n > maxReason {
		return task.Errorf(task.IllegalValue, field, "%d characters are too many: at most %d", n, maxReason)
	}
	return nil
}

// accepts reports whether the Accept headers let an answer be of a media type
// (RFC 9110, section 12.5.1): the most specific range decides.
func accepts(headers []string, form string) bool {
	best, accepted, given := 0, false, false
	family, _, _ := strings.Cut(form, "/")
	for _, part := range strings.Split(strings.Join(headers, ","), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		given = true
		media, params, _ := strings.Cut(part, ";")
		specificity := 0
		switch strings.ToLower(strings.TrimSpace(media)) {
		case form:
			specificity = 3
		case family + "/*":
			specificity = 2
		case "*/*":
			specificity = 1
		}
		if specificity > best {
			best, accepted = specificity, quality(params) > 0
		}
	}
	return !given || accepted
}

// quality returns the q of a media range's parameters; 1 where there is none.
func quality(params string) float64 {
	for _, p := range strings.Split(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(strings.TrimSpace(name), "q") {
			q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				return 1
			}
			return q
		}
	}
	return 1
}

// etag returns the strong entity tag of a body.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches reports whether a list of entity tags (If-Match, If-None-Match)
// holds tag, in its plain or its compressed form. weak lets weak tags match
// (RFC 9110, section 8.8.3.2).
func matches(headers []string, tag string, weak bool) bool {
	compressed := strings.TrimSuffix(tag, `"`) + gzipTag + `"`
	for _, given := range strings.Split(strings.Join(headers, ","), ",") {
		given = strings.TrimSpace(given)
		if given == "*" {
			return true
		}
		if weak {
			given = strings.TrimPrefix(given, "W/")
		}
		if given == tag || given == compressed {
			return true
		}
	}
	return false
}

// writeTimeout is how long a client may take to read an answer.
const writeTimeout = time.Minute
