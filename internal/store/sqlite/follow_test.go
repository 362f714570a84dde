package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/task"
)

// follower notes what a hook sees, as "id: before > after".
type follower struct {
	seen []string
	err  error
}

func (f *follower) follow(ctx context.Context, tx *sql.Tx, before, after *task.Task) error {
	stateOf := func(t *task.Task) string {
		if t == nil {
			return "none"
		}
		return fmt.Sprintf("%s %d", t.State(), t.Attempt)
	}
	t := after
	if t == nil {
		t = before
	}
	f.seen = append(f.seen, string(t.ID[31:])+": "+stateOf(before)+" > "+stateOf(after))
	if after != nil && after.BuiltIn && before == nil {
		after.Job = 77
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, x'')", fmt.Sprintf("hook %d", len(f.seen)))
	return errors.Join(err, f.err)
}

// A write of each sort that there is, of the tasks 1 to 4 on the sources 8 and 9.
func followedWrites(t *testing.T, s *Store) []struct {
	name, sees string
	write      func() error
} {
	t.Helper()
	now := time.UnixMilli(1e12).UTC()
	launch := func(n int, src source.Source) (account.Run, task.Change) {
		definition, _ := task.NewCatalog().Lookup(string(task.AccountAggregation))
		id := task.ID(fmt.Sprintf("%032x", n))
		c, err := task.NewTask(id, task.Launch{Definition: definition, BuiltIn: true, SourceID: string(src.ID)}, "t", now.Add(time.Duration(n)))
		if err != nil {
			t.Fatal(err)
		}
		return account.Run{TaskID: id, SourceID: src.ID, Class: account.Accounts}, c
	}
	create := func(n int, src source.Source) func() error {
		return func() error {
			run, c := launch(n, src)
			busy := func(t task.Task, other task.ID) task.Change { return t.ApplyBusy(other, now) }
			_, _, err := s.CreateRun(t.Context(), run, c, busy, task.IdempotencyKey{}, func(*task.Task) (audit.Entry, error) { return audit.Entry{}, nil })
			return err
		}
	}
	one := task.ID(fmt.Sprintf("%032x", 1))
	update := func(fn func(task.Task) task.Change) func() error {
		return func() error {
			_, err := s.Update(t.Context(), one, time.Time{}, func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: fn(tk)}, nil
			})
			return err
		}
	}
	load := func(tasks ...task.Task) func() error {
		return func() error {
			_, err := s.Import(t.Context(), func(yield func(task.Task, error) bool) {
				for _, tk := range tasks {
					_ = yield(tk, nil)
				}
			}, true, now, func(task.ImportResult) audit.Entry { return audit.Entry{} })
			return err
		}
	}
	first, second := addSource(t, s, 8), addSource(t, s, 9)
	_, plain := launch(4, first)
	imported := tasksEvery(4, time.Second)[3]
	return []struct {
		name, sees string
		write      func() error
	}{
		{"create run", "1: none > queued 1", create(1, first)},
		{"busy run", "2: none > completed 1", create(2, first)},
		{"another source", "5: none > queued 1", create(5, second)},
		{"create", "4: none > queued 1", func() error {
			_, _, err := s.Create(t.Context(), plain, task.IdempotencyKey{}, audit.Entry{})
			return err
		}},
		{"update", "1: queued 1 > running 1", update(func(tk task.Task) task.Change { return tk.ApplyStart(1, now) })},
		{"work", "1: running 1 > running 1", func() error {
			_, err := s.Work(t.Context(), one, 1, now, func(account.Work) (task.Report, error) { return task.Report{}, nil })
			return err
		}},
		{"next attempt", "1: running 1 > running 2", update(func(tk task.Task) task.Change { return tk.ApplyInterrupted(1, "w", now) })},
		{"no change", "", update(func(tk task.Task) task.Change { return task.Change{Task: tk} })},
		{"cancel", "1: running 2 > completed 2", update(func(tk task.Task) task.Change { return tk.ApplyCancel("p", "", now) })},
		{"delete source", "5: queued 1 > completed 1", func() error {
			_, err := s.DeleteSource(t.Context(), second.ID, func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: tk.ApplyCancel("p", "", now)}, nil
			}, func(source.Deletion) (audit.Entry, error) { return audit.Entry{}, nil })
			return err
		}},
		{"import", "3: none > queued 1", load(imported)},
		{"import replaces", "3: queued 1 > none, 3: none > queued 2", func() error {
			other := imported
			other.Description = "other"
			return load(other)()
		}},
		{"purge", "1: completed 2 > none, 2: completed 1 > none, 4: queued 1 > none, 5: completed 1 > none, 3: queued 2 > none", func() error {
			_, err := s.Purge(t.Context(), time.UnixMilli(1e13), 100, func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: task.Change{Task: tk}}, nil
			})
			return err
		}},
	}
}

// TestHookSeesEveryWrite writes tasks in every way. Each time the hook fails
// first: then nothing is written, nothing of the hook's own either.
func TestHookSeesEveryWrite(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	f := &follower{}
	s.OnTask(f.follow)
	mistake := errors.New("mistake")
	for _, test := range followedWrites(t, s) {
		f.seen, f.err = nil, mistake
		before := stored(t, s)
		err := test.write()
		if (test.sees != "") != errors.Is(err, mistake) {
			t.Errorf("%s, where the hook fails: %v", test.name, err)
		}
		if after := stored(t, s); after != before {
			t.Errorf("%s, where the hook fails, changed\n%s\nto\n%s", test.name, before, after)
		}
		f.seen, f.err = nil, nil
		if err := test.write(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := strings.Join(f.seen, ", "); got != test.sees {
			t.Errorf("%s: the hook saw %q, want %q", test.name, got, test.sees)
		}
		exec(t, s, "DELETE FROM settings")
		if test.name == "create run" {
			open, err := s.BuiltIn(t.Context(), 0, 5)
			if err != nil || !slices.Equal(open, []task.Assigned{{ID: task.ID(fmt.Sprintf("%032x", 1)), Attempt: 1, Job: 77}}) {
				t.Errorf("the job that the hook set: %+v, %v", open, err)
			}
		}
	}
}

// stored returns what is stored of tasks and what goes with them.
func stored(tb testing.TB, s *Store) string {
	tb.Helper()
	var all []string
	for _, statement := range []string{
		"SELECT 'task', hex(id), ifnull(status, '') || ' ' || attempt || ' ' || ifnull(job, '') || ' ' || hex(wire) FROM tasks ORDER BY seq",
		"SELECT 'history', hex(task_id), event || ' ' || count FROM history ORDER BY task_id, seq",
		"SELECT 'audit', object, action FROM audit ORDER BY seq",
		"SELECT 'run', hex(task_id), ifnull(active, '') || CAST(state AS TEXT) FROM runs ORDER BY task_id",
		"SELECT 'source', hex(id), name FROM sources ORDER BY seq",
		"SELECT 'setting', name, hex(value) FROM settings ORDER BY name",
		"SELECT 'garbage', sort, hex(ref) FROM garbage ORDER BY sort, ref",
	} {
		err := s.readOne(tb.Context(), "test", func(r reading) error {
			return r.each(func(row rowScanner) error {
				var what, of, is string
				err := row.Scan(&what, &of, &is)
				all = append(all, what+" "+of+" "+is)
				return err
			}, statement)
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	_, total, err := s.List(tb.Context(), query.Page{Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}}, time.Time{})
	if err != nil {
		tb.Fatal(err)
	}
	return strings.Join(all, "\n") + fmt.Sprintf("\n%d tasks", total)
}
