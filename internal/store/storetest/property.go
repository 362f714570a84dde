package storetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/task"
)

// keep leaves what is purged as it is.
func keep(t task.Task) (audit.Change, error) { return audit.Change{Change: task.Change{Task: t}}, nil }

// empty deletes everything: property tests use one store again and again.
func empty(tb *rapid.T, s Store) {
	tb.Helper()
	for {
		n, err := s.Purge(tb.Context(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), 1000, keep)
		if err != nil {
			tb.Fatalf("purge: %v", err)
		}
		if n == 0 {
			return
		}
	}
}

// testFilters compares lists of random tasks by random filters with what
// query.Match says of each task.
func testFilters(t trial) {
	s := t.store
	rapid.Check(t, func(rt *rapid.T) {
		empty(rt, s)
		tasks := querytest.Tasks(0, 25).Draw(rt, "tasks")
		if _, err := s.Import(rt.Context(), seq(tasks), false, start(), importEntry); err != nil {
			rt.Fatalf("import: %v", err)
		}
		for range 8 {
			page := query.Page{
				Limit: rapid.IntRange(0, 30).Draw(rt, "limit"), Offset: rapid.IntRange(0, 30).Draw(rt, "offset"),
				Count: true, Filter: querytest.Expr(tasks...).Draw(rt, "filter"), Sort: querytest.Sort().Draw(rt, "sort"),
			}
			if rapid.IntRange(0, 9).Draw(rt, "all") == 0 {
				page.Filter = nil
			}
			since := drawSince(rt, tasks)
			if wrong := checkPage(t, s, tasks, page, since); wrong != "" {
				rt.Fatal(wrong)
			}
			if wrong := checkAfter(t, s, tasks, page, since, rapid.IntRange(0, 20).Draw(rt, "behind")); wrong != "" {
				rt.Fatal(wrong)
			}
		}
	})
}

// drawSince draws a visibility: none, or one at a task's very time or beside it.
func drawSince(t *rapid.T, tasks []task.Task) time.Time {
	if len(tasks) == 0 || rapid.Bool().Draw(t, "shows all") {
		return everything()
	}
	from := rapid.SampledFrom(tasks).Draw(t, "visible after task").Created
	return from.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "ms beside")) * time.Millisecond)
}

// testCountsStayExact writes at random, in every way there is, and compares all
// counts with a model after each write.
func testCountsStayExact(t trial) {
	s := t.store
	rapid.Check(t, func(rt *rapid.T) {
		empty(rt, s)
		m := &model{tb: t, store: s, tasks: map[task.ID]task.Task{}}
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create, "report": m.report, "complete": m.complete, "clear": m.clear, "cancel": m.cancel,
			"import": m.load, "replace": m.replace, "purge": m.purge, "": m.check,
		})
	})
}

// model is what a store must hold.
type model struct {
	tb    testing.TB
	store Store
	tasks map[task.ID]task.Task
}

func (m *model) all() []task.Task {
	all := make([]task.Task, 0, len(m.tasks))
	for _, id := range slices.Sorted(maps.Keys(m.tasks)) {
		all = append(all, m.tasks[id])
	}
	return all
}

func (m *model) create(t *rapid.T) {
	tk := querytest.Task().Filter(func(tk task.Task) bool { return m.tasks[tk.ID].ID == "" }).Draw(t, "task")
	if _, _, err := m.store.Create(t.Context(), task.Change{Task: tk, Changed: true}, task.IdempotencyKey{}, audit.Entry{}); err != nil {
		t.Fatalf("create: %v", err)
	}
	m.tasks[tk.ID] = tk
}

func (m *model) update(t *rapid.T, fn func(task.Task) (task.Change, error)) {
	if len(m.tasks) == 0 {
		t.Skip("there is none")
	}
	id := rapid.SampledFrom(m.all()).Draw(t, "of").ID
	stored, err := m.store.Update(t.Context(), id, everything(), func(tk task.Task) (audit.Change, error) {
		c, err := fn(tk)
		return audit.Change{Change: c}, err
	})
	switch kind := task.KindOf(err); {
	case err == nil:
		m.tasks[id] = stored
	case kind != task.Conflict && kind != task.IllegalUpdate:
		t.Fatalf("update: %v", err)
	}
}

func (m *model) report(t *rapid.T) {
	m.update(t, func(tk task.Task) (task.Change, error) {
		return tk.ApplyReport(task.Report{Attempt: tk.Attempt}, tk.Created), nil
	})
}

func (m *model) complete(t *rapid.T) {
	status := rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status")
	m.update(t, func(tk task.Task) (task.Change, error) {
		return tk.ApplyReport(task.Report{Attempt: tk.Attempt, Completion: status}, tk.Created), nil
	})
}

func (m *model) clear(t *rapid.T) {
	status := rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status")
	m.update(t, func(tk task.Task) (task.Change, error) { return tk.ApplyClear(task.Clear{Status: status}, tk.Created) })
}

func (m *model) cancel(t *rapid.T) {
	m.update(t, func(tk task.Task) (task.Change, error) { return tk.ApplyCancel("p", "", tk.Created), nil })
}

func (m *model) load(t *rapid.T) {
	tasks := querytest.Tasks(0, 5).Filter(func(tasks []task.Task) bool {
		return !slices.ContainsFunc(tasks, func(tk task.Task) bool { return m.tasks[tk.ID].ID != "" })
	}).Draw(t, "tasks")
	if _, err := m.store.Import(t.Context(), seq(tasks), false, start(), importEntry); err != nil {
		t.Fatalf("import: %v", err)
	}
	for _, tk := range tasks {
		m.tasks[tk.ID] = tk
	}
}

func (m *model) replace(t *rapid.T) {
	if len(m.tasks) == 0 {
		t.Skip("there is none")
	}
	other := querytest.Task().Draw(t, "task")
	other.ID = rapid.SampledFrom(m.all()).Draw(t, "of").ID
	result, err := m.store.Import(t.Context(), seq([]task.Task{other}), true, start(), importEntry)
	if err != nil || result.Replaced+result.Unchanged != 1 {
		t.Fatalf("replace: %+v, %v", result, err)
	}
	if result.Replaced == 1 {
		m.tasks[other.ID] = other
	}
}

func (m *model) purge(t *rapid.T) {
	limit := rapid.IntRange(1, 4).Draw(t, "limit")
	old := expected(m.all(), nil, everything(), false)
	before := start()
	if len(old) > 0 {
		before = m.tasks[rapid.SampledFrom(old).Draw(t, "until")].Created
	}
	n, err := m.store.Purge(t.Context(), before, limit, keep)
	if err != nil {
		t.Fatalf("purge: %v", err)
	}
	gone := 0
	for _, id := range old {
		if gone < limit && !m.tasks[id].Created.After(before) {
			delete(m.tasks, id)
			gone++
		}
	}
	if n != gone {
		t.Fatalf("%d were purged, want %d", n, gone)
	}
}

// check counts by some of all that can be counted by, from one moment on.
func (m *model) check(t *rapid.T) {
	tasks := m.all()
	since := drawSince(t, tasks)
	filters := []query.Expr{nil, query.Null{Field: query.FieldStatus}}
	for f, values := range map[query.Field][]string{
		query.FieldStatus: words(task.CompletionStatuses()), query.FieldType: words(task.Types()), query.FieldKind: task.NewCatalog().Kinds(),
		query.FieldSource: nil, query.FieldLauncher: nil,
	} {
		for i := range tasks {
			if v, ok := query.TaskValues(&tasks[i])(f); ok {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		for _, v := range slices.Compact(values) {
			filters = append(filters, query.Compare{Field: f, Values: []string{v}})
		}
	}
	for _, filter := range rapid.SliceOfN(rapid.SampledFrom(filters), 1, 3).Draw(t, "counted by") {
		if wrong := checkPage(m.tb, m.store, tasks, query.Page{Count: true, Filter: filter, Sort: newestFirst()}, since); wrong != "" {
			t.Fatal(wrong)
		}
	}
	page := query.Page{Limit: 50, Offset: rapid.IntRange(0, 10).Draw(t, "offset"), Count: true, Sort: oldestFirst()}
	if wrong := checkPage(m.tb, m.store, tasks, page, since); wrong != "" {
		t.Fatal(wrong)
	}
}

func words[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return out
}
