package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
	"stint/internal/httpapi"
	"stint/internal/query"
	"stint/internal/task"
)

// brokenStore fails in ways that a real one cannot be brought to on demand.
type brokenStore struct {
	httpapi.Tasks
	fail func() error
}

func (b brokenStore) Get(context.Context, task.ID, time.Time) (task.Row, error) {
	return task.Row{}, b.fail()
}

func (b brokenStore) List(context.Context, query.Page, time.Time) ([]task.Row, int64, error) {
	return nil, 0, b.fail()
}

func (b brokenStore) Fill(context.Context, []task.Row) (int, error) { return 0, b.fail() }

func (b brokenStore) History(context.Context, task.ID) ([]task.Event, error) { return nil, b.fail() }

func (b brokenStore) VisibleSince() time.Time { return time.Time{} }

// startBroken serves the API over a store that fails, and returns its address
// and its log.
func startBroken(t *testing.T, draining bool, fail func() error) (addr string, log *bytes.Buffer) {
	t.Helper()
	log = &bytes.Buffer{}
	store := brokenStore{fail: fail}
	handler, err := httpapi.New(httpapi.Options{
		Store: store, Tasks: store, Catalog: task.NewCatalog(), Now: time.Now,
		Log: slog.New(slog.NewTextHandler(log, nil)), Draining: func() bool { return draining },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), log
}

func TestInternalFaultTellsTheLogAndNotTheClient(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error":          func() error { return errors.New("secret of the disk") },
		"internal error": func() error { return &task.Error{Msg: "secret of the disk", Err: errors.New("more")} },
		"panic":          func() error { panic("secret of the disk") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, log := startBroken(t, false, fail)
			for _, target := range []string{"/task-status/v1", "/task-status/v1/" + unknownID, stintTask(unknownID), "/stint/v1/tasks"} {
				answer := apptest.Send(t, addr, apptest.Request{Method: "GET", Target: target})
				wantError(t, answer, 500, "500.0 Internal Fault")
				if strings.Contains(answer.Text(t), "secret") {
					t.Errorf("%s tells the client: %s", target, answer.Text(t))
				}
				wantStatus(t, apptest.Send(t, addr, apptest.Request{Method: "HEAD", Target: target}), 500)
				if id := answer.Header.Get("X-Request-Id"); !strings.Contains(log.String(), id) {
					t.Errorf("%s: the log does not name the request %s", target, id)
				}
			}
			if !strings.Contains(log.String(), "secret of the disk") {
				t.Errorf("the log does not say what broke: %s", log)
			}
		})
	}
}

func TestUnavailableSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	fine := func() error { return nil }
	for name, test := range map[string]struct {
		draining   bool
		fail       func() error
		retryAfter string
		outcome    string
	}{
		"shutting down":  {true, fine, "1", ""},
		"database away":  {false, func() error { return &task.Error{Kind: task.Unavailable, Msg: "away", RetryAfter: 7 * time.Second} }, "7", ""},
		"does not know":  {false, func() error { return task.Errorf(task.Unavailable, "", "away") }, "1", ""},
		"in less than 1": {false, func() error { return &task.Error{Kind: task.Unavailable, Msg: "away", RetryAfter: time.Millisecond} }, "1", ""},
		"may be done":    {false, func() error { return &task.Error{Kind: task.Unavailable, Msg: "away", Unknown: true} }, "1", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := startBroken(t, test.draining, test.fail)
			answer := apptest.Send(t, addr, apptest.Request{Method: "GET", Target: "/beta/task-status"})
			wantError(t, answer, 503, "503.0 Service Unavailable")
			if got := answer.Header.Get("Retry-After"); got != test.retryAfter {
				t.Errorf("Retry-After is %q, want %q", got, test.retryAfter)
			}
			if got := answer.Header.Get("Stint-Outcome"); got != test.outcome {
				t.Errorf("Stint-Outcome is %q, want %q", got, test.outcome)
			}
		})
	}
}

// Without tokens, a page that a browser shows on the same machine must not
// reach the API: neither by a name that it points at loopback nor directly.
func TestRequestsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, host := range []string{"tasks.example", "tasks.example:8080", "127.0.0.1.tasks.example", "10.0.0.1", "[::2]", "localhost.example"} {
		wantError(t, get(t, server, "/task-status/v1", "Host", host), 403, "403.0 Forbidden", "Host")
		wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Host", host), 403, "403.0 Forbidden", "Host")
	}
	for _, pairs := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://tasks.example"}, {"Origin", "null"},
	} {
		wantError(t, patch(t, server, inProgress, clearAs("ERROR"), pairs...), 403, "403.0 Forbidden", "Origin")
		wantError(t, post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, pairs...), 403, "403.0 Forbidden", "Origin")
		wantError(t, post(t, server, stintTask(inProgress, "cancel"), "", pairs...), 403, "403.0 Forbidden", "Origin")
	}
	wantInProgress(t, server, inProgress)
	for _, host := range []string{"localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::1]:8080"} {
		wantStatus(t, get(t, server, "/task-status/v1?limit=1", "Host", host), 200)
	}
	wantStatus(t, get(t, server, "/task-status/v1?limit=1", "Sec-Fetch-Site", "same-origin"), 200)
}

func TestRequestThatIsNoHTTP(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	// The router never sees these: all that counts is that they are refused and
	// that the server lives on.
	for _, target := range []string{"/task-status/v1?filters=id eq \"x\"", "/task-status/v1/%zz", "task-status/v1", "/task-status/v1/\x00", ""} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.URL.Opaque = target
		response, err := (&http.Client{}).Do(request)
		if err != nil {
			continue // refused before it was sent
		}
		if response.StatusCode != http.StatusBadRequest && response.StatusCode != http.StatusNotFound {
			t.Errorf("%q: %s", target, response.Status)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	wantStatus(t, get(t, server, "/task-status/v1"), 200)
}
