package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// mostLate is how long after its limit a silent task may still be in progress.
const mostLate = 15 * time.Second

// watch lets time pass, with the runs of the loop that come in it.
func (b *bench) watch(tb testing.TB, l *Liveness, d time.Duration) {
	tb.Helper()
	for end := b.clock.Now().Add(d); b.clock.Now().Before(end); {
		b.clock.Add(min(livenessInterval, end.Sub(b.clock.Now())))
		l.runOnce(tb.Context())
	}
}

func (b *bench) wantState(tb testing.TB, id task.ID, want task.State) {
	tb.Helper()
	if got := b.read(tb, id); got.State() != want {
		tb.Fatalf("at %v: the task is %s (%s), heard of at %v; want %s", b.clock.Now(), got.State(), got.Status, got.LastReport, want)
	}
}

// TestSilentTaskEnds never ends a task before its limit, and soon after.
func TestSilentTaskEnds(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{time.Second, time.Minute, time.Hour} {
		b := newBench(t)
		live := NewLiveness(b.Tasks, discard())
		b.watch(t, live, time.Minute) // any grace is over
		silent, queued, ended := b.running(t, limit), b.launch(t, limit), b.running(t, limit)
		b.report(t, ended, task.Report{Completion: task.Success})
		b.watch(t, live, limit-time.Millisecond)
		b.wantState(t, silent.Task.ID, task.Running)
		b.watch(t, live, mostLate)
		b.wantState(t, silent.Task.ID, task.Completed)
		got := b.read(t, silent.Task.ID)
		if got.Status != task.TempError || len(got.Messages) != 1 || b.history(t, got.ID) != "launched started lost " {
			t.Errorf("limit %s: %s with the messages %v; %s", limit, got.Status, got.Messages, b.history(t, got.ID))
		}
		if after := got.Completed.Sub(got.LastReport); after < limit || after > limit+mostLate {
			t.Errorf("limit %s: it ended after %s", limit, after)
		}
		b.watch(t, live, time.Minute)
		b.wantState(t, queued.Task.ID, task.Queued)
		if got := b.read(t, ended.Task.ID); got.Status != task.Success {
			t.Errorf("limit %s: a task that had ended is %s", limit, got.Status)
		}
		// The worker that was thought dead may have been well: it is refused, and not
		// told to stop.
		_, err := b.Report(t.Context(), silent.Task.ID, silent.ReportToken, task.Report{Attempt: 1})
		if e := wantKind(t, err, task.Conflict); e.Refused != task.RefusedLate || e.Stop {
			t.Errorf("its next report is refused as %q, stop %v", e.Refused, e.Stop)
		}
	}
}

func TestReportingTaskLives(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	l := b.running(t, 10*time.Second)
	for range 60 {
		b.watch(t, live, 9*time.Second+999*time.Millisecond)
		b.report(t, l, task.Report{})
	}
	b.wantState(t, l.Task.ID, task.Running)
	if got := b.history(t, l.Task.ID); got != "launched started " {
		t.Errorf("the history: %s", got)
	}
}

// TestGraceAfterStart has a limit that passed while no server ran.
func TestGraceAfterStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	silent, back := b.running(t, time.Second), b.running(t, time.Second)
	b.clock.Add(time.Hour)
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, livenessGrace-time.Millisecond)
	b.wantState(t, silent.Task.ID, task.Running)
	b.report(t, back, task.Report{})
	b.watch(t, live, mostLate-livenessGrace)
	b.wantState(t, silent.Task.ID, task.Completed)
}

// TestGraceAfterAGap has a server that stood still: the reports of that time
// could not be heard.
func TestGraceAfterAGap(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, time.Minute)
	silent, back := b.running(t, time.Minute), b.running(t, time.Minute)
	b.clock.Add(10 * time.Minute)
	live.runOnce(t.Context())
	b.wantState(t, silent.Task.ID, task.Running)
	b.watch(t, live, livenessGrace-time.Second)
	b.wantState(t, back.Task.ID, task.Running)
	b.report(t, back, task.Report{})
	b.watch(t, live, mostLate-livenessGrace+time.Second)
	b.wantState(t, silent.Task.ID, task.Completed)
	b.wantState(t, back.Task.ID, task.Running)
}

// TestClockGoesBack ends nothing early, and still ends what is silent.
func TestClockGoesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, time.Hour)
	l := b.running(t, time.Minute)
	b.clock.Add(-30 * time.Minute)
	b.watch(t, live, 30*time.Minute+59*time.Second)
	b.wantState(t, l.Task.ID, task.Running)
	b.watch(t, live, mostLate+time.Second)
	b.wantState(t, l.Task.ID, task.Completed)
}

// TestCancelEnds has workers that do not stop: one is silent, one reports on
// and on.
func TestCancelEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, time.Minute)
	silent, deaf := b.running(t, 2*time.Minute), b.running(t, 2*time.Minute)
	b.clock.Add(time.Millisecond)
	for _, l := range []task.Launched{silent, deaf} {
		if _, err := b.Cancel(t.Context(), l.Task.ID, "enough", person()); err != nil {
			t.Fatal(err)
		}
	}
	for range 119 {
		b.watch(t, live, time.Second)
		if got := b.report(t, deaf, task.Report{}); got.State() == task.Running {
			if stop, _ := got.ShouldStop(); !stop {
				t.Fatal("it is not told to stop")
			}
		}
	}
	b.wantState(t, silent.Task.ID, task.Running)
	b.wantState(t, deaf.Task.ID, task.Running)
	b.watch(t, live, mostLate+time.Second)
	for _, l := range []task.Launched{silent, deaf} {
		if got := b.read(t, l.Task.ID); got.Status != task.Terminated {
			t.Errorf("it is %q, want TERMINATED", got.Status)
		}
	}
	if got := b.history(t, deaf.Task.ID); got != "launched started cancelRequested stopTold lost " {
		t.Errorf("the history: %s", got)
	}
}

// TestManySilentTasks has more than one batch: none waits for the others.
func TestManySilentTasks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, time.Minute)
	const n = 3 * livenessBatch / 2
	b.launchMany(t, n, time.Second, true)
	b.watch(t, live, time.Second+3*livenessInterval)
	left, err := b.store.Overdue(t.Context(), b.clock.Now().Add(time.Hour), n)
	if err != nil || len(left) != 0 {
		t.Errorf("%d of %d are left, %v", len(left), n, err)
	}
}

// failingStore cannot write while it is told so.
type failingStore struct {
	*sqlite.Store
	full atomic.Bool
}

func (s *failingStore) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	if s.full.Load() {
		return task.Task{}, &task.Error{Kind: task.Unavailable, Msg: "the disk is full"}
	}
	return s.Store.Update(ctx, id, since, fn)
}

// TestGraceAfterAFullDisk has reports that could not be taken: their executors
// are alive, and have time to say so.
func TestGraceAfterAFullDisk(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store := &failingStore{Store: b.store}
	b.Tasks = NewTasks(Options{Store: store, Now: b.clock.Now, ReportKey: []byte("key")})
	live := NewLiveness(b.Tasks, discard())
	b.watch(t, live, time.Minute)
	back, silent := b.running(t, 10*time.Second), b.running(t, 10*time.Second)
	store.full.Store(true)
	for range 30 {
		b.watch(t, live, 2*time.Second)
		_, err := b.Report(t.Context(), back.Task.ID, back.ReportToken, task.Report{Attempt: 1})
		_ = wantKind(t, err, task.Unavailable)
	}
	store.full.Store(false)
	b.watch(t, live, livenessGrace-time.Second)
	b.wantState(t, silent.Task.ID, task.Running)
	b.report(t, back, task.Report{})
	b.watch(t, live, mostLate-livenessGrace)
	b.wantState(t, silent.Task.ID, task.Completed)
	b.wantState(t, back.Task.ID, task.Running)
}
