package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

func openTemp(tb testing.TB) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), Options{URL: pgtest.URL(tb), MaxConns: minConns})
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

// analyze takes the statistics of the store's own tables. A plain ANALYZE, in whatever
// test, takes those of all tests in the database: a table that is half loaded by then
// has pages, but no rows that count, and is planned for as if it held one.
func analyze(tb testing.TB, s *Store) {
	tb.Helper()
	mustExec(tb, s, `DO $$ DECLARE own text; BEGIN
		FOR own IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP EXECUTE format('ANALYZE %I', own); END LOOP;
		END $$`)
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

// busy returns n tasks as a site has them: many that have ended well, few that are
// in progress or went wrong, of some sources more than of others.
func busy(n int) []task.Task {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []task.Kind{"CLOUD_ACCOUNT_AGGREGATION", "CLOUD_ACCOUNT_AGGREGATION", "CLOUD_ACCOUNT_AGGREGATION", task.IdentityRefresh, "RARE_KIND"}
	tasks := make([]task.Task, n)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := range tasks {
		tk := task.Task{
			ID: task.ID(fmt.Sprintf("%032x", i)), Type: task.QueuedTask, Kind: kinds[min(r.IntN(50)/12, 3+r.IntN(2))],
			UniqueName: strconv.Itoa(i), Launcher: "System", Created: at, Modified: at, Attempt: 1,
			SourceID: "Source-" + strconv.Itoa(r.IntN(1+r.IntN(200))),
		}
		if i%2 == 0 {
			tk.Target = &task.Target{ID: "Target " + strconv.Itoa(i%200), Name: "Name " + strconv.Itoa(i%200)}
		}
		if i%100 == 0 {
			tk.Launcher = "Zoë"
		}
		if r.IntN(200) > 0 {
			tk.Status, tk.Launched, tk.Completed = task.Success, at, at.Add(time.Duration(r.IntN(600))*time.Second)
			if r.IntN(100) == 0 {
				tk.Status = task.Failure
			}
		}
		tasks[i] = tk
		at = at.Add(time.Minute)
	}
	return tasks
}

// node is a step of a plan of the server's.
type node struct {
	Type    string  `json:"Node Type"`
	Table   string  `json:"Relation Name"`
	Index   string  `json:"Index Name"`
	Rows    float64 `json:"Actual Rows"`
	Loops   float64 `json:"Actual Loops"`
	Removed float64 `json:"Rows Removed by Filter"`
	Plans   []node  `json:"Plans"`
}

// scanned is how many rows of a table a step and those below it have looked at.
func (n *node) scanned(table string) float64 {
	var sum float64
	if n.Table == table {
		sum = (n.Rows + n.Removed) * n.Loops
	}
	for i := range n.Plans {
		sum += n.Plans[i].scanned(table)
	}
	return sum
}

func (n *node) each(fn func(*node)) {
	fn(n)
	for i := range n.Plans {
		n.Plans[i].each(fn)
	}
}

func (n *node) String() string {
	var b strings.Builder
	n.each(func(n *node) {
		fmt.Fprintf(&b, "%s %s %s, %.0f rows, %.0f removed, %.0f times\n", n.Type, n.Table, n.Index, n.Rows, n.Removed, n.Loops)
	})
	return b.String()
}

// explained is a statement that was run, and how.
type explained struct {
	query string
	plan  node
}

// explainer runs statements, each after the server has said how it does so.
type explainer struct {
	session
	tb   testing.TB
	seen []explained
}

func (e *explainer) explain(ctx context.Context, statement string, args []any) {
	e.tb.Helper()
	if strings.HasPrefix(statement, "SET") {
		return
	}
	var text []byte
	if err := e.session.QueryRow(ctx, "EXPLAIN (ANALYZE, TIMING off, FORMAT JSON) "+statement, args...).Scan(&text); err != nil {
		e.tb.Fatalf("explain: %v\n%.2000s", err, statement)
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal(text, &plans); err != nil {
		e.tb.Fatal(err)
	}
	e.seen = append(e.seen, explained{statement, plans[0].Plan})
}

func (e *explainer) Query(ctx context.Context, statement string, args ...any) (pgx.Rows, error) {
	e.explain(ctx, statement, args)
	return e.session.Query(ctx, statement, args...)
}

func (e *explainer) QueryRow(ctx context.Context, statement string, args ...any) pgx.Row {
	e.explain(ctx, statement, args)
	return e.session.QueryRow(ctx, statement, args...)
}

// explainList returns the statements of a list.
func explainList(tb testing.TB, s *Store, read func(reading) error) []explained {
	tb.Helper()
	e := &explainer{tb: tb}
	err := s.readList(tb.Context(), "explain", func(r reading) error {
		e.session, e.seen = r.conn, nil
		r.conn = e
		return read(r)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return e.seen
}

// plannedTasks is how many tasks TestPlans stores, unless STINT_PLAN_TASKS says more.
const plannedTasks = 20_000

// planned is a filter, and how lists by it are to be read.
type planned struct {
	filter  query.Expr
	index   string // of the page, and of what visibility cuts from the count
	merges  bool   // may sort, as it merges several ranges
	ids     int    // that the filter names: at how many rows at most a page may look besides its own
	matches int    // of how many of plannedTasks rows at most a page may look at; 0 is of its own
	walks   bool   // looks at all tasks, in their order
}

func plannedFilters() map[string]planned {
	compare := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	and := func(terms ...query.Expr) query.Expr { return query.And{Terms: terms} }
	or := func(terms ...query.Expr) query.Expr { return query.Or{Terms: terms} }
	inProgress := query.Null{Field: query.FieldStatus}
	ended := func(o query.Order, hours int) query.Expr {
		at := time.Date(2026, 3, 11, hours, 0, 0, 0, time.UTC)
		return query.Range{Field: query.FieldCompleted, Order: o, Value: task.FormatTime(at)}
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = "SOURCE-" + strconv.Itoa(150+i)
	}
	ids := make([]string, 500)
	for i := range ids {
		ids[i] = fmt.Sprintf("%032x", i*7)
	}
	return map[string]planned{
		"all":               {filter: nil, index: "tasks_created"},
		"in progress":       {filter: inProgress, index: "tasks_in_progress"},
		"kind":              {filter: compare(query.FieldKind, "CLOUD_ACCOUNT_AGGREGATION"), index: "tasks_kind"},
		"type":              {filter: compare(query.FieldType, "QUEUED_TASK"), index: "tasks_type"},
		"source":            {filter: compare(query.FieldSource, "sOURCE-3"), index: "tasks_source"},
		"status":            {filter: compare(query.FieldStatus, "ERROR"), index: "tasks_status"},
		"common status":     {filter: compare(query.FieldStatus, "SUCCESS"), index: "tasks_status"},
		"launcher":          {filter: compare(query.FieldLauncher, "zoë"), index: "tasks_launcher"},
		"nobody":            {filter: compare(query.FieldLauncher, "nobody"), index: "tasks_launcher"},
		"long source":       {filter: compare(query.FieldSource, strings.Repeat("ü", 1000)), index: "tasks_source"},
		"kind in progress":  {filter: and(compare(query.FieldKind, "IDENTITY_REFRESH"), inProgress), index: "tasks_in_progress_kind", matches: 40},
		"source and status": {filter: and(compare(query.FieldStatus, "SUCCESS"), compare(query.FieldSource, "source-199")), index: "tasks_source", matches: 100},
		"status and source": {filter: and(compare(query.FieldSource, "source-0"), compare(query.FieldStatus, "ERROR")), index: "tasks_status", matches: 300},
		"not":               {filter: query.Not{Term: compare(query.FieldSource, "source-3")}, index: "tasks_created", walks: true},
		"id":                {filter: compare(query.FieldID, ids[77]), index: "tasks_pkey", merges: true},
		"ids":               {filter: compare(query.FieldID, ids...), index: "tasks_pkey", merges: true, ids: 1000},
		"kinds":             {filter: compare(query.FieldKind, "IDENTITY_REFRESH", "RARE_KIND"), index: "tasks_kind", merges: true},
		"many sources":      {filter: compare(query.FieldSource, many...), index: "tasks_source", merges: true, matches: 4000},
		"or":                {filter: or(inProgress, compare(query.FieldStatus, "ERROR")), index: "tasks_", merges: true, matches: 1000},
		"or of and": {
			filter: or(and(inProgress, compare(query.FieldSource, "source-1")), compare(query.FieldSource, "source-2")),
			index:  "tasks_", merges: true, matches: 1500,
		},
		"name":             {filter: compare(query.FieldUniqueName, "777"), index: "tasks_unique_name"},
		"names":            {filter: compare(query.FieldUniqueName, "777", "778"), index: "tasks_unique_name", merges: true},
		"target":           {filter: compare(query.FieldTargetID, "target 77"), index: "tasks_target_id", matches: 100},
		"beginning":        {filter: query.Prefix{Field: query.FieldTargetName, Value: "NAME 77"}, index: "tasks_target_name", merges: true, matches: 110},
		"ended in a range": {filter: and(ended(query.NotLess, 0), ended(query.Before, 1)), index: "tasks_completed", merges: true, matches: 70},
		"ended and failed": {
			filter: and(ended(query.NotLess, 0), ended(query.Before, 1), compare(query.FieldStatus, "ERROR")), index: "tasks_completed", merges: true, matches: 70,
		},
		"long":           {filter: query.Range{Field: query.FieldDuration, Order: query.After, Value: "598000"}, index: "tasks_duration", merges: true, matches: 100},
		"nothing at all": {filter: and(compare(query.FieldID, "no id"), compare(query.FieldSource, "source-1")), merges: true},
	}
}

// TestPlans holds the statements that lists really run against the indexes that
// are there for them, with the server's statistics and without.
func TestPlans(t *testing.T) {
	t.Parallel()
	n := plannedTasks
	if given, err := strconv.Atoi(os.Getenv("STINT_PLAN_TASKS")); err == nil {
		n = max(n, given)
	}
	s := openTemp(t)
	if _, err := s.pool.Exec(t.Context(), "ALTER TABLE tasks SET (autovacuum_enabled = off)"); err != nil {
		t.Fatal(err)
	}
	tasks := busy(n)
	for some := range slices.Chunk(tasks, plannedTasks) { // a larger import takes statistics
		load(t, s, some)
	}
	visible := tasks[n/5].Created.UnixMilli()
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for name, test := range plannedFilters() {
			for how, page := range map[string]query.Page{
				"newest page": {Limit: 50, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}},
				"oldest page": {Limit: 50, Sort: []query.Sorter{{Field: query.FieldCreated}}},
				"counted":     {Count: true, Limit: 50, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}},
				"far":         {Limit: 50, Offset: n * 9 / 20, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}},
				"far, oldest": {Limit: 50, Offset: n * 9 / 20, Sort: []query.Sorter{{Field: query.FieldCreated}}},
			} {
				t.Run(fmt.Sprintf("%s, %s, analyzed %v", name, how, analyzed), func(t *testing.T) {
					page.Filter = test.filter
					seen := explainList(t, s, func(r reading) error {
						_, _, err := list(r, page, visible)
						return err
					})
					for _, one := range seen {
						checkPlan(t, n, &one, &test, &page)
					}
				})
			}
		}
	}
	checkSortedPlans(t, s)
}

// checkSortedPlans holds the walks along the orders other than that of creation
// against their indexes: they enter them at the position, sort nothing, and look at no
// more than the page.
func checkSortedPlans(t *testing.T, s *Store) {
	t.Helper()
	for _, field := range []query.Field{
		query.FieldCompleted, query.FieldDuration, query.FieldUniqueName, query.FieldTargetName, query.FieldLauncher, query.FieldKind,
		query.FieldStatus,
	} {
		for _, desc := range []bool{true, false} {
			by := []query.Sorter{{Field: field, Desc: desc}}
			far, _, err := s.List(t.Context(), query.Page{Limit: 1, Offset: plannedTasks / 3, Sort: by}, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			at := &query.Position{Value: far[0].SortKey, Created: far[0].Created, ID: far[0].ID}
			for how, page := range map[string]query.Page{
				"first": {Limit: 50, Sort: by}, "next": {Limit: 50, Sort: by, After: at},
				"filtered": {Limit: 50, Sort: by, After: at, Filter: query.Not{Term: query.Compare{Field: query.FieldLauncher, Values: []string{"zoë"}}}},
			} {
				seen := explainList(t, s, func(r reading) error {
					_, _, err := list(r, page, -1)
					return err
				})
				for _, one := range seen {
					if !strings.Contains(one.query, "FROM tasks") {
						continue
					}
					one.plan.each(func(n *node) {
						if strings.Contains(n.Type, "Sort") || n.Type == "Seq Scan" {
							t.Errorf("%s, %s: %s", field, how, n.Type)
						}
					})
					if got := one.plan.scanned("tasks"); got > 120 {
						t.Errorf("%s, %s, newest first %v: looks at %.0f tasks", field, how, desc, got)
					}
					if t.Failed() {
						t.Fatalf("%s\n%s", one.query, &one.plan)
					}
				}
			}
		}
	}
}

func checkPlan(t *testing.T, n int, one *explained, test *planned, page *query.Page) {
	t.Helper()
	if !strings.Contains(one.query, "FROM tasks") {
		return // of the counts, which are few
	}
	counts := strings.Contains(one.query, "count(*)")
	reads := counts && test.walks // all tasks, in whatever order
	used := test.index == ""
	one.plan.each(func(n *node) {
		switch {
		case n.Type == "Seq Scan" && n.Table == "tasks" && !reads:
			t.Errorf("all tasks are read")
		case strings.Contains(n.Type, "Sort") && !test.merges:
			t.Errorf("it sorts")
		case n.Table == "tasks" && strings.HasPrefix(n.Index, test.index):
			used = true
		}
	})
	if !used && !reads {
		t.Errorf("the index %s is not used", test.index)
	}
	// A page looks at its own rows, those of the others that it is merged from,
	// and, past an offset, those of one span.
	ranges := 1
	if test.merges {
		ranges = 4
	}
	most := test.ids + test.matches*(n/plannedTasks) + ranges*(page.Limit+20)
	if test.walks {
		most += page.Limit + page.Offset + n/20
		if counts {
			most = n
		}
	}
	if got := one.plan.scanned("tasks"); got > float64(most) {
		t.Errorf("it looks at %.0f tasks, at most %d would do", got, most)
	}
	if t.Failed() {
		t.Fatalf("%.1000s\n%s", one.query, &one.plan)
	}
}

// TestOtherPlans looks at the statements that are always the same, on tables that
// are too large to be read.
func TestOtherPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	load(t, s, busy(5000))
	if _, err := s.pool.Exec(t.Context(), `INSERT INTO deadlines SELECT id, created FROM tasks;
		INSERT INTO idempotency SELECT uuid_send(id), ''::bytea, id, created FROM tasks;
		INSERT INTO audit SELECT i % 16, i, ''::bytea, i, 'task.clear', 'ann', '', '', '', md5(i::text), md5(i::text), NULL, NULL, '', ''
			FROM generate_series(2, 20000) i`); err != nil {
		t.Fatal(err)
	}
	analyze(t, s)
	id := sqlrow.Blob(busy(9)[8].ID)
	for _, test := range []struct {
		query, index string
		args         []any
	}{
		{getSQL, "tasks_pkey", []any{id, 0}},
		{loadSQL, "tasks_pkey", []any{id}},
		{purgeSQL, "tasks_created", []any{0, 100}},
		{overdueSQL, "deadlines_deadline", []any{0, 100}},
		{firstSQL, "idempotency_pkey", []any{id}},
		{purgeKeysSQL, "idempotency_created", []any{0, 100}},
		{historySQL, "history_pkey", []any{id}},
		{historyEndSQL, "history_pkey", []any{id}},
		{historyKeySQL, "history_pkey", []any{id, "k"}},
		{historyDeleteSQL, "history_pkey", []any{id}},
		{importLoadSQL, "tasks_pkey", []any{[][]byte{id, id}}},
		{auditGetSQL, "audit_pkey", []any{3, 7}},
		{auditObjectSQL, "audit_object", []any{"o", "o", 3}},
		{auditPrefixSQL, "audit_pkey", []any{3, 10}},
		{auditDeleteSQL, "audit_pkey", []any{3, 10}},
	} {
		t.Run(test.index+" "+test.query[:min(40, len(test.query))], func(t *testing.T) {
			t.Parallel()
			tx, err := s.pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			var text []byte
			if err := tx.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+number(test.query), test.args...).Scan(&text); err != nil {
				t.Fatal(err)
			}
			var plans []struct{ Plan node }
			if err := json.Unmarshal(text, &plans); err != nil {
				t.Fatal(err)
			}
			used := false
			plans[0].Plan.each(func(n *node) {
				used = used || n.Index == test.index
				if n.Type == "Seq Scan" {
					t.Errorf("the whole of %s is read", n.Table)
				}
			})
			if !used {
				t.Errorf("the index %s is not used:\n%s", test.index, &plans[0].Plan)
			}
		})
	}
}

// TestAuditPlans holds the lists of the audit against their indexes.
func TestAuditPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	if _, err := s.pool.Exec(t.Context(), `ALTER TABLE audit SET (autovacuum_enabled = off);
		INSERT INTO audit SELECT i % 16, i, ''::bytea, i, 'task.clear', 'Ann' || i % 7, 'client' || i % 50, '', '', 'R' || i, 'O' || i % 5000,
			NULL, NULL, '', '' FROM generate_series(2, 20000) i`); err != nil {
		t.Fatal(err)
	}
	compare := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	places := []string{string(audit.Place{Shard: 3, Number: 3}.ID()), string(audit.Place{Shard: 4, Number: 4}.ID())}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for name, test := range map[string]planned{
			"all":     {index: "audit_created"},
			"object":  {filter: compare(query.FieldObject, "o77"), index: "audit_object"},
			"objects": {filter: compare(query.FieldObject, "o77", "o78", "o79"), index: "audit_object", merges: true},
			"request": {filter: compare(query.FieldRequest, "r77"), index: "audit_request"},
			"client":  {filter: compare(query.FieldClient, "client7"), index: "audit_client"},
			"actor":   {filter: compare(query.FieldActor, "ann3"), index: "audit_actor"},
			"action":  {filter: compare(query.FieldAction, "task.clear"), index: "audit_action"},
			"ids":     {filter: compare(query.FieldID, places...), index: "audit_pkey", merges: true},
			"of one": {
				filter: query.And{Terms: []query.Expr{compare(query.FieldAction, "task.clear"), compare(query.FieldObject, "o77")}}, index: "audit_object",
			},
		} {
			t.Run(fmt.Sprintf("%s, analyzed %v", name, analyzed), func(t *testing.T) {
				for _, desc := range []bool{false, true} {
					c := auditPage(query.Simplify(test.filter), query.Page{Limit: 50, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: desc}}})
					seen := explainList(t, s, func(r reading) error {
						return r.each(func(rowScanner) error { return nil }, c.sql, c.args...)
					})
					used := false
					seen[0].plan.each(func(n *node) {
						used = used || n.Table == "audit" && n.Index == test.index
						if n.Type == "Seq Scan" || strings.Contains(n.Type, "Sort") && !test.merges {
							t.Errorf("%s %s", n.Type, n.Table)
						}
					})
					if got := seen[0].plan.scanned("audit"); !used || got > 200 {
						t.Errorf("it looks at %.0f entries", got)
					}
					if t.Failed() {
						t.Fatalf("%s\n%s", seen[0].query, &seen[0].plan)
					}
				}
			})
		}
	}
}

// TestSeekLeavesLittle shows what a far offset costs: the rows of one short
// span, in both directions, with and without invisible rows, folded and not.
func TestSeekLeavesLittle(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	tasks := busy(1500)
	for i := range tasks { // at most one a span
		tasks[i].Created = tasks[0].Created.Add(time.Duration(i) * (1<<tally.Shift(0) + 1) * time.Millisecond)
	}
	load(t, s, tasks)
	for range 2 {
		for _, since := range []int64{-1, tasks[249].Created.UnixMilli()} {
			for _, desc := range []bool{true, false} {
				for _, offset := range []int64{1, 100, 1000, 1249} {
					err := s.readList(t.Context(), "seek", func(r reading) error {
						l := &lister{reading: r, since: since, until: maxTime, plan: everything()}
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
		fold(t, s)
	}
}

// fold folds all counts.
func fold(tb testing.TB, s *Store) {
	tb.Helper()
	for {
		more, err := s.FoldTallies(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		if !more {
			return
		}
	}
}

// TestScriptsAreNumbered counts the migrations: the number of the last is the version.
func TestScriptsAreNumbered(t *testing.T) {
	t.Parallel()
	names := scripts()
	if !slices.IsSorted(names) || len(names) == 0 {
		t.Fatalf("the migrations are %q", names)
	}
	for i, name := range names {
		if !strings.HasPrefix(name, fmt.Sprintf("migrations/%03d_", i+1)) {
			t.Errorf("migration %d is called %s", i+1, name)
		}
	}
}
