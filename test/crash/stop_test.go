package crash

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"stint/client"
	"stint/test/harness"
)

// newKeeper makes a source on a server, and a file of so many accounts that it
// has not read yet.
func newKeeper(t *testing.T, s *server, rows int) (k *harness.Keeper, text []byte) {
	t.Helper()
	k = harness.NewKeeper(ask(s.client(t)), 1, 0, rows)
	k.CreateSource(t, "source")
	return k, harness.AccountsFile(t, k.Random, k.Seed, rows, 0)
}

// begin launches an aggregation and returns its task once it is in a phase.
func begin(t *testing.T, k *harness.Keeper, text []byte, phase string) *harness.Launched {
	t.Helper()
	task := k.Begin(t, client.Aggregation{SourceID: k.ID}, text)
	if task == nil {
		t.FailNow()
	}
	harness.AwaitPhase(t, k.Client, 3*time.Millisecond, fmt.Sprintf("id eq %q", task.ID), phase, 30*time.Second)
	return task
}

// TestAggregationGoesOnAfterAStop: a stop in the middle of an aggregation exits 0
// in time, leaves no job running, and the next start goes on.
func TestAggregationGoesOnAfterAStop(t *testing.T) {
	for _, phase := range []string{"Scanned", "Recorded"} {
		t.Run(phase, func(t *testing.T) {
			s := newServer(t)
			s.flags = []string{"--shutdown-timeout", "10s", "--log-level", "info"}
			s.start(t)
			k, text := newKeeper(t, s, 20_000)
			want := harness.State{}.Work(harness.ReadFile(t, text, harness.AccountOf), 0, false)
			task := begin(t, k, text, phase)
			asked := time.Now()
			select {
			case code := <-s.terminate(t):
				if code != 0 {
					t.Errorf("exit code %d, want 0", code)
				}
			case <-time.After(15 * time.Second):
				t.Fatal("the server does not stop within its timeout of 10 s")
			}
			t.Logf("stopped in %s", time.Since(asked))
			db := openFile(t, s.db)
			wantNone(t, db, "SELECT count(*) FROM river_job WHERE state = 'running'")
			wantNone(t, db, "SELECT count(*) FROM tasks WHERE attempt <> 2 OR status IS NOT NULL")
			wantNone(t, db, `SELECT 1 - count(*) FROM tasks JOIN river_job ON river_job.id = job WHERE state = 'available'`)
			_ = db.Close()
			if strings.Contains(s.log.String(), "level=WARN") {
				t.Errorf("the log:\n%s", s.log)
			}
			s.start(t)
			done := k.Wait(t, task.ID)
			k.Stored[harness.Accounts] = want.Next
			harness.VerifyOutcome(t, task, done, want)
			k.VerifyChanges(t, task, want.Changes)
			k.VerifyStored(t, "accounts")
			now, err := k.Client().GetTask(t.Context(), task.ID)
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			for _, h := range now.History {
				said = append(said, h.Event+": "+h.Text)
			}
			if got := strings.Join(said, "\n"); now.Attempt != 2 || strings.Count(got, "\ninterrupted: ") != 1 ||
				!strings.Contains(got, "attempt 1 was interrupted: the server was stopped; attempt 2 follows") {
				t.Errorf("attempt %d, the history:\n%s", now.Attempt, got)
			}
		})
	}
}

// TestEndedAggregationsStop: what a person ends stops writing soon, and the source
// is free for the next one at once.
func TestEndedAggregationsStop(t *testing.T) {
	const bound = 5 * time.Second // for a machine that has much else to do
	rows := 100_000
	if testing.Short() {
		rows = 40_000
	}
	s := newServer(t)
	s.flags = []string{"--log-level", "info"}
	s.start(t)
	k, text := newKeeper(t, s, rows)
	few := bytes.Join(bytes.SplitAfterN(text, []byte{'\n'}, 1000)[:999], nil)
	ended := 0
	for _, phase := range []string{"Scanned", "Recorded"} {
		for _, event := range []string{"cancelled", "cleared"} {
			task := begin(t, k, text, phase)
			asked := time.Now()
			var err error
			if event == "cancelled" {
				_, err = k.Client().Cancel(t.Context(), task.ID, "a test")
			} else {
				_, err = k.Client().Clear(t.Context(), task.ID, client.ClearRequest{Status: client.Warning})
			}
			answered := time.Since(asked)
			if err != nil {
				t.Fatalf("%s in the phase %s: %v", event, phase, err)
			}
			body := written(t, k, task.ID)
			ended++
			s.awaitLines(t, ended, "stopped the work of a task that has ended", "had lost its task")
			stopped := time.Since(asked)
			if answered > bound || stopped > bound {
				t.Errorf("%s while it %s: answered after %s, stopped after %s", event, phase, answered, stopped)
			}
			t.Logf("%s while it %s: answered after %s, stopped after %s", event, phase, answered.Round(time.Millisecond), stopped.Round(time.Millisecond))
			// The source is free at once; and what the ended task has written stays so.
			next := k.Wait(t, begin(t, k, few, "").ID)
			if next.CompletionStatus == client.Failure {
				t.Errorf("the next one is %s: %+v", next.CompletionStatus, next.Messages)
			}
			if now := written(t, k, task.ID); now != body {
				t.Errorf("%s while it %s: it went on writing: %s, then %s", event, phase, body, now)
			}
		}
	}
	want := k.Read(t, "accounts").Work(harness.ReadFile(t, text, harness.AccountOf), 0, false)
	task := k.Begin(t, client.Aggregation{SourceID: k.ID}, text)
	harness.VerifyOutcome(t, task, k.Wait(t, task.ID), want)
}

// written is what a task has written: all that its steps change, and how many
// changes it has logged.
func written(t *testing.T, k *harness.Keeper, id string) string {
	t.Helper()
	task, err := k.Client().GetTask(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := k.Client().CountChanges(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s %v %s, %d changes", task.Modified, *task.Progress, task.Attributes, task.CompletionStatus, changes)
}

// awaitLines waits until the log holds so many lines with one of some texts.
func (s *server) awaitLines(t *testing.T, n int, texts ...string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		found := 0
		for line := range bytes.Lines([]byte(s.log.String())) {
			for _, text := range texts {
				if bytes.Contains(line, []byte(text)) {
					found++
				}
			}
		}
		if found >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d lines with %q in the log:\n%s", found, n, texts, s.log)
		}
		pause(5 * time.Millisecond)
	}
}
