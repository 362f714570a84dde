package client_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"stint/client"
)

// answering answers every request with a stream.
type answering string

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(strings.NewReader(string(a))),
	}, nil
}

// eventsOf reads the events of one connection.
func eventsOf(tb testing.TB, stream string) (events []client.Event, last error) {
	tb.Helper()
	c, err := client.New("http://stint", client.Options{HTTPClient: &http.Client{Transport: answering(stream)}})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(tb.Context())
	defer cancel()
	for e, err := range c.Events(ctx, client.EventOptions{Away: func(error) { cancel() }}) {
		if err != nil {
			return events, err
		}
		events = append(events, e)
	}
	return events, nil
}

func TestEventsAreRead(t *testing.T) {
	t.Parallel()
	events, _ := eventsOf(t, "retry: 2000\nid: 1\nevent: ready\ndata: {}\n\n: nothing\nid: 2\n\n"+
		"event:running\r\ndata: {\"id\":\r\ndata: \"a\",\"state\":\"running\"}\n\nid: 3\nevent: reset\ndata: {}\n\nid: 4\nevent: queued\ndata: {\"id\"")
	if len(events) != 3 || events[0].Name != client.EventReady || events[0].ID != "1" || events[0].Task != nil ||
		events[1].Name != "running" || events[1].ID != "2" || events[1].Task.ID != "a" || events[2].ID != "3" || events[2].Task != nil {
		t.Errorf("got %+v", events)
	}
	if _, err := eventsOf(t, "event: queued\ndata: 7\n\n"); err == nil || !strings.Contains(err.Error(), "not what a Stint server sends") {
		t.Errorf("what is no task ends with %v", err)
	}
}

// FuzzEvents: whatever comes, it is read to its end.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{"", "\n\n", "data: {}\n\n", "id\ndata\n\n", "event: ready\ndata: {}\nid: 7\n\n", "data: {\"id\":\"a\"}\ndata:\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		events, _ := eventsOf(t, stream)
		for _, e := range events {
			if bare := e.Name == client.EventReady || e.Name == client.EventReset; bare != (e.Task == nil) {
				t.Errorf("%q is read as %+v", stream, e)
			}
		}
	})
}
