package storetest

import (
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/task"
)

func testOverdue(t trial) {
	s := t.store
	overdue := func(at time.Time, limit int) []task.ID {
		t.Helper()
		ids, err := s.Overdue(t.Context(), at, limit)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	// The n-th task is silent from start+n seconds on; its limit is 10 s less n.
	var all []task.ID
	for n := range 5 {
		c := launched(t, n)
		c.Task.HeartbeatLimit = time.Minute - 10*time.Duration(n)*time.Second
		create(t, s, c)
		all = append(all, c.Task.ID)
	}
	slices.Reverse(all) // the last has the shortest limit
	if got := overdue(start().Add(1000*time.Hour), 10); len(got) != 0 {
		t.Errorf("queued tasks are overdue: %v", got)
	}
	report := func(id task.ID, r task.Report, at time.Time) {
		r.Attempt = 1
		update(t, s, id, func(tk task.Task) task.Change { return tk.ApplyReport(r, at) })
	}
	for n := range 5 {
		report(idOf(n), task.Report{}, start().Add(time.Duration(n)*time.Second))
	}
	deadline := start().Add(24 * time.Second) // of the shortest: 4 s + 20 s
	if got := overdue(deadline.Add(-time.Millisecond), 10); len(got) != 0 {
		t.Errorf("overdue a millisecond early: %v", got)
	}
	if got := overdue(deadline, 10); !slices.Equal(got, all[:1]) {
		t.Errorf("overdue at the deadline: %v, want %v", got, all[:1])
	}
	later := start().Add(time.Hour)
	if diff := cmp.Diff(all, overdue(later, 10)); diff != "" {
		t.Errorf("the longest overdue comes first (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(all[:2], overdue(later, 2)); diff != "" {
		t.Errorf("a limit of 2 (-want +got):\n%s", diff)
	}
	// A report, an end and a cancel move it.
	report(all[0], task.Report{}, later)
	report(all[1], task.Report{Completion: task.Success}, later)
	cancelled := update(t, s, all[2], func(tk task.Task) task.Change { return tk.ApplyCancel("p", "", later) })
	update(t, s, all[3], func(tk task.Task) task.Change {
		c, err := tk.ApplyClear(task.Clear{Status: task.Failure}, later)
		if err != nil {
			t.Error(err)
		}
		return c
	})
	if diff := cmp.Diff([]task.ID{all[2], all[4]}, overdue(later, 10)); diff != "" {
		t.Errorf("cancelled at %v (-want +got):\n%s", cancelled.CancelRequested, diff)
	}
	if _, err := s.Purge(t.Context(), later, 10, keep); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]task.ID(nil), overdue(later.Add(time.Hour), 10), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("purged (-want +got):\n%s", diff)
	}
}
