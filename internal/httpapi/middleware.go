package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

type contextKey int

const (
	requestIDKey contextKey = iota
	senderKey
	rightKey
	headKey
	routeKey
)

// requestID returns the id under which a request is known to its client and in
// the log.
func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// observe gives a request its id, logs it, and keeps a panic from taking more
// than its own request down.
func (a *api) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.now()
		given := r.Header.Get("X-Request-Id")
		id := given
		if !is32Hex(given) {
			id = newRequestID()
		}
		ctx := context.WithValue(context.WithValue(r.Context(), requestIDKey, id), senderKey, a.senderOf(r))
		found := &foundRoute{}
		ctx = context.WithValue(ctx, routeKey, found)
		r = r.WithContext(ctx)
		w.Header().Set("X-Request-Id", id)
		rec := &recorder{ResponseWriter: w}
		answered := a.countRequest()
		defer func() {
			fault := recover()
			defer func() { answered(found.path, r.Method, rec.status, found.took(a.now().Sub(start))) }()
			if fault == http.ErrAbortHandler { //nolint:errorlint // the sentinel that net/http compares so
				panic(fault)
			}
			if fault != nil {
				a.log.ErrorContext(ctx, "panic", slog.String("request_id", id), slog.Any("panic", fault), slog.String("stack", string(debug.Stack())))
				if rec.status == 0 {
					a.writeError(rec, r, &task.Error{Kind: task.Internal})
				}
			}
			attrs := []slog.Attr{
				slog.String("request_id", id), slog.String("method", r.Method), slog.String("path", r.URL.Path),
				slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes), slog.Duration("duration", a.now().Sub(start)),
				slog.String("remote", clientAddress(r)),
			}
			if given != "" && given != id {
				attrs = append(attrs, slog.String("client_request_id", given[:min(len(given), 128)]))
			}
			a.log.LogAttrs(ctx, level(r, rec.status), "request", attrs...)
		}()
		next.ServeHTTP(rec, r)
	})
}

// foundRoute is where the router, which is further in, notes what it has found.
type foundRoute struct {
	path   string // its pattern; empty where there is none
	stream bool
}

// found notes the route of a request.
func found(r *http.Request, path string, stream bool) {
	if f, ok := r.Context().Value(routeKey).(*foundRoute); ok {
		f.path, f.stream = path, stream
	}
}

// took is how long an answer took; less than 0 of a stream, whose client decides.
func (f *foundRoute) took(d time.Duration) time.Duration {
	if f.stream {
		return -1
	}
	return max(d, 0)
}

// level keeps what went well and is of no interest one by one out of the
// ordinary log: reads, and reports, which the history of the task tells of.
func level(r *http.Request, status int) slog.Level {
	quiet := r.Method == http.MethodGet || r.Method == http.MethodHead || strings.HasSuffix(r.URL.Path, "/report")
	if status < http.StatusBadRequest && quiet {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// admit refuses what arrives while the server shuts down, and what a page of
// another site makes a browser send.
func (a *api) admit(next http.Handler) http.Handler {
	return a.adapt(func(w http.ResponseWriter, r *http.Request) error {
		if a.draining() {
			w.Header().Set("Connection", "close")
			return &task.Error{Kind: task.Unavailable, Msg: "the server is shutting down", RetryAfter: time.Second}
		}
		if a.hostAllowed != nil && r.Host != "" && !a.hostAllowed(r.Host) {
			return task.Errorf(task.Forbidden, "Host", "%q is not this machine's loopback; without tokens nothing else is served", r.Host)
		}
		if err := a.crossOrigin.Check(r); err != nil {
			return &task.Error{Kind: task.Forbidden, Field: "Origin", Msg: "a browser sent this from another site", Err: err}
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// headAsGet lets HEAD take the way of GET, so that their headers are the same;
// the server drops the body.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), headKey, true))
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

// isHead reports whether a request came as HEAD.
func isHead(r *http.Request) bool {
	head, _ := r.Context().Value(headKey).(bool)
	return head
}

// plainPath makes one path of its spellings with a trailing slash or doubled
// leading ones, and answers what the router would redirect: a redirect turns a
// PATCH into a GET.
func (a *api) plainPath(next http.Handler) http.Handler {
	return a.adapt(func(w http.ResponseWriter, r *http.Request) error {
		escaped := "/" + strings.Trim(r.URL.EscapedPath(), "/")
		if escaped != "/" && path.Clean(escaped) != escaped {
			return unknownPath(r.URL.Path)
		}
		plain, err := url.PathUnescape(escaped)
		if err != nil {
			return unknownPath(r.URL.Path)
		}
		if plain != r.URL.Path || r.URL.RawPath != "" {
			u := *r.URL
			u.Path, u.RawPath = plain, escaped
			copied := *r
			copied.URL = &u
			r = &copied
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

// maxAgent bounds what is kept of a User-Agent, in bytes: strangers fill it in.
const maxAgent = 256

// origin says who asks.
func origin(r *http.Request) audit.Origin {
	agent := r.UserAgent()
	agent = strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], "")
	from := audit.Origin{
		Actor: "anonymous", Address: clientAddress(r), Agent: agent, RequestID: requestID(r.Context()),
	}
	if p := principal.Of(r.Context()); p != nil {
		from.Actor, from.Client = p.Name, p.Client
	}
	return from
}

func is32Hex(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 32
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
