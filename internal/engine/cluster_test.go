package engine

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"stint/internal/store/postgres"
	"stint/internal/store/postgres/pgtest"
)

// newNodes makes nodes of one database, by name. Their clock is a test's.
func newNodes(tb testing.TB, names ...string) (map[string]*Cluster, *clock) {
	tb.Helper()
	store, err := postgres.Open(tb.Context(), postgres.Options{URL: pgtest.URL(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	clock := newClock()
	nodes := map[string]*Cluster{}
	for _, name := range names {
		nodes[name] = newCluster(ClusterOptions{Store: store, ID: name, Role: "all", Now: clock.Now, Log: discard()})
		beat(tb, nodes[name])
	}
	return nodes, clock
}

func beat(tb testing.TB, nodes ...*Cluster) {
	tb.Helper()
	for _, c := range nodes {
		if err := c.look(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
}

func wantGone(tb testing.TB, by *Cluster, name string, want bool) {
	tb.Helper()
	gone, err := by.Gone(tb.Context(), []string{name})
	if err != nil || gone[name] != want {
		tb.Errorf("%s is gone: %v, %v; want %v", name, gone[name], err, want)
	}
}

func TestOneNodeLeads(t *testing.T) {
	t.Parallel()
	nodes, clock := newNodes(t, "a", "b")
	a, b := nodes["a"], nodes["b"]
	if !a.Leads() || b.Leads() {
		t.Fatalf("a leads: %v, b: %v", a.Leads(), b.Leads())
	}
	// Whoever has not asked for long does not lead, whether another does or not.
	clock.Add(silence)
	if a.Leads() {
		t.Error("a node leads that may have lost the lead")
	}
	beat(t, a, b)
	if !a.Leads() || b.Leads() {
		t.Errorf("after a beat, a leads: %v, b: %v", a.Leads(), b.Leads())
	}
	if err := a.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	beat(t, b)
	if a.Leads() || !b.Leads() {
		t.Errorf("after a has left, a leads: %v, b: %v", a.Leads(), b.Leads())
	}
}

// TestTheLeadPasses: by the server's clock, so this one is real.
func TestTheLeadPasses(t *testing.T) {
	t.Parallel()
	nodes, _ := newNodes(t)
	store, err := postgres.Open(t.Context(), postgres.Options{URL: pgtest.URL(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, name := range []string{"a", "b"} {
		nodes[name] = newCluster(ClusterOptions{Store: store, ID: name, Now: time.Now, Log: discard()})
		nodes[name].silence = 200 * time.Millisecond
	}
	beat(t, nodes["a"])
	for begin := time.Now(); !nodes["b"].Leads(); beat(t, nodes["b"]) {
		if time.Since(begin) > 30*time.Second {
			t.Fatal("the lead stays with a node that is silent")
		}
	}
	if nodes["a"].Leads() {
		t.Error("two nodes lead")
	}
}

func TestASilentNodeIsGone(t *testing.T) {
	t.Parallel()
	nodes, clock := newNodes(t, "a", "b")
	a, b := nodes["a"], nodes["b"]
	beat(t, a)
	const step = silence / 5
	for range 5 {
		clock.Add(step)
		wantGone(t, a, "b", false)
	}
	clock.Add(step)
	wantGone(t, a, "b", true)
	beat(t, b)
	wantGone(t, a, "b", false)
	wantGone(t, a, "never seen", true)
	if err := b.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantGone(t, a, "b", true)
}

// TestABlindNodeJudgesNobody: the database was away, or this node stood still.
func TestABlindNodeJudgesNobody(t *testing.T) {
	t.Parallel()
	nodes, clock := newNodes(t, "a", "b")
	a := nodes["a"]
	clock.Add(2 * silence)
	wantGone(t, a, "b", false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Gone(ended, []string{"b"}); err == nil {
		t.Error("a node that cannot see the others judges them")
	}
	// From here on it sees.
	for range 5 {
		clock.Add(silence / 5)
		wantGone(t, a, "b", false)
	}
	clock.Add(silence / 5)
	wantGone(t, a, "b", true)
}

func TestAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	nodes, _ := newNodes(t, "a")
	var log bytes.Buffer
	a := nodes["a"]
	a.log = slog.New(slog.NewTextHandler(&log, nil))
	a.skewed = false
	beat(t, a, a) // the test's clock is not the server's
	if n := strings.Count(log.String(), "clock is not the database's"); n != 1 {
		t.Errorf("it was said %d times: %s", n, &log)
	}
	log.Reset()
	a.now = time.Now
	a.looked = time.Time{}
	beat(t, a)
	if strings.Contains(log.String(), "clock is not") || a.skewed {
		t.Errorf("a right clock is called wrong: %s", &log)
	}
}
