package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/source"
	"stint/internal/task"
)

// Runs is what aggregations ask of storage: their runs, what those stage and
// record, and their uploads.
type Runs interface {
	Uploads
	// CreateRun stores a new task, its run, its events and its entry together; or
	// finds the one that the key made before, and says false. Where the source has
	// a run of the class in progress, the task is stored as busy makes it; it
	// holds nothing, its upload is dropped. The first run of accounts settles the
	// columns of its source. NotFound for an unknown source or upload, IllegalValue
	// for other columns.
	CreateRun(ctx context.Context, run account.Run, c task.Change, busy func(t task.Task, other task.ID) task.Change,
		key task.IdempotencyKey, entry func(t *task.Task) (audit.Entry, error)) (task.Task, bool, error)
	// Run returns the run of a task; else NotFound.
	Run(ctx context.Context, id task.ID) (account.Run, error)
	// Work runs fn in one write transaction of an attempt and takes the report that
	// it returns. An attempt without the fence is refused without calling fn, and
	// that is kept in the history. An error or panic of fn, or a report that cannot
	// be taken, undoes all. fn may be called again.
	Work(ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error)) (task.Task, error)
	// Compare counts how up to limit staged records after a key compare with what
	// is stored. Keys are in the order of their bytes.
	Compare(ctx context.Context, run *account.Run, after string, limit int) (account.Counts, error)
	// Differing returns those of up to limit staged records after a key that are
	// new or say something else than what is stored; with all, the unchanged too.
	// It stops early where it holds much. The key is the last one looked at, "" at
	// the end.
	Differing(ctx context.Context, run *account.Run, after string, limit int, all bool) ([]account.Difference, string, error)
	// Missing returns those of up to limit stored records after a key that are not
	// staged; of a run of what accounts hold, only those whose body is {}.
	Missing(ctx context.Context, run *account.Run, after string, limit int) ([]account.Gone, string, error)
	// AccountsAfter returns up to limit stored accounts of a run's source after a
	// key; fewer where it holds much, none at the end alone.
	AccountsAfter(ctx context.Context, run *account.Run, after string, limit int) ([]account.Record, error)
	// Sweep deletes up to limit rows of what nothing needs any more, uploads
	// included that no task took and that nothing was added to since before. It
	// returns whether there may be more.
	Sweep(ctx context.Context, before time.Time, limit int) (bool, error)
	// BuiltIn returns up to limit tasks in progress that Stint runs itself whose
	// job has a greater number than after, in the order of those numbers.
	BuiltIn(ctx context.Context, after int64, limit int) ([]task.Assigned, error)
}

// at is n milliseconds after start.
func at(n int) time.Time { return start().Add(time.Duration(n) * time.Millisecond) }

// runOf returns the n-th task, an aggregation, and its run.
func runOf(tb fataler, n int, class account.Class, src source.Source) (account.Run, task.Change) {
	tb.Helper()
	definition, _ := task.NewCatalog().Lookup(string(task.AccountAggregation))
	l := task.Launch{Definition: definition, SourceID: string(src.ID), BuiltIn: true}
	c, err := task.NewTask(idOf(n), l, "tester", at(n))
	if err != nil {
		tb.Fatalf("new task: %v", err)
	}
	c.Task.Job = int64(n)
	state := account.State{Phase: account.Collecting, Columns: src.File.Columns, Bytes: 1<<40 + 1, File: src.File}
	return account.Run{TaskID: c.Task.ID, SourceID: src.ID, Class: class, State: state}, c
}

// testRunOfAnotherSetting begins runs whose file was checked before the source
// was changed.
func testRunOfAnotherSetting(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	n := 0
	for name, change := range map[string]func(*source.File){
		"account id": func(f *source.File) { f.AccountID += "x" }, "display name": func(f *source.File) { f.DisplayName += "x" },
		"delimiter": func(f *source.File) { f.Delimiter = ";" }, "separator": func(f *source.File) { f.MultiValueSeparator = ";" },
		"entitlements": func(f *source.File) { f.Entitlements = append(slices.Clone(f.Entitlements), "x") },
	} {
		n++
		run, c := runOf(t, 10+n, account.Accounts, src)
		change(&run.State.File)
		run.Upload = idOf(100 + n)
		upload(t, s, run.Upload, "abc")
		_, _, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{})
		if e := wantKind(t, err, task.Conflict); e != nil && e.Field != "file" {
			t.Errorf("%s: the error is about %q, want file", name, e.Field)
		}
		if _, err := s.Get(t.Context(), c.Task.ID, time.Time{}); task.KindOf(err) != task.NotFound {
			t.Errorf("%s: the task is there: %v", name, err)
		}
	}
}

// createRun stores a run; a busy source ends it as a launch does.
func createRun(ctx context.Context, s Store, run account.Run, c task.Change, key task.IdempotencyKey) (task.Task, bool, error) {
	busy := func(t task.Task, other task.ID) task.Change { return t.ApplyBusy(other, c.Task.Created) }
	return s.CreateRun(ctx, run, c, busy, key, func(t *task.Task) (audit.Entry, error) { return runEntry(t) })
}

func runEntry(t *task.Task) (audit.Entry, error) {
	after, err := t.MarshalWire()
	return audit.Entry{At: t.Created, Origin: audit.Origin{Actor: "tester"}, Action: audit.Launch, Object: string(t.ID), After: after}, err
}

// begin stores the n-th task as a run that is in progress.
func begin(tb fataler, s Store, n int, class account.Class, src source.Source) account.Run {
	tb.Helper()
	run, c := runOf(tb, n, class, src)
	return beginRun(tb, s, run, c)
}

func beginRun(tb fataler, s Store, run account.Run, c task.Change) account.Run {
	tb.Helper()
	stored, created, err := createRun(tb.Context(), s, run, c, task.IdempotencyKey{})
	if err != nil || !created || stored.Status != task.InProgress {
		tb.Fatalf("begin a run: %q, %v, %v", stored.Status, created, err)
	}
	return run
}

// end completes the task of a run.
func end(tb fataler, s Store, id task.ID) {
	tb.Helper()
	work(tb, s, id, func(account.Work) (task.Report, error) { return task.Report{Completion: task.Success}, nil })
}

// work runs a transaction of the first attempt that must be taken.
func work(tb fataler, s Store, id task.ID, fn func(account.Work) (task.Report, error)) task.Task {
	tb.Helper()
	t, err := s.Work(tb.Context(), id, 1, at(1000), fn)
	if err != nil {
		tb.Fatalf("work of %s: %v", id, err)
	}
	return t
}

// stage stages records and returns the clashes.
func stage(tb fataler, s Store, id task.ID, records ...account.Record) (clashes []int) {
	tb.Helper()
	work(tb, s, id, func(w account.Work) (r task.Report, err error) {
		clashes, err = w.Stage(records)
		return r, err
	})
	return clashes
}

func readRun(tb fataler, s Store, id task.ID) account.Run {
	tb.Helper()
	run, err := s.Run(tb.Context(), id)
	if err != nil {
		tb.Fatalf("run of %s: %v", id, err)
	}
	return run
}

// wantNoRun fails if anything is there of a launch.
func wantNoRun(tb testing.TB, s Store, id task.ID) {
	tb.Helper()
	if _, err := s.Get(tb.Context(), id, everything()); task.KindOf(err) != task.NotFound {
		tb.Errorf("there is a task: %v", err)
	}
	if _, err := s.Run(tb.Context(), id); task.KindOf(err) != task.NotFound {
		tb.Errorf("there is a run: %v", err)
	}
	if got := names(history(tb, s, id)) + actions(entries(tb, s, string(id))); got != "" {
		tb.Errorf("history or audit: %s", got)
	}
}

func testRunKeepsEveryField(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	aggregate(t, s, 2, account.Accounts, src, []account.Recorded{createdRecord(100, "a", "A", "{}"), createdRecord(101, "b", "B", "{}")})
	aggregate(t, s, 3, account.Entitlements, src, []account.Recorded{createdRecord(100, "g\x1fa", "A", "{}")})
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		run, c := runOf(t, 10+i, class, src)
		run.Upload = idOf(50 + i)
		upload(t, s, run.Upload, "abc")
		run.State = account.State{
			Options: account.Options{DisableOptimization: true, AllowDeletions: 7}, Phase: account.Collecting, Columns: src.File.Columns,
			Bytes: 3, File: src.File, Held: true, Offset: 1, Line: 2, After: "é\x01\"", Rows: 3, Total: 4, Problems: 5, Listed: 6, Stored: 99, New: 8,
			Differing: 9, Unchanged: 10, Missing: 11, Withheld: 12, Why: "<&\u2028>", Created: 13, Updated: 14, Deleted: 1<<53 + 1,
		}
		stored, created, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{})
		if err != nil || !created {
			t.Fatalf("create: %v, %v", created, err)
		}
		if diff := sameTask(c.Task, stored); diff != "" {
			t.Errorf("the answer (-want +got):\n%s", diff)
		}
		wantStored(t, s, c.Task)
		if diff := gocmp.Diff(c.Events, history(t, s, c.Task.ID), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
		entry, err := runEntry(&c.Task)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff([]audit.Entry{entry}, entries(t, s, string(c.Task.ID)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		run.State.Stored = int64(2 - i) // how many are stored is the store's to know
		if diff := gocmp.Diff(run, readRun(t, s, run.TaskID)); diff != "" {
			t.Errorf("run (-want +got):\n%s", diff)
		}
	}
	launch(t, s, 20)
	for _, id := range []task.ID{idOf(20), idOf(99), "", "zz"} {
		_, err := s.Run(t.Context(), id)
		_ = wantKind(t, err, task.NotFound)
	}
}

// testRunFails has launches that fail, each in another way: they leave nothing.
func testRunFails(t trial) {
	s := t.store
	first := sourceOf(1)
	first.File.Columns = nil
	src := createSource(t, s, first)
	launch(t, s, 5)
	upload(t, s, idOf(50), "abc")
	upload(t, s, idOf(51), "of another task")
	run, c := runOf(t, 6, account.Entitlements, src)
	run.Upload = idOf(51)
	beginRun(t, s, run, c)
	mistake := errors.New("mistake")
	entryOf := runEntry
	for name, test := range map[string]struct {
		change func(*account.Run, *task.Change)
		fails  func(*task.Task) (audit.Entry, error)
		kind   task.ErrorKind
	}{
		"unknown source":         {func(r *account.Run, _ *task.Change) { r.SourceID = idOf(9) }, entryOf, task.NotFound},
		"unknown upload":         {func(r *account.Run, _ *task.Change) { r.Upload = idOf(59) }, entryOf, task.NotFound},
		"upload of another task": {func(r *account.Run, _ *task.Change) { r.Upload = idOf(51) }, entryOf, task.NotFound},
		"no entry":               {func(*account.Run, *task.Change) {}, func(*task.Task) (audit.Entry, error) { return audit.Entry{}, mistake }, task.Internal},
		"taken id":               {func(r *account.Run, c *task.Change) { r.TaskID, c.Task.ID = idOf(5), idOf(5) }, entryOf, task.Internal},
	} {
		run, c := runOf(t, 10, account.Accounts, src)
		run.Upload, run.State.Columns = idOf(50), []string{"id", "never"}
		test.change(&run, &c)
		key := task.IdempotencyKey{Key: "k", Fingerprint: []byte("f")}
		_, created, err := s.CreateRun(t.Context(), run, c, nil, key, test.fails)
		if task.KindOf(err) != test.kind || created {
			t.Errorf("%s: %v, %v", name, created, err)
		}
		wantNoRun(t, s, idOf(10))
		wantSource(t, s, src)
	}
	if _, err := s.Run(t.Context(), idOf(5)); task.KindOf(err) != task.NotFound {
		t.Errorf("a task got the run of another: %v", err)
	}
	// The source is free, and so are the key and the upload.
	run, c = runOf(t, 11, account.Accounts, src)
	run.Upload, run.State.Columns = idOf(50), []string{"id"}
	stored, created, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{Key: "k", Fingerprint: []byte("g")})
	if err != nil || !created || stored.Status != task.InProgress {
		t.Errorf("afterwards: %q, %v, %v", stored.Status, created, err)
	}
}

func testRunBusy(t trial) {
	s := t.store
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	active := begin(t, s, 10, account.Accounts, src)
	begin(t, s, 11, account.Entitlements, src)
	begin(t, s, 12, account.Accounts, other)

	run, c := runOf(t, 13, account.Accounts, src)
	run.Upload = idOf(50)
	upload(t, s, run.Upload, "abc")
	stored, created, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{})
	want := c.Task.ApplyBusy(active.TaskID, c.Task.Created).Task
	if diff := sameTask(want, stored); err != nil || !created || diff != "" {
		t.Fatalf("%v, %v (-want +got):\n%s", created, err, diff)
	}
	wantStored(t, s, want)
	if got := names(history(t, s, want.ID)); got != "launched completed" {
		t.Errorf("the history is %q", got)
	}
	entry, err := runEntry(&want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]audit.Entry{entry}, entries(t, s, string(want.ID)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if got := readRun(t, s, want.ID); got.State.Phase != account.Finished || got.Upload != "" {
		t.Errorf("its run: %+v", got)
	}
	if _, err := s.ReadUpload(t.Context(), run.Upload, 0); task.KindOf(err) != task.NotFound {
		t.Errorf("its upload is there: %v", err)
	}
	// It holds nothing: the other's end alone frees the source.
	end(t, s, active.TaskID)
	begin(t, s, 14, account.Accounts, src)
}

func testRunsAtOnce(t trial) {
	s := t.store
	const rounds, callers = 10, 8
	for round := range rounds {
		src := createSource(t, s, sourceOf(1000+round))
		var wg sync.WaitGroup
		stored := make([]task.Task, callers)
		for i := range callers {
			run, c := runOf(t, round*callers+i, account.Accounts, src)
			wg.Go(func() {
				var err error
				if stored[i], _, err = createRun(t.Context(), s, run, c, task.IdempotencyKey{}); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		ended := slices.DeleteFunc(slices.Clone(stored), func(tk task.Task) bool { return tk.Status == task.InProgress })
		if len(ended) != callers-1 {
			t.Errorf("round %d: %d are in progress, want 1", round, callers-len(ended))
		}
	}
}

func testRunRepeated(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	key := task.IdempotencyKey{Key: "K", Fingerprint: []byte{0, 255}}
	launchWith := func(n int, key task.IdempotencyKey) (task.Task, bool, error) {
		run, c := runOf(t, n, account.Accounts, src)
		run.Upload = idOf(100 + n)
		upload(t, s, run.Upload, "abc")
		return createRun(t.Context(), s, run, c, key)
	}
	first, created, err := launchWith(10, key)
	if err != nil || !created {
		t.Fatalf("first: %v, %v", created, err)
	}
	again, created, err := launchWith(11, key)
	if diff := sameTask(first, again); err != nil || created || diff != "" {
		t.Errorf("repeat: %v, %v (-want +got):\n%s", created, err, diff)
	}
	wantNoRun(t, s, idOf(11))
	if _, err := s.ReadUpload(t.Context(), idOf(111), 0); task.KindOf(err) != task.NotFound {
		t.Errorf("the upload of the repeat is there: %v", err)
	}
	if got := contents(t, s, idOf(110)); got != "abc" {
		t.Errorf("the upload of the first is %q", got)
	}
	_, _, err = launchWith(12, task.IdempotencyKey{Key: "K", Fingerprint: []byte{1}})
	_ = wantKind(t, err, task.Conflict)
	wantNoRun(t, s, idOf(12))
	// Launches of all sorts share their keys.
	c := launched(t, 13)
	_, _, err = s.Create(t.Context(), c, task.IdempotencyKey{Key: "K", Fingerprint: []byte("f")}, launchEntry(c))
	_ = wantKind(t, err, task.Conflict)
	// One that found its source busy is repeated like any other.
	busy, _, err := launchWith(14, task.IdempotencyKey{Key: "L", Fingerprint: []byte("f")})
	if err != nil || busy.Status != task.Failure {
		t.Fatalf("busy: %q, %v", busy.Status, err)
	}
	end(t, s, first.ID)
	again, created, err = launchWith(15, task.IdempotencyKey{Key: "L", Fingerprint: []byte("f")})
	if diff := sameTask(busy, again); err != nil || created || diff != "" {
		t.Errorf("repeat of a busy one: %v, %v (-want +got):\n%s", created, err, diff)
	}
}

func testRunSettlesColumns(t trial) {
	s := t.store
	src := sourceOf(1)
	src.File.Columns = nil
	createSource(t, s, src)
	attempt := func(n int, class account.Class, columns ...string) error {
		run, c := runOf(t, n, class, src)
		run.State.Columns = columns
		stored, _, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{})
		if err == nil && stored.Status == task.InProgress {
			end(t, s, stored.ID)
		}
		return err
	}
	columnsOf := func(id task.ID) []string {
		got, err := s.Source(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return got.File.Columns
	}
	if err := attempt(10, account.Entitlements, "x", "y"); err != nil || len(columnsOf(src.ID)) != 0 {
		t.Errorf("entitlements: %v, columns %q", err, columnsOf(src.ID))
	}
	first := []string{"id", "é\"", "name"}
	if err := attempt(11, account.Accounts, first...); err != nil || !slices.Equal(columnsOf(src.ID), first) {
		t.Errorf("accounts: %v, columns %q", err, columnsOf(src.ID))
	}
	if err := attempt(12, account.Accounts, "name", "id", "é\""); err != nil {
		t.Errorf("another order: %v", err)
	}
	for i, columns := range [][]string{{"id", "name"}, {"id", "é\"", "name", "more"}, {"ID", "é\"", "name"}} {
		err := attempt(13+i, account.Accounts, columns...)
		_ = wantKind(t, err, task.IllegalValue)
		wantNoRun(t, s, idOf(13+i))
	}
	if got := columnsOf(src.ID); !slices.Equal(got, first) {
		t.Errorf("the columns are %q", got)
	}
	// Two first files at once: one of them settles the columns and runs.
	for round := range 10 {
		src := sourceOf(100 + round)
		src.File.Columns = nil
		createSource(t, s, src)
		files := [][]string{{"id", "left"}, {"id", "right"}}
		var ran [2]bool
		var wg sync.WaitGroup
		for i := range files {
			run, c := runOf(t, 200+2*round+i, account.Accounts, src)
			run.State.Columns = files[i]
			wg.Go(func() {
				stored, _, err := createRun(t.Context(), s, run, c, task.IdempotencyKey{})
				if err != nil {
					t.Errorf("round %d: %v", round, err)
				}
				ran[i] = stored.Status == task.InProgress
			})
		}
		wg.Wait()
		if got := columnsOf(src.ID); ran[0] == ran[1] || !slices.Equal(got, files[slices.Index(ran[:], true)]) {
			t.Errorf("round %d: they ran: %v, columns %q", round, ran, got)
		}
	}
}

// testBuiltIn pages through the tasks that Stint runs itself.
func testBuiltIn(t trial) {
	s := t.store
	var want []task.Assigned
	for n := range 30 {
		src := createSource(t, s, sourceOf(100+n))
		run, c := runOf(t, n, account.Accounts, src)
		c.Task.Job = int64(1000 - 7*n) // not in the order of the tasks
		beginRun(t, s, run, c)
		switch n % 5 {
		case 0:
			end(t, s, run.TaskID)
		case 1: // the next attempt has another job
			update(t, s, run.TaskID, func(tk task.Task) task.Change {
				c := tk.ApplyInterrupted(1, "of a test", at(100))
				c.Task.Job = int64(5000 - n)
				return c
			})
			want = append(want, task.Assigned{ID: run.TaskID, Attempt: 2, Job: int64(5000 - n)})
		default:
			want = append(want, task.Assigned{ID: run.TaskID, Attempt: 1, Job: c.Task.Job})
		}
	}
	launch(t, s, 50) // others run it
	slices.SortFunc(want, func(a, b task.Assigned) int { return int(a.Job - b.Job) })
	for _, limit := range []int{1, 7, 24, 100} {
		var got []task.Assigned
		for after := int64(-1); ; {
			page, err := s.BuiltIn(t.Context(), after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("%d of %d, %v", len(page), limit, err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Job
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%d at a time (-want +got):\n%s", limit, diff)
		}
	}
}
