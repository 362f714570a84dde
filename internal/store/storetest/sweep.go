package storetest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/task"
)

// sweepAll sweeps until there is no more, and returns how often.
func sweepAll(tb testing.TB, s Store, before time.Time, limit int) int {
	tb.Helper()
	for n := 1; ; n++ {
		more, err := s.Sweep(tb.Context(), before, limit)
		if err != nil {
			tb.Fatalf("sweep: %v", err)
		}
		if !more {
			return n
		}
		if n > 10_000 {
			tb.Fatal("it never ends")
		}
	}
}

func cancelled(t task.Task) (audit.Change, error) {
	return audit.Change{Change: t.ApplyCancel("p", "", at(2000))}, nil
}

// runEnds are the ways in which a task lets go of its run. The one that purges
// comes last: it takes along what ended before.
func runEnds(t trial) []struct {
	name string
	end  func(run account.Run)
	gone bool // and its run with it
} {
	s := t.store
	updated := func(fn audit.UpdateFunc) func(account.Run) {
		return func(run account.Run) {
			if _, err := s.Update(t.Context(), run.TaskID, everything(), fn); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []struct {
		name string
		end  func(run account.Run)
		gone bool
	}{
		{"completed", func(run account.Run) { end(t, s, run.TaskID) }, false},
		{"cancelled", updated(cancelled), false},
		{"cleared", updated(func(tk task.Task) (audit.Change, error) {
			c, err := tk.ApplyClear(task.Clear{Status: task.Warning}, at(2000))
			return audit.Change{Change: c}, err
		}), false},
		{"interrupted too often", updated(func(tk task.Task) (audit.Change, error) {
			c := task.Change{Task: tk}
			for c.Task.Status == task.InProgress {
				c = c.Task.ApplyInterrupted(c.Task.Attempt, "of a test", at(2000))
			}
			return audit.Change{Change: c}, nil
		}), false},
		{"source deleted", func(run account.Run) {
			gone, err := s.DeleteSource(t.Context(), run.SourceID, cancelled, deletionEntry)
			if err != nil || len(gone.Ended) != 1 || gone.Ended[0].ID != run.TaskID {
				t.Errorf("delete source: %v, %v", gone.Ended, err)
			}
		}, false},
		{"replaced", func(run account.Run) {
			tk := launched(t, 0).Task
			tk.ID = run.TaskID
			if _, err := s.Import(t.Context(), seq([]task.Task{tk}), true, start(), importEntry); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"purged", func(account.Run) {
			if _, err := s.Purge(t.Context(), at(400), 100, keep); err != nil {
				t.Fatal(err)
			}
		}, true},
	}
}

// testRunEnds ends runs in every way: what they hold is let go of, and goes.
func testRunEnds(t trial) {
	s := t.store
	staged := []account.Record{record("a", "A", "{}"), record("b", "B", "{}"), {Key: "c", Keep: true}}
	prepare := func(n int, src source.Source) account.Run {
		run, c := runOf(t, n, account.Accounts, src)
		run.Upload = idOf(1000 + n)
		upload(t, s, run.Upload, "abc", "def")
		beginRun(t, s, run, c)
		stage(t, s, run.TaskID, staged...)
		work(t, s, run.TaskID, func(w account.Work) (task.Report, error) {
			return task.Report{}, w.Record([]account.Recorded{createdRecord(2000+n, "a", "A", "{}")})
		})
		return run
	}
	other := prepare(500, createSource(t, s, sourceOf(500)))
	rowsOf := func(run account.Run) (n int64) {
		for _, c := range walkCounts(t, s, &run, 100) {
			n += c.Rows
		}
		return n
	}
	for i, test := range runEnds(t) {
		src := createSource(t, s, sourceOf(100+i))
		run := prepare(100+i, src)
		late, c := runOf(t, 200+i, account.Accounts, src)
		if stored, _, err := createRun(t.Context(), s, late, c, task.IdempotencyKey{}); err != nil || stored.Status != task.Failure {
			t.Fatalf("%s: the source is not busy: %q, %v", test.name, stored.Status, err)
		}
		test.end(run)
		if _, err := s.ReadUpload(t.Context(), run.Upload, 0); task.KindOf(err) != task.NotFound {
			t.Errorf("%s: the upload is there: %v", test.name, err)
		}
		if got, err := s.Run(t.Context(), run.TaskID); test.gone != (task.KindOf(err) == task.NotFound) || got.Upload != "" {
			t.Errorf("%s: the run is %+v, %v", test.name, got, err)
		}
		if _, err := s.Source(t.Context(), src.ID); err == nil {
			next := begin(t, s, 300+i, account.Accounts, src)
			end(t, s, next.TaskID)
		}
		if n := sweepAll(t, s, start(), 100); n < 3 {
			t.Errorf("%s: nothing was swept", test.name)
		}
		_, changes, err := s.ListChanges(t.Context(), run.TaskID, query.Page{Count: true, Sort: byKey()})
		if want := int64(1); err != nil || !test.gone && changes != want {
			t.Errorf("%s: %d changes are left, %v", test.name, changes, err)
		}
		if test.gone { // the next of that id finds nothing
			if _, err := s.Purge(t.Context(), at(100+i), 100, keep); err != nil {
				t.Fatal(err)
			}
			sweepAll(t, s, start(), 100)
			begin(t, s, 100+i, account.Accounts, src)
			_, changes, err := s.ListChanges(t.Context(), run.TaskID, query.Page{Count: true, Sort: byKey()})
			if err != nil || changes != 0 {
				t.Errorf("%s: %d changes are left, %v", test.name, changes, err)
			}
		}
		if n := rowsOf(run); n != 0 {
			t.Errorf("%s: %d staged records are left", test.name, n)
		}
		if n, got := rowsOf(other), contents(t, s, other.Upload); n != 3 || got != "abcdef" {
			t.Errorf("%s: another run has %d staged records and the upload %q", test.name, n, got)
		}
	}
}

// testSweepBatches sweeps a little at a time.
func testSweepBatches(t trial) {
	s := t.store
	const rows, limit = 250, 20
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	run, kept := begin(t, s, 10, account.Accounts, src), begin(t, s, 11, account.Accounts, other)
	var records []account.Record
	for i := range rows {
		records = append(records, record(fmt.Sprintf("k%d", i), "n", `{"x":"1"}`))
	}
	stage(t, s, run.TaskID, records...)
	stage(t, s, kept.TaskID, records...)
	if n := sweepAll(t, s, start(), limit); n != 1 {
		t.Errorf("swept %d times before there was anything", n)
	}
	end(t, s, run.TaskID)
	left := int64(rows)
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), start(), limit); err != nil {
			t.Fatal(err)
		}
		c, err := s.Compare(t.Context(), &run, "", rows)
		if err != nil || left-c.Rows > limit {
			t.Fatalf("from %d to %d in one batch of %d, %v", left, c.Rows, limit, err)
		}
		left = c.Rows
	}
	if left != 0 {
		t.Errorf("%d are left", left)
	}
	if c, err := s.Compare(t.Context(), &kept, "", rows); err != nil || c.Rows != rows {
		t.Errorf("%d of another run are left, %v", c.Rows, err)
	}
	if more, err := s.Sweep(t.Context(), start(), limit); err != nil || more {
		t.Errorf("swept again: %v, %v", more, err)
	}
}

// testAbandonedUploads has uploads that stand still for different times.
func testAbandonedUploads(t trial) {
	s := t.store
	run, c := runOf(t, 10, account.Accounts, createSource(t, s, sourceOf(1)))
	run.Upload = idOf(53)
	for i := range 4 {
		upload(t, s, idOf(50+i), "abc")
	}
	beginRun(t, s, run, c)
	for i, touched := range map[int]time.Time{1: at(5000), 2: at(5001)} {
		if err := s.AppendUpload(t.Context(), idOf(50+i), 3, []byte("d"), touched); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		before time.Time
		left   string
	}{
		{start(), "50 51 52 53"}, {at(1), "51 52 53"}, {at(5000), "51 52 53"}, {at(5001), "52 53"}, {at(1_000_000), "53"},
	} {
		sweepAll(t, s, test.before, 100)
		var left []string
		for n := 50; n < 54; n++ {
			switch _, err := s.ReadUpload(t.Context(), idOf(n), 0); {
			case err == nil:
				left = append(left, strconv.Itoa(n))
			case task.KindOf(err) != task.NotFound:
				t.Errorf("read %d: %v", n, err)
			}
		}
		if got := strings.Join(left, " "); got != test.left {
			t.Errorf("before %s: %s are left, want %s", test.before, got, test.left)
		}
	}
	end(t, s, run.TaskID)
	if _, err := s.ReadUpload(t.Context(), run.Upload, 0); task.KindOf(err) != task.NotFound {
		t.Errorf("the upload of an ended task: %v", err)
	}
}

// testSweepSource deletes a source: its records are never seen again, and go.
func testSweepSource(t trial) {
	s := t.store
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	const rows = 50
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		for j, src := range []source.Source{src, other} {
			var changes []account.Recorded
			for k := range rows {
				changes = append(changes, createdRecord(1000*(j+1)+k, fmt.Sprintf("a\x1f%d", k), "n", "{}"))
			}
			aggregate(t, s, 10+2*i+j, class, src, changes)
		}
	}
	deleteSource(t, s, src.ID)
	src.Name = "again"
	createSource(t, s, src)
	check := func() {
		t.Helper()
		wantRecords(t, s, src.ID, 0, 0)
		wantRecords(t, s, other.ID, rows, rows)
		for class, get := range map[account.Class]func(context.Context, task.ID) (account.Stored, error){
			account.Accounts: s.Account, account.Entitlements: s.Entitlement,
		} {
			_, total, err := listRecords(t.Context(), s, class, query.Page{Count: true, Sort: byKey()})
			if err != nil || total != rows {
				t.Fatalf("%d %s, %v", total, class, err)
			}
			if _, err := get(t.Context(), idOf(1000+rows-1)); task.KindOf(err) != task.NotFound {
				t.Fatalf("one of the %s is there: %v", class, err)
			}
		}
	}
	check()
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), start(), 20); err != nil {
			t.Fatal(err)
		}
		check()
	}
	// Their ids are free: nothing is left of them.
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		var changes []account.Recorded
		for k := range rows {
			changes = append(changes, createdRecord(1000+k, fmt.Sprintf("b\x1f%d", k), "n", "{}"))
		}
		aggregate(t, s, 20+i, class, src, changes)
	}
	wantRecords(t, s, src.ID, rows, rows)
}

// runCalls are one of each method that is about runs.
func runCalls(tb testing.TB, s Store) map[string]func(context.Context) error {
	tb.Helper()
	run, c := runOf(tb, 4, account.Accounts, sourceOf(9))
	return map[string]func(context.Context) error{
		"create run": func(ctx context.Context) error {
			_, _, err := createRun(ctx, s, run, c, task.IdempotencyKey{})
			return err
		},
		"run": func(ctx context.Context) error { _, err := s.Run(ctx, run.TaskID); return err },
		"work": func(ctx context.Context) error {
			_, err := s.Work(ctx, run.TaskID, 1, start(), func(account.Work) (task.Report, error) { return task.Report{}, nil })
			return err
		},
		"compare":        func(ctx context.Context) error { _, err := s.Compare(ctx, &run, "", 5); return err },
		"differing":      func(ctx context.Context) error { _, _, err := s.Differing(ctx, &run, "", 5, true); return err },
		"missing":        func(ctx context.Context) error { _, _, err := s.Missing(ctx, &run, "", 5); return err },
		"accounts after": func(ctx context.Context) error { _, err := s.AccountsAfter(ctx, &run, "", 5); return err },
		"begin upload":   func(ctx context.Context) error { return s.BeginUpload(ctx, idOf(70), start()) },
		"append upload":  func(ctx context.Context) error { return s.AppendUpload(ctx, idOf(71), 0, []byte("a"), start()) },
		"drop upload":    func(ctx context.Context) error { return s.DropUpload(ctx, idOf(71)) },
		"read upload":    func(ctx context.Context) error { _, err := s.ReadUpload(ctx, idOf(71), 0); return err },
		"sweep":          func(ctx context.Context) error { _, err := s.Sweep(ctx, start(), 5); return err },
		"built in":       func(ctx context.Context) error { _, err := s.BuiltIn(ctx, -1, 5); return err },
	}
}
