package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

func look(tb testing.TB, s *Store, after task.Position) task.Changes {
	tb.Helper()
	c, err := s.Changes(tb.Context(), nil, after, time.Time{}, 100)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func feedEnd(tb testing.TB, s *Store) task.Position {
	tb.Helper()
	at, err := s.Position(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return at
}

// touch writes a task.
func touch(ctx context.Context, s *Store, id task.ID) error {
	_, err := s.Update(ctx, id, time.Time{}, func(tk task.Task) (audit.Change, error) {
		tk.Modified = tk.Modified.Add(time.Second)
		return audit.Change{Change: task.Change{Task: tk, Changed: true}}, nil
	})
	return err
}

// TestFeedOfLateCommits has a write that begins first and is committed last: what
// comes behind it in the feed is not told before it.
func TestFeedOfLateCommits(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := busy(3)
	load(t, s, tasks)
	begin := feedEnd(t, s)
	for _, undone := range []bool{true, false} {
		written, commit, late := make(chan struct{}), make(chan struct{}), make(chan error)
		mistake := errors.New("mistake")
		go func() {
			late <- s.do(t.Context(), "write late", func(w *txn) error {
				w.change(&tasks[0], &tasks[0])
				if err := errors.Join(w.turnFeed(), w.send()); err != nil {
					return err
				}
				clear(w.changed)
				close(written)
				<-commit
				if undone {
					return mistake
				}
				return nil
			})
		}()
		<-written
		for i := 1; i < 3; i++ {
			if err := touch(t.Context(), s, tasks[i].ID); err != nil {
				t.Fatal(err)
			}
		}
		c := look(t, s, begin)
		if len(c.Tasks) != 0 || !c.Held || c.More {
			t.Errorf("%d tasks are told although an earlier write is under way (held %v, more %v)", len(c.Tasks), c.Held, c.More)
		}
		close(commit)
		if err := <-late; undone != (err != nil) {
			t.Fatal(err)
		}
		want := tasks
		if undone {
			want = tasks[1:]
		}
		got := look(t, s, c.Next)
		if len(got.Tasks) != len(want) || got.Held {
			t.Fatalf("undone %v: %d tasks are told, want %d", undone, len(got.Tasks), len(want))
		}
		for i, one := range got.Tasks {
			if one.ID != want[i].ID {
				t.Errorf("undone %v: task %d is %s, want %s", undone, i, one.ID, want[i].ID)
			}
		}
		begin = got.Next
	}
}

// TestFeedOfLateNumbers looks between the moment at which a write may take a number
// and that at which it does.
func TestFeedOfLateNumbers(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := busy(2)
	load(t, s, tasks)
	begin := feedEnd(t, s)
	mustExec(t, s, "SELECT setval('feed_numbers', 2147483640)") // where the numbers of locks begin anew
	for i := range 20 {
		var held task.Changes
		err := s.do(t.Context(), "write late", func(w *txn) error {
			if err := w.exec(turnSQL); err != nil {
				return err
			}
			if err := touch(t.Context(), s, tasks[1].ID); err != nil {
				return err
			}
			held = look(t, s, begin)
			if err := w.exec(changeSQL, [][]byte{sqlrow.Blob(tasks[0].ID)}); err != nil {
				return err
			}
			if c := look(t, s, held.Next); len(c.Tasks) > 0 {
				t.Errorf("round %d: %s is told", i, c.Tasks[0].ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(held.Tasks) != 0 || !held.Held {
			t.Fatalf("round %d: told is %+v, although a smaller number may be given", i, held)
		}
		c := look(t, s, held.Next)
		if len(c.Tasks) != 2 || c.Held || c.Tasks[0].ID != tasks[1].ID {
			t.Fatalf("round %d: then told is %+v", i, c)
		}
		begin = c.Next
	}
}

// TestFeedPlans holds what a look at the feed reads against how far it goes.
func TestFeedPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	mustExec(t, s, "ALTER TABLE tasks SET (autovacuum_enabled = off); ALTER TABLE feed SET (autovacuum_enabled = off)")
	const n = 10_000
	begin := feedEnd(t, s)
	tasks := busy(n)
	load(t, s, tasks[:n/2])
	middle := feedEnd(t, s)
	load(t, s, tasks[n/2:])
	end := feedEnd(t, s)
	for i := range 5 {
		if err := touch(t.Context(), s, tasks[i*1000].ID); err != nil {
			t.Fatal(err)
		}
	}
	rare := query.Compare{Field: query.FieldKind, Values: []string{"RARE_KIND"}}
	none := query.Compare{Field: query.FieldSource, Values: []string{"nowhere"}}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for name, test := range map[string]struct {
			after  task.Position
			filter query.Expr
			most   float64
		}{
			"the last":           {after: end, most: 5},
			"the last of some":   {after: end, filter: rare, most: 5},
			"all":                {after: begin, most: 100},
			"all of the middle":  {after: middle, filter: none, most: maxLooked},
			"few of all":         {after: begin, filter: none, most: maxLooked},
			"in progress of all": {after: begin, filter: query.Null{Field: query.FieldStatus}, most: maxLooked},
		} {
			f, err := s.feedState(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen := explainList(t, s, func(r reading) error {
				_, err := changes(r, &f, test.filter, test.after, -1, 100)
				return err
			})
			for _, one := range seen {
				one.plan.each(func(n *node) {
					if n.Type == "Seq Scan" && (n.Table == "tasks" || n.Table == "feed") || strings.Contains(n.Type, "Sort") {
						t.Errorf("%s, analyzed %v: %s %s", name, analyzed, n.Type, n.Table)
					}
				})
				if got := max(one.plan.scanned("tasks"), one.plan.scanned("feed")); got > test.most && !strings.Contains(one.query, "OFFSET") || got > maxLooked {
					t.Errorf("%s, analyzed %v: it looks at %.0f rows, at most %.0f would do", name, analyzed, got, test.most)
				}
				if t.Failed() {
					t.Fatalf("%s\n%s", one.query, &one.plan)
				}
			}
		}
	}
}

// TestChangesAreTold has nodes hear that another has changed something, few times
// for many changes.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var both [2]*Store
	for i := range both {
		s, err := Open(t.Context(), Options{URL: url, MaxConns: minConns})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		both[i] = s
	}
	own, other := listen(t, both[0]), listen(t, both[1])
	tasks := busy(1)
	load(t, both[0], tasks)
	other.await(t, other.changed)
	began := time.Now()
	const many = 300
	for range many {
		if err := touch(t.Context(), both[0], tasks[0].ID); err != nil {
			t.Fatal(err)
		}
	}
	other.await(t, other.changed)
	most := 2 + int(time.Since(began)/changesPause)
	if n := 1 + len(other.changed); n > most {
		t.Errorf("%d changes were told %d times in %v, at most %d would do", many, n, time.Since(began), most)
	}
	if len(own.changed) > 0 {
		t.Error("who has changed something is told of it by himself")
	}
}
