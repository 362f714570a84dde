package engine

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/task"
)

// cancelled returns a context that has ended.
func cancelled(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	cancel()
	return ctx
}

// waiting starts a wait and returns its answer.
func (b *bench) waiting(ctx context.Context, id task.ID) <-chan task.Row {
	answer := make(chan task.Row, 1)
	go func() {
		defer close(answer)
		if row, err := b.Wait(ctx, id); err == nil {
			answer <- row
		}
	}()
	return answer
}

// watched returns once n wait for a task.
func (b *bench) watched(tb testing.TB, id task.ID, n int) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		b.hub.mu.Lock()
		have := len(b.hub.watchers[id])
		b.hub.mu.Unlock()
		if have == n {
			return
		}
		<-tick.C
	}
	tb.Fatalf("there are not %d that wait for %s", n, id)
}

func (b *bench) watchers() int {
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	return len(b.hub.watchers)
}

func wantRow(tb testing.TB, answer <-chan task.Row, state task.State, holds string) {
	tb.Helper()
	select {
	case row := <-answer:
		if row.State != state || !strings.Contains(string(row.Wire), holds) {
			tb.Errorf("the wait answers %s: %s; want %s with %s", row.State, row.Wire, state, holds)
		}
	case <-time.After(20 * time.Second):
		tb.Fatal("the wait does not end")
	}
}

func TestWaitOfACompletedTask(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.running(t, 0)
	b.report(t, l, task.Report{Completion: task.Warning})
	wantRow(t, b.waiting(t.Context(), l.Task.ID), task.Completed, "WARNING")
	wantRow(t, b.waiting(cancelled(t), l.Task.ID), task.Completed, "WARNING")
	_, err := b.Wait(t.Context(), "00000000000000000000000000000000")
	_ = wantKind(t, err, task.NotFound)
	if n := b.watchers(); n != 0 {
		t.Errorf("%d tasks are still watched", n)
	}
}

// TestWaitEndsWithTheTask wakes all that wait, however the task ends, and not
// before.
func TestWaitEndsWithTheTask(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bench, task.Launched) error{
		"completion": func(b *bench, l task.Launched) error {
			_, err := b.Report(context.Background(), l.Task.ID, l.ReportToken, task.Report{Attempt: 1, Completion: task.Terminated})
			return err
		},
		"clear": func(b *bench, l task.Launched) error {
			_, err := b.Clear(context.Background(), l.Task.ID, func(task.Task) (*task.Clear, error) {
				return &task.Clear{Status: task.Terminated}, nil
			}, "", person())
			return err
		},
		"silence after a cancel": func(b *bench, l task.Launched) error {
			live := NewLiveness(b.Tasks, discard())
			if _, err := b.Cancel(context.Background(), l.Task.ID, "", person()); err != nil {
				return err
			}
			for range 3 {
				b.clock.Add(time.Minute)
				for range 15 {
					b.clock.Add(time.Second)
					live.runOnce(context.Background())
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			l := b.running(t, time.Minute)
			var answers []<-chan task.Row
			for range 5 {
				answers = append(answers, b.waiting(t.Context(), l.Task.ID))
			}
			b.watched(t, l.Task.ID, 5)
			step := "step"
			b.report(t, l, task.Report{Progress: &step})
			b.watched(t, l.Task.ID, 5)
			if err := end(b, l); err != nil {
				t.Fatal(err)
			}
			for _, answer := range answers {
				wantRow(t, answer, task.Completed, `"completionStatus":"TERMINATED"`)
			}
			b.watched(t, l.Task.ID, 0)
		})
	}
}

// TestWaitGivesUp answers with the task as it is when its time is over, and
// when the program stops.
func TestWaitGivesUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := b.running(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	impatient, patient := b.waiting(ctx, l.Task.ID), b.waiting(t.Context(), l.Task.ID)
	b.watched(t, l.Task.ID, 2)
	cancel()
	wantRow(t, impatient, task.Running, `"completionStatus":null`)
	b.watched(t, l.Task.ID, 1)
	b.Close()
	b.Close()
	wantRow(t, patient, task.Running, `"completionStatus":null`)
	wantRow(t, b.waiting(t.Context(), l.Task.ID), task.Running, "null")
	if n := b.watchers(); n != 0 {
		t.Errorf("%d tasks are still watched", n)
	}
}

// TestNoWakeUpIsLost ends many tasks at any moment around the beginning of many
// waits; the reporters give up now and then in the middle. Every wait that the
// end of its task should wake is woken.
func TestNoWakeUpIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				l := b.launch(t, 0)
				var answers []<-chan task.Row
				var ending sync.WaitGroup
				ending.Go(func() {
					for {
						ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(3000))*time.Microsecond)
						_, _ = b.Report(ctx, l.Task.ID, l.ReportToken, task.Report{Attempt: 1, Completion: task.Success}) // the state tells
						cancel()
						if row, err := b.store.Get(t.Context(), l.Task.ID, time.Time{}); err != nil || row.State == task.Completed {
							return
						}
					}
				})
				for range 4 {
					answers = append(answers, b.waiting(t.Context(), l.Task.ID))
				}
				ending.Wait()
				for _, answer := range answers {
					wantRow(t, answer, task.Completed, "SUCCESS")
				}
			}
		})
	}
	wg.Wait()
	if n := b.watchers(); n != 0 {
		t.Errorf("%d tasks are still watched", n)
	}
}
