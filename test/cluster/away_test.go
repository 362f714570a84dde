package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stint/client"
	"stint/test/harness"
)

// TestDatabaseAway: while the database is away requests are answered so, and when it
// is back everything goes on by itself.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"immediate", "fast"} {
		t.Run(how, func(t *testing.T) {
			c := newCluster(t, seedOf(t), nil, nil)
			c.startAll(t)
			k, task, want := c.begin(t, c.nodes[0], 20_000, "Recorded")
			before := make([]string, len(c.nodes))
			for i, n := range c.nodes {
				before[i] = n.nodeID()
			}
			if err := c.pg.Halt(t.Context(), how); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.nodes {
				for range 3 {
					began := time.Now()
					_, err := n.client.GetTask(t.Context(), task.ID)
					c.wantUnavailable(t, n, "a read", err)
					_, err = n.client.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
					c.wantUnavailable(t, n, "a launch", err)
					if took := time.Since(began); took > 2*requestTimeout {
						t.Errorf("two requests on node %d took %s", n.number, took)
					}
				}
				if got := n.process.Status(t.Context(), "/healthz"); got != http.StatusOK {
					t.Errorf("node %d says of its health %d: it would be restarted, which helps nobody", n.number, got)
				}
				if got := n.process.Status(t.Context(), "/readyz"); got == http.StatusOK {
					t.Errorf("node %d is ready without its database", n.number)
				}
			}
			back := time.Now()
			if err := c.pg.Resume(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, n := range c.nodes {
				if err := n.process.AwaitReady(t.Context(), time.Minute); err != nil {
					t.Errorf("node %d: %v", n.number, err)
				}
			}
			t.Logf("ready %s after the database was started again", time.Since(back).Round(time.Millisecond))
			k.Finish(c.tb, task, want)
			k.VerifyStored(c.tb, harness.Accounts)
			for i, n := range c.nodes {
				if n.nodeID() != before[i] {
					t.Errorf("node %d was started again", n.number)
				}
			}
			c.awaitQuiet()
			c.verifyTables()
		})
	}
}

func (c *cluster) wantUnavailable(t *testing.T, n *node, what string, err error) {
	t.Helper()
	no, ok := errors.AsType[*client.Error](err)
	if !ok || no.Status != http.StatusServiceUnavailable || no.RetryAfter <= 0 {
		t.Errorf("%s on node %d without its database: %v, want 503 with Retry-After", what, n.number, err)
	}
}

// balancer is a little load balancer: it asks each node whether it is ready, and
// sends requests to those that are.
type balancer struct {
	c     *cluster
	ready []atomic.Bool
	next  atomic.Int64
}

func (b *balancer) watch(ctx context.Context) {
	for ctx.Err() == nil {
		for i, n := range b.c.nodes {
			b.ready[i].Store(n.process.Status(ctx, "/readyz") == http.StatusOK)
		}
		harness.Pause(100 * time.Millisecond)
	}
}

func (b *balancer) rewrite(r *httputil.ProxyRequest) {
	for range b.c.nodes {
		i := int(b.next.Add(1)) % len(b.c.nodes)
		if b.ready[i].Load() {
			r.SetURL(&url.URL{Scheme: "http", Host: b.c.nodes[i].addr})
			return
		}
	}
	r.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}) // nobody is ready, which fails
}

// TestRollingRestart: nodes are restarted one by one behind a load balancer, and
// nobody notices.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	rounds := 2
	if testing.Short() {
		rounds = 1
	}
	flags := []string{"--shutdown-delay", "2s"}
	c := newCluster(t, seedOf(t), flags, flags, flags)
	c.startAll(t)
	b := &balancer{c: c, ready: make([]atomic.Bool, len(c.nodes))}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for i := range b.ready {
		b.ready[i].Store(true)
	}
	var watching sync.WaitGroup
	watching.Go(func() { b.watch(ctx) })
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := &http.Server{ReadHeaderTimeout: time.Minute, Handler: &httputil.ReverseProxy{
		Rewrite: b.rewrite,
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			w.WriteHeader(http.StatusBadGateway)
		},
	}}
	go func() { _ = front.Serve(listener) }()
	t.Cleanup(func() { _ = front.Close() })
	var over atomic.Bool
	var requests atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() { stream(ctx, t, c, "http://"+listener.Addr().String(), i, &over, &requests) })
	}
	for range rounds {
		for _, n := range c.nodes {
			c.restart(t, n)
		}
	}
	over.Store(true)
	wg.Wait()
	stop()
	watching.Wait()
	t.Logf("%d requests while %d nodes were restarted", requests.Load(), rounds*len(c.nodes))
	if requests.Load() < 100 {
		t.Errorf("only %d requests: that is no stream", requests.Load())
	}
	for filter, want := range map[string]string{"completionStatus isnull": "none"} {
		if got, err := c.nodes[0].client.CountTasks(t.Context(), filter); err != nil || got != 0 {
			t.Errorf("count of %q: got %d, %v, want %s", filter, got, err, want)
		}
	}
	c.verifyTables()
	c.verifyAudit()
}

// restart ends a node in order and starts it again.
func (c *cluster) restart(t *testing.T, n *node) {
	t.Helper()
	n.mu.Lock()
	n.away = true
	n.mu.Unlock()
	exit := n.process.Terminate()
	if exit == nil {
		t.Fatalf("node %d does not run", n.number)
	}
	select {
	case code := <-exit:
		if code != 0 {
			t.Errorf("node %d ended with exit code %d, want 0", n.number, code)
		}
	case <-time.After(time.Minute):
		t.Fatalf("node %d does not end", n.number)
	}
	c.start(n)
	if err := n.process.AwaitReady(t.Context(), time.Minute); err != nil {
		t.Fatalf("node %d: %v", n.number, err)
	}
	harness.Pause(300 * time.Millisecond) // the balancer has seen that
}

// stream sends one request after the other, each once: none may fail.
func stream(ctx context.Context, t *testing.T, c *cluster, base string, number int, over *atomic.Bool, requests *atomic.Int64) {
	t.Helper()
	// Without keeping connections: those between the balancer and its nodes are kept.
	api, err := client.New(base, client.Options{HTTPClient: c.http, RetryFor: -1, Timeout: 30 * time.Second})
	if err != nil {
		t.Error(err)
		return
	}
	random := rand.New(rand.NewPCG(c.tb.seed, uint64(number)))
	for n := 0; !over.Load(); n++ {
		launched, err := api.Launch(ctx, client.LaunchRequest{Type: "IDENTITY_REFRESH", UniqueName: fmt.Sprintf("%d-%d", number, n)})
		if err != nil {
			t.Errorf("launch: %v", err)
			return
		}
		requests.Add(1)
		for i := range 1 + random.IntN(3) {
			text := fmt.Sprintf("step %d", i+1)
			if _, err := api.Report(ctx, launched.ID, launched.ReportToken, client.Report{Attempt: 1, Sequence: int64(i + 1), Progress: &text}); err != nil {
				t.Errorf("report: %v", err)
			}
			if got, err := api.GetTask(ctx, launched.ID); err != nil || got.Progress == nil || *got.Progress != text {
				t.Errorf("get: %v, %v, want %s", got, err, text)
			}
			if _, err := api.ListTasks(ctx, client.ListOptions{Limit: 10, Count: true}); err != nil {
				t.Errorf("list: %v", err)
			}
			requests.Add(3)
		}
		if _, err := api.Report(ctx, launched.ID, launched.ReportToken, client.Report{Attempt: 1, CompletionStatus: client.Success}); err != nil {
			t.Errorf("complete: %v", err)
		}
		requests.Add(1)
		harness.Pause(20 * time.Millisecond)
	}
}

// TestStartWithoutDatabase: a node that is started while its database is away says so.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	c := newCluster(t, seedOf(t), nil)
	c.startAll(t)
	n := c.nodes[0]
	c.kill(n)
	if err := c.pg.Halt(t.Context(), "immediate"); err != nil {
		t.Fatal(err)
	}
	if err := n.process.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.process.Exited():
		if code, _ := n.process.Reap(); code == 0 {
			t.Error("it exits 0")
		}
		if said := n.last(); strings.Contains(said, "\ngoroutine ") || !strings.Contains(said, "stint: ") {
			t.Errorf("it says:\n%s", said)
		}
	case <-time.After(20 * time.Second):
		_, _ = io.WriteString(n.log, "it waits for its database\n")
	}
	if err := c.pg.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}
