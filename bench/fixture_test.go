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
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// span is the time over which the tasks were created; all of it is visible.
const span = 80 * 24 * time.Hour

// server is a store full of tasks and the API over it.
type server struct {
	store   *sqlite.Store
	tasks   *engine.Tasks
	handler http.Handler
	n       int
	ids     []task.ID // some of those stored
	filled  time.Duration
}

// servers keeps one server of each size for a whole run: filling one with a
// million tasks takes minutes.
type servers struct {
	mu     sync.Mutex
	dir    string
	bySize map[int]*server
}

var shared = &servers{bySize: map[int]*server{}}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range shared.bySize {
		_ = s.store.Close()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	os.Exit(code)
}

// sizes are those to measure at.
func sizes() []int {
	if testing.Short() {
		return []int{2_000}
	}
	return []int{10_000, 1_000_000}
}

func (s *servers) of(b *testing.B, n int) *server {
	b.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.bySize[n]; have != nil {
		return have
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "stint-bench-") //nolint:usetesting // it outlives the benchmark that made it
		if err != nil {
			b.Fatal(err)
		}
		s.dir = dir
	}
	made := open(b, filepath.Join(s.dir, fmt.Sprintf("%d.db", n)))
	made.fill(b, n)
	s.bySize[n] = made
	return made
}

func open(b *testing.B, path string) *server {
	b.Helper()
	ctx := context.Background()
	store, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		b.Fatal(err)
	}
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
