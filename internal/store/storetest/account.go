package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/source"
	"stint/internal/task"
)

// Records is how stored accounts, entitlements and changes are read.
type Records interface {
	// Account returns an account; else NotFound.
	Account(ctx context.Context, id task.ID) (account.Stored, error)
	// ListAccounts returns a page of the accounts, and how many there are in all
	// where the page asks for it, else -1. Those past the first megabyte may come
	// without Body.
	ListAccounts(ctx context.Context, page query.Page) ([]account.Stored, int64, error)
	// Entitlement and ListEntitlements are the same for entitlements.
	Entitlement(ctx context.Context, id task.ID) (account.Stored, error)
	ListEntitlements(ctx context.Context, page query.Page) ([]account.Stored, int64, error)
	// FillRecords reads the Body of the first of such records and says of how
	// many; those that are gone keep none.
	FillRecords(ctx context.Context, class account.Class, records []account.Stored) (int, error)
	// ListChanges returns a page of what the run of a task has changed, and how
	// many changes there are in all where the page asks for it, else -1.
	ListChanges(ctx context.Context, id task.ID, page query.Page) ([]account.Changed, int64, error)
}

// aggregate records changes by a run of its own, as the n-th task, n milliseconds
// after start.
func aggregate(tb fataler, s Store, n int, class account.Class, src source.Source, changes []account.Recorded, gone ...account.Gone) task.ID {
	tb.Helper()
	id, at := idOf(n), start().Add(time.Duration(n)*time.Millisecond)
	definition, _ := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	c, err := task.NewTask(id, task.Launch{Definition: definition}, "tester", at)
	if err != nil {
		tb.Fatalf("new task: %v", err)
	}
	run := account.Run{TaskID: id, SourceID: src.ID, Class: class, State: account.State{Columns: src.File.Columns}}
	entry := func(*task.Task) (audit.Entry, error) { return launchEntry(c), nil }
	if _, _, err = s.CreateRun(tb.Context(), run, c, nil, task.IdempotencyKey{}, entry); err != nil {
		tb.Fatalf("create run: %v", err)
	}
	_, err = s.Work(tb.Context(), id, 1, at, func(w account.Work) (task.Report, error) {
		if err := w.Record(changes); err != nil {
			return task.Report{}, err
		}
		return task.Report{Completion: task.Success}, w.Delete(gone)
	})
	if err != nil {
		tb.Fatalf("record: %v", err)
	}
	return id
}

// fataler is what the tests of this package and of rapid have in common.
type fataler interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

func createdRecord(n int, key, name, body string) account.Recorded {
	return account.Recorded{
		Record: account.Record{Key: key, Name: name, Body: []byte(body)}, ID: idOf(n), Change: account.Created,
	}
}

func byKey() []query.Sorter { return []query.Sorter{{Field: query.FieldKey}} }

func testRecordsKeepEveryField(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	key := account.EntitlementKey("groups", "cn=Ä")
	const body = `{"dept":"<b>&\u2028","groups":["x","y"]}`
	first := aggregate(t, s, 10, account.Accounts, src, []account.Recorded{createdRecord(100, "u\"1", "Zoë", body)})
	aggregate(t, s, 11, account.Entitlements, src, []account.Recorded{createdRecord(100, key, "Admins", `{"description":"d"}`)})
	at := start().Add(10 * time.Millisecond)
	want := account.Stored{
		Record: account.Record{Key: "u\"1", Name: "Zoë", Body: []byte(body)}, ID: idOf(100), SourceID: src.ID, SourceName: src.Name,
		Created: at, Modified: at, LastChange: account.Created, LastTaskID: first,
	}
	wantRecord(t, s, account.Accounts, want)
	want.Key, want.Name, want.Body = key, "Admins", []byte(`{"description":"d"}`)
	want.Created, want.Modified, want.LastTaskID = at.Add(time.Millisecond), at.Add(time.Millisecond), idOf(11)
	wantRecord(t, s, account.Entitlements, want)
	second := aggregate(t, s, 20, account.Accounts, src, []account.Recorded{
		{Record: account.Record{Key: "u\"1", Name: "Zoe", Body: []byte(`{}`)}, Change: account.Updated, Attributes: []string{"dept", "groups"}},
	})
	wantRecord(t, s, account.Accounts, account.Stored{
		Record: account.Record{Key: "u\"1", Name: "Zoe", Body: []byte(`{}`)}, ID: idOf(100), SourceID: src.ID, SourceName: src.Name,
		Created: at, Modified: start().Add(20 * time.Millisecond), LastChange: account.Updated, LastTaskID: second,
	})
	aggregate(t, s, 30, account.Accounts, src, nil, account.Gone{Key: "u\"1", Name: "Zoe"})
	for _, id := range []task.ID{idOf(100), idOf(9), "", "zz"} {
		_, err := s.Account(t.Context(), id)
		_ = wantKind(t, err, task.NotFound)
	}
	for _, id := range []task.ID{idOf(9), "", "zz"} {
		_, err := s.Entitlement(t.Context(), id)
		_ = wantKind(t, err, task.NotFound)
	}
}

func wantRecord(tb testing.TB, s Store, class account.Class, want account.Stored) {
	tb.Helper()
	read := s.Account
	if class == account.Entitlements {
		read = s.Entitlement
	}
	got, err := read(tb.Context(), want.ID)
	if err != nil {
		tb.Fatalf("get %s %s: %v", class, want.ID, err)
	}
	listed, _, err := listRecords(tb.Context(), s, class, query.Page{Limit: 1, Sort: byKey()})
	if err != nil || len(listed) != 1 {
		tb.Fatalf("list %s: %d, %v", class, len(listed), err)
	}
	for how, got := range map[string]account.Stored{"got": got, "listed": listed[0]} {
		if diff := gocmp.Diff(showRecord(want), showRecord(got)); diff != "" {
			tb.Errorf("%s %s (-want +got):\n%s", class, how, diff)
		}
	}
}

// showRecord makes differences in a body readable.
func showRecord(r account.Stored) any {
	body := string(r.Body)
	r.Body = nil
	return struct {
		account.Stored
		Body string
	}{r, body}
}

func listRecords(ctx context.Context, s Store, class account.Class, page query.Page) ([]account.Stored, int64, error) {
	if class == account.Entitlements {
		return s.ListEntitlements(ctx, page)
	}
	return s.ListAccounts(ctx, page)
}

// testRecordFilters compares lists of random records by random filters with what
// query.MatchLists says of each. Each round deletes its sources: what is left of
// them must never show.
func testRecordFilters(t trial) {
	s, round := t.store, 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		class := rapid.SampledFrom([]account.Class{account.Accounts, account.Entitlements}).Draw(rt, "class")
		sources, records := fillSources(rt, s, class, round*1000)
		defer func() {
			for _, src := range sources {
				if _, err := s.DeleteSource(context.WithoutCancel(rt.Context()), src.ID, keep, deletionEntry); err != nil {
					rt.Fatalf("delete source: %v", err)
				}
			}
		}()
		for range 8 {
			page := query.Page{
				Limit: rapid.IntRange(0, 30).Draw(rt, "limit"), Offset: rapid.IntRange(0, 30).Draw(rt, "offset"),
				Count: true, Filter: querytest.RecordExpr(class, records...).Draw(rt, "filter"), Sort: querytest.RecordSort().Draw(rt, "sort"),
			}
			switch rapid.IntRange(0, 9).Draw(rt, "all") {
			case 0:
				page.Filter = nil
			case 1:
				page.Filter = query.Compare{Field: query.FieldSource, Values: []string{string(sources[0].ID), string(sources[1].ID)}}
			}
			if wrong := checkRecords(rt, s, class, sources, records, page); wrong != "" {
				rt.Fatal(wrong)
			}
		}
	})
}

// fillSources creates two sources and records in them, some of them changed by a
// second run, and returns what must be stored. Ids begin with n.
func fillSources(t *rapid.T, s Store, class account.Class, n int) ([]source.Source, []account.Stored) {
	var sources []source.Source
	var all []account.Stored
	for i := range 2 {
		src := sourceOf(n + i)
		if err := s.CreateSource(t.Context(), src, sourceEntry(src)); err != nil {
			t.Fatalf("create source: %v", err)
		}
		sources = append(sources, src)
		var first, second []account.Recorded
		for j, r := range querytest.Records(class, 0, 12).Draw(t, "records") {
			recorded := account.Recorded{Record: r, ID: task.ID(fmt.Sprintf("%08x%08x%016x", rapid.Uint32().Draw(t, "id"), n+i, j)), Change: account.Created}
			first = append(first, recorded)
			stored := account.Stored{
				Record: r, ID: recorded.ID, SourceID: src.ID, SourceName: src.Name, LastChange: account.Created, LastTaskID: idOf(n + 10 + i),
			}
			if rapid.Bool().Draw(t, "is updated") {
				recorded.Change, stored.LastChange, stored.LastTaskID = account.Updated, account.Updated, idOf(n+20+i)
				recorded.Name += "2"
				stored.Name = recorded.Name
				second = append(second, recorded)
			}
			all = append(all, stored)
		}
		aggregate(t, s, n+10+i, class, src, first)
		aggregate(t, s, n+20+i, class, src, second)
	}
	return sources, all
}

// checkRecords returns what is wrong with a page, or "".
func checkRecords(tb fataler, s Store, class account.Class, sources []source.Source, all []account.Stored, page query.Page) string {
	tb.Helper()
	var want []account.Stored
	for i := range all {
		if page.Filter == nil || query.MatchLists(page.Filter, querytest.RecordValues(class, &all[i])) {
			want = append(want, all[i])
		}
	}
	slices.SortFunc(want, func(a, b account.Stored) int { return compareRecords(class, sources, page.Sort, &a, &b) })
	got, total, err := listRecords(tb.Context(), s, class, page)
	if err != nil {
		return fmt.Sprintf("list %v: %v", page, err)
	}
	if total != int64(len(want)) {
		return fmt.Sprintf("%v: the count is %d, want %d", page, total, len(want))
	}
	from := min(page.Offset, len(want))
	want = want[from:min(from+page.Limit, len(want))]
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(account.Stored{}, "Created", "Modified")); diff != "" {
		return fmt.Sprintf("%v (-want +got):\n%s", page, diff)
	}
	return ""
}

func compareRecords(class account.Class, sources []source.Source, sorters []query.Sorter, a, b *account.Stored) int {
	place := func(r *account.Stored) int {
		return slices.IndexFunc(sources, func(src source.Source) bool { return src.ID == r.SourceID })
	}
	folded := func(r *account.Stored, f query.Field) string {
		return task.LowerASCII(querytest.RecordValues(class, r)(f)[0])
	}
	for _, s := range sorters {
		var c int
		if s.Field == query.FieldKey {
			c = cmp.Or(cmp.Compare(place(a), place(b)), strings.Compare(a.Key, b.Key))
		} else {
			c = strings.Compare(folded(a, s.Field), folded(b, s.Field))
		}
		if s.Desc {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	c := strings.Compare(string(a.ID), string(b.ID))
	if sorters[len(sorters)-1].Desc {
		return -c
	}
	return c
}

// testManyRecords joins pages of lists that are longer than what a plan looks
// at before it chooses.
func testManyRecords(t trial) {
	s := t.store
	sources := []source.Source{createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))}
	var all []account.Stored
	for i, n := range []int{12_000, 300} {
		var changes []account.Recorded
		for j := range n {
			r := createdRecord((i+1)*100_000+j*7919%n, fmt.Sprintf("User%05d", j), fmt.Sprintf("name %d", j%40), `{"dept":"d`+strconv.Itoa(j%3)+`"}`)
			changes = append(changes, r)
			all = append(all, account.Stored{
				Record: r.Record, ID: r.ID, SourceID: sources[i].ID, SourceName: sources[i].Name, LastChange: account.Created, LastTaskID: idOf(10 + i),
			})
		}
		aggregate(t, s, 10+i, account.Accounts, sources[i], changes)
	}
	of := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	for _, filter := range []query.Expr{
		nil,
		of(query.FieldSource, string(sources[0].ID)),
		of(query.FieldSource, string(sources[1].ID)),
		query.Prefix{Field: query.FieldName, Value: "NAME 1"},
		query.Prefix{Field: query.FieldNativeIdentity, Value: "user"},
		query.And{Terms: []query.Expr{query.Prefix{Field: query.FieldName, Value: "n"}, of(query.FieldSource, string(sources[1].ID))}},
		query.Or{Terms: []query.Expr{query.Prefix{Field: query.FieldName, Value: "name 3"}, query.Prefix{Field: query.FieldNativeIdentity, Value: "user001"}}},
		query.And{Terms: []query.Expr{of(query.AttributeField("dept"), "D1"), of(query.FieldSource, string(sources[0].ID))}},
	} {
		for _, order := range [][]query.Sorter{byKey(), {{Field: query.FieldName}}, {{Field: query.FieldNativeIdentity, Desc: true}}} {
			for _, offset := range []int{100, 11_900} {
				page := query.Page{Limit: 250, Offset: offset, Count: true, Filter: filter, Sort: order}
				if wrong := checkRecords(t, s, account.Accounts, sources, all, page); wrong != "" {
					t.Error(wrong)
				}
			}
		}
	}
}

// testLargeRecords lists more than is held at once.
func testLargeRecords(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	var changes []account.Recorded
	for i := range 6 {
		body := `{"a":"` + strings.Repeat(strconv.Itoa(i), 400<<10) + `"}`
		changes = append(changes, createdRecord(100+i, fmt.Sprintf("u%d", i), "n", body))
	}
	aggregate(t, s, 10, account.Accounts, src, changes)
	records, _, err := s.ListAccounts(t.Context(), query.Page{Limit: 250, Sort: byKey()})
	if err != nil || len(records) != len(changes) {
		t.Fatalf("%d records, %v", len(records), err)
	}
	aggregate(t, s, 11, account.Accounts, src, nil, account.Gone{Key: "u5", Name: "n"})
	for i := 0; i < len(records); {
		if records[i].Body != nil {
			i++
			continue
		}
		n, err := s.FillRecords(t.Context(), account.Accounts, records[i:])
		if err != nil || n < 1 {
			t.Fatalf("filled %d, %v", n, err)
		}
		i += n
	}
	for i := range records {
		want := string(changes[i].Body)
		if i == 5 {
			want = "" // deleted meanwhile
		}
		if got := string(records[i].Body); got != want || records[i].ID != changes[i].ID {
			t.Errorf("record %d has a body of %d bytes, want %d", i, len(got), len(want))
		}
	}
}

func testChanges(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	aggregate(t, s, 10, account.Accounts, src, []account.Recorded{
		createdRecord(100, "b", "Bob", `{}`), createdRecord(101, "A", "Ann", `{}`), createdRecord(102, "c", "Cy", `{}`),
	})
	second := aggregate(t, s, 11, account.Accounts, src, []account.Recorded{
		createdRecord(103, "d", "Dee", `{}`),
		{Record: account.Record{Key: "b", Name: "Rob", Body: []byte(`{"x":"1"}`)}, Change: account.Updated, Attributes: []string{"name", "x \"<"}},
	}, account.Gone{Key: "A", Name: "Ann"})
	third := aggregate(t, s, 12, account.Entitlements, src, []account.Recorded{
		createdRecord(104, account.EntitlementKey("groups", "g1"), "G1", `{}`), createdRecord(105, account.EntitlementKey("Roles", "G1"), "G1", `{}`),
	})
	launch(t, s, 13)
	created := account.Changed{Class: account.Accounts, Change: account.Created, Key: "d", Name: "Dee"}
	deleted := account.Changed{Class: account.Accounts, Change: account.Deleted, Key: "A", Name: "Ann"}
	updated := account.Changed{Class: account.Accounts, Change: account.Updated, Key: "b", Name: "Rob", Attributes: []string{"name", "x \"<"}}
	roles := account.Changed{Class: account.Entitlements, Change: account.Created, Key: account.EntitlementKey("Roles", "G1"), Name: "G1"}
	groups := account.Changed{Class: account.Entitlements, Change: account.Created, Key: account.EntitlementKey("groups", "g1"), Name: "G1"}
	of := func(f query.Field, values ...string) query.Expr { return query.Compare{Field: f, Values: values} }
	for name, test := range map[string]struct {
		id            task.ID
		filter        query.Expr
		limit, offset int
		want          []account.Changed
		total         int64
	}{
		"all":               {second, nil, 250, 0, []account.Changed{created, deleted, updated}, 3},
		"a page":            {second, nil, 1, 1, []account.Changed{deleted}, 3},
		"count only":        {second, nil, 0, 0, nil, 3},
		"of a kind":         {second, of(query.FieldChange, "DELETED", "UPDATED"), 250, 0, []account.Changed{deleted, updated}, 2},
		"of an account":     {second, of(query.FieldNativeIdentity, "a", "D"), 250, 0, []account.Changed{created, deleted}, 2},
		"not of a kind":     {second, query.Not{Term: of(query.FieldChange, "DELETED")}, 250, 0, []account.Changed{created, updated}, 2},
		"entitlements":      {third, of(query.FieldNativeIdentity, "G1"), 250, 0, []account.Changed{roles, groups}, 2},
		"no run":            {idOf(13), nil, 250, 0, nil, 0},
		"no task":           {idOf(99), of(query.FieldNativeIdentity, "a"), 250, 0, nil, 0},
		"nothing like that": {second, of(query.FieldNativeIdentity, "zz"), 250, 0, nil, 0},
	} {
		page := query.Page{Limit: test.limit, Offset: test.offset, Filter: test.filter, Sort: byKey(), Count: true}
		got, total, err := s.ListChanges(t.Context(), test.id, page)
		if err != nil || total != test.total {
			t.Errorf("%s: %d in all, %v", name, total, err)
		}
		if diff := gocmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, total, err := s.ListChanges(t.Context(), second, query.Page{Limit: 1, Sort: byKey()}); err != nil || total != -1 {
		t.Errorf("not counted: %d, %v", total, err)
	}
}

// recordCalls are the reads that must fail well when the store is closed, or
// when nobody waits for them.
func recordCalls(s Store) map[string]func(context.Context) error {
	page := query.Page{Limit: 5, Count: true, Sort: byKey()}
	return map[string]func(context.Context) error{
		"account":           func(ctx context.Context) error { _, err := s.Account(ctx, idOf(1)); return err },
		"entitlement":       func(ctx context.Context) error { _, err := s.Entitlement(ctx, idOf(1)); return err },
		"list accounts":     func(ctx context.Context) error { _, _, err := s.ListAccounts(ctx, page); return err },
		"list entitlements": func(ctx context.Context) error { _, _, err := s.ListEntitlements(ctx, page); return err },
		"list changes":      func(ctx context.Context) error { _, _, err := s.ListChanges(ctx, idOf(1), page); return err },
		"fill records": func(ctx context.Context) error {
			_, err := s.FillRecords(ctx, account.Accounts, []account.Stored{{ID: idOf(1)}})
			return err
		},
	}
}
