package storetest

import (
	"time"

	"stint/internal/task"
)

func testHistoryCountsRefusals(t trial) {
	s := t.store
	one, other := launch(t, s, 1), launch(t, s, 2)
	refuse := func(id task.ID, r task.Report, at time.Duration) {
		t.Helper()
		_, err := s.Update(t.Context(), id, everything(), change(func(tk task.Task) task.Change {
			return tk.ApplyReport(r, start().Add(at))
		}))
		_ = wantKind(t, err, task.Conflict)
	}
	for i := range 5 {
		refuse(one.ID, task.Report{Attempt: 7}, time.Duration(1+i)*time.Second)
	}
	refuse(one.ID, task.Report{Attempt: 8}, 6*time.Second)
	refuse(one.ID, task.Report{Attempt: 7, Completion: task.Success}, 7*time.Second)
	refuse(one.ID, task.Report{Attempt: 7}, 8*time.Second)
	refuse(other.ID, task.Report{Attempt: 7}, 9*time.Second)

	type line struct {
		attempt, count int
		at             time.Duration
	}
	want := []line{{1, 1, time.Millisecond}, {7, 6, 8 * time.Second}, {8, 1, 6 * time.Second}, {7, 1, 7 * time.Second}}
	got := history(t, s, one.ID)
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		if g := (line{got[i].Attempt, got[i].Count, got[i].At.Sub(start())}); g != w {
			t.Errorf("line %d is %+v, want %+v", i, g, w)
		}
	}
	if got := history(t, s, other.ID); len(got) != 2 || got[1].Count != 1 {
		t.Errorf("another task's refusals were counted too: %v", got)
	}
}

// testHistoryIsBounded has a worker that is refused in ever new ways: its lines
// stop at some point, those of others do not.
func testHistoryIsBounded(t trial) {
	s := t.store
	tk := launch(t, s, 1)
	const most = 1100
	events := make([]task.Event, most)
	for i := range events {
		events[i] = task.Event{At: start(), Name: task.EventRefused, Attempt: i, Key: string(idOf(i)), Count: 1}
	}
	update(t, s, tk.ID, func(tk task.Task) task.Change { return task.Change{Task: tk, Changed: true, Events: events} })
	if n := len(history(t, s, tk.ID)); n >= most {
		t.Errorf("%d lines of refusals were kept", n)
	}
	update(t, s, tk.ID, func(tk task.Task) task.Change { return tk.ApplyCancel("p", "", start()) })
	got := history(t, s, tk.ID)
	if last := got[len(got)-1]; last.Name != task.EventCancelled {
		t.Errorf("the last line is %+v, want the cancel", last)
	}
}
