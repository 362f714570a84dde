package engine

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"stint/internal/audit"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(withServer{m}) }

// withServer ends PostgreSQL, where a test has started it, behind all tests.
type withServer struct{ m *testing.M }

func (w withServer) Run() int { return pgtest.Main(w.m) }

// clock is the time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is an engine on a store of its own.
type bench struct {
	*Tasks
	clock *clock
	store *sqlite.Store
}

func newBench(tb testing.TB) *bench {
	tb.Helper()
	store, err := sqlite.Open(tb.Context(), sqlite.Options{Path: filepath.Join(tb.TempDir(), "stint.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	b := &bench{clock: newClock(), store: store}
	b.Tasks = NewTasks(Options{Store: store, Now: b.clock.Now, Visibility: 90 * 24 * time.Hour, ReportKey: []byte("key")})
	tb.Cleanup(b.Close)
	return b
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func person() audit.Origin {
	return audit.Origin{Actor: "p", Address: "[::1]:1", Agent: "a", RequestID: "r"}
}

// launch launches a task with a heartbeat limit.
func (b *bench) launch(tb testing.TB, limit time.Duration) task.Launched {
	tb.Helper()
	definition, ok := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	if !ok {
		tb.Fatal("no definition")
	}
	l, err := b.Launch(tb.Context(), task.Launch{Definition: definition, HeartbeatLimit: limit}, task.IdempotencyKey{}, person())
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

func (b *bench) report(tb testing.TB, l task.Launched, r task.Report) task.Task {
	tb.Helper()
	r.Attempt = 1
	t, err := b.Report(tb.Context(), l.Task.ID, l.ReportToken, r)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// running launches a task that has reported once.
func (b *bench) running(tb testing.TB, limit time.Duration) task.Launched {
	tb.Helper()
	l := b.launch(tb, limit)
	b.report(tb, l, task.Report{})
	return l
}

// launchMany launches n tasks, many at a time, and lets each report once where
// started is set.
func (b *bench) launchMany(tb testing.TB, n int, limit time.Duration, started bool) {
	tb.Helper()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range n / 50 {
				l := b.launch(tb, limit)
				if started {
					b.report(tb, l, task.Report{})
				}
			}
		})
	}
	wg.Wait()
}

// read returns a task as it is.
func (b *bench) read(tb testing.TB, id task.ID) task.Task {
	tb.Helper()
	t, err := b.store.Update(tb.Context(), id, time.Time{}, func(t task.Task) (audit.Change, error) {
		return audit.Change{Change: task.Change{Task: t}}, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func (b *bench) audit(tb testing.TB, id task.ID) string {
	tb.Helper()
	entries, err := b.store.Audit(tb.Context(), string(id))
	if err != nil {
		tb.Fatal(err)
	}
	var said strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&said, "%s by %s; ", e.Action, e.Origin.Actor)
	}
	return said.String()
}

func (b *bench) history(tb testing.TB, id task.ID) string {
	tb.Helper()
	events, err := b.store.History(tb.Context(), id)
	if err != nil {
		tb.Fatal(err)
	}
	var said strings.Builder
	for _, e := range events {
		fmt.Fprintf(&said, "%s ", e.Name)
	}
	return said.String()
}
