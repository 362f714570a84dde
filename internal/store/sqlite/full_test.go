package sqlite

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// launch stores a task of about size bytes.
func launch(tb testing.TB, s *Store, n, size int) error {
	tb.Helper()
	tk := tasksEvery(1, 0)[0]
	tk.ID, tk.Description = task.ID(fmt.Sprintf("%032x", n)), strings.Repeat("x", size)
	_, _, err := s.Create(tb.Context(), task.Change{
		Task: tk, Changed: true, Events: []task.Event{{At: tk.Created, Name: task.EventLaunched, Attempt: 1, Count: 1}},
	}, task.IdempotencyKey{}, audit.Entry{At: tk.Created, Object: string(tk.ID), Action: audit.Launch})
	return err
}

// fill launches from several sides until the disk is full; it returns which
// launches were said to be stored.
func fill(t *testing.T, s *Store, size int) map[int]bool {
	t.Helper()
	var mu sync.Mutex
	stored := map[int]bool{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			failed := 0
			for i := 0; failed < 3; i++ {
				n := w*100_000 + i
				err := launch(t, s, n, size)
				mu.Lock()
				stored[n] = err == nil
				mu.Unlock()
				if err == nil {
					continue
				}
				failed++
				if task.KindOf(err) != task.Unavailable {
					t.Errorf("launch %d on a full disk: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	return stored
}

// checkFull holds a store whose disk was full against what it answered.
func checkFull(t *testing.T, s *Store, stored map[int]bool) {
	t.Helper()
	want := int64(0)
	for n, said := range stored {
		id := task.ID(fmt.Sprintf("%032x", n))
		_, err := s.Get(t.Context(), id, time.Time{})
		if said != (err == nil) {
			t.Errorf("launch %d was answered with success %v; reading it: %v", n, said, err)
		}
		events, herr := s.History(t.Context(), id)
		entries, aerr := s.Audit(t.Context(), string(id))
		if herr != nil || aerr != nil || said != (len(events) == 1) || said != (len(entries) == 1) {
			t.Errorf("launch %d, success %v: %d events, %d entries, %v, %v", n, said, len(events), len(entries), herr, aerr)
		}
		if said {
			want++
		}
	}
	_, total, err := s.List(t.Context(), query.Page{Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}}, time.Time{})
	if err != nil || total != want {
		t.Errorf("%d tasks, %v; want %d", total, err, want)
	}
	checkTallies(t, s)
	var verdict string
	err = s.readOne(t.Context(), "check", func(r reading) error { return r.queryRow("PRAGMA integrity_check").Scan(&verdict) })
	if err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
}

// checkTallies counts everything anew and compares the stored counts with it.
func checkTallies(t *testing.T, s *Store) {
	t.Helper()
	want := tally.Deltas{}
	err := s.Export(t.Context(), func(r task.Row) error {
		tk := task.Task{Kind: r.Kind, SourceID: r.SourceID}
		if err := tk.UnmarshalWire(r.Wire); err != nil {
			return err
		}
		want.Add(&tk, 1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = s.readOne(t.Context(), "read counts", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var k tally.Key
			var stored int64
			err := row.Scan(&k.Dimension, &k.Value, &k.Level, &k.Bucket, &stored)
			if n++; want[k] != stored {
				t.Errorf("the count of %+v is %d, want %d", k, stored, want[k])
			}
			return err
		}, "SELECT dimension, value, level, bucket, n FROM tallies")
	})
	if err != nil || n != len(want) {
		t.Errorf("%d counts, %v; want %d", n, err, len(want))
	}
}

// TestFullFile has a file that may not grow: what cannot be stored is refused
// as Unavailable, in whole, and the store works again when there is room.
func TestFullFile(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	limit := func(pages int) {
		t.Helper()
		var now int
		if err := s.write.QueryRowContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count=%d", pages)).Scan(&now); err != nil {
			t.Fatal(err)
		}
	}
	limit(120)
	stored := fill(t, s, 6000)
	checkFull(t, s, stored)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("a full disk can be read: %v", err)
	}
	limit(1 << 30)
	for n := range 20 {
		if err := launch(t, s, 1<<30+n, 6000); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		stored[1<<30+n] = true
	}
	checkFull(t, s, stored)
}

// TestTalliesVanish empties a store: no count of nothing stays behind.
func TestTalliesVanish(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := tasksEvery(40, time.Hour)
	load(t, s, tasks)
	for _, tk := range tasks {
		_, err := s.Update(t.Context(), tk.ID, time.Time{}, func(tk task.Task) (audit.Change, error) {
			return audit.Change{Change: tk.ApplyReport(task.Report{Attempt: 1, Completion: task.Success}, tk.Created)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		checkTallies(t, s)
	}
	for range 4 {
		_, err := s.Purge(t.Context(), tasks[39].Created, 10, func(tk task.Task) (audit.Change, error) {
			return audit.Change{Change: task.Change{Task: tk}}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		checkTallies(t, s)
	}
	var n int
	err := s.readOne(t.Context(), "count", func(r reading) error { return r.queryRow("SELECT count(*) FROM tallies").Scan(&n) })
	if err != nil || n != 0 {
		t.Errorf("%d counts are left, %v", n, err)
	}
}

// openAt opens a store that the test closes itself.
func openAt(tb testing.TB, dir string) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{Path: filepath.Join(dir, "stint.db")})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
