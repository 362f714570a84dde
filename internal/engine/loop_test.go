package engine

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// TestLoopTicks lets a simulated day pass.
func TestLoopTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		l := &loop{interval: time.Hour, run: func(context.Context) { runs.Add(1) }}
		l.Start(t.Context())
		l.Start(t.Context())
		time.Sleep(time.Hour - time.Nanosecond)
		synctest.Wait()
		if n := runs.Load(); n != 0 {
			t.Errorf("%d runs before the first interval is over", n)
		}
		time.Sleep(23*time.Hour + time.Minute)
		synctest.Wait()
		if n := runs.Load(); n != 24 {
			t.Errorf("%d runs in a day, want 24", n)
		}
		l.Stop()
		l.Stop()
		time.Sleep(24 * time.Hour)
		if n := runs.Load(); n != 24 {
			t.Errorf("%d runs after the stop", n-24)
		}
	})
}

// TestLoopStopsAtOnce ends the run under way by its context and waits for it.
func TestLoopStopsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		l := &loop{interval: time.Second, run: func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Minute) // it tidies up
			ended = true
		}}
		l.Start(t.Context())
		time.Sleep(10 * time.Second)
		l.Stop()
		if !ended {
			t.Error("it was not waited for")
		}
	})
}

func TestLoopEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		l := &loop{interval: time.Second, run: func(context.Context) {}}
		l.Start(ctx)
		cancel()
		synctest.Wait()
		select {
		case <-l.done:
		default:
			t.Error("it goes on")
		}
		l.Stop()
	})
}

// TestLoopStress starts and stops loops from many sides.
func TestLoopStress(t *testing.T) {
	t.Parallel()
	for range 50 {
		var running atomic.Int64
		l := &loop{interval: time.Microsecond, run: func(context.Context) {
			if running.Add(1) > 1 {
				t.Error("two runs at once")
			}
			running.Add(-1)
		}}
		l.Stop() // before the start it does nothing
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				if i%2 == 0 {
					l.Start(t.Context())
				}
				l.Stop()
			})
		}
		wg.Wait()
		l.Stop()
		if running.Load() != 0 {
			t.Error("a run goes on after the stop")
		}
	}
}

// TestLoopsOverTime runs the real loops on a real store for some simulated
// hours: a task that reports lives, one that falls silent ends in time, old
// ones go.
func TestLoopsOverTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.db")
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		tasks := NewTasks(Options{Store: store, Now: time.Now})
		b := &bench{Tasks: tasks, store: store, clock: newClock()}
		live, retention := NewLiveness(tasks, discard()), NewRetention(tasks, 2*time.Hour, discard())
		live.Start(t.Context())
		retention.Start(t.Context())
		defer func() { // whatever failed: nothing may be left in the bubble
			live.Stop()
			retention.Stop()
			tasks.Close()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		living, silent := b.running(t, time.Minute), b.running(t, time.Minute)
		ended := b.waiting(t.Context(), silent.Task.ID)
		began := time.Now()
		for time.Since(began) < 2*time.Hour-time.Minute {
			time.Sleep(50 * time.Second)
			b.report(t, living, task.Report{})
			if time.Since(began) != 100*time.Second {
				continue
			}
			row := <-ended
			got := b.read(t, silent.Task.ID)
			if took := got.Completed.Sub(got.LastReport); row.State != task.Completed || took < time.Minute || took > time.Minute+mostLate {
				t.Errorf("the silent task is %s after %s", row.State, took)
			}
		}
		b.wantState(t, living.Task.ID, task.Running)
		time.Sleep(3 * time.Minute)
		if n := b.count(t); n != 0 {
			t.Errorf("%d tasks are kept too long", n)
		}
		if got := b.audit(t, living.Task.ID); got != "task.launch by p; task.expire by System; " {
			t.Errorf("the audit: %q", got)
		}
	})
}
