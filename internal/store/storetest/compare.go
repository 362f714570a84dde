package storetest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/account"
	"stint/internal/source"
	"stint/internal/task"
)

// comparison is what a run must find: plain maps by key.
type comparison struct {
	stored map[string]account.Record
	staged map[string]account.Record
	held   bool
}

// drawKey draws a key of what a database may take for something else: case and
// other folds, quotes, control characters, what sorts by bytes alone.
func drawKey() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{
			"a", "A", "b", "B", "é", "É", "e\u0301", "ß", "ss", "ı", "I", "K", "\u212a", "'", `"`, `\`, "%", "_", "*", "a'; --", " a", "a ", "\t",
			"\n", "\r\n", "\x01", "\x1f", "a\x1fb", "A\x1fb", "\x7f", "\u0085", "\u2028", "\ufffd", "\uffff", "\U00010000", "😀", "1", "01", "1.0", "null",
		}),
		rapid.StringOfN(rapid.RuneFrom([]rune("aAbé\x01\x1f'\"\uffff😀")), 1, 3, -1),
	)
}

// drawSame draws records that are often equal.
func drawSame(key string) *rapid.Generator[account.Record] {
	return rapid.Custom(func(t *rapid.T) account.Record {
		return record(key, rapid.SampledFrom([]string{"n", "N", "é"}).Draw(t, "name"),
			rapid.SampledFrom([]string{"{}", account.HeldBody, `{"x":"1"}`, `{"X":"1"}`, `{"x":["1","é"]}`}).Draw(t, "body"))
	})
}

// testCompare compares random stored and staged records with what plain maps
// make of the same.
func testCompare(t trial) {
	s, n := t.store, 0
	rapid.Check(t, func(rt *rapid.T) {
		n += 1000
		class := rapid.SampledFrom([]account.Class{account.Accounts, account.Entitlements}).Draw(rt, "class")
		m := &comparison{map[string]account.Record{}, map[string]account.Record{}, rapid.Bool().Draw(rt, "held")}
		src, other := sourceOf(n), sourceOf(n+1)
		for _, src := range []source.Source{src, other} {
			if err := s.CreateSource(rt.Context(), src, sourceEntry(src)); err != nil {
				rt.Fatalf("create source: %v", err)
			}
		}
		m.store(rt, s, n+10, class, src)
		// The same keys elsewhere, saying other things.
		aggregate(rt, s, n+11, class, other, decoys(n+300, m.stored))
		aggregate(rt, s, n+12, 3-class, src, decoys(n+600, m.stored))
		run, c := runOf(rt, n+20, class, src)
		run.State.Held = m.held
		beginRun(rt, s, run, c)
		beside := begin(rt, s, n+21, class, other)
		stage(rt, s, beside.TaskID, record("a", "n", "{}"), record("beside", "n", "{}"))
		m.stage(rt, s, run.TaskID)
		m.check(rt, s, &run)
	})
}

func (m *comparison) store(t *rapid.T, s Store, n int, class account.Class, src source.Source) {
	var changes []account.Recorded
	for _, key := range rapid.SliceOfNDistinct(drawKey(), 0, 12, rapid.ID[string]).Draw(t, "stored") {
		r := drawSame(key).Draw(t, "record")
		m.stored[key] = r
		changes = append(changes, account.Recorded{Record: r, ID: idOf(n<<8 + len(changes)), Change: account.Created})
	}
	aggregate(t, s, n, class, src, changes)
}

func decoys(n int, of map[string]account.Record) []account.Recorded {
	var changes []account.Recorded
	for _, key := range slices.Sorted(maps.Keys(of)) {
		changes = append(changes, createdRecord(n<<8+len(changes), key, "decoy", `{"decoy":"1"}`))
	}
	return append(changes, createdRecord(n<<8+len(changes), "a decoy", "decoy", `{"decoy":"1"}`))
}

// stage stages records in some transactions, and replaces some.
func (m *comparison) stage(t *rapid.T, s Store, id task.ID) {
	keys := drawKey()
	if len(m.stored) > 0 {
		keys = rapid.OneOf(keys, rapid.SampledFrom(slices.Sorted(maps.Keys(m.stored))))
	}
	for range rapid.IntRange(0, 3).Draw(t, "transactions") {
		var records []account.Record
		var want []int
		for _, key := range rapid.SliceOfN(keys, 0, 8).Draw(t, "staged") {
			r := drawSame(key).Draw(t, "record")
			before, stored := m.stored[key]
			if stored && rapid.Bool().Draw(t, "the same") {
				r = before
			}
			kept := r
			switch rapid.IntRange(0, 5).Draw(t, "sort") {
			case 0:
				r.Keep, kept = true, account.Record{Key: key, Keep: true}
			case 1:
				r.Known = true
				if stored {
					kept = before
				}
			}
			if _, twice := m.staged[key]; twice {
				want = append(want, len(records))
			} else {
				m.staged[key] = kept
			}
			records = append(records, r)
		}
		if clashes := stage(t, s, id, records...); !slices.Equal(clashes, want) {
			t.Fatalf("the clashes are %v, want %v", clashes, want)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(m.staged)) {
		if rapid.IntRange(0, 4).Draw(t, "is replaced") == 0 {
			r := drawSame(key).Draw(t, "record")
			work(t, s, id, func(w account.Work) (task.Report, error) { return task.Report{}, w.Restage(r) })
			m.staged[key] = r
		}
	}
}

func (m *comparison) check(t *rapid.T, s Store, run *account.Run) {
	limit := rapid.IntRange(1, 10).Draw(t, "limit")
	if diff := gocmp.Diff(m.counts(limit), walkCounts(t, s, run, limit)); diff != "" {
		t.Fatalf("counts, %d at a time (-want +got):\n%s", limit, diff)
	}
	for _, all := range []bool{false, true} {
		if diff := gocmp.Diff(m.differing(all), walkDiffering(t, s, run, limit, all), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("differing, all %v, %d at a time (-want +got):\n%s", all, limit, diff)
		}
	}
	if diff := gocmp.Diff(m.missing(), walkMissing(t, s, run, limit), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("missing, %d at a time (-want +got):\n%s", limit, diff)
	}
	if run.Class == account.Accounts {
		var want []account.Record
		for _, key := range slices.Sorted(maps.Keys(m.stored)) {
			want = append(want, m.stored[key])
		}
		if diff := gocmp.Diff(want, walkAccounts(t, s, run, limit), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("accounts, %d at a time (-want +got):\n%s", limit, diff)
		}
	}
}

func same(a, b account.Record) bool { return a.Name == b.Name && bytes.Equal(a.Body, b.Body) }

// counts are those of every range.
func (m *comparison) counts(limit int) []account.Counts {
	var all []account.Counts
	for keys := range slices.Chunk(slices.Sorted(maps.Keys(m.staged)), limit) {
		c := account.Counts{Last: keys[len(keys)-1], Rows: int64(len(keys))}
		for _, key := range keys {
			r := m.staged[key]
			before, stored := m.stored[key]
			switch {
			case r.Keep:
				c.Kept++
			case !stored:
				c.New++
			case !same(before, r):
				c.Differing++
			}
		}
		all = append(all, c)
	}
	return all
}

func (m *comparison) differing(all bool) []account.Difference {
	var found []account.Difference
	for _, key := range slices.Sorted(maps.Keys(m.staged)) {
		r := m.staged[key]
		before, stored := m.stored[key]
		if r.Keep || stored && same(before, r) && !all {
			continue
		}
		d := account.Difference{Record: r}
		if stored {
			d.Before = &before
		}
		found = append(found, d)
	}
	return found
}

func (m *comparison) missing() []account.Gone {
	var gone []account.Gone
	for _, key := range slices.Sorted(maps.Keys(m.stored)) {
		r := m.stored[key]
		if _, staged := m.staged[key]; !staged && (!m.held || string(r.Body) == account.HeldBody) {
			gone = append(gone, account.Gone{Key: key, Name: r.Name})
		}
	}
	return gone
}

func walkCounts(tb fataler, s Store, run *account.Run, limit int) []account.Counts {
	tb.Helper()
	var all []account.Counts
	for after := ""; ; {
		c, err := s.Compare(tb.Context(), run, after, limit)
		if err != nil {
			tb.Fatalf("compare: %v", err)
		}
		if c.Rows == 0 {
			return all
		}
		all = append(all, c)
		after = c.Last
	}
}

func walkDiffering(tb fataler, s Store, run *account.Run, limit int, all bool) []account.Difference {
	tb.Helper()
	return walk(tb, func(ctx context.Context, after string) ([]account.Difference, string, error) {
		return s.Differing(ctx, run, after, limit, all)
	})
}

func walkMissing(tb fataler, s Store, run *account.Run, limit int) []account.Gone {
	tb.Helper()
	return walk(tb, func(ctx context.Context, after string) ([]account.Gone, string, error) {
		return s.Missing(ctx, run, after, limit)
	})
}

func walkAccounts(tb fataler, s Store, run *account.Run, limit int) []account.Record {
	tb.Helper()
	return walk(tb, func(ctx context.Context, after string) ([]account.Record, string, error) {
		found, err := s.AccountsAfter(ctx, run, after, limit)
		if len(found) > limit {
			err = fmt.Errorf("%d of %d", len(found), limit)
		}
		if len(found) > 0 {
			after = found[len(found)-1].Key
		} else {
			after = ""
		}
		return found, after, err
	})
}

// walk joins the answers to a read that goes on after a key.
func walk[T any](tb fataler, read func(ctx context.Context, after string) ([]T, string, error)) []T {
	tb.Helper()
	var all []T
	for after := ""; ; {
		found, last, err := read(tb.Context(), after)
		if err != nil {
			tb.Fatalf("after %q: %v", after, err)
		}
		if last == "" {
			if len(found) > 0 {
				tb.Fatalf("after %q: %d and the end", after, len(found))
			}
			return all
		}
		if last <= after {
			tb.Fatalf("after %q comes %q", after, last)
		}
		all = append(all, found...)
		after = last
	}
}

// testMissingALot misses records whose keys and names are as long as they may be.
func testMissingALot(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	long := strings.Repeat("x", 4000)
	var changes []account.Recorded
	for i := range 600 {
		changes = append(changes, createdRecord(100+i, fmt.Sprintf("%s%04d", long, i), long, "{}"))
	}
	aggregate(t, s, 2, account.Accounts, src, changes)
	run := begin(t, s, 10, account.Accounts, src)
	size := 0
	gone := walk(t, func(ctx context.Context, after string) ([]account.Gone, string, error) {
		part, last, err := s.Missing(ctx, &run, after, 10_000)
		held := 0
		for _, g := range part {
			held += len(g.Key) + len(g.Name)
		}
		size = max(size, held)
		return part, last, err
	})
	if most := 1 << 20; len(gone) != len(changes) || size > most {
		t.Errorf("%d are missing, want %d; up to %d bytes at once, want %d at the most", len(gone), len(changes), size, most)
	}
}

// testCompareALot has more than is held in memory at once, in number and in
// size.
func testCompareALot(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	const most, mostFound = 8 << 20, 2000
	var small, large []account.Record
	var changes []account.Recorded
	for i := range 2500 {
		small = append(small, record(fmt.Sprintf("s%04d", i), "n", "{}"))
	}
	for i := range 30 {
		body := `{"a":"` + strings.Repeat("x", 500<<10) + `"}`
		large = append(large, record(fmt.Sprintf("l%02d", i), "n", body))
		changes = append(changes, createdRecord(100+i, large[i].Key, "before", body))
	}
	aggregate(t, s, 2, account.Accounts, src, changes)
	run := begin(t, s, 10, account.Accounts, src)
	stage(t, s, run.TaskID, append(large, small...)...)
	size, number := 0, 0
	found := walk(t, func(ctx context.Context, after string) ([]account.Difference, string, error) {
		part, last, err := s.Differing(ctx, &run, after, 10_000, false)
		held := 0
		for _, d := range part {
			held += len(d.Body)
			if d.Before != nil {
				held += len(d.Before.Body)
			}
		}
		size, number = max(size, held), max(number, len(part))
		return part, last, err
	})
	if len(found) != len(large)+len(small) || size > most || number > mostFound {
		t.Errorf("%d differ, want %d; up to %d and %d bytes at once", len(found), len(large)+len(small), number, size)
	}
	size = 0
	accounts := walk(t, func(ctx context.Context, after string) ([]account.Record, string, error) {
		part, err := s.AccountsAfter(ctx, &run, after, 10_000)
		held, last := 0, ""
		for _, a := range part {
			held, last = held+len(a.Body), a.Key
		}
		size = max(size, held)
		return part, last, err
	})
	if len(accounts) != len(large) || size > most {
		t.Errorf("%d accounts, want %d; up to %d bytes at once", len(accounts), len(large), size)
	}
	for name, call := range map[string]func(*account.Run) error{
		"compare":   func(r *account.Run) error { _, err := s.Compare(t.Context(), r, "", 5); return err },
		"differing": func(r *account.Run) error { _, _, err := s.Differing(t.Context(), r, "", 5, false); return err },
		"missing":   func(r *account.Run) error { _, _, err := s.Missing(t.Context(), r, "", 5); return err },
		"accounts":  func(r *account.Run) error { _, err := s.AccountsAfter(t.Context(), r, "", 5); return err },
	} {
		if err := call(&account.Run{TaskID: idOf(99), Class: account.Accounts}); task.KindOf(err) != task.NotFound {
			t.Errorf("%s of no run: %v", name, err)
		}
	}
}
