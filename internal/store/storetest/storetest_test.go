package storetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlite"
	"stint/internal/store/storetest"
	"stint/internal/task"
)

// breakage names, in the environment of a subprocess, how its store is broken.
const breakage = "STINT_TEST_BREAKAGE"

func openStore(t *testing.T) storetest.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "stint.db"), AuditKey: storetest.AuditKey()})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSuiteRejects runs the suite on stores that are broken in one way each:
// the case that is there for it must fail.
func TestSuiteRejects(t *testing.T) {
	t.Parallel()
	for name, b := range broken() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$/^"+strings.ReplaceAll(b.fails, " ", "_")+"$",
				"-test.count=1", "-rapid.checks=500", "-rapid.nofailfile", "-rapid.shrinktime=1s")
			cmd.Env = append(os.Environ(), breakage+"="+name)
			out, err := cmd.CombinedOutput()
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("the suite accepts it: %v\n%s", err, out)
			}
			if want := "--- FAIL: TestBroken/" + strings.ReplaceAll(b.fails, " ", "_"); !strings.Contains(string(out), want) {
				t.Fatalf("the case %q did not fail:\n%s", b.fails, out)
			}
			t.Logf("%s", firstComplaint(string(out)))
		})
	}
}

// firstComplaint returns what the suite said first, for people.
func firstComplaint(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, ".go:") {
			return strings.TrimSpace(line)
		}
	}
	return "it said nothing"
}

// TestBroken is the suite on a broken store, when it is asked for one.
func TestBroken(t *testing.T) {
	name := os.Getenv(breakage)
	if name == "" {
		t.Skip("only TestSuiteRejects runs it")
	}
	b, known := broken()[name]
	if !known {
		t.Fatalf("no breakage is called %q", name)
	}
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		return b.wrap(openStore(t))
	})
}

// broken are the ways in which a store can be wrong, each with the case that
// tells.
func broken() map[string]breaks {
	all := brokenRuns()
	maps.Copy(all, brokenTasks())
	maps.Copy(all, brokenAudits())
	maps.Copy(all, brokenClients())
	maps.Copy(all, brokenDumps())
	return all
}

func brokenTasks() map[string]breaks {
	type s = storetest.Store
	return map[string]breaks{
		"ties in any order":                  {"paging", func(in s) s { return tieless{in} }},
		"not takes null for unknown":         {"filters", func(in s) s { return filtered{in, threeValued} }},
		"case beyond ASCII":                  {"case", func(in s) s { return filtered{in, unicodeFold} }},
		"count ignores visibility":           {"counts", func(in s) s { return countsAll{in} }},
		"count ignores visibility at random": {"counts stay exact", func(in s) s { return countsAll{in} }},
		"visible at the edge":                {"visibility", func(in s) s { return edge{in} }},
		"position ignored":                   {"sorts", func(in s) s { return unplaced{in} }},
		"equal values in any order":          {"sorts", func(in s) s { return tieless{in} }},
		"far offsets off by one":             {"offsets", func(in s) s { return offByOne{in} }},
		"change outside the transaction":     {"fencing", func(in s) s { return lostUpdate{in} }},
		"late writes accepted":               {"fencing", func(in s) s { return overwriting{in} }},
		"events lost on refusal":             {"update refused", func(in s) s { return forgetful{in} }},
		"refusals not counted":               {"history counts refusals", func(in s) s { return keyless{in} }},
		"audit entry lost":                   {"update writes together", func(in s) s { return unaudited{in} }},
		"failed update written":              {"update fails", func(in s) s { return stubborn{in} }},
		"idempotency ignored":                {"idempotency at once", func(in s) s { return keyChanged{in, noKey} }},
		"fingerprint ignored":                {"idempotency conflicts", func(in s) s { return keyChanged{in, noFingerprint} }},
		"numbers rounded":                    {"create keeps values as written", func(in s) s { return rounding{in} }},
		"times cut to the second":            {"create keeps every field", func(in s) s { return seconds{in} }},
		"purge without expiry":               {"purge expires", func(in s) s { return unexpired{in} }},
		"purge newest first":                 {"purge in batches", func(in s) s { return greedy{in} }},
		"import in pieces":                   {"import all or nothing", func(in s) s { return piecemeal{in} }},
		"replace keeps the attempt":          {"import replaces", func(in s) s { return sameAttempt{in} }},
		"overdue in any order":               {"overdue", func(in s) s { return unordered{in} }},
		"export without the old":             {"export", func(in s) s { return partial{in} }},
		"last setting wins":                  {"settings", func(in s) s { return &lastWins{Store: in} }},
		"writes of those that gave up":       {"contexts", func(in s) s { return detached{in} }},
		"open after close":                   {"closed", func(in s) s { return ajar{in} }},
		"two sources of one name":            {"source names", func(in s) s { return namesakes{in} }},
		"two sources of one name, at once":   {"source names at once", func(in s) s { return namesakes{in} }},
		"audit entry of a source lost":       {"source keeps every field", func(in s) s { return unauditedSource{in} }},
		"failed update of a source written":  {"source update", func(in s) s { return stubbornSource{in} }},
		"refused deletion of a source done":  {"source delete", func(in s) s { return deletesAnyway{in} }},
		"filter of sources ignored":          {"source list", func(in s) s { return otherSources{in, noFilter} }},
		"filter of accounts ignored":         {"record filters", func(in s) s { return otherRecords{in, noFilter} }},
		"second sorter of accounts ignored":  {"record filters", func(in s) s { return otherRecords{in, firstSorterAlone} }},
		"starts with taken for equals":       {"many records", func(in s) s { return otherRecords{in, wholePrefix} }},
		"stale accounts":                     {"records keep every field", func(in s) s { return remembering{in, map[task.ID]account.Stored{}} }},
		"bodies not filled in":               {"large records", func(in s) s { return unfilled{in} }},
		"filter of changes ignored":          {"changes", func(in s) s { return unfilteredChanges{in} }},
		"second sorter ignored":              {"source list", func(in s) s { return otherSources{in, firstSorterAlone} }},
	}
}

// tieless orders by creation alone.
type tieless struct{ storetest.Store }

func (b tieless) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	rows, n, err := b.Store.List(ctx, page, since)
	for i := 0; i < len(rows); {
		j := i + 1
		for j < len(rows) && created(rows[j]) == created(rows[i]) {
			j++
		}
		slices.Reverse(rows[i:j])
		i = j
	}
	return rows, n, err
}

func created(r task.Row) string {
	var t struct{ Created string }
	if err := json.Unmarshal(r.Wire, &t); err != nil {
		panic(err)
	}
	return t.Created
}

// unplaced knows no cursor once tasks are sorted on something else than their creation.
type unplaced struct{ storetest.Store }

func (b unplaced) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	if page.Sort[0].Field != query.FieldCreated {
		page.After = nil
	}
	return b.Store.List(ctx, page, since)
}

// filtered lists by another filter than the one asked for.
type filtered struct {
	storetest.Store
	change func(query.Expr) query.Expr
}

func (b filtered) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	page.Filter = walk(page.Filter, b.change)
	return b.Store.List(ctx, page, since)
}

func walk(e query.Expr, change func(query.Expr) query.Expr) query.Expr {
	all := func(terms []query.Expr) []query.Expr {
		out := make([]query.Expr, len(terms))
		for i, t := range terms {
			out[i] = walk(t, change)
		}
		return out
	}
	switch e := e.(type) {
	case nil:
		return nil
	case query.And:
		return change(query.And{Terms: all(e.Terms)})
	case query.Or:
		return change(query.Or{Terms: all(e.Terms)})
	case query.Not:
		return change(query.Not{Term: walk(e.Term, change)})
	}
	return change(e)
}

// threeValued is SQL's own not: null is neither equal nor different.
func threeValued(e query.Expr) query.Expr {
	not, ok := e.(query.Not)
	if !ok {
		return e
	}
	c, ok := not.Term.(query.Compare)
	if !ok {
		return e
	}
	return query.And{Terms: []query.Expr{not, query.Not{Term: query.Null{Field: c.Field}}}}
}

// unicodeFold is the fold of lower() in many databases.
func unicodeFold(e query.Expr) query.Expr {
	c, ok := e.(query.Compare)
	if !ok || (c.Field != query.FieldSource && c.Field != query.FieldLauncher) {
		return e
	}
	wide := query.Compare{Field: c.Field}
	for _, v := range c.Values {
		wide.Values = append(wide.Values, v, strings.ToLower(v), strings.ToUpper(v))
	}
	return wide
}

type countsAll struct{ storetest.Store }

func (b countsAll) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	rows, n, err := b.Store.List(ctx, page, since)
	if err == nil && page.Count {
		_, n, err = b.Store.List(ctx, query.Page{Count: true, Filter: page.Filter, Sort: page.Sort}, time.Time{})
	}
	return rows, n, err
}

// edge shows a task for a millisecond too long.
type edge struct{ storetest.Store }

func (b edge) Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error) {
	if !since.IsZero() {
		since = since.Add(-time.Millisecond)
	}
	return b.Store.Get(ctx, id, since)
}

type offByOne struct{ storetest.Store }

func (b offByOne) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	if page.Offset > 50 {
		page.Offset++
	}
	return b.Store.List(ctx, page, since)
}

// lostUpdate decides outside the transaction that writes.
type lostUpdate struct{ storetest.Store }

func (b lostUpdate) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	seen, err := b.Store.Update(ctx, id, since, func(t task.Task) (audit.Change, error) {
		return audit.Change{Change: task.Change{Task: t}}, nil
	})
	if err != nil {
		return seen, err
	}
	c, err := fn(seen)
	if err != nil {
		return task.Task{}, err
	}
	return b.Store.Update(ctx, id, since, func(task.Task) (audit.Change, error) { return c, nil })
}

// overwriting lets whoever writes to a completed task have its way.
type overwriting struct{ storetest.Store }

func (b overwriting) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	return b.Store.Update(ctx, id, since, func(t task.Task) (audit.Change, error) {
		t.Status, t.Completed = task.InProgress, time.Time{}
		return fn(t)
	})
}

type forgetful struct{ storetest.Store }

func (b forgetful) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	return b.changing(ctx, id, since, fn, func(c *audit.Change) {
		if c.Err != nil {
			c.Events = nil
		}
	})
}

func (b forgetful) changing(
	ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc, change func(*audit.Change),
) (task.Task, error) {
	return b.Store.Update(ctx, id, since, func(t task.Task) (audit.Change, error) {
		c, err := fn(t)
		change(&c)
		return c, err
	})
}

type keyless struct{ storetest.Store }

func (b keyless) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	return forgetful(b).changing(ctx, id, since, fn, func(c *audit.Change) {
		for i := range c.Events {
			c.Events[i].Key = ""
		}
	})
}

type unaudited struct{ storetest.Store }

func (b unaudited) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	return forgetful(b).changing(ctx, id, since, fn, func(c *audit.Change) { c.Entry = nil })
}

// stubborn keeps what a function made before it failed.
type stubborn struct{ storetest.Store }

func (b stubborn) Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	var failure error
	t, err := b.Store.Update(ctx, id, since, func(t task.Task) (audit.Change, error) {
		var c audit.Change
		c, failure = fn(t)
		return c, nil
	})
	return t, errors.Join(failure, err)
}

type keyChanged struct {
	storetest.Store
	change func(task.IdempotencyKey) task.IdempotencyKey
}

func (b keyChanged) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	return b.Store.Create(ctx, c, b.change(key), e)
}

func noKey(task.IdempotencyKey) task.IdempotencyKey { return task.IdempotencyKey{} }

func noFingerprint(k task.IdempotencyKey) task.IdempotencyKey {
	return task.IdempotencyKey{Key: k.Key, Fingerprint: []byte{}}
}

type rounding struct{ storetest.Store }

func (b rounding) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	attributes := map[string]json.RawMessage{}
	for name, value := range c.Task.Attributes {
		var v any
		if err := json.Unmarshal(value, &v); err != nil {
			return task.Task{}, false, err
		}
		again, err := json.Marshal(v)
		if err != nil {
			return task.Task{}, false, err
		}
		attributes[name] = again
	}
	c.Task.Attributes = attributes
	return b.Store.Create(ctx, c, key, e)
}

type seconds struct{ storetest.Store }

func (b seconds) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	c.Task.Created = c.Task.Created.Truncate(time.Second)
	return b.Store.Create(ctx, c, key, e)
}

type unexpired struct{ storetest.Store }

func (b unexpired) Purge(ctx context.Context, before time.Time, limit int, _ audit.UpdateFunc) (int, error) {
	return b.Store.Purge(ctx, before, limit, func(t task.Task) (audit.Change, error) {
		return audit.Change{Change: task.Change{Task: t}}, nil
	})
}

// greedy deletes more than it was asked to.
type greedy struct{ storetest.Store }

func (b greedy) Purge(ctx context.Context, before time.Time, limit int, fn audit.UpdateFunc) (int, error) {
	return b.Store.Purge(ctx, before, limit+1, fn)
}

// piecemeal has a transaction a task.
type piecemeal struct{ storetest.Store }

func (b piecemeal) Import(
	ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time, entry func(task.ImportResult) audit.Entry,
) (task.ImportResult, error) {
	var sum task.ImportResult
	for t, err := range tasks {
		r, err := b.Store.Import(ctx, func(yield func(task.Task, error) bool) { yield(t, err) }, replace, now, entry)
		if err != nil {
			return task.ImportResult{}, err
		}
		sum = task.ImportResult{Added: sum.Added + r.Added, Unchanged: sum.Unchanged + r.Unchanged, Replaced: sum.Replaced + r.Replaced}
	}
	return sum, nil
}

type sameAttempt struct{ storetest.Store }

func (b sameAttempt) Import(
	ctx context.Context, tasks iter.Seq2[task.Task, error], replace bool, now time.Time, entry func(task.ImportResult) audit.Entry,
) (task.ImportResult, error) {
	var ids []task.ID
	r, err := b.Store.Import(ctx, func(yield func(task.Task, error) bool) {
		for t, err := range tasks {
			ids = append(ids, t.ID)
			if !yield(t, err) {
				return
			}
		}
	}, replace, now, entry)
	for _, id := range ids {
		_, uerr := b.Update(ctx, id, time.Time{}, func(t task.Task) (audit.Change, error) {
			t.Attempt = 1
			return audit.Change{Change: task.Change{Task: t, Changed: true}}, nil
		})
		err = errors.Join(err, uerr)
	}
	return r, err
}

type unordered struct{ storetest.Store }

func (b unordered) Overdue(ctx context.Context, now time.Time, limit int) ([]task.ID, error) {
	ids, err := b.Store.Overdue(ctx, now, limit)
	slices.Sort(ids)
	return ids, err
}

// partial leaves out the oldest task.
type partial struct{ storetest.Store }

func (b partial) Export(ctx context.Context, fn func(task.Row) error) error {
	n := 0
	return b.Store.Export(ctx, func(r task.Row) error {
		if n++; n == 1 {
			return nil
		}
		return fn(r)
	})
}

type lastWins struct {
	storetest.Store
	mu    sync.Mutex
	known map[string][]byte
}

func (b *lastWins) Setting(_ context.Context, name string, initial []byte) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.known == nil {
		b.known = map[string][]byte{}
	}
	b.known[name] = initial
	return initial, nil
}

type detached struct{ storetest.Store }

func (b detached) Create(ctx context.Context, c task.Change, key task.IdempotencyKey, e audit.Entry) (task.Task, bool, error) {
	t, created, err := b.Store.Create(context.WithoutCancel(ctx), c, key, e)
	return t, created, errors.Join(ctx.Err(), err)
}

// ajar goes on after it was closed.
type ajar struct{ storetest.Store }

func (b ajar) Close() error { return nil }
