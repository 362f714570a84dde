package httpapi

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"stint/internal/principal"
	"stint/internal/task"
)

const (
	// keepAlive is how long a stream of events says nothing at the most.
	keepAlive = 15 * time.Second
	// eventTimeout is how long a client may take to read what it is told at once.
	eventTimeout = 20 * time.Second
	// eventRetry is what a client should wait before it comes again, in milliseconds.
	eventRetry = "2000"

	fieldLastEventID = "Last-Event-ID"
	paramLastEventID = "lastEventId"
)

// followTasks tells which tasks have changed, as server-sent events (WHATWG HTML,
// section 9.2), for as long as the client may know.
func (a *api) followTasks(w http.ResponseWriter, r *http.Request) error {
	page, err := a.richer.ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	after, err := lastEvent(r)
	if err != nil {
		return err
	}
	s := &stream{api: a, w: w, r: r, to: http.NewResponseController(w)}
	if isHead(r) {
		s.begin()
		return nil
	}
	who := ""
	if p := principal.Of(r.Context()); p != nil {
		who = p.Client + "\n" + p.Name
	}
	err = a.feed.Follow(r.Context(), who, page.Filter, after, keepAlive, s.tell)
	switch {
	case errors.Is(err, errEnded):
		return nil
	case err != nil && s.begun:
		a.log.ErrorContext(r.Context(), "stream of events broken off", slog.String("request_id", requestID(r.Context())), slog.Any("error", err))
		// Only a broken connection says that it is not whole.
		panic(http.ErrAbortHandler)
	}
	return err
}

// lastEvent reads behind which event a client goes on; nil where it begins now.
func lastEvent(r *http.Request) (*task.Position, error) {
	given, field := r.Header.Get(fieldLastEventID), fieldLastEventID
	if given == "" {
		// The query was decoded once, without an error.
		values, _ := url.ParseQuery(r.URL.RawQuery)
		given, field = values.Get(paramLastEventID), paramLastEventID
	}
	if given == "" {
		return nil, nil //nolint:nilnil // without it, it is now
	}
	at, ok := task.ParsePosition(given)
	if !ok {
		return nil, task.Errorf(task.IllegalValue, field, "%q is not the id of an event: send one as it was received, or none to begin now",
			task.Abbreviate(given))
	}
	return &at, nil
}

// stream is one answer that goes on.
type stream struct {
	api   *api
	w     http.ResponseWriter
	r     *http.Request
	to    *http.ResponseController
	begun bool
}

func (s *stream) begin() {
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", formEvents)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")          // a proxy that holds answers back must not hold this one
	h.Set(gzhttp.HeaderNoCompression, "true") // the compressor would
	s.w.WriteHeader(http.StatusOK)
}

// errEnded ends a stream that nobody may read any more, or nobody reads.
var errEnded = errors.New("the stream has ended")

// tell writes what has changed.
func (s *stream) tell(c task.Changes) error {
	var b bytes.Buffer
	switch {
	case !s.begun:
		s.begin()
		b.WriteString("retry: " + eventRetry + "\n")
		writeEvent(&b, c.Next, "ready", []byte("{}"))
	case s.mayRead() != nil:
		return errEnded
	case c.Lost:
		writeEvent(&b, c.Next, "reset", []byte("{}"))
	case len(c.Tasks) == 0:
		// An id alone is no event, but the client goes on behind it.
		b.WriteString(": nothing has changed\nid: " + c.Next.String() + "\n\n")
	}
	for i := range c.Tasks {
		t := &c.Tasks[i]
		body, err := extrasOf(t.Row).join(t.Wire)
		if err != nil {
			return err
		}
		writeEvent(&b, t.At, string(t.State), body)
	}
	_ = s.to.SetWriteDeadline(s.api.now().Add(eventTimeout))
	if _, err := s.w.Write(b.Bytes()); err != nil {
		return errEnded
	}
	if err := s.to.Flush(); err != nil {
		return errEnded
	}
	return nil
}

// mayRead asks again who reads: a token ends, and a client is revoked.
func (s *stream) mayRead() error {
	p, err := s.api.authenticate(s.r)
	if err != nil {
		return err
	}
	right := readTasks()
	return right.Check(p)
}

func writeEvent(b *bytes.Buffer, at task.Position, name string, data []byte) {
	b.WriteString("id: " + at.String() + "\nevent: " + name + "\ndata: ")
	b.Write(bytes.ReplaceAll(data, []byte("\n"), []byte("\ndata: ")))
	b.WriteString("\n\n")
}
