package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/audit"
	"stint/internal/task"
)

// testFencing lets many end one task at the same moment: one of them does, and
// what it wrote stays.
func testFencing(t trial) {
	s := t.store
	const rounds = 25
	for round := range rounds {
		tk := launch(t, s, round)
		now := start().Add(time.Hour)
		ends := []func(task.Task) (task.Change, error){
			func(tk task.Task) (task.Change, error) { return tk.ApplyCancel("p", "r", now), nil },
			func(tk task.Task) (task.Change, error) {
				return tk.ApplyReport(task.Report{Attempt: 2, Completion: task.Success}, now), nil
			},
			func(tk task.Task) (task.Change, error) {
				return tk.ApplyReport(task.Report{Attempt: 1, Sequence: 5}, now), nil
			},
			func(tk task.Task) (task.Change, error) {
				return tk.Lost(now.Add(time.Hour)), nil
			},
		}
		for _, status := range task.CompletionStatuses() {
			ends = append(ends,
				func(tk task.Task) (task.Change, error) {
					return tk.ApplyReport(task.Report{Attempt: 1, Completion: status}, now), nil
				},
				func(tk task.Task) (task.Change, error) {
					return tk.ApplyClear(task.Clear{Status: status, Completed: now.Add(time.Second)}, now)
				})
		}
		var mu sync.Mutex
		var ended []task.Task
		var wg sync.WaitGroup
		for _, end := range ends {
			wg.Go(func() {
				stored, err := s.Update(t.Context(), tk.ID, everything(), func(tk task.Task) (audit.Change, error) {
					c, err := end(tk)
					return audit.Change{Change: c}, err
				})
				if err == nil && stored.Status != task.InProgress {
					mu.Lock()
					defer mu.Unlock()
					ended = append(ended, stored)
				}
			})
		}
		wg.Wait()
		checkEndedOnce(t, s, tk.ID, ended)
	}
}

func checkEndedOnce(tb testing.TB, s Store, id task.ID, ended []task.Task) {
	tb.Helper()
	got := read(tb, s, id)
	for _, e := range ended {
		if diff := cmp.Diff(got.Status, e.Status) + cmp.Diff(got.Completed, e.Completed); diff != "" {
			tb.Fatalf("task %s was said to have ended otherwise than it has (-has +said):\n%s", id, diff)
		}
	}
	events, attempts := 0, 0
	for _, e := range history(tb, s, id) {
		switch e.Name {
		case task.EventCompleted, task.EventCleared, task.EventCancelled, task.EventLost, task.EventExpired:
			events++
		case task.EventRefused:
			attempts += e.Count
		case task.EventLaunched, task.EventStarted, task.EventCancelRequested, task.EventStopTold, task.EventImported, task.EventReplaced:
		}
	}
	if events != 1 {
		tb.Fatalf("task %s ended %d times: %s", id, events, names(history(tb, s, id)))
	}
	if attempts == 0 {
		tb.Fatalf("task %s: no refusal was kept", id)
	}
	wantStored(tb, s, got)
}
