package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

func openTemp(tb testing.TB) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{Path: filepath.Join(tb.TempDir(), "stint.db")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	return s
}

// tasksEvery returns n tasks, one every step.
func tasksEvery(n int, step time.Duration) []task.Task {
	tasks := make([]task.Task, n)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range tasks {
		tasks[i] = task.Task{
			ID: task.ID(fmt.Sprintf("%032x", i)), Type: task.QueuedTask, Kind: task.IdentityRefresh, UniqueName: strconv.Itoa(i),
			Launcher: "System", Created: at, Modified: at, Attempt: 1,
		}
		at = at.Add(step)
	}
	return tasks
}

func load(tb testing.TB, s *Store, tasks []task.Task) {
	tb.Helper()
	_, err := s.Import(tb.Context(), func(yield func(task.Task, error) bool) {
		for _, t := range tasks {
			if !yield(t, nil) {
				return
			}
		}
	}, false, time.Time{}, func(task.ImportResult) audit.Entry { return audit.Entry{} })
	if err != nil {
		tb.Fatal(err)
	}
}

// statementsOf returns the text of every statement that a read prepares.
func statementsOf(tb testing.TB, s *Store, read func(reading) error) []string {
	tb.Helper()
	r := <-s.readers
	defer func() { s.readers <- r }()
	before := r.stmts
	r.stmts = map[string]*sql.Stmt{}
	err := read(reading{r, tb.Context()})
	texts := slices.Sorted(maps.Keys(r.stmts))
	for _, stmt := range r.stmts {
		err = errors.Join(err, stmt.Close())
	}
	r.stmts = before
	if err != nil {
		tb.Fatal(err)
	}
	return texts
}

// explain returns SQLite's plan of a statement, one step a line.
func explain(tb testing.TB, s *Store, statement string) []string {
	tb.Helper()
	var steps []string
	err := s.readOne(tb.Context(), "explain", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var id, parent, unused int
			var step string
			err := row.Scan(&id, &parent, &unused, &step)
			steps = append(steps, step)
			return err
		}, "EXPLAIN QUERY PLAN "+statement, make([]any, strings.Count(statement, "?"))...)
	})
	if err != nil {
		tb.Fatalf("%v\n%s", err, statement)
	}
	return steps
}

// TestPlans holds the statements that lists really run against the indexes that
// are there for them.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	load(t, s, tasksEvery(10, time.Minute))
	compare := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	inProgress := query.Null{Field: query.FieldStatus}
	completed := func(o query.Order) query.Expr {
		return query.Range{Field: query.FieldCompleted, Order: o, Value: "2026-03-01T00:00:00.000Z"}
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = "v" + strconv.Itoa(i)
	}
	newest := []query.Sorter{{Field: query.FieldCreated, Desc: true}}
	for name, test := range map[string]struct {
		filter query.Expr
		index  string // of the page, and of what visibility cuts from the count
		sorts  bool   // may sort, as it merges several ranges
	}{
		"all":              {nil, "tasks_created", false},
		"in progress":      {inProgress, "tasks_in_progress", false},
		"kind":             {compare(query.FieldKind, "IDENTITY_REFRESH"), "tasks_kind", false},
		"type":             {compare(query.FieldType, "QPOC"), "tasks_type", false},
		"source":           {compare(query.FieldSource, "s"), "tasks_source", false},
		"status":           {compare(query.FieldStatus, "ERROR"), "tasks_status", false},
		"launcher":         {compare(query.FieldLauncher, "l"), "tasks_launcher", false},
		"kind in progress": {query.And{Terms: []query.Expr{compare(query.FieldKind, "IDENTITY_REFRESH"), inProgress}}, "tasks_in_progress_kind", false},
		"source and status": {
			query.And{Terms: []query.Expr{compare(query.FieldStatus, "ERROR"), compare(query.FieldSource, "s")}}, "tasks_s", false,
		},
		"not":              {query.Not{Term: compare(query.FieldSource, "s")}, "tasks_", false},
		"id":               {compare(query.FieldID, string(tasksEvery(1, 0)[0].ID)), "tasks_id", true},
		"ids":              {compare(query.FieldID, ids(500)...), "tasks_id", true},
		"kinds":            {compare(query.FieldKind, "IDENTITY_REFRESH", "ACCOUNT_DELETION"), "tasks_kind", true},
		"many sources":     {compare(query.FieldSource, many...), "tasks_source", true},
		"or":               {query.Or{Terms: []query.Expr{inProgress, compare(query.FieldStatus, "ERROR")}}, "tasks_", true},
		"or of and":        {query.Or{Terms: []query.Expr{query.And{Terms: []query.Expr{inProgress, compare(query.FieldSource, "a")}}, compare(query.FieldSource, "s")}}, "tasks_", true},
		"name":             {compare(query.FieldUniqueName, "a"), "tasks_unique_name", false},
		"names":            {compare(query.FieldUniqueName, "a", "b"), "tasks_unique_name", true},
		"target":           {compare(query.FieldTargetID, "a"), "tasks_target_id", false},
		"target's name":    {compare(query.FieldTargetName, "a"), "tasks_target_name", false},
		"beginning":        {query.Prefix{Field: query.FieldTargetName, Value: "a"}, "tasks_target_name", true},
		"launcher's":       {query.Prefix{Field: query.FieldLauncher, Value: "a"}, "tasks_launcher", true},
		"ended in a range": {query.And{Terms: []query.Expr{completed(query.NotLess), completed(query.Before)}}, "tasks_completed", true},
		"ended and failed": {query.And{Terms: []query.Expr{completed(query.NotLess), query.Not{Term: inProgress}}}, "tasks_completed", true},
		"long":             {query.Range{Field: query.FieldDuration, Order: query.After, Value: "60000"}, "tasks_duration", true},
		"nothing at all":   {query.And{Terms: []query.Expr{compare(query.FieldID, "no id"), compare(query.FieldSource, "s")}}, "tasks_created", false},
	} {
		for how, page := range map[string]query.Page{
			"newest page": {Limit: 250, Sort: newest},
			"oldest page": {Limit: 250, Sort: []query.Sorter{{Field: query.FieldCreated}}},
			"counted":     {Count: true, Limit: 50, Sort: newest},
			"far":         {Limit: 50, Offset: 900_000, Sort: newest},
			"far, oldest": {Limit: 50, Offset: 900_000, Sort: []query.Sorter{{Field: query.FieldCreated}}},
			"next":        {Limit: 50, Sort: newest, After: &query.Position{Created: time.UnixMilli(5), ID: task.ID(ids(1)[0])}},
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				page.Filter = test.filter
				texts := statementsOf(t, s, func(r reading) error {
					_, _, err := list(r, page, 1)
					return err
				})
				if len(texts) == 0 {
					t.Fatal("no statement")
				}
				for _, text := range texts {
					checkPlan(t, text, explain(t, s, text), test.index, test.sorts)
				}
			})
		}
	}
}

// TestSortedPlans holds the walks along the orders other than that of creation
// against their indexes: they enter them at the position, and sort nothing.
func TestSortedPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for field, test := range map[query.Field]struct{ enters, lacking string }{
		query.FieldCompleted:  {"(completed,created,id)", "tasks_completed (completed=?"},
		query.FieldDuration:   {"(duration,created,id)", "tasks_duration (duration=?"},
		query.FieldUniqueName: {"(unique_name,created,id)", ""},
		query.FieldTargetName: {"(target_name,created,id)", "tasks_target_name (target_name=?"},
		query.FieldLauncher:   {"(launcher,created,id)", ""},
		query.FieldKind:       {"(kind,created,id)", ""},
		query.FieldStatus:     {"(status,created,id)", "tasks_in_progress ("},
	} {
		for _, desc := range []bool{true, false} {
			value := "7"
			at := query.Position{Value: &value, Created: time.UnixMilli(5), ID: task.ID(ids(1)[0])}
			by := []query.Sorter{{Field: field, Desc: desc}}
			for _, page := range []query.Page{
				{Limit: 50, Sort: by},
				{Limit: 50, Sort: by, After: &at},
				{Limit: 50, Sort: by, After: &at, Filter: query.Contains{Field: query.FieldDescription, Value: "x"}},
			} {
				texts := statementsOf(t, s, func(r reading) error {
					_, _, err := list(r, page, 1)
					return err
				})
				enters, lacking := false, test.lacking == ""
				for _, text := range texts {
					steps := strings.Join(explain(t, s, text), "\n")
					if strings.Contains(steps, "TEMP B-TREE") {
						t.Errorf("%s: sorts: %s in the plan of %s", field, steps, text)
					}
					enters = enters || page.After == nil || strings.Contains(steps, test.enters)
					lacking = lacking || strings.Contains(steps, test.lacking)
				}
				if !enters || !lacking {
					t.Errorf("%s, %+v: enters its index at the position %v, finds those without %v", field, page, enters, lacking)
					for _, text := range texts {
						t.Logf("%s\n%q", text, explain(t, s, text))
					}
				}
			}
		}
	}
}

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%032x", i)
	}
	return all
}

func checkPlan(t *testing.T, text string, steps []string, index string, sorts bool) {
	t.Helper()
	found := false
	for _, step := range steps {
		table := strings.Contains(step, " tasks ") || strings.HasSuffix(step, " tasks")
		switch {
		case strings.HasPrefix(step, "SCAN") && (table || strings.Contains(step, "tallies")):
			t.Errorf("%q in the plan of %.400s", step, text)
		case strings.Contains(step, "TEMP B-TREE") && !sorts:
			t.Errorf("%q in the plan of %.400s", step, text)
		case table && strings.Contains(step, "INDEX "+index):
			found = true
		}
	}
	if strings.Contains(text, "FROM tasks") && !found {
		t.Errorf("the index %s is not used: %q in the plan of %.400s", index, steps, text)
	}
}

// TestOtherPlans looks at the statements that are always the same.
func TestOtherPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for text, want := range map[string]string{
		getSQL:     "SEARCH tasks USING INDEX tasks_id (id=?)",
		feedSQL:    "SCAN feed",
		lookEndSQL: "SEARCH tasks USING COVERING INDEX tasks_changed ((changed,id)>(?,?))",
		lookSQL + " ORDER BY changed, id LIMIT ?": "SEARCH tasks USING INDEX tasks_changed ((changed,id)>(?,?) AND (changed,id)<(?,?))",
		endedSQL:    "SEARCH tasks USING COVERING INDEX tasks_ended (completed>? AND completed<?)",
		nextPairSQL: "SEARCH tasks USING COVERING INDEX tasks_pair (kind=? AND <expr>>?)",
		nextKindSQL: "SEARCH tasks USING COVERING INDEX tasks_pair (kind>?)",
		newestSQL:   "SEARCH tasks USING INDEX tasks_pair (kind=? AND <expr>=? AND created>?)",
		overdueSQL:  "SEARCH tasks USING INDEX tasks_deadline (deadline>? AND deadline<?)",
		purgeSQL:    "SEARCH tasks USING COVERING INDEX tasks_created (created<?)",
		"SELECT " + sqlrow.TaskColumns + ", seq FROM tasks WHERE id = ?": "SEARCH tasks USING INDEX tasks_id (id=?)",
		"SELECT seq FROM history WHERE task_id = ? AND key = ?":          "SEARCH history USING PRIMARY KEY (task_id=?)",
		auditTipSQL:  "SEARCH audit_heads USING INTEGER PRIMARY KEY (rowid=?)",
		auditMoveSQL: "SEARCH audit_heads USING INTEGER PRIMARY KEY (rowid=?)",
		"SELECT task_id, fingerprint FROM idempotency JOIN tasks ON tasks.id = task_id WHERE key = ?":   "SEARCH idempotency USING PRIMARY KEY (key=?)",
		"DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE created <= ? LIMIT ?)": "SEARCH idempotency USING COVERING INDEX idempotency_created (created<?)",
		"DELETE FROM tallies WHERE dimension = ? AND value = ? AND level = ? AND bucket = ? AND n = 0":  "SEARCH tallies USING PRIMARY KEY (dimension=? AND value=? AND level=? AND bucket=?)",
		"SELECT coalesce(sum(n), 0) FROM tallies WHERE dimension = ? AND level = ? AND value IN (?, ?)": "SEARCH tallies USING PRIMARY KEY (dimension=? AND value=? AND level=?)",
		"SELECT at FROM history WHERE task_id = ? ORDER BY seq":                                         "SEARCH history USING PRIMARY KEY (task_id=?)",
		"UPDATE history SET count = count + 1, at = ?, text = ? WHERE task_id = ? AND seq = ?":          "SEARCH history USING PRIMARY KEY (task_id=? AND seq=?)",
		"DELETE FROM history WHERE task_id = ?":                                                         "SEARCH history USING PRIMARY KEY (task_id=?)",
		"UPDATE tasks SET modified = ? WHERE seq = ?":                                                   "SEARCH tasks USING INTEGER PRIMARY KEY (rowid=?)",
	} {
		steps := explain(t, s, text)
		if !slices.Contains(steps, want) || slices.ContainsFunc(steps, func(step string) bool { return strings.Contains(step, "TEMP B-TREE") }) {
			t.Errorf("the plan of %s is %q, want %q", text, steps, want)
		}
	}
}

// TestSeekLeavesLittle shows what a far offset costs: the rows of one short
// span, in both directions, with and without invisible rows.
func TestSeekLeavesLittle(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := tasksEvery(1500, (1<<tally.Shift(0)+1)*time.Millisecond) // at most one a span
	load(t, s, tasks)
	for _, since := range []int64{-1, tasks[249].Created.UnixMilli()} {
		for _, desc := range []bool{true, false} {
			for _, offset := range []int64{1, 100, 1000, 1249} {
				err := s.readOne(t.Context(), "seek", func(r reading) error {
					p, err := (&planner{r}).plan(nil)
					if err != nil {
						return err
					}
					l := &lister{reading: r, since: since, until: maxTime, plan: p}
					w := window{from: since, to: maxTime, skip: offset, desc: desc}
					if err := l.seek(&w); err != nil {
						return err
					}
					if w.skip > 1 {
						t.Errorf("offset %d, newest first %v, since %d: %d rows are left to skip", offset, desc, since, w.skip)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
