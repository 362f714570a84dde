package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	stint "stint/client"
	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/principal"
)

// following is a stream of events that a test reads.
type following struct {
	tb     testing.TB
	header http.Header
	lines  *bufio.Scanner
	last   string // the id of the last event
	end    context.CancelFunc
}

// told is an event.
type told struct{ name, id, data string }

// follow opens a stream.
func follow(tb testing.TB, server *apptest.Server, query string, pairs ...string) *following {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/stint/v1/tasks/events?"+query, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for name, value := range header(pairs...) {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		tb.Fatalf("the stream is answered %s", answer.Status)
	}
	return &following{tb, answer.Header, bufio.NewScanner(answer.Body), "", cancel}
}

// next returns the next event; io.EOF where the stream has ended.
func (f *following) next() (told, error) {
	var e told
	for f.lines.Scan() {
		name, value, _ := strings.Cut(f.lines.Text(), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id, f.last = value, value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				return e, nil
			}
		}
	}
	if err := f.lines.Err(); err != nil {
		return e, err
	}
	return e, io.EOF
}

// want reads the next event, which must be this one, of this task.
func (f *following) want(name, id string) told {
	f.tb.Helper()
	e, err := f.next()
	if err != nil {
		f.tb.Fatalf("no %s: %v", name, err)
	}
	if e.name != name || e.id == "" || id != "" && !strings.Contains(e.data, `"id":"`+id+`"`) {
		f.tb.Fatalf("got %+v, want %s of %s", e, name, id)
	}
	if id == "" {
		return e
	}
	if err := apptest.DecodeStintTask([]byte(e.data), apptest.Plain); err != nil {
		f.tb.Errorf("the task of an event breaks the contract: %v", err)
	}
	return e
}

// wantEnd fails unless the stream ends, before it tells anything more.
func (f *following) wantEnd() {
	f.tb.Helper()
	if e, err := f.next(); err == nil || errors.Is(err, context.DeadlineExceeded) {
		f.tb.Fatalf("got %+v, %v; want the end", e, err)
	}
}

func TestTasksAreFollowed(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Import: caseTasks(t)})
	all := follow(t, server, "", "Accept-Encoding", "gzip", "Accept", "text/event-stream")
	all.want("ready", "")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Content-Encoding": "", "Cache-Control": "no-store", "No-Gzip-Compression": "",
	} {
		if got := all.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	failed := follow(t, server, "filters="+url.QueryEscape(`completionStatus eq "ERROR" and type eq "IDENTITY_REFRESH"`))
	begin := failed.want("ready", "").id
	id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	all.want("queued", id)
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"percentComplete":40}`), 200)
	if e := all.want("running", id); !strings.Contains(e.data, `"percentComplete":40`) {
		t.Errorf("told is %s", e.data)
	}
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"ERROR"}`), 200)
	all.want("completed", id)
	last := failed.want("completed", id).id

	// Who comes back is told what he has missed, however he says where he was.
	other, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	again := follow(t, server, "", "Last-Event-ID", begin)
	if at := again.want("ready", "").id; at != begin {
		t.Errorf("it begins at %s, want %s", at, begin)
	}
	again.want("completed", id)
	again.want("queued", other)
	byQuery := follow(t, server, "lastEventId="+last)
	byQuery.want("ready", "")
	byQuery.want("queued", other)
	byBoth := follow(t, server, "lastEventId="+last, "Last-Event-ID", begin)
	byBoth.want("ready", "")
	byBoth.want("completed", id)
}

func TestFollowingRefuses(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	const path = "/stint/v1/tasks/events"
	wantError(t, get(t, server, path+"?filters=nonsense"), 400, syntax)
	wantError(t, get(t, server, path+"?filters=size+eq+1"), 400, content)
	for _, wrong := range []string{"x", "7", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("/", 43), strings.Repeat("_", 43)} {
		for _, answer := range []apptest.Answer{get(t, server, path, "Last-Event-ID", wrong), get(t, server, path+"?lastEventId="+url.QueryEscape(wrong))} {
			wantError(t, answer, 400, illegalValue)
		}
	}
	wantStatus(t, get(t, server, path, "Accept", "application/json"), 406)
	wantStatus(t, get(t, server, path+"/x"), 404)
	wantStatus(t, post(t, server, path, "{}"), 405)
	answer := head(t, server, path)
	if wantStatus(t, answer, 200); answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD answers %v", answer.Header)
	}
	// Of another database, and of a later state of this one.
	for _, foreign := range []string{strings.Repeat("A", 43), follow(t, server, "").want("ready", "").id[:11] + strings.Repeat("I", 32)} {
		f := follow(t, server, "lastEventId="+foreign)
		f.want("ready", "")
		f.want("reset", "")
		id, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		f.want("queued", id)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	var open []*following
	for range 20 {
		f := follow(t, server, "")
		f.want("ready", "")
		open = append(open, f)
	}
	answer := get(t, server, "/stint/v1/tasks/events")
	if wantStatus(t, answer, 429); answer.Header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	open[0].end()
	for begin := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/stint/v1/tasks/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal("a stream that has ended is still counted")
		}
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	wantStatus(t, apptest.Send(t, server.Addr, apptest.Request{Method: "GET", Target: "/stint/v1/tasks/events"}), 401)
	reader := server.Client(t, principal.Client{Sort: principal.Application, Scopes: []principal.Scope{principal.TasksRead}})
	f := follow(t, server, "", "Authorization", "Bearer "+server.Token(t, reader))
	f.want("ready", "")
	id, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	f.want("queued", id)
	wantStatus(t, server.Send(t, apptest.Request{Method: "DELETE", Target: "/stint/v1/applications/" + reader.ID}), 200)
	launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	f.wantEnd()
}

func TestAStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	f := follow(t, server, "")
	f.want("ready", "")
	begin := time.Now()
	if err := server.App.Stop(); err != nil {
		t.Fatal(err)
	}
	f.wantEnd()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the server stopped after %v", took)
	}
}

// TestASlowReaderIsNotWaitedFor has a client that reads nothing of much. The
// server's clock goes behind the real one, so that its patience of twenty seconds
// ends soon. It is not parallel: what it holds would count in tests that look at how
// the process grows.
func TestASlowReaderIsNotWaitedFor(t *testing.T) {
	server := apptest.Start(t, apptest.Options{
		Now:       func() time.Time { return time.Now().Add(-19 * time.Second) },
		Configure: func(c *config.Config) { c.Retention, c.AuditRetention = 0, 0 },
	})
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /stint/v1/tasks/events HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 16)
	if _, err := in.ReadString('\n'); err != nil { // the stream is open
		t.Fatal(err)
	}
	large := strings.Repeat("x", 250_000)
	for range 60 {
		launch(t, server, `{"type":"IDENTITY_REFRESH","attributes":{"large":"`+large+`"}}`)
	}
	time.Sleep(3 * time.Second)
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	n, err := io.Copy(io.Discard, in)
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() || n > 14_000_000 {
		t.Errorf("the stream goes on: %d bytes, %v", n, err)
	}
}

// TestNobodyMissesTheLastChange follows tasks that change all the time, and breaks
// off wherever it may be, now and then in the middle of an event.
func TestNobodyMissesTheLastChange(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres %v", postgres), func(t *testing.T) {
			t.Parallel()
			server := apptest.Start(t, apptest.Options{Postgres: postgres})
			c, err := stint.New(server.URL, stint.Options{
				HTTPClient: &http.Client{Transport: breaking{http.DefaultTransport}},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			const tasks = 6
			seen, connected := map[string]string{}, make(chan struct{})
			var once sync.Once
			var following sync.WaitGroup
			following.Go(func() {
				completed := 0
				for e, err := range c.Events(ctx, stint.EventOptions{}) {
					if err != nil {
						t.Errorf("%d tasks have ended, then: %v", completed, err)
						return
					}
					once.Do(func() { close(connected) })
					if e.Task == nil {
						continue
					}
					if e.Name != string(e.Task.State) {
						t.Errorf("the event %s tells of a task that is %s", e.Name, e.Task.State)
					}
					if e.Task.Done() && seen[e.Task.ID] != "completed" {
						completed++
					}
					seen[e.Task.ID] = e.Name
					if completed == tasks {
						return
					}
				}
			})
			<-connected
			var working sync.WaitGroup
			for range tasks {
				working.Go(func() {
					id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
					for n := range 30 {
						report(t, server, id, token, fmt.Sprintf(`{"attempt":1,"percentComplete":%d}`, n))
					}
					report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`)
				})
			}
			working.Wait()
			following.Wait()
			if len(seen) != tasks {
				t.Errorf("%d tasks were seen, want %d", len(seen), tasks)
			}
		})
	}
}

// breaking breaks answers off.
type breaking struct{ http.RoundTripper }

func (b breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, 200+rand.Int64N(4000)), answer.Body}
	}
	return answer, err
}

// TestEventsOfTheClient: what the client makes of a server that refuses it.
func TestEventsOfTheClient(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	c, err := stint.New(server.URL, stint.Options{Token: server.AdminToken(t)})
	if err != nil {
		t.Fatal(err)
	}
	var last error
	for _, last = range c.Events(t.Context(), stint.EventOptions{Filter: "nonsense"}) {
	}
	var refused *stint.Error
	if !errors.As(last, &refused) || refused.Status != 400 {
		t.Errorf("a wrong filter ends with %v", last)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for e, err := range c.Events(ctx, stint.EventOptions{}) {
		last = err
		if e.Name == stint.EventReady {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("what was cancelled ends with %v", last)
	}
	for e, err := range c.Events(t.Context(), stint.EventOptions{}) {
		if err != nil || json.Valid([]byte(e.ID)) {
			t.Errorf("got %+v, %v", e, err)
		}
		break
	}
	none, err := stint.New("http://127.0.0.1:1", stint.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, last = range none.Events(t.Context(), stint.EventOptions{}) {
	}
	if !errors.Is(last, stint.ErrUnreachable) {
		t.Errorf("no server ends with %v", last)
	}
}
