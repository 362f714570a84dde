package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/task"
)

// sourceOf returns the n-th source, with every field set.
func sourceOf(n int) source.Source {
	at := start().Add(time.Duration(n) * time.Millisecond)
	return source.Source{
		ID: idOf(n), Name: "Source " + strconv.Itoa(n), Description: "reads <HR> & \"more\"\nÉ\u2028", Type: source.DelimitedFile,
		File: source.File{
			AccountID: "id", DisplayName: "name", Entitlements: []string{"groups", "Rôles"}, MultiValueSeparator: "|",
			Delimiter: "\t", Columns: []string{"name", "id", "Rôles", "groups"},
		},
		Deletions: source.Threshold{Percent: 7, Minimum: 1<<40 + 1}, Created: at, Modified: at.Add(time.Second),
	}
}

func sourceEntry(s source.Source) audit.Entry {
	return audit.Entry{
		At: s.Created, Origin: audit.Origin{Actor: "tester"}, Action: audit.SourceCreate, Object: string(s.ID), After: json.RawMessage(`{}`),
	}
}

func createSource(tb testing.TB, s Store, src source.Source) source.Source {
	tb.Helper()
	if err := s.CreateSource(tb.Context(), src, sourceEntry(src)); err != nil {
		tb.Fatalf("create source %s: %v", src.ID, err)
	}
	return src
}

// wantSource reads a source in each way that there is.
func wantSource(tb testing.TB, s Store, want source.Source) {
	tb.Helper()
	got, err := s.Source(tb.Context(), want.ID)
	if err != nil {
		tb.Fatalf("get source %s: %v", want.ID, err)
	}
	page := query.Page{
		Limit: 1, Sort: byName(), Filter: query.Compare{Field: query.FieldID, Values: []string{string(want.ID)}},
	}
	listed, _, err := s.ListSources(tb.Context(), page)
	if err != nil || len(listed) != 1 {
		tb.Fatalf("list source %s: %d, %v", want.ID, len(listed), err)
	}
	seen, err := s.UpdateSource(tb.Context(), want.ID, func(src source.Source) (source.Source, *audit.Entry, error) {
		return src, nil, nil
	})
	if err != nil {
		tb.Fatalf("update source %s: %v", want.ID, err)
	}
	for how, got := range map[string]source.Source{"got": got, "listed": listed[0], "in a write": seen} {
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			tb.Errorf("source %s, %s (-want +got):\n%s", want.ID, how, diff)
		}
	}
}

func byName() []query.Sorter { return []query.Sorter{{Field: query.FieldName}} }

func deleteSource(tb testing.TB, s Store, id task.ID) source.Deletion {
	tb.Helper()
	gone, err := s.DeleteSource(tb.Context(), id, keep, deletionEntry)
	if err != nil {
		tb.Fatalf("delete source %s: %v", id, err)
	}
	return gone
}

func deletionEntry(d source.Deletion) (audit.Entry, error) {
	return audit.Entry{At: start(), Action: audit.SourceDelete, Object: string(d.Source.ID), Before: json.RawMessage(`{}`)}, nil
}

func testSourceKeepsEveryField(t trial) {
	s := t.store
	full := createSource(t, s, sourceOf(1))
	wantSource(t, s, full)
	least := sourceOf(2)
	least.Description, least.Deletions = "", source.Threshold{}
	least.File = source.File{AccountID: "é", MultiValueSeparator: ",", Delimiter: ","}
	wantSource(t, s, createSource(t, s, least))
	if diff := gocmp.Diff([]audit.Entry{sourceEntry(full)}, entries(t, s, string(full.ID)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	// How many accounts there are is the store's to know.
	liar := sourceOf(3)
	liar.Accounts, liar.Entitlements = 5, 6
	createSource(t, s, liar)
	liar.Accounts, liar.Entitlements = 0, 0
	wantSource(t, s, liar)
	for _, id := range []task.ID{idOf(9), "", "abc", "zz000000000000000000000000000000"} {
		_, err := s.Source(t.Context(), id)
		_ = wantKind(t, err, task.NotFound)
	}
}

func testSourceNames(t trial) {
	s := t.store
	named := func(n int, name string) source.Source {
		src := sourceOf(n)
		src.Name = name
		return src
	}
	first := createSource(t, s, named(1, "Personal É"))
	// Case counts beyond ASCII, and so do other differences.
	for i, name := range []string{"Personal é", "Personal  É", "Personal", "Personal_É", "%"} {
		createSource(t, s, named(10+i, name))
	}
	taken := func(err error) {
		t.Helper()
		e := wantKind(t, err, task.Conflict)
		if !strings.Contains(e.Text(), string(first.ID)) || e.Field != "name" {
			t.Errorf("the error does not name the field and the other's id: %v", e)
		}
	}
	for _, name := range []string{"Personal É", "pERSONAL É"} {
		other := named(2, name)
		taken(s.CreateSource(t.Context(), other, sourceEntry(other)))
		if _, err := s.Source(t.Context(), other.ID); task.KindOf(err) != task.NotFound {
			t.Errorf("a refused source is there: %v", err)
		}
		if got := actions(entries(t, s, string(other.ID))); got != "" {
			t.Errorf("the audit of a refused source is %q", got)
		}
		_, err := s.UpdateSource(t.Context(), idOf(10), func(src source.Source) (source.Source, *audit.Entry, error) {
			src.Name = name
			return src, &audit.Entry{Object: "refused"}, nil
		})
		taken(err)
	}
	if got := actions(entries(t, s, "refused")); got != "" {
		t.Errorf("the audit of a refused rename is %q", got)
	}
	// Its own name in another case is free, and a deleted source's name is.
	renamed, err := s.UpdateSource(t.Context(), first.ID, func(src source.Source) (source.Source, *audit.Entry, error) {
		src.Name = "PERSONAL É"
		return src, nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantSource(t, s, renamed)
	deleteSource(t, s, first.ID)
	wantSource(t, s, createSource(t, s, named(2, "personal É")))
	again := named(2, "another")
	if err := s.CreateSource(t.Context(), again, sourceEntry(again)); err == nil {
		t.Error("an id was given out twice")
	}
}

func testSourceNamesAtOnce(t trial) {
	s := t.store
	const rounds, callers = 10, 8
	for round := range rounds {
		var wg sync.WaitGroup
		errs := make([]error, callers)
		for i := range callers {
			src := sourceOf(round*callers + i)
			src.Name = "round " + strconv.Itoa(round)
			if i%2 == 1 {
				src.Name = strings.ToUpper(src.Name)
			}
			wg.Go(func() { errs[i] = s.CreateSource(t.Context(), src, sourceEntry(src)) })
		}
		wg.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
				continue
			}
			_ = wantKind(t, err, task.Conflict)
		}
		if made != 1 {
			t.Errorf("round %d: %d sources of one name", round, made)
		}
	}
	_, total, err := s.ListSources(t.Context(), query.Page{Count: true, Sort: byName()})
	if err != nil || total != rounds {
		t.Errorf("%d sources, %v; want %d", total, err, rounds)
	}
}

func testSourceUpdate(t trial) {
	s := t.store
	before := createSource(t, s, sourceOf(1))
	other := createSource(t, s, sourceOf(2))
	want := before
	want.Name, want.Description, want.Modified = "Renamed", "", before.Modified.Add(time.Minute)
	want.File = source.File{AccountID: "key", Entitlements: []string{"roles"}, MultiValueSeparator: ";", Delimiter: ","}
	want.Deletions = source.Threshold{Percent: 100}
	entry := audit.Entry{
		At: want.Modified, Action: audit.SourceUpdate, Object: string(before.ID), Origin: audit.Origin{Actor: "p"},
		Before: json.RawMessage(`{}`), After: json.RawMessage(`[1]`), Words: "w", Reason: "r",
	}
	stored, err := s.UpdateSource(t.Context(), before.ID, func(src source.Source) (source.Source, *audit.Entry, error) {
		if diff := gocmp.Diff(before, src, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("what the update sees (-want +got):\n%s", diff)
		}
		changed := want
		// What never changes, whatever is asked.
		changed.ID, changed.Type, changed.Created = idOf(7), "LDAP", start().Add(time.Hour)
		changed.Accounts, changed.Entitlements = 5, 6
		return changed, &entry, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, stored, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("answer of update (-want +got):\n%s", diff)
	}
	wantSource(t, s, want)
	wantSource(t, s, other)
	if diff := gocmp.Diff([]audit.Entry{entry}, entries(t, s, string(before.ID))[1:], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}

	mistake := errors.New("mistake")
	for _, failure := range []error{task.Errorf(task.IllegalUpdate, "/x", "no"), mistake} {
		_, err := s.UpdateSource(t.Context(), before.ID, func(src source.Source) (source.Source, *audit.Entry, error) {
			src.Name = "never"
			return src, &entry, failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
	}
	_, err = s.UpdateSource(t.Context(), idOf(9), func(src source.Source) (source.Source, *audit.Entry, error) {
		t.Errorf("called for %s", src.ID)
		return src, nil, nil
	})
	_ = wantKind(t, err, task.NotFound)
	wantSource(t, s, want)
	if got := actions(entries(t, s, string(before.ID))); got != "source.create source.update" {
		t.Errorf("the audit is %q", got)
	}
}

func testSourceDelete(t trial) {
	s := t.store
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	c := launched(t, 3)
	c.Task.SourceID = string(src.ID)
	history := create(t, s, c)

	mistake := task.Errorf(task.PreconditionFailed, "If-Match", "no")
	_, err := s.DeleteSource(t.Context(), src.ID, keep, func(source.Deletion) (audit.Entry, error) { return audit.Entry{}, mistake })
	if !errors.Is(err, mistake) {
		t.Errorf("got %v, want %v", err, mistake)
	}
	wantSource(t, s, src)

	gone := deleteSource(t, s, src.ID)
	if diff := gocmp.Diff(source.Deletion{Source: src}, gone, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("deletion (-want +got):\n%s", diff)
	}
	for name, call := range map[string]func() error{
		"get": func() error { _, err := s.Source(t.Context(), src.ID); return err },
		"update": func() error {
			_, err := s.UpdateSource(t.Context(), src.ID, func(src source.Source) (source.Source, *audit.Entry, error) { return src, nil, nil })
			return err
		},
		"delete": func() error { _, err := s.DeleteSource(t.Context(), src.ID, keep, deletionEntry); return err },
	} {
		if err := call(); task.KindOf(err) != task.NotFound {
			t.Errorf("%s after the deletion: %v", name, err)
		}
	}
	if got := actions(entries(t, s, string(src.ID))); got != "source.create source.delete" {
		t.Errorf("the audit is %q", got)
	}
	wantSource(t, s, other)
	wantStored(t, s, history)
}

// testSourceList compares pages with what plain sorting and query.Match make of
// the same sources.
func testSourceList(t trial) {
	s := t.store
	names := []string{
		"HR", "hr2", "Hr1", "É", "é", "Zoë", "a", "B", "_", "[", "%", `"`, `\`, "'", "Σ", "ς", "Straße", "STRASSE", "K", "\u212a", "ı",
	}
	all := make([]source.Source, len(names))
	for i, name := range names {
		src := sourceOf(len(names) - i)
		src.Name = name
		src.Created = start().Add(time.Duration(i/4) * time.Second) // most share it with others
		src.Modified = src.Created
		all[i] = createSource(t, s, src)
	}
	rapid.Check(t, func(r *rapid.T) {
		page := query.Page{
			Limit: rapid.IntRange(0, 25).Draw(r, "limit"), Offset: rapid.IntRange(0, 25).Draw(r, "offset"),
			Count: rapid.Bool().Draw(r, "count"), Sort: drawSourceSort(r), Filter: drawSourceFilter(r, all, 3),
		}
		want := sortedSources(all, page)
		listed, total, err := s.ListSources(t.Context(), page)
		if err != nil {
			r.Fatalf("%v: %v", page, err)
		}
		wantTotal := int64(-1)
		if page.Count {
			wantTotal = int64(len(want))
		}
		if total != wantTotal {
			r.Fatalf("%v: the count is %d, want %d", page, total, wantTotal)
		}
		from := min(page.Offset, len(want))
		want = want[from:min(from+page.Limit, len(want))]
		if diff := gocmp.Diff(want, listed, cmpopts.EquateEmpty()); diff != "" {
			r.Fatalf("%v (-want +got):\n%s", page, diff)
		}
	})
}

func sortedSources(all []source.Source, page query.Page) []source.Source {
	var found []source.Source
	for i := range all {
		if page.Filter == nil || query.Match(page.Filter, query.SourceValues(&all[i])) {
			found = append(found, all[i])
		}
	}
	slices.SortFunc(found, func(a, b source.Source) int {
		for _, by := range append(page.Sort, query.Sorter{Field: query.FieldID, Desc: page.Sort[len(page.Sort)-1].Desc}) {
			var c int
			switch by.Field {
			case query.FieldName:
				c = cmp.Compare(task.LowerASCII(a.Name), task.LowerASCII(b.Name))
			case query.FieldCreated:
				c = a.Created.Compare(b.Created)
			default:
				c = cmp.Compare(a.ID, b.ID)
			}
			if by.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return found
}

func drawSourceSort(t *rapid.T) []query.Sorter {
	fields := rapid.Permutation([]query.Field{query.FieldName, query.FieldCreated}).Draw(t, "fields")
	sorters := make([]query.Sorter, rapid.IntRange(1, 2).Draw(t, "sorters"))
	for i := range sorters {
		sorters[i] = query.Sorter{Field: fields[i], Desc: rapid.Bool().Draw(t, "descending")}
	}
	return sorters
}

func drawSourceFilter(t *rapid.T, all []source.Source, depth int) query.Expr {
	shape := rapid.IntRange(0, 6).Draw(t, "shape")
	if depth == 0 {
		shape %= 4
	}
	one := func(what string) source.Source { return rapid.SampledFrom(all).Draw(t, what) }
	switch shape {
	case 0:
		if depth == 3 {
			return nil
		}
		return query.Compare{Field: query.FieldType, Values: []string{string(source.DelimitedFile)}}
	case 1:
		return query.Compare{Field: query.FieldID, Values: []string{string(one("id").ID), "no id", string(one("id").ID)}}
	case 2, 3:
		values := []string{"unknown"}
		for range rapid.IntRange(1, 5).Draw(t, "values") {
			name := one("name").Name
			values = append(values, rapid.SampledFrom([]string{name, strings.ToUpper(name), strings.ToLower(name)}).Draw(t, "case"))
		}
		return query.Compare{Field: query.FieldName, Values: values}
	case 4:
		return query.Not{Term: drawSourceFilter(t, all, depth-1)}
	}
	terms := make([]query.Expr, rapid.IntRange(2, 3).Draw(t, "terms"))
	for i := range terms {
		terms[i] = drawSourceFilter(t, all, min(depth-1, 2))
	}
	if shape == 5 {
		return query.And{Terms: terms}
	}
	return query.Or{Terms: terms}
}

// sourceCalls are one of each method that is about sources.
func sourceCalls(s Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"create source": func(ctx context.Context) error { return s.CreateSource(ctx, sourceOf(1), sourceEntry(sourceOf(1))) },
		"get source":    func(ctx context.Context) error { _, err := s.Source(ctx, idOf(1)); return err },
		"list sources": func(ctx context.Context) error {
			_, _, err := s.ListSources(ctx, query.Page{Limit: 5, Count: true, Sort: byName()})
			return err
		},
		"update source": func(ctx context.Context) error {
			_, err := s.UpdateSource(ctx, idOf(1), func(src source.Source) (source.Source, *audit.Entry, error) { return src, nil, nil })
			return err
		},
		"delete source": func(ctx context.Context) error {
			_, err := s.DeleteSource(ctx, idOf(1), keep, deletionEntry)
			return err
		},
	}
}
