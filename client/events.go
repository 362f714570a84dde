package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	eventsPath = tasksPath + "/events"
	// eventSilence is how long a server that lives says nothing at the most: three times
	// what it promises.
	eventSilence = 45 * time.Second
	// eventPause and maxEventPause are how long to wait before the stream is opened again.
	eventPause    = 250 * time.Millisecond
	maxEventPause = 5 * time.Second
)

// The names of events that bring no task.
const (
	// EventReady is the first event of each connection.
	EventReady = "ready"
	// EventReset says that the server cannot tell what has changed since the event that it
	// was asked to go on behind: its database is another one, or an older copy. Whoever keeps
	// tasks lists them anew.
	EventReset = "reset"
)

// Event is what the server tells of its tasks.
type Event struct {
	// Name is [EventReady], [EventReset], or the state of the task.
	Name string
	// ID is what [EventOptions.After] takes to go on behind this event.
	ID string
	// Task is the task that has changed, as it is now; nil where the event brings none.
	Task *Task
}

// EventOptions say which events are wanted.
type EventOptions struct {
	// Filter is a filter expression; empty is all tasks.
	Filter string
	// After is the ID of the last event that was seen; empty begins now.
	After string
	// Away, if not nil, is called when the stream has ended, before it is opened again.
	Away func(err error)
}

// Events tells which tasks have changed, each as it is now and in the order of their last
// changes. Changes that come faster than they are read are told as one; the last is always
// told. A server that goes away, once it was there, is waited for, and the stream goes on
// behind the last event: it ends with ctx, or when the server refuses it. An error is the last
// thing that comes.
func (c *Client) Events(ctx context.Context, opts EventOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := eventStream{client: c, options: opts, last: opts.After, yield: yield}
		pause, began := eventPause, c.now()
		for {
			seen := s.events
			err := s.once(ctx)
			switch {
			case s.enough:
				return
			case ctx.Err() != nil:
				yield(Event{}, ctx.Err())
				return
			case !comesBack(err), s.events == 0 && c.now().Sub(began) >= c.retryFor:
				yield(Event{}, err)
				return
			}
			if opts.Away != nil {
				opts.Away(err)
			}
			if s.events > seen {
				pause = eventPause
			}
			if !rest(ctx, pause, err) {
				yield(Event{}, ctx.Err())
				return
			}
			pause = min(2*pause, maxEventPause)
		}
	}
}

// comesBack says whether a stream that ended so may be opened again.
func comesBack(err error) bool {
	var answer *Error
	return errors.Is(err, errStreamEnded) || errors.Is(err, ErrUnreachable) ||
		errors.As(err, &answer) && (answer.Status >= 500 || answer.Status == http.StatusTooManyRequests)
}

// rest waits before the next try: as long as the server asked to, or about pause.
func rest(ctx context.Context, pause time.Duration, err error) bool {
	pause += rand.N(pause / 2) //nolint:gosec // no secret
	var answer *Error
	if errors.As(err, &answer) {
		pause = max(pause, answer.RetryAfter)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

var errStreamEnded = errors.New("the stream of events has ended")

// eventStream is a stream over the connections that it takes.
type eventStream struct {
	client  *Client
	options EventOptions
	last    string // the id of the last event
	events  int    // how many came
	yield   func(Event, error) bool
	enough  bool
}

// once reads the events of one connection. It always ends with an error, but where
// nobody wants more.
func (s *eventStream) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(s.client.timeout, cancel)
	defer silence.Stop()
	query := url.Values{}
	if s.options.Filter != "" {
		query.Set("filters", s.options.Filter)
	}
	r := request{method: http.MethodGet, path: eventsPath, query: query, header: map[string]string{"Last-Event-ID": s.last}}
	for again := false; ; again = true {
		req, err := s.client.newRequest(ctx, r, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Accept", "text/event-stream")
		err = s.read(req, silence)
		if again || !s.client.forgets(req, err) {
			return err
		}
	}
}

func (s *eventStream) read(req *http.Request, silence *time.Timer) error {
	op := req.Method + " " + eventsPath
	resp, err := s.client.http.Do(req)
	if err != nil {
		return &networkError{url: s.client.base, op: op, err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return readError(resp, op, s.client.now())
	}
	if form := resp.Header.Get("Content-Type"); !strings.HasPrefix(form, "text/event-stream") {
		return fmt.Errorf("%s: the answer of %s is %q, not what a Stint server sends", op, s.client.base, form)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxAnswer)
	var e rawEvent
	for lines.Scan() {
		silence.Reset(eventSilence)
		if !e.take(lines.Bytes()) {
			continue
		}
		if err := s.tell(&e, op); err != nil || s.enough {
			return err
		}
		e = rawEvent{id: e.id}
	}
	err = lines.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s: %w", op, errTooLong)
	case err == nil:
		err = io.EOF
	}
	return fmt.Errorf("%w: %w", errStreamEnded, &networkError{url: s.client.base, op: op, err: err})
}

// tell passes an event on.
func (s *eventStream) tell(e *rawEvent, op string) error {
	if e.id != "" {
		s.last = e.id
	}
	if len(e.data) == 0 {
		return nil // an id alone
	}
	told := Event{Name: e.name, ID: s.last}
	if e.name != EventReady && e.name != EventReset {
		told.Task = &Task{}
		if err := json.Unmarshal(e.data, told.Task); err != nil {
			return fmt.Errorf("%s: the event of %s is not what a Stint server sends: %w", op, s.client.base, err)
		}
	}
	s.events++
	s.enough = !s.yield(told, nil)
	return nil
}

// rawEvent is an event under way.
type rawEvent struct {
	name, id string
	data     []byte
}

// take takes a line of a stream; it returns whether the event is whole.
func (e *rawEvent) take(line []byte) bool {
	if len(line) == 0 {
		return true
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "event":
		e.name = string(value)
	case "id":
		e.id = string(value)
	case "data":
		if e.data != nil {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
	}
	return false
}
