package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// start is when the first task of a case is created: in the middle of a second,
// so that what is lost below it shows.
func start() time.Time { return time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC) }

// everything is the visibility that shows all.
func everything() time.Time { return time.Time{} }

func idOf(n int) task.ID { return task.ID(fmt.Sprintf("%032x", n)) }

// launched returns the change of a launch, n milliseconds after start.
func launched(tb testing.TB, n int) task.Change {
	tb.Helper()
	definition, ok := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	if !ok {
		tb.Fatal("no definition")
	}
	c, err := task.NewTask(idOf(n), task.Launch{Definition: definition}, "tester", start().Add(time.Duration(n)*time.Millisecond))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// launchEntry is the audit entry of a launch.
func launchEntry(c task.Change) audit.Entry {
	return audit.Entry{At: c.Task.Created, Origin: audit.Origin{Actor: "tester"}, Action: audit.Launch, Object: string(c.Task.ID)}
}

// launch stores the n-th task.
func launch(tb testing.TB, s Store, n int) task.Task {
	tb.Helper()
	c := launched(tb, n)
	return create(tb, s, c)
}

func create(tb testing.TB, s Store, c task.Change) task.Task {
	tb.Helper()
	stored, created, err := s.Create(tb.Context(), c, task.IdempotencyKey{}, launchEntry(c))
	if err != nil || !created {
		tb.Fatalf("create %s: %v, %v", c.Task.ID, created, err)
	}
	return stored
}

// change returns the function of an update without an audit entry.
func change(fn func(task.Task) task.Change) audit.UpdateFunc {
	return func(t task.Task) (audit.Change, error) { return audit.Change{Change: fn(t)}, nil }
}

func update(tb testing.TB, s Store, id task.ID, fn func(task.Task) task.Change) task.Task {
	tb.Helper()
	stored, err := s.Update(tb.Context(), id, everything(), change(fn))
	if err != nil {
		tb.Fatalf("update %s: %v", id, err)
	}
	return stored
}

// read returns the whole task, as a write sees it.
func read(tb testing.TB, s Store, id task.ID) task.Task {
	tb.Helper()
	return update(tb, s, id, func(t task.Task) task.Change { return task.Change{Task: t} })
}

func get(tb testing.TB, s Store, id task.ID) task.Row {
	tb.Helper()
	row, err := s.Get(tb.Context(), id, everything())
	if err != nil {
		tb.Fatalf("get %s: %v", id, err)
	}
	return row
}

func history(tb testing.TB, s Store, id task.ID) []task.Event {
	tb.Helper()
	events, err := s.History(tb.Context(), id)
	if err != nil {
		tb.Fatalf("history of %s: %v", id, err)
	}
	return events
}

func names(events []task.Event) string {
	all := make([]string, len(events))
	for i, e := range events {
		all[i] = string(e.Name)
	}
	return strings.Join(all, " ")
}

func entries(tb testing.TB, s Store, object string) []audit.Entry {
	tb.Helper()
	found, err := s.Audit(tb.Context(), object)
	if err != nil {
		tb.Fatalf("audit of %s: %v", object, err)
	}
	return found
}

func actions(all []audit.Entry) string {
	words := make([]string, len(all))
	for i, e := range all {
		words[i] = string(e.Action)
	}
	return strings.Join(words, " ")
}

// wantKind fails unless err is a *task.Error of a kind.
func wantKind(tb testing.TB, err error, kind task.ErrorKind) *task.Error {
	tb.Helper()
	e, ok := errors.AsType[*task.Error](err)
	if !ok || e.Kind != kind {
		tb.Fatalf("got the error %v, want one of kind %d", err, kind)
	}
	return e
}

// sameTask compares two tasks; nothing and empty are the same.
func sameTask(want, got task.Task) string { return cmp.Diff(want, got, cmpopts.EquateEmpty()) }

// wantStored fails unless the store holds exactly this task, however it is read.
func wantStored(tb testing.TB, s Store, want task.Task) {
	tb.Helper()
	if diff := sameTask(want, read(tb, s, want.ID)); diff != "" {
		tb.Errorf("task %s in a write (-want +got):\n%s", want.ID, diff)
	}
	row, err := task.NewRow(&want)
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(show(row), show(get(tb, s, want.ID))); diff != "" {
		tb.Errorf("task %s read (-want +got):\n%s", want.ID, diff)
	}
	page := query.Page{Limit: 1, Sort: newestFirst(), Filter: query.Compare{Field: query.FieldID, Values: []string{string(want.ID)}}}
	rows, _, err := s.List(tb.Context(), page, everything())
	if err != nil || len(rows) != 1 {
		tb.Fatalf("list %s: %d rows, %v", want.ID, len(rows), err)
	}
	if diff := cmp.Diff(show(row), show(rows[0])); diff != "" {
		tb.Errorf("task %s listed (-want +got):\n%s", want.ID, diff)
	}
}

// shown is a row with its JSON as text, so that differences can be read.
type shown struct {
	Wire string
	Row  task.Row
}

func show(r task.Row) shown {
	s := shown{Wire: string(r.Wire), Row: r}
	s.Row.Wire = nil
	return s
}

func newestFirst() []query.Sorter { return []query.Sorter{{Field: query.FieldCreated, Desc: true}} }

func oldestFirst() []query.Sorter { return []query.Sorter{{Field: query.FieldCreated}} }

func seq(tasks []task.Task) iter.Seq2[task.Task, error] {
	return func(yield func(task.Task, error) bool) {
		for _, t := range tasks {
			if !yield(t, nil) {
				return
			}
		}
	}
}

func importEntry(r task.ImportResult) audit.Entry {
	after, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return audit.Entry{At: start(), Origin: audit.Origin{Actor: "tester"}, Action: audit.Import, Object: "tasks.ndjson", After: after}
}

// load stores tasks at once.
func load(tb testing.TB, s Store, tasks []task.Task) {
	tb.Helper()
	result, err := s.Import(tb.Context(), seq(tasks), false, start(), importEntry)
	if err != nil || result.Added != len(tasks) {
		tb.Fatalf("import %d tasks: %+v, %v", len(tasks), result, err)
	}
}

// idsOf returns the ids of rows.
func idsOf(tb testing.TB, rows []task.Row) []task.ID {
	tb.Helper()
	ids := make([]task.ID, len(rows))
	for i, r := range rows {
		var t struct{ ID task.ID }
		if err := json.Unmarshal(r.Wire, &t); err != nil {
			tb.Fatalf("row %d: %v: %s", i, err, r.Wire)
		}
		ids[i] = t.ID
	}
	return ids
}

// expected works out what a list must hold: the ids in their order.
func expected(tasks []task.Task, filter query.Expr, since time.Time, desc bool) []task.ID {
	return sorted(tasks, filter, since, query.Sorter{Field: query.FieldCreated, Desc: desc})
}

// sorted is expected in any order.
func sorted(tasks []task.Task, filter query.Expr, since time.Time, by query.Sorter) []task.ID {
	var selected []*task.Task
	for i := range tasks {
		t := &tasks[i]
		if (since.IsZero() || t.Created.After(since)) && (filter == nil || query.Match(filter, query.TaskValues(t))) {
			selected = append(selected, t)
		}
	}
	slices.SortFunc(selected, func(a, b *task.Task) int { return compareBy(a, b, by) })
	ids := make([]task.ID, len(selected))
	for i, t := range selected {
		ids[i] = t.ID
	}
	return ids
}

// compareBy compares two tasks as an order does.
func compareBy(a, b *task.Task, by query.Sorter) int {
	x, hasX := query.TaskValues(a)(by.Field)
	y, hasY := query.TaskValues(b)(by.Field)
	switch {
	case hasX && !hasY:
		return -1 // whatever the direction
	case hasY && !hasX:
		return 1
	}
	c := strings.Compare(task.LowerASCII(x), task.LowerASCII(y))
	if by.Field.IsNumber() && hasX {
		n, _ := strconv.Atoi(x)
		m, _ := strconv.Atoi(y)
		c = n - m
	}
	if c == 0 {
		c = a.Created.Compare(b.Created)
	}
	if c == 0 {
		c = strings.Compare(string(a.ID), string(b.ID))
	}
	if by.Desc {
		return -c
	}
	return c
}

// cutPage returns the part of ids that a page shows.
func cutPage(ids []task.ID, limit, offset int) []task.ID {
	from := min(offset, len(ids))
	return ids[from:min(from+limit, len(ids))]
}

// checkPage returns what is wrong with a page, or "".
func checkPage(tb testing.TB, s Store, tasks []task.Task, page query.Page, since time.Time) string {
	tb.Helper()
	want := sorted(tasks, page.Filter, since, page.Sort[0])
	rows, total, err := s.List(tb.Context(), page, since)
	if err != nil {
		return fmt.Sprintf("list %v: %v", page, err)
	}
	wantTotal := int64(-1)
	if page.Count {
		wantTotal = int64(len(want))
	}
	if total != wantTotal {
		return fmt.Sprintf("%v since %v: the count is %d, want %d", page, since, total, wantTotal)
	}
	if diff := cmp.Diff(cutPage(want, page.Limit, page.Offset), idsOf(tb, rows), cmpopts.EquateEmpty()); diff != "" {
		return fmt.Sprintf("%v since %v (-want +got):\n%s", page, since, diff)
	}
	return ""
}

// checkAfter returns what is wrong with the page that comes behind the n-th task of a
// list, or "".
func checkAfter(tb testing.TB, s Store, tasks []task.Task, page query.Page, since time.Time, n int) string {
	tb.Helper()
	want := sorted(tasks, page.Filter, since, page.Sort[0])
	if n >= len(want) || page.Limit == 0 {
		return ""
	}
	one := page
	one.Offset, one.Limit = n, 1
	rows, _, err := s.List(tb.Context(), one, since)
	if err != nil || len(rows) != 1 {
		return fmt.Sprintf("list %v: %d rows, %v", one, len(rows), err)
	}
	page.Offset, page.After = 0, &query.Position{Value: rows[0].SortKey, Created: rows[0].Created, ID: rows[0].ID}
	rows, total, err := s.List(tb.Context(), page, since)
	if err != nil {
		return fmt.Sprintf("list %v: %v", page, err)
	}
	if page.Count && total != int64(len(want)) {
		return fmt.Sprintf("%v since %v: the count is %d, want %d", page, since, total, len(want))
	}
	if diff := cmp.Diff(cutPage(want, page.Limit, n+1), idsOf(tb, rows), cmpopts.EquateEmpty()); diff != "" {
		return fmt.Sprintf("%v since %v, behind the %d-th (-want +got):\n%s", page, since, n, diff)
	}
	return ""
}
