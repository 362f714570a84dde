package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/client"
	"stint/internal/cli"
	"stint/test/harness"
)

var binary string

func TestMain(m *testing.M) { os.Exit(harness.Main(m, &binary)) }

const (
	accounts = 300
	// busy is how many tasks are launched before a backup begins, and at least while
	// it is made.
	busy = 40
)

// site is a server on a database that is to be backed up, and what was answered.
type site struct {
	t       *testing.T
	db, key string
	process *harness.Process
	client  *client.Client

	mu       sync.Mutex
	answered []string // ids of tasks, in the order of the answers
	more     chan struct{}
}

func newSite(t *testing.T, db, key string) *site {
	t.Helper()
	s := &site{t: t, db: db, key: key, more: make(chan struct{}, 1)}
	s.serve()
	return s
}

// serve starts the server.
func (s *site) serve() {
	s.t.Helper()
	address, ops := harness.FreeAddress(s.t), harness.FreeAddress(s.t)
	s.process = &harness.Process{Path: binary, Ops: ops, Log: s.t.Output(), Args: []string{
		"serve", "--db", s.db, "--key-file", s.key, "--listen", address, "--ops-listen", ops, "--insecure-no-auth", "--log-level", "warn",
	}}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.process.Kill)
	if err := s.process.AwaitReady(s.t.Context(), time.Minute); err != nil {
		s.t.Fatal(err)
	}
	c, err := client.New("http://"+address, client.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.client = c
}

// stop stops the server in order.
func (s *site) stop() {
	s.t.Helper()
	if code := <-s.process.Terminate(); code != 0 {
		s.t.Errorf("the server ended with %d", code)
	}
}

// aggregates reads a file of accounts into the source, and returns the task.
func (s *site) aggregates() *client.Task {
	s.t.Helper()
	ctx := s.t.Context()
	source, err := s.client.FindSource(ctx, "HR")
	if errors.Is(err, client.ErrNotFound) {
		source, err = s.client.CreateSource(ctx, client.NewSource{
			Name: "HR", Type: client.DelimitedFile, ConnectorAttributes: client.ConnectorAttributes{AccountID: "id", DisplayName: "name"},
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var file strings.Builder
	file.WriteString("id,name\n")
	for i := range accounts {
		fmt.Fprintf(&file, "%d,Person %d\n", i, i)
	}
	launched, err := s.client.Aggregate(ctx, client.Aggregation{SourceID: source.ID, File: strings.NewReader(file.String())})
	if err != nil {
		s.t.Fatal(err)
	}
	done, err := s.client.Wait(ctx, launched.ID, time.Minute)
	if err != nil || done.CompletionStatus != client.Success {
		s.t.Fatalf("the aggregation ended %+v, %v", done, err)
	}
	s.note(launched.ID)
	return done
}

func (s *site) note(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = append(s.answered, id)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *site) known() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answered)
}

// grows waits until so many more tasks were answered.
func (s *site) grows(by int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	for want := len(s.known()) + by; len(s.known()) < want; {
		select {
		case <-s.more:
		case <-ctx.Done():
			s.t.Fatal("the server takes no more tasks")
		}
	}
}

// writes launches tasks and ends them, from several clients, while fn runs.
func (s *site) writes(fn func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				if err := s.one(ctx); err != nil && ctx.Err() == nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	defer writers.Wait()
	defer cancel()
	fn()
}

func (s *site) one(ctx context.Context) error {
	launched, err := s.client.Launch(ctx, client.LaunchRequest{Type: "IDENTITY_REFRESH"})
	if err != nil {
		return err
	}
	s.note(launched.ID)
	_, err = s.client.Report(ctx, launched.ID, launched.ReportToken, client.Report{Attempt: 1, CompletionStatus: client.Success})
	return err
}

// backUp makes a backup with tasks before it, while it is made, and after it. It
// returns what was answered before.
func (s *site) backUp(backup func()) (before []string) {
	s.t.Helper()
	s.aggregates()
	s.writes(func() {
		s.grows(busy)
		before = s.known()
		backup()
		s.grows(busy)
	})
	return before
}

// holds checks that a restored server has those tasks, and that all it has fits together.
func (s *site) holds(before []string) {
	s.t.Helper()
	ctx := s.t.Context()
	there := map[string]bool{}
	for task, err := range s.client.Tasks(ctx, client.ListOptions{}) {
		if err != nil {
			s.t.Fatal(err)
		}
		there[task.ID] = true
	}
	for _, id := range before {
		if !there[id] {
			s.t.Errorf("the task %s, which was answered before the backup began, is gone", id)
		}
	}
	if counted, err := s.client.CountTasks(ctx, ""); err != nil || counted != len(there) {
		s.t.Errorf("%d tasks are counted, %v, of %d", counted, err, len(there))
	}
	if n, err := s.client.CountAccounts(ctx, ""); err != nil || n != accounts {
		s.t.Errorf("there are %d accounts, %v", n, err)
	}
	launches := map[string]bool{}
	for entry, err := range s.client.Audit(ctx, client.ListOptions{Filter: `action eq "task.launch"`}) {
		if err != nil {
			s.t.Fatal(err)
		}
		launches[strings.TrimPrefix(entry.Object, "task/")] = true
	}
	if len(launches) != len(there) {
		s.t.Errorf("%d launches are in the audit, %d tasks are there", len(launches), len(there))
	}
	for id := range launches {
		if !there[id] {
			s.t.Errorf("the launch of %s is in the audit, the task is not there", id)
		}
	}
	s.t.Logf("%d tasks were restored, %d had been answered before the backup began, %d in all", len(there), len(before), len(s.known()))
}

// goesOn checks that a restored server works: the audit is whole, and what is written
// from now on belongs to it.
func (s *site) goesOn() {
	s.t.Helper()
	s.verifies()
	s.aggregates()
	if err := s.one(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	s.verifies()
}

func (s *site) verifies() {
	s.t.Helper()
	var said strings.Builder
	args := []string{"audit", "verify", "--db", s.db, "--key-file", s.key}
	if code := cli.Run(s.t.Context(), args, cli.Stdio{In: strings.NewReader(""), Out: &said, Err: &said}, nil); code != 0 {
		s.t.Errorf("stint audit verify ended with %d: %s", code, said.String())
	}
}

// isWholeOn holds the site on a restored database, with a copy of the key, against what
// was answered before it was backed up, and has it go on.
func (s *site) isWholeOn(db string, before []string) {
	s.t.Helper()
	r := s.restored(db)
	r.holds(before)
	r.goesOn()
	r.stop()
}

// restored returns the site on another database, with a copy of the key.
func (s *site) restored(db string) *site {
	s.t.Helper()
	text, err := os.ReadFile(s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	key := filepath.Join(s.t.TempDir(), "restored.key")
	if err := os.WriteFile(key, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return newSite(s.t, db, key)
}
