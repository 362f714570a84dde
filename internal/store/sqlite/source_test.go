package sqlite

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

func testSource(n int) source.Source {
	at := time.UnixMilli(int64(n)).UTC()
	return source.Source{
		ID: task.ID(strings.Repeat("0", 31) + string(rune('0'+n))), Name: "S" + string(rune('0'+n)), Type: source.DelimitedFile,
		File:    source.File{AccountID: "id", MultiValueSeparator: ",", Delimiter: ","},
		Created: at, Modified: at,
	}
}

func addSource(tb testing.TB, s *Store, n int) source.Source {
	tb.Helper()
	src := testSource(n)
	if err := s.CreateSource(tb.Context(), src, audit.Entry{}); err != nil {
		tb.Fatal(err)
	}
	return src
}

// TestSourcePlans holds the statements about sources against the indexes that
// are there for them.
func TestSourcePlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	const byID, byName = "sqlite_autoindex_sources_1", "sqlite_autoindex_sources_2"
	for text, want := range map[string]string{
		sourceSQL:      "SEARCH sources USING INDEX " + byID + " (id=?)",
		sourceNamedSQL: "SEARCH sources USING INDEX " + byName + " (name=?)",
		activeRunSQL:   "SEARCH runs USING INDEX runs_active (source=? AND class=?)",
		"UPDATE sources SET name = ?, modified = ?, settings = ? WHERE seq = ?": "SEARCH sources USING INTEGER PRIMARY KEY (rowid=?)",
	} {
		if steps := explain(t, s, text); !slices.Contains(steps, want) {
			t.Errorf("the plan of %s is %q, want %q", text, steps, want)
		}
	}
	for name, test := range map[string]struct {
		filter query.Expr
		want   string
	}{
		"all, in order":  {nil, "SCAN sources USING INDEX " + byName},
		"by id":          {query.Compare{Field: query.FieldID, Values: []string{strings.Repeat("0", 32)}}, "SEARCH sources USING INDEX " + byID + " (id=?)"},
		"by name":        {query.Compare{Field: query.FieldName, Values: []string{"a"}}, "SEARCH sources USING INDEX " + byName + " (name=?)"},
		"by three names": {query.Compare{Field: query.FieldName, Values: []string{"a", "b", "c"}}, "SEARCH sources USING INDEX " + byName + " (name=?)"},
	} {
		page := query.Page{Limit: 10, Filter: test.filter, Sort: []query.Sorter{{Field: query.FieldName}}}
		for _, text := range statementsOf(t, s, func(r reading) error { return r.sources(page, nil, nil) }) {
			steps := explain(t, s, text)
			sorts := slices.ContainsFunc(steps, func(step string) bool { return strings.Contains(step, "TEMP B-TREE") })
			if !slices.Contains(steps, test.want) || sorts {
				t.Errorf("%s: the plan of %s is %q, want %q", name, text, steps, test.want)
			}
		}
	}
}

// exec writes what no method of the store writes.
func exec(tb testing.TB, s *Store, statement string, args ...any) {
	tb.Helper()
	if err := s.do(tb.Context(), "test", func(t *txn) error { return t.exec(statement, args...) }); err != nil {
		tb.Fatal(err)
	}
}

func TestDeleteSourceEndsWhatRuns(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	src, other := addSource(t, s, 1), addSource(t, s, 2)
	exec(t, s, "UPDATE sources SET accounts = 3, entitlements = 2 WHERE id = ?", sqlrow.Blob(src.ID))
	tasks := tasksEvery(4, time.Second)
	tasks[3].Status, tasks[3].Completed = task.Success, tasks[3].Created
	load(t, s, tasks)
	for i, run := range []struct {
		source, class int64
		active        any
	}{{1, int64(account.Accounts), 1}, {1, int64(account.Entitlements), 1}, {2, int64(account.Accounts), 1}, {1, int64(account.Accounts), nil}} {
		exec(t, s, "INSERT INTO runs (task_id, source, class, active, state) VALUES (?, ?, ?, ?, x'7b7d')",
			sqlrow.Blob(tasks[i].ID), run.source, run.class, run.active)
	}
	now := time.UnixMilli(1e13).UTC()
	end := func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: tk.ApplyCancel("p", "its source was deleted", now), Entry: &audit.Entry{Object: string(tk.ID)}}, nil
	}
	gone, err := s.DeleteSource(t.Context(), src.ID, end, func(d source.Deletion) (audit.Entry, error) {
		return audit.Entry{Object: string(d.Source.ID), Action: audit.SourceDelete}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if gone.Accounts != 3 || gone.Entitlements != 2 || gone.Source.Accounts != 3 || len(gone.Ended) != 2 {
		t.Errorf("the deletion says %+v", gone)
	}
	for i, tk := range tasks {
		row, err := s.Get(t.Context(), tk.ID, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if ended := row.State == task.Completed; ended != (i != 2) {
			t.Errorf("task %d has ended: %v", i, ended)
		}
		events, err := s.History(t.Context(), tk.ID)
		if err != nil {
			t.Fatal(err)
		}
		cancelled := slices.ContainsFunc(events, func(e task.Event) bool { return e.Name == task.EventCancelled })
		entries, err := s.Audit(t.Context(), string(tk.ID))
		if err != nil || cancelled != (i < 2) || (len(entries) > 0) != (i < 2) {
			t.Errorf("task %d: cancelled %v, audit %v, %v", i, cancelled, entries, err)
		}
	}
	for i, tk := range gone.Ended {
		if tk.ID != tasks[i].ID || tk.Status != task.Terminated {
			t.Errorf("ended as %q: %s", tk.Status, tk.ID)
		}
	}
	var ref []byte
	err = s.readOne(t.Context(), "test", func(r reading) error {
		return r.queryRow("SELECT ref FROM garbage WHERE sort = 'source'").Scan(&ref)
	})
	if err != nil || hex.EncodeToString(ref) != "0000000000000001" {
		t.Errorf("garbage names %x, %v; want the row number in eight bytes", ref, err)
	}
	if _, err := s.Source(t.Context(), other.ID); err != nil {
		t.Error(err)
	}
	// Its row number is never given to another, whose accounts would be swept.
	if err := s.CreateSource(t.Context(), src, audit.Entry{}); err != nil {
		t.Fatal(err)
	}
	var seq int64
	err = s.readOne(t.Context(), "test", func(r reading) error {
		return r.queryRow("SELECT seq FROM sources WHERE id = ?", sqlrow.Blob(src.ID)).Scan(&seq)
	})
	if err != nil || seq != 3 {
		t.Errorf("the new source has the row number %d, %v", seq, err)
	}
}

// A task that cannot be ended keeps its source.
func TestDeleteSourceAllOrNothing(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	src := addSource(t, s, 1)
	tasks := tasksEvery(2, time.Second)
	load(t, s, tasks)
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		exec(t, s, "INSERT INTO runs (task_id, source, class, active, state) VALUES (?, 1, ?, 1, x'7b7d')", sqlrow.Blob(tasks[i].ID), class)
	}
	for name, fail := range map[string]func(task.Task) (audit.Change, error){
		"an error": func(task.Task) (audit.Change, error) {
			return audit.Change{}, task.Errorf(task.IllegalUpdate, "", "no")
		},
		"a refusal": func(tk task.Task) (audit.Change, error) {
			return audit.Change{Change: task.Change{Task: tk, Err: task.Errorf(task.Conflict, "", "no")}}, nil
		},
	} {
		end := func(tk task.Task) (audit.Change, error) {
			if tk.ID == tasks[1].ID {
				return fail(tk)
			}
			return audit.Change{Change: tk.ApplyCancel("p", "", time.UnixMilli(0))}, nil
		}
		_, err := s.DeleteSource(t.Context(), src.ID, end, func(source.Deletion) (audit.Entry, error) { return audit.Entry{}, nil })
		if err == nil {
			t.Fatalf("%s: deleted", name)
		}
		if _, err := s.Source(t.Context(), src.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, tk := range tasks {
			if row, err := s.Get(t.Context(), tk.ID, time.Time{}); err != nil || row.State == task.Completed {
				t.Errorf("%s: task %s is %s, %v", name, tk.ID, row.State, err)
			}
		}
	}
}
