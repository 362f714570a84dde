package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/engine"
	"stint/internal/httpapi"
	"stint/internal/store/postgres"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// span is the time over which the tasks were created; all of it is visible.
const span = 80 * 24 * time.Hour

// store is what is measured, whichever it is.
type store interface {
	engine.Store
	httpapi.Store
	httpapi.Statistics
	Import(ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time,
		entry func(task.ImportResult) audit.Entry) (task.ImportResult, error)
	Close() error
}

// kinds are the databases to measure.
var kinds = []string{"sqlite", "postgres"}

// server is a store full of tasks and the API over it.
type server struct {
	store   store
	tasks   *engine.Tasks
	handler http.Handler
	n       int
	ids     []task.ID // some of those stored
	filled  time.Duration
}

// servers keeps one server of each sort and size for a whole run: filling one with a
// million tasks takes minutes.
type servers struct {
	mu   sync.Mutex
	dir  string
	made map[string]*server
}

var shared = &servers{made: map[string]*server{}}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	defer func() {
		for _, s := range shared.made {
			_ = s.store.Close()
		}
		if shared.dir != "" {
			_ = os.RemoveAll(shared.dir)
		}
	}()
	return m.Run()
}

// sizes are those to measure at.
func sizes() []int {
	if testing.Short() {
		return []int{2_000}
	}
	return []int{10_000, 1_000_000}
}

// each runs a benchmark on each database at each size.
func each(b *testing.B, run func(b *testing.B, s *server)) {
	b.Helper()
	for _, kind := range kinds {
		for _, n := range sizes() {
			b.Run(fmt.Sprintf("store=%s/tasks=%d", kind, n), func(b *testing.B) { run(b, shared.of(b, kind, n)) })
		}
	}
}

func (s *servers) of(b *testing.B, kind string, n int) *server {
	b.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	name := fmt.Sprintf("%s-%d", kind, n)
	if have := s.made[name]; have != nil {
		return have
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "stint-bench-") //nolint:usetesting // it outlives the benchmark that made it
		if err != nil {
			b.Fatal(err)
		}
		s.dir = dir
	}
	made := open(b, kind, filepath.Join(s.dir, name+".db"))
	made.fill(b, n)
	s.made[name] = made
	return made
}

// postgresURL starts a PostgreSQL server that is as durable as one of a site, once, and
// returns the address of an empty schema in it. It ends with the process.
func postgresURL(b *testing.B) string {
	b.Helper()
	startPostgres.Do(func() {
		// The benchmark that comes first would take the server with it.
		started, err := pgtest.Lasting(context.WithoutCancel(b.Context()), "fsync=on", "full_page_writes=on",
			"shared_buffers=1GB", "max_wal_size=4GB", "checkpoint_timeout=15min", "random_page_cost=1.1")
		if err != nil {
			b.Fatal(err)
		}
		postgresServer = started
	})
	return postgresServer.URL(b)
}

var (
	startPostgres  sync.Once
	postgresServer *pgtest.Server
)

func openStore(b *testing.B, kind, path string) store {
	b.Helper()
	ctx := context.Background()
	var s store
	var err error
	if kind == "sqlite" {
		s, err = sqlite.Open(ctx, sqlite.Options{Path: path})
	} else {
		s, err = postgres.Open(ctx, postgres.Options{URL: postgresURL(b)})
	}
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func open(b *testing.B, kind, path string) *server {
	b.Helper()
	store := openStore(b, kind, path)
	tasks := engine.NewTasks(engine.Options{Store: store, Now: time.Now, Visibility: 90 * 24 * time.Hour, ReportKey: []byte("key")})
	handler, err := httpapi.New(httpapi.Options{
		Store: store, Tasks: tasks, Catalog: task.NewCatalog(), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Draining: func() bool { return false },
	})
	if err != nil {
		b.Fatal(err)
	}
	return &server{store: store, tasks: tasks, handler: handler}
}

// fill imports n made-up tasks.
func (s *server) fill(b *testing.B, n int) {
	b.Helper()
	start := time.Now()
	_, err := s.store.Import(context.Background(), s.made(n, start), false, start, func(task.ImportResult) audit.Entry { return audit.Entry{At: start} })
	if err != nil {
		b.Fatal(err)
	}
	s.n, s.filled = n, time.Since(start)
}

// made yields n tasks spread over the span, oldest first: every sort of work,
// fifty sources, a few launchers, one in a thousand in progress.
func (s *server) made(n int, now time.Time) iter.Seq2[task.Task, error] {
	return func(yield func(task.Task, error) bool) {
		random := rand.New(rand.NewPCG(1, 2))
		definitions := task.NewCatalog().Definitions()
		for i := range n {
			d := definitions[random.IntN(len(definitions))]
			source := fmt.Sprintf("%032x", random.IntN(50))
			created := task.Millis(now.Add(-span + time.Duration(float64(span)*float64(i)/float64(n))))
			progress := "Completed"
			t := task.Task{
				ID: task.ID(fmt.Sprintf("%016x%016x", random.Uint64(), random.Uint64())), Type: task.Quartz, Kind: d.Kind, SourceID: source,
				UniqueName: d.DisplayName, Description: d.Description, Launcher: []string{"sweep", "System", "ana.lopez", "nightly"}[random.IntN(4)],
				Created: created, Modified: created.Add(time.Minute), Launched: created.Add(time.Second), Completed: created.Add(time.Minute),
				Status:   []task.CompletionStatus{task.Success, task.Success, task.Success, task.Success, task.Warning, task.Failure}[random.IntN(6)],
				Messages: []task.Message{{Type: task.MessageInfo, Key: "done", Locale: "en", Text: "The aggregation is complete."}},
				Returns:  []task.Return{{Name: "TASK_OUT_ACCOUNT_AGGREGATION_TOTAL", AttributeName: "total"}},
				Attributes: map[string]json.RawMessage{
					"total": json.RawMessage(strconv.Itoa(random.IntN(100000))), "appId": json.RawMessage(`"` + source + `"`),
				},
				Progress: &progress, PercentComplete: 100, Attempt: 1, HeartbeatLimit: task.DefaultHeartbeatLimit,
				Target:     &task.Target{ID: source, Type: task.TargetApplication, Name: "Source [source]"},
				Definition: &task.Summary{ID: d.ID(), UniqueName: d.DisplayName, Description: d.Description, ParentName: d.DisplayName, Executor: "external", Arguments: json.RawMessage("{}")},
			}
			if i%1000 == 0 {
				t.Status, t.Completed, t.PercentComplete = task.InProgress, time.Time{}, 40
			}
			if i%(n/500) == 0 {
				s.ids = append(s.ids, t.ID)
			}
			if !yield(t, nil) {
				return
			}
		}
	}
}
