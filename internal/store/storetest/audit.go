package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/query/querytest"
	"stint/internal/source"
	"stint/internal/task"
)

// AuditKey is the key under which the stores of the suite link their entries.
func AuditKey() []byte { return []byte("the key of the suite") }

// Audits is what the program asks of the audit, beside what each change writes to
// it.
type Audits interface {
	// AuditEntry returns the entry at a place; else NotFound.
	AuditEntry(ctx context.Context, at audit.Place) (audit.Recorded, error)
	// ListAudit returns a page of the entries, and how many there are in all where
	// the page asks for it, else -1. Entries past the first megabyte may come with a
	// nil Before, without After and Words; in the others it is null where there is
	// none.
	ListAudit(ctx context.Context, page query.Page) ([]audit.Recorded, int64, error)
	// FillAudit reads what is missing of the first of such entries and says of how
	// many; those that are gone stay as they are.
	FillAudit(ctx context.Context, entries []audit.Recorded) (int, error)
	// WalkAudit calls begin, then entry for each entry by shard and number, as of
	// one moment.
	WalkAudit(ctx context.Context, begin func(audit.State) error, entry func(*audit.Recorded) error) error
	// PurgeAudit deletes up to limit entries from the beginnings of the shards, up
	// to the first that is younger than until, and leaves checkpoints, which sign
	// completes, together.
	PurgeAudit(ctx context.Context, until time.Time, limit int, sign func(task.ID, *audit.Checkpoint)) (int, error)
}

func suiteSigner(tb testing.TB) *audit.Signer {
	tb.Helper()
	signer, err := audit.NewSigner(slices.Repeat([]byte{7}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

// verify holds the entries of a store against its chain and, if there is one, a
// head.
func verify(tb testing.TB, s Store, head *audit.Head) audit.Verdict {
	tb.Helper()
	v := audit.NewVerifier(AuditKey(), suiteSigner(tb).Public(), head)
	if err := s.WalkAudit(tb.Context(), v.Begin, v.Entry); err != nil {
		tb.Fatalf("walk through the audit: %v", err)
	}
	return v.End()
}

// wantWhole fails unless the chain is whole and has so many entries.
func wantWhole(tb testing.TB, s Store, head *audit.Head, entries int) audit.Verdict {
	tb.Helper()
	v := verify(tb, s, head)
	if !v.Whole() || v.Entries != int64(entries) {
		tb.Fatalf("the chain has %d entries, want %d; wrong is %v", v.Entries, entries, v.Findings)
	}
	return v
}

// headOf is the head of what a verification has seen.
func headOf(tb testing.TB, v *audit.Verdict) *audit.Head {
	tb.Helper()
	h := &audit.Head{Deployment: v.Deployment, Time: start(), Tips: v.Tips}
	suiteSigner(tb).SignHead(h)
	return h
}

// entryOf is the n-th entry about an object, n milliseconds after start.
func entryOf(n int, object string) audit.Entry {
	return audit.Entry{
		At: start().Add(time.Duration(n) * time.Millisecond), Action: audit.Clear, Object: object,
		Origin: audit.Origin{
			Actor: "Zoë", Client: string(idOf(n)), Address: "[::1]:1", Agent: "agent/1 \u2028", RequestID: string(idOf(n + 1)),
		},
		Before: json.RawMessage(`{"b": "é"}`), After: json.RawMessage(`{"a":[1.50]}`), Words: "[{\"op\": \"x\"}]\r\n", Reason: "é \t<&>",
	}
}

// writeEntries stores entries, each with a task of its own, from first on.
func writeEntries(tb testing.TB, s Store, first int, entries ...audit.Entry) {
	tb.Helper()
	for i, e := range entries {
		if _, _, err := s.Create(tb.Context(), launched(tb, first+i), task.IdempotencyKey{}, e); err != nil {
			tb.Fatalf("write entry %d: %v", i, err)
		}
	}
}

// placed works out where entries stand that are written in this order.
func placed(entries []audit.Entry) []audit.Recorded {
	var next [audit.Shards]int64
	all := make([]audit.Recorded, len(entries))
	for i, e := range entries {
		shard := audit.ShardOf(e.Object)
		next[shard]++
		all[i] = audit.Recorded{Entry: e, Place: audit.Place{Shard: shard, Number: next[shard]}}
	}
	return all
}

// listed is an entry as a list shows it, without its link.
func listed(e audit.Recorded) audit.Recorded {
	e.Link = audit.Link{}
	if e.Before == nil {
		e.Before = json.RawMessage("null")
	}
	return e
}

func testAuditKeepsEveryField(t trial) {
	s := t.store
	full, least := entryOf(1, "a"), audit.Entry{At: start(), Action: audit.Import, Object: "b"}
	writeEntries(t, s, 1, full, least)
	for _, want := range placed([]audit.Entry{full, least}) {
		got, err := s.AuditEntry(t.Context(), want.Place)
		if err != nil {
			t.Fatal(err)
		}
		if got.Link == (audit.Link{}) {
			t.Error("it has no link")
		}
		got.Link = audit.Link{}
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("got (-want +got):\n%s", diff)
		}
		page := query.Page{Limit: 1, Sort: newestFirst(), Filter: query.Compare{Field: query.FieldID, Values: []string{string(want.ID())}}}
		rows, _, err := s.ListAudit(t.Context(), page)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if diff := gocmp.Diff(listed(want), listed(rows[0])); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	}
	for _, at := range []audit.Place{{}, {Shard: audit.ShardOf("a"), Number: 9}, {Shard: audit.Shards, Number: 1}, {Shard: -1, Number: 1}} {
		_, err := s.AuditEntry(t.Context(), at)
		_ = wantKind(t, err, task.NotFound)
	}
	wantWhole(t, s, nil, 2)
}

// testAuditLists holds lists of the audit against query.Match and plain sorting.
func testAuditLists(t trial) {
	s := t.store
	entries := rapid.SliceOfN(querytest.Entry(), 80, 80).Example(1)
	all := placed(entries)
	writeEntries(t, s, 1, entries...)
	rapid.Check(t, func(r *rapid.T) {
		page := query.Page{
			Limit: rapid.SampledFrom([]int{0, 1, 7, 250}).Draw(r, "limit"), Offset: rapid.SampledFrom([]int{0, 1, 13, 500}).Draw(r, "offset"),
			Count: rapid.Bool().Draw(r, "count"), Sort: querytest.Sort().Draw(r, "sort"),
		}
		if rapid.IntRange(0, 9).Draw(r, "filter") > 0 {
			page.Filter = querytest.EntryExpr(all...).Draw(r, "filter")
		}
		var want []audit.Recorded
		for i := range all {
			if page.Filter == nil || query.Match(page.Filter, query.AuditValues(&all[i])) {
				want = append(want, listed(all[i]))
			}
		}
		slices.SortFunc(want, func(a, b audit.Recorded) int {
			c := cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Number, b.Number))
			if page.Sort[0].Desc {
				return -c
			}
			return c
		})
		got, total, err := s.ListAudit(t.Context(), page)
		if err != nil {
			r.Fatalf("list %v: %v", page, err)
		}
		wantTotal := int64(-1)
		if page.Count {
			wantTotal = int64(len(want))
		}
		if total != wantTotal {
			r.Fatalf("%v: the count is %d, want %d", page, total, wantTotal)
		}
		for i := range got {
			got[i] = listed(got[i])
		}
		from := min(page.Offset, len(want))
		want = want[from:min(from+page.Limit, len(want))]
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			r.Fatalf("%v (-want +got):\n%s", page, diff)
		}
	})
}

// testLargeEntries lists entries that do not fit into memory many at a time.
func testLargeEntries(t trial) {
	s := t.store
	large := strings.Repeat("x", 400<<10)
	var entries []audit.Entry
	for i := range 8 {
		e := entryOf(i, "a")
		switch i % 3 {
		case 0:
			e.Words = large + strconv.Itoa(i)
		case 1:
			e.Before, e.After = nil, json.RawMessage(`"`+large+`"`)
		}
		entries = append(entries, e)
	}
	want := placed(entries)
	writeEntries(t, s, 1, entries...)
	rows, _, err := s.ListAudit(t.Context(), query.Page{Limit: 10, Sort: oldestFirst()})
	if err != nil || len(rows) != len(want) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if rows[0].Before == nil || rows[len(rows)-1].Before != nil {
		t.Error("the first entry must come whole, the last without what it holds")
	}
	for filled := slices.IndexFunc(rows, func(e audit.Recorded) bool { return e.Before == nil }); filled < len(rows); {
		n, err := s.FillAudit(t.Context(), rows[filled:])
		if err != nil || n < 1 {
			t.Fatalf("filled %d, %v", n, err)
		}
		if filled += n; n > 4 {
			t.Errorf("%d were read at once", n)
		}
	}
	for i := range rows {
		if diff := gocmp.Diff(listed(want[i]), listed(rows[i])); diff != "" {
			t.Errorf("entry %d (-want +got):\n%.300s", i, diff)
		}
	}
	gone := []audit.Recorded{{Place: audit.Place{Shard: 1, Number: 99}}}
	if n, err := s.FillAudit(t.Context(), gone); n != 1 || err != nil || gone[0].Before != nil {
		t.Errorf("an entry that is gone: looked at %d, %v: %+v", n, err, gone)
	}
}

// testAuditChain has every sort of write leave entries, some of which are undone,
// and verifies what is left.
func testAuditChain(t trial) {
	s := t.store
	wantWhole(t, s, nil, 0)
	one := launch(t, s, 1)
	src := createSource(t, s, sourceOf(2))
	writers := make(chan error)
	const each = 10
	for w := range 4 {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				n := 100 + w*each + i
				c := launched(t, n)
				_, _, err = s.Create(t.Context(), c, task.IdempotencyKey{}, launchEntry(c))
			}
			writers <- err
		}()
	}
	for range 4 {
		if err := <-writers; err != nil {
			t.Fatal(err)
		}
	}
	// Undone: neither the entry nor its place stays.
	mistake := errors.New("mistake")
	if _, err := s.UpdateSource(t.Context(), src.ID, func(src source.Source) (source.Source, *audit.Entry, error) {
		return src, &audit.Entry{Object: string(src.ID)}, mistake
	}); err == nil {
		t.Fatal("a mistake passes")
	}
	c := launched(t, 1)
	if _, _, err := s.Create(t.Context(), c, task.IdempotencyKey{}, launchEntry(c)); err == nil {
		t.Fatal("an id that is taken passes")
	}
	before := wantWhole(t, s, nil, 4*each+2)
	head := headOf(t, &before)

	load(t, s, nil)
	deleteSource(t, s, src.ID)
	if _, err := s.Update(t.Context(), one.ID, everything(), func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: tk.ApplyCancel("p", "", start()), Entry: &audit.Entry{Object: string(tk.ID), Action: audit.Cancel}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	if v := wantWhole(t, s, head, 4*each+5); v.SinceHead != 3 {
		t.Errorf("%d entries since the head, want 3", v.SinceHead)
	}
	// An error of those who look on ends the walk.
	for name, walk := range map[string]func() error{
		"begin": func() error {
			return s.WalkAudit(t.Context(), func(audit.State) error { return mistake }, func(*audit.Recorded) error { return nil })
		},
		"entry": func() error {
			return s.WalkAudit(t.Context(), func(audit.State) error { return nil }, func(*audit.Recorded) error { return mistake })
		},
	} {
		if err := walk(); err == nil || !strings.Contains(err.Error(), "mistake") && task.KindOf(err) != task.Internal {
			t.Errorf("a mistake in %s: %v", name, err)
		}
	}
}

// testAuditRetention deletes the beginnings of the shards, a few entries at a time.
func testAuditRetention(t trial) {
	s := t.store
	var entries []audit.Entry
	for i := range 60 {
		entries = append(entries, entryOf(i, string(rune('a'+i%7))))
	}
	// One is from before the others in its shard, and was written late.
	entries = append(entries, entryOf(0, "a"))
	writeEntries(t, s, 1, entries...)
	whole := wantWhole(t, s, nil, len(entries))
	head := headOf(t, &whole)
	until := entries[29].At
	var kept []audit.Recorded
	var over [audit.Shards]bool
	for _, e := range placed(entries) {
		if over[e.Shard] = over[e.Shard] || e.At.After(until); over[e.Shard] {
			kept = append(kept, listed(e))
		}
	}
	signed := 0
	sign := func(deployment task.ID, c *audit.Checkpoint) {
		signed++
		c.Made = start()
		suiteSigner(t).SignCheckpoint(deployment, c)
	}
	deleted := 0
	for {
		n, err := s.PurgeAudit(t.Context(), until, 7, sign)
		if err != nil || n > 7 {
			t.Fatalf("%d deleted, %v", n, err)
		}
		deleted += n
		wantWhole(t, s, head, len(entries)-deleted)
		if n < 7 {
			break
		}
	}
	if deleted != len(entries)-len(kept) || signed == 0 {
		t.Fatalf("%d were deleted with %d checkpoints, want %d", deleted, signed, len(entries)-len(kept))
	}
	if n, err := s.PurgeAudit(t.Context(), until, 7, sign); n != 0 || err != nil {
		t.Errorf("once more: %d, %v", n, err)
	}
	got, total, err := s.ListAudit(t.Context(), query.Page{Limit: 250, Count: true, Sort: oldestFirst()})
	if err != nil || total != int64(len(kept)) {
		t.Fatalf("%d are left, want %d: %v", total, len(kept), err)
	}
	for i := range got {
		got[i] = listed(got[i])
	}
	byPlace := cmpopts.SortSlices(func(a, b audit.Recorded) bool { return a.ID() < b.ID() })
	if diff := gocmp.Diff(kept, got, byPlace); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
	// The numbers go on, also where all of a shard was deleted.
	if _, err := s.PurgeAudit(t.Context(), start().Add(time.Hour), 1000, sign); err != nil {
		t.Fatal(err)
	}
	if v := wantWhole(t, s, head, 0); v.Deleted != int64(len(entries)) || !v.Until.Equal(start().Add(time.Hour)) {
		t.Errorf("%d deleted until %v", v.Deleted, v.Until)
	}
	writeEntries(t, s, 1000, entryOf(5000, "a"))
	wantWhole(t, s, head, 1)
	at := audit.Place{Shard: audit.ShardOf("a"), Number: whole.Tips[audit.ShardOf("a")].Number + 1}
	if _, err := s.AuditEntry(t.Context(), at); err != nil {
		t.Errorf("the next entry: %v", err)
	}
}
