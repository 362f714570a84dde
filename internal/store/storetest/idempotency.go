package storetest

import (
	"sync"
	"time"

	"stint/internal/query"
	"stint/internal/task"
)

func testIdempotencyRepeats(t trial) {
	s := t.store
	key := task.IdempotencyKey{Key: "K 1", Fingerprint: []byte{0, 1, 255}}
	c := launched(t, 1)
	if _, created, err := s.Create(t.Context(), c, key, launchEntry(c)); err != nil || !created {
		t.Fatalf("first: %v, %v", created, err)
	}
	changed := update(t, s, c.Task.ID, func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1}, start().Add(time.Second))
	})
	again := launched(t, 2)
	stored, created, err := s.Create(t.Context(), again, key, launchEntry(again))
	if err != nil || created {
		t.Fatalf("repeat: %v, %v", created, err)
	}
	if diff := sameTask(changed, stored); diff != "" {
		t.Errorf("the repeat must get the task as it is now (-want +got):\n%s", diff)
	}
	if _, err := s.Get(t.Context(), again.Task.ID, everything()); task.KindOf(err) != task.NotFound {
		t.Errorf("the repeat made a task: %v", err)
	}
	if got := names(history(t, s, c.Task.ID)) + "; " + names(history(t, s, again.Task.ID)); got != "launched started; " {
		t.Errorf("the histories are %q", got)
	}
	if got := actions(entries(t, s, string(c.Task.ID))) + actions(entries(t, s, string(again.Task.ID))); got != "task.launch" {
		t.Errorf("the audit is %q", got)
	}
	// Keys are texts: case and other differences count, no key is no key.
	for i, other := range []string{"k 1", "K 1 ", "", ""} {
		c := launched(t, 10+i)
		if _, created, err := s.Create(t.Context(), c, task.IdempotencyKey{Key: other, Fingerprint: key.Fingerprint}, launchEntry(c)); err != nil || !created {
			t.Errorf("key %q: %v, %v", other, created, err)
		}
	}
}

func testIdempotencyConflict(t trial) {
	s := t.store
	c := launched(t, 1)
	if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{Key: "k", Fingerprint: []byte("one")}, launchEntry(c)); err != nil {
		t.Fatal(err)
	}
	for i, fingerprint := range []string{"two", "One", ""} {
		other := launched(t, 2+i)
		_, _, err := s.Create(t.Context(), other, task.IdempotencyKey{Key: "k", Fingerprint: []byte(fingerprint)}, launchEntry(other))
		_ = wantKind(t, err, task.Conflict)
		if _, err := s.Get(t.Context(), other.Task.ID, everything()); task.KindOf(err) != task.NotFound {
			t.Errorf("a refused launch made a task: %v", err)
		}
	}
	wantStored(t, s, c.Task)
}

func testIdempotencyAtOnce(t trial) {
	s := t.store
	const rounds, callers = 10, 8
	for round := range rounds {
		var wg sync.WaitGroup
		ids := make([]task.ID, callers)
		made := make([]bool, callers)
		for i := range callers {
			c := launched(t, round*callers+i)
			wg.Go(func() {
				key := task.IdempotencyKey{Key: string(idOf(round)), Fingerprint: []byte("f")}
				stored, created, err := s.Create(t.Context(), c, key, launchEntry(c))
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				ids[i], made[i] = stored.ID, created
			})
		}
		wg.Wait()
		first := 0
		for i := range callers {
			if ids[i] != ids[0] {
				t.Errorf("round %d: two tasks, %s and %s", round, ids[0], ids[i])
			}
			if made[i] {
				first++
			}
		}
		if first != 1 {
			t.Errorf("round %d: %d callers were the first", round, first)
		}
	}
	_, total, err := s.List(t.Context(), query.Page{Count: true, Sort: newestFirst()}, everything())
	if err != nil || total != rounds {
		t.Errorf("%d tasks, %v; want %d", total, err, rounds)
	}
}

// testIdempotencyOfPurged has a key whose task has gone: it is free again.
func testIdempotencyOfPurged(t trial) {
	s := t.store
	key := task.IdempotencyKey{Key: "k", Fingerprint: []byte("f")}
	c := launched(t, 1000)
	if _, _, err := s.Create(t.Context(), c, key, launchEntry(c)); err != nil {
		t.Fatal(err)
	}
	// An import moves the task to a time that is purged before its key.
	older := c.Task
	older.Created = start()
	if _, err := s.Import(t.Context(), seq([]task.Task{older}), true, start(), importEntry); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(t.Context(), start(), 10, keep); err != nil || n != 1 {
		t.Fatalf("purge: %d, %v", n, err)
	}
	again := launched(t, 2000)
	stored, created, err := s.Create(t.Context(), again, key, launchEntry(again))
	if err != nil || !created || stored.ID != again.Task.ID {
		t.Errorf("launch with the key: %s, %v, %v", stored.ID, created, err)
	}
	repeat := launched(t, 3000)
	stored, created, err = s.Create(t.Context(), repeat, key, launchEntry(repeat))
	if err != nil || created || stored.ID != again.Task.ID {
		t.Errorf("repeat: %s, %v, %v", stored.ID, created, err)
	}
}
