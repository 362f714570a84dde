package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

func wantKind(tb testing.TB, err error, kind task.ErrorKind) *task.Error {
	tb.Helper()
	e, ok := errors.AsType[*task.Error](err)
	if !ok || e.Kind != kind {
		tb.Fatalf("got the error %v, want one of kind %d", err, kind)
	}
	return e
}

func TestReportTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, other := b.launch(t, 0), b.launch(t, 0)
	if one.ReportToken == other.ReportToken || len(one.ReportToken) < 40 {
		t.Errorf("the tokens are %q and %q", one.ReportToken, other.ReportToken)
	}
	for _, token := range []string{"", other.ReportToken, one.ReportToken + "A", one.ReportToken[1:], string(one.Task.ID)} {
		_, err := b.Report(t.Context(), one.Task.ID, token, task.Report{Attempt: 1, Completion: task.Success})
		if e := wantKind(t, err, task.Forbidden); e.Refused != task.RefusedToken {
			t.Errorf("%q is refused as %q", token, e.Refused)
		}
	}
	if got := b.history(t, one.Task.ID); got != "launched " {
		t.Errorf("who has no token writes to the history: %q", got)
	}
	b.report(t, one, task.Report{Completion: task.Success})

	// Another process with the same key knows the token; with another key not.
	again := NewTasks(Options{Store: b.store, Now: b.clock.Now, ReportKey: []byte("key")})
	if _, err := again.Report(t.Context(), other.Task.ID, other.ReportToken, task.Report{Attempt: 1}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	stranger := NewTasks(Options{Store: b.store, Now: b.clock.Now, ReportKey: []byte("another key")})
	_, err := stranger.Report(t.Context(), other.Task.ID, other.ReportToken, task.Report{Attempt: 1})
	if e := wantKind(t, err, task.Forbidden); e.Refused != task.RefusedToken {
		t.Errorf("with another key: %v", err)
	}
}

func TestLaunchAgainWithAKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	definition, _ := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	launch := func(fingerprint string) (task.Launched, error) {
		return b.Launch(t.Context(), task.Launch{Definition: definition}, task.IdempotencyKey{Key: "k", Fingerprint: []byte(fingerprint)}, person())
	}
	first, err := launch("f")
	if err != nil || first.Replayed {
		t.Fatalf("first: %+v, %v", first, err)
	}
	b.clock.Add(time.Second)
	b.report(t, first, task.Report{Completion: task.Warning})
	again, err := launch("f")
	if err != nil || !again.Replayed || again.Task.ID != first.Task.ID || again.ReportToken != first.ReportToken || again.Task.Status != task.Warning {
		t.Errorf("repeat: %+v, %v", again, err)
	}
	_, err = launch("g")
	if e := wantKind(t, err, task.Conflict); e.Refused != "" {
		t.Errorf("another launch is refused as %q", e.Refused)
	}
	if got := b.audit(t, first.Task.ID); got != "task.launch by p; " {
		t.Errorf("the audit: %q", got)
	}
}

// TestManualChangesLeaveEntries holds who did what, with which words.
func TestManualChangesLeaveEntries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cleared, cancelled := b.running(t, 0), b.launch(t, 0)
	before, err := b.store.Get(t.Context(), cleared.Task.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	decide := func(task.Task) (*task.Clear, error) { return &task.Clear{Status: task.Failure, Reason: "stuck"}, nil }
	for range 2 { // the repeat changes nothing and leaves nothing
		if _, err := b.Clear(t.Context(), cleared.Task.ID, decide, "the  words", person()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Cancel(t.Context(), cancelled.Task.ID, "why", person()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := b.store.Get(t.Context(), cleared.Task.ID, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := b.store.Audit(t.Context(), string(cleared.Task.ID))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	e := entries[1]
	if e.Action != audit.Clear || e.Words != "the  words" || e.Reason != "stuck" || e.Origin != person() || !e.At.Equal(b.clock.Now()) ||
		string(e.Before) != string(before.Wire) || string(e.After) != string(after.Wire) {
		t.Errorf("the entry of the clear: %+v", e)
	}
	if got := b.audit(t, cancelled.Task.ID); got != "task.launch by p; task.cancel by p; " {
		t.Errorf("the audit of the cancelled one: %q", got)
	}
	// A refusal and a mistake leave none either.
	mistake := errors.New("mistake")
	if _, err := b.Clear(t.Context(), cleared.Task.ID, func(task.Task) (*task.Clear, error) { return nil, mistake }, "", person()); !errors.Is(err, mistake) {
		t.Errorf("a mistake: %v", err)
	}
	if _, err := b.Clear(t.Context(), cleared.Task.ID, func(task.Task) (*task.Clear, error) { return nil, nil }, "", person()); err != nil { //nolint:nilnil // nothing is asked for
		t.Errorf("nothing is asked for: %v", err)
	}
	_, err = b.Cancel(t.Context(), cleared.Task.ID, "", person())
	_ = wantKind(t, err, task.Conflict)
	if got := b.audit(t, cleared.Task.ID); got != "task.launch by p; task.clear by p; " {
		t.Errorf("the audit of the cleared one: %q", got)
	}
}

// TestVisibility hides a task from people on the millisecond; its executor may
// still report.
func TestVisibility(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.launch(t, 0)
	b.clock.Add(90*24*time.Hour - time.Millisecond)
	if _, err := b.Wait(cancelled(t), l.Task.ID); err != nil {
		t.Errorf("a millisecond before: %v", err)
	}
	b.clock.Add(time.Millisecond)
	_, err := b.Wait(cancelled(t), l.Task.ID)
	_ = wantKind(t, err, task.NotFound)
	_, err = b.Cancel(t.Context(), l.Task.ID, "", person())
	_ = wantKind(t, err, task.NotFound)
	_, err = b.Clear(t.Context(), l.Task.ID, func(task.Task) (*task.Clear, error) { return &task.Clear{Status: task.Success}, nil }, "", person())
	_ = wantKind(t, err, task.NotFound)
	b.report(t, l, task.Report{Completion: task.Success})
	forEver := NewTasks(Options{Store: b.store, Now: b.clock.Now})
	if !forEver.VisibleSince().IsZero() {
		t.Errorf("no end: %v", forEver.VisibleSince())
	}
}

// TestEngineEndsOnce lets a worker, people and the watch over silence end tasks
// at once.
func TestEngineEndsOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	for round := range 10 {
		l := b.running(t, time.Second)
		b.clock.Add(time.Minute)
		var wg sync.WaitGroup
		for i := range 3 {
			status := task.CompletionStatuses()[i]
			wg.Go(func() {
				_, _ = b.Report(t.Context(), l.Task.ID, l.ReportToken, task.Report{Attempt: 1, Completion: status}) // one wins
			})
			wg.Go(func() {
				_, _ = b.Clear(t.Context(), l.Task.ID, func(task.Task) (*task.Clear, error) { return &task.Clear{Status: status}, nil }, "", person())
			})
		}
		wg.Go(func() { live.runOnce(t.Context()) })
		wg.Wait()
		events, err := b.store.History(t.Context(), l.Task.ID)
		if err != nil {
			t.Fatal(err)
		}
		ends := 0
		for _, e := range events {
			if e.Name == task.EventCompleted || e.Name == task.EventCleared || e.Name == task.EventLost {
				ends++
			}
		}
		if ends != 1 {
			t.Fatalf("round %d: it ended %d times: %s", round, ends, b.history(t, l.Task.ID))
		}
	}
}

func TestEngineOnAClosedStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.launch(t, 0)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := b.Report(t.Context(), l.Task.ID, l.ReportToken, task.Report{Attempt: 1})
	_ = wantKind(t, err, task.Unavailable)
	_, err = b.Wait(t.Context(), l.Task.ID)
	_ = wantKind(t, err, task.Unavailable)
	NewLiveness(b.Tasks, discard()).runOnce(t.Context()) // says so in the log, and goes on
	NewRetention(b.Tasks, time.Hour, discard()).runOnce(t.Context())
}

// TestLaunchKeepsWhatItWasGiven follows a launch into the store.
func TestLaunchKeepsWhatItWasGiven(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	definition, _ := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	l, err := b.Launch(t.Context(), task.Launch{
		Definition: definition, Launcher: "sweep", Arguments: json.RawMessage(`{"n":1.50}`), HeartbeatLimit: 5 * time.Second,
		Target: &task.Target{ID: "s", Type: task.TargetApplication},
	}, task.IdempotencyKey{}, person())
	if err != nil {
		t.Fatal(err)
	}
	got := b.read(t, l.Task.ID)
	if got.Launcher != "sweep" || got.SourceID != "s" || string(got.Definition.Arguments) != `{"n":1.50}` || got.HeartbeatLimit != 5*time.Second {
		t.Errorf("stored %+v", got)
	}
	_, err = b.Launch(t.Context(), task.Launch{Definition: definition, Launcher: fmt.Sprintf("%0257d", 1)}, task.IdempotencyKey{}, person())
	_ = wantKind(t, err, task.IllegalValue)
}

var _ Store = (*sqlite.Store)(nil)
