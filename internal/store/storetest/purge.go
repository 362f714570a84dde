package storetest

import (
	"errors"
	"slices"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

func testPurge(t trial) {
	s := t.store
	key := func(n int) task.IdempotencyKey {
		return task.IdempotencyKey{Key: string(idOf(n)), Fingerprint: []byte("f")}
	}
	for n := range 3 {
		c := launched(t, n)
		if _, _, err := s.Create(t.Context(), c, key(n), launchEntry(c)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.Purge(t.Context(), start().Add(-time.Millisecond), 10, keep); err != nil || n != 0 {
		t.Errorf("nothing is due: %d, %v", n, err)
	}
	if n, err := s.Purge(t.Context(), start().Add(time.Millisecond), 10, keep); err != nil || n != 2 {
		t.Errorf("two are due, the second at this very millisecond: %d, %v", n, err)
	}
	for n := range 3 {
		gone := n < 2
		_, err := s.Get(t.Context(), idOf(n), everything())
		if gone != (task.KindOf(err) == task.NotFound) {
			t.Errorf("task %d: %v", n, err)
		}
		if got := history(t, s, idOf(n)); gone != (len(got) == 0) {
			t.Errorf("the history of %d: %v", n, got)
		}
		// The audit says for longer what was done.
		if got := actions(entries(t, s, string(idOf(n)))); got != "task.launch" {
			t.Errorf("the audit of %d: %q", n, got)
		}
	}
	wantCount(t, s, 1)
	// What was deleted is forgotten: its key can be used again, its id too.
	for n := range 3 {
		c := launched(t, n)
		if n == 2 {
			c.Task.ID = idOf(99)
		}
		stored, created, err := s.Create(t.Context(), c, key(n), launchEntry(c))
		if err != nil || created != (n < 2) || created && stored.ID != c.Task.ID {
			t.Errorf("launch %d with its key again: %s, %v, %v", n, stored.ID, created, err)
		}
	}
}

func testPurgeBatches(t trial) {
	s := t.store
	tasks := crowd(60, 4)
	load(t, s, tasks)
	left := expected(tasks, nil, everything(), false)
	far := time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	for len(left) > 0 {
		var seen []task.ID
		n, err := s.Purge(t.Context(), far, 7, func(tk task.Task) (audit.Change, error) {
			seen = append(seen, tk.ID)
			return keep(tk)
		})
		if want := min(7, len(left)); err != nil || n != want || !slices.Equal(seen, left[:want]) {
			t.Fatalf("%d were deleted, %v: %v; the oldest are %v", n, err, seen, left[:want])
		}
		left = left[n:]
		wantCount(t, s, len(left))
	}
	if n, err := s.Purge(t.Context(), far, 7, keep); err != nil || n != 0 {
		t.Errorf("nothing is left: %d, %v", n, err)
	}
}

// testPurgeExpires has tasks that are still in progress: they are ended with an
// entry, in the transaction that deletes them.
func testPurgeExpires(t trial) {
	s := t.store
	running, ended := launch(t, s, 1), launch(t, s, 2)
	update(t, s, ended.ID, func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Completion: task.Success}, start())
	})
	mistake := errors.New("mistake")
	far := start().Add(time.Hour)
	if n, err := s.Purge(t.Context(), far, 10, func(tk task.Task) (audit.Change, error) {
		if tk.ID == ended.ID {
			return audit.Change{}, mistake
		}
		return keep(tk)
	}); !errors.Is(err, mistake) || n != 0 {
		t.Errorf("a purge that fails: %d, %v", n, err)
	}
	wantCount(t, s, 2)
	n, err := s.Purge(t.Context(), far, 10, func(tk task.Task) (audit.Change, error) {
		c := tk.Expire(far)
		if !c.Changed {
			return audit.Change{Change: c}, nil
		}
		wire, err := tk.MarshalWire()
		return audit.Change{Change: c, Entry: &audit.Entry{At: far, Origin: audit.System(), Action: audit.Expire, Object: string(tk.ID), Before: wire}}, err
	})
	if err != nil || n != 2 {
		t.Fatalf("purge: %d, %v", n, err)
	}
	if got := actions(entries(t, s, string(running.ID))); got != "task.launch task.expire" {
		t.Errorf("the audit of the one in progress: %q", got)
	}
	if got := actions(entries(t, s, string(ended.ID))); got != "task.launch" {
		t.Errorf("the audit of the one that had ended: %q", got)
	}
	_, total, err := s.List(t.Context(), query.Page{Count: true, Filter: query.Null{Field: query.FieldStatus}, Sort: newestFirst()}, everything())
	if err != nil || total != 0 {
		t.Errorf("%d are in progress, %v", total, err)
	}
}
