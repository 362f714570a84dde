package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/source"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

func moment(n int) time.Time { return time.UnixMilli(1_780_000_000_000 + int64(n)).UTC() }

func numberedTask(n int) task.ID { return task.ID(fmt.Sprintf("%032x", 1<<20+n)) }

// newRun returns the n-th task, an aggregation of a source, and its run.
func newRun(tb testing.TB, n int, class account.Class, src task.ID) (account.Run, task.Change) {
	tb.Helper()
	definition, _ := task.NewCatalog().Lookup(string(task.AccountAggregation))
	c, err := task.NewTask(numberedTask(n), task.Launch{Definition: definition, SourceID: string(src), BuiltIn: true}, "tester", moment(n))
	if err != nil {
		tb.Fatal(err)
	}
	c.Task.Job = int64(n)
	return account.Run{TaskID: c.Task.ID, SourceID: src, Class: class, State: account.State{Phase: account.Collecting, Columns: []string{"id"}}}, c
}

func tryRun(ctx context.Context, s *Store, run account.Run, c task.Change, key task.IdempotencyKey) (task.Task, bool, error) {
	busy := func(t task.Task, other task.ID) task.Change { return t.ApplyBusy(other, c.Task.Created) }
	return s.CreateRun(ctx, run, c, busy, key, func(t *task.Task) (audit.Entry, error) {
		return audit.Entry{At: t.Created, Action: audit.Launch, Object: string(t.ID)}, nil
	})
}

// startRun stores the n-th task as a run that is in progress.
func startRun(tb testing.TB, s *Store, n int, class account.Class, src task.ID) account.Run {
	tb.Helper()
	run, c := newRun(tb, n, class, src)
	stored, created, err := tryRun(tb.Context(), s, run, c, task.IdempotencyKey{})
	if err != nil || !created || stored.Status != task.InProgress {
		tb.Fatalf("begin a run: %q, %v, %v", stored.Status, created, err)
	}
	return run
}

// inWork runs a transaction of the first attempt that must be taken.
func inWork(tb testing.TB, s *Store, id task.ID, fn func(account.Work) error) {
	tb.Helper()
	_, err := s.Work(tb.Context(), id, 1, moment(5000), func(w account.Work) (task.Report, error) { return task.Report{}, fn(w) })
	if err != nil {
		tb.Fatalf("work: %v", err)
	}
}

func cancelIt(t task.Task) (audit.Change, error) {
	return audit.Change{Change: t.ApplyCancel("p", "", moment(9000))}, nil
}

func makeSource(tb testing.TB, s *Store, n int) task.ID {
	tb.Helper()
	src := source.Source{
		ID: numberedSource(n), Name: fmt.Sprintf("Source %d", n), Type: source.DelimitedFile, Created: moment(0), Modified: moment(0),
		File: source.File{AccountID: "id"},
	}
	if err := s.CreateSource(tb.Context(), src, audit.Entry{At: moment(0), Action: audit.SourceCreate, Object: string(src.ID)}); err != nil {
		tb.Fatal(err)
	}
	return src.ID
}

// nodes opens as many stores on one schema.
func nodes(tb testing.TB, n int) []*Store {
	tb.Helper()
	address := pgtest.URL(tb)
	all := make([]*Store, n)
	for i := range all {
		s, err := Open(tb.Context(), Options{URL: address, MaxConns: minConns})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := s.Close(); err != nil {
				tb.Errorf("close: %v", err)
			}
		})
		all[i] = s
	}
	return all
}

// waits returns once a statement of this schema waits for a lock; it fails where what
// must wait is done.
func waits(tb testing.TB, s *Store, done <-chan error) {
	tb.Helper()
	for n := 0; n == 0; {
		err := s.pool.QueryRow(tb.Context(), `SELECT count(*) FROM pg_locks waiting WHERE NOT granted AND EXISTS (
			SELECT FROM pg_locks held JOIN pg_class c ON c.oid = held.relation
			WHERE held.pid = waiting.pid AND held.granted AND c.relnamespace = current_schema()::regnamespace)`).Scan(&n)
		if err != nil {
			tb.Fatal(err)
		}
		select {
		case err := <-done:
			tb.Fatalf("it did not wait: %v", err)
		default:
		}
	}
}

// TestLaunchesOfNodes launches on one source from two nodes at once.
func TestLaunchesOfNodes(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 2)
	for round := range 10 {
		src := makeSource(t, stores[0], 100+round)
		var wg sync.WaitGroup
		stored, created := make([]task.Task, 6), make([]bool, 6)
		for i := range stored {
			run, c := newRun(t, 100*round+i, account.Accounts, src)
			var key task.IdempotencyKey
			if i >= 4 { // the same launch, twice
				key = task.IdempotencyKey{Key: fmt.Sprintf("k%d", round), Fingerprint: []byte("f")}
			}
			wg.Go(func() {
				var err error
				if stored[i], created[i], err = tryRun(t.Context(), stores[i%2], run, c, key); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		if stored[4].ID != stored[5].ID || created[4] == created[5] {
			t.Errorf("round %d: a launch and its repeat made %s and %s", round, stored[4].ID, stored[5].ID)
		}
		running := map[task.ID]bool{}
		for _, tk := range stored {
			if tk.Status == task.InProgress {
				running[tk.ID] = true
			}
		}
		if len(running) != 1 {
			t.Errorf("round %d: %d run, want 1", round, len(running))
		}
		for id := range running {
			if _, err := stores[1].Update(t.Context(), id, time.Time{}, cancelIt); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestWorkBeforeClear has a task cleared on another node while a transaction of its
// work is under way: it waits, and then nothing more is written.
func TestWorkBeforeClear(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 2)
	src := makeSource(t, stores[0], 1)
	run := startRun(t, stores[0], 1, account.Accounts, src)
	inside, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	cleared, worked := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := stores[0].Work(t.Context(), run.TaskID, 1, moment(5000), func(w account.Work) (task.Report, error) {
			err := w.Record([]account.Recorded{{Record: account.Record{Key: "a", Name: "A", Body: []byte("{}")}, ID: numberedTask(50), Change: account.Created}})
			close(inside)
			<-goOn
			return task.Report{}, err
		})
		worked <- err
	}()
	<-inside
	go func() {
		_, err := stores[1].Update(t.Context(), run.TaskID, time.Time{}, cancelIt)
		cleared <- err
	}()
	waits(t, stores[1], cleared)
	release()
	if err := errors.Join(<-worked, <-cleared); err != nil {
		t.Fatal(err)
	}
	_, err := stores[0].Work(t.Context(), run.TaskID, 1, moment(9500), func(account.Work) (task.Report, error) {
		t.Error("it was called")
		return task.Report{}, nil
	})
	if e, ok := errors.AsType[*task.Error](err); !ok || e.Refused != task.RefusedLate {
		t.Errorf("afterwards: %v", err)
	}
	got, err := stores[1].Source(t.Context(), src)
	if err != nil || got.Accounts != 1 {
		t.Errorf("%d accounts, %v", got.Accounts, err)
	}
}

// TestClearBeforeWork has the attempt wait for a clear that is under way on another
// node: it is refused.
func TestClearBeforeWork(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 2)
	run := startRun(t, stores[0], 1, account.Accounts, makeSource(t, stores[0], 1))
	inside, goOn := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(goOn) })
	defer release()
	var once sync.Once
	cleared, worked := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := stores[1].Update(t.Context(), run.TaskID, time.Time{}, func(tk task.Task) (audit.Change, error) {
			once.Do(func() { close(inside) })
			<-goOn
			return cancelIt(tk)
		})
		cleared <- err
	}()
	<-inside
	go func() {
		_, err := stores[0].Work(t.Context(), run.TaskID, 1, moment(5000), func(account.Work) (task.Report, error) {
			t.Error("it was called")
			return task.Report{}, nil
		})
		worked <- err
	}()
	waits(t, stores[1], worked)
	release()
	if err := <-cleared; err != nil {
		t.Fatal(err)
	}
	if e, ok := errors.AsType[*task.Error](<-worked); !ok || e.Refused != task.RefusedLate {
		t.Errorf("it was not refused: %v", e)
	}
	events, err := stores[0].History(t.Context(), run.TaskID)
	if err != nil || len(events) == 0 || events[len(events)-1].Name != task.EventRefused {
		t.Errorf("the history is %v, %v", events, err)
	}
}

// TestSourceDeletedUnderWork deletes sources while accounts and entitlements are
// recorded for them on two nodes: whoever comes second is refused, nobody meets a
// deadlock, and all that was recorded is swept.
func TestSourceDeletedUnderWork(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 3)
	for round := range 10 {
		src := makeSource(t, stores[0], round+1)
		runs := []account.Run{
			startRun(t, stores[0], 10*round, account.Accounts, src), startRun(t, stores[1], 10*round+1, account.Entitlements, src),
		}
		var wg sync.WaitGroup
		for i, run := range runs {
			wg.Go(func() {
				for n := 0; ; n++ {
					_, err := stores[i].Work(t.Context(), run.TaskID, 1, moment(5000), func(w account.Work) (task.Report, error) {
						r := account.Record{Key: fmt.Sprintf("k\x1f%d", n), Name: "n", Body: []byte("{}")}
						if _, err := w.Stage([]account.Record{r}); err != nil {
							return task.Report{}, err
						}
						return task.Report{}, w.Record([]account.Recorded{{Record: r, ID: numberedRecord(round+1, run.Class, n), Change: account.Created}})
					})
					if e, ok := errors.AsType[*task.Error](err); ok && e.Refused == task.RefusedLate {
						return
					}
					if err != nil {
						t.Errorf("round %d: %v", round, err)
						return
					}
				}
			})
		}
		_, err := stores[2].DeleteSource(t.Context(), src, cancelIt, func(d source.Deletion) (audit.Entry, error) {
			if len(d.Ended) != 2 {
				return audit.Entry{}, fmt.Errorf("%d ended", len(d.Ended))
			}
			return audit.Entry{At: moment(9000), Action: audit.SourceDelete, Object: string(src)}, nil
		})
		if err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		wg.Wait()
	}
	sweepByAll(t, stores, 5)
	for _, table := range []string{"accounts", "entitlements", "staged", "garbage"} {
		if n := countOf(t, stores[0], table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

func countOf(tb testing.TB, s *Store, table string) (n int) {
	tb.Helper()
	if err := s.pool.QueryRow(tb.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		tb.Fatal(err)
	}
	return n
}

// sweepByAll sweeps on all nodes at once until none has more.
func sweepByAll(t *testing.T, stores []*Store, limit int) {
	t.Helper()
	var wg sync.WaitGroup
	for _, s := range stores {
		wg.Go(func() {
			for more := true; more; {
				var err error
				if more, err = s.Sweep(t.Context(), moment(1), limit); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestSweepOfNodes sweeps on three nodes at once what another goes on to leave.
func TestSweepOfNodes(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 4)
	src := makeSource(t, stores[0], 1)
	var records []account.Record
	for i := range 40 {
		records = append(records, account.Record{Key: fmt.Sprintf("k%02d", i), Name: "n", Body: []byte("{}")})
	}
	var wg sync.WaitGroup
	wg.Go(func() { // as the same task may do, over and over
		for round := range 8 {
			run, c := newRun(t, round, account.Accounts, src)
			run.Upload = numberedTask(500 + round)
			err := errors.Join(stores[3].BeginUpload(t.Context(), run.Upload, moment(5)),
				stores[3].AppendUpload(t.Context(), run.Upload, 0, []byte("abc"), moment(5)))
			if err != nil {
				t.Error(err)
				return
			}
			run.State.File = source.File{AccountID: "id", Columns: []string{"id"}}
			if round == 0 {
				run.State.File.Columns = nil
			}
			if _, _, err := tryRun(t.Context(), stores[3], run, c, task.IdempotencyKey{}); err != nil {
				t.Error(err)
				return
			}
			inWork(t, stores[3], run.TaskID, func(w account.Work) error { _, err := w.Stage(records); return err })
			if _, err := stores[3].Update(t.Context(), run.TaskID, time.Time{}, cancelIt); err != nil {
				t.Error(err)
			}
			if _, err := stores[3].Purge(t.Context(), moment(round), 10, func(tk task.Task) (audit.Change, error) {
				return audit.Change{Change: task.Change{Task: tk}}, nil
			}); err != nil {
				t.Error(err)
			}
		}
	})
	for range 5 {
		sweepByAll(t, stores[:3], 7)
	}
	wg.Wait()
	sweepByAll(t, stores, 7)
	for _, table := range []string{"staged", "uploads", "upload_chunks", "runs", "changes", "garbage"} {
		if n := countOf(t, stores[0], table); n != 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

// TestSweepPassesOver has a node hold one piece of garbage: another one takes the
// next, and a task that discards the same piece again is not forgotten.
func TestSweepPassesOver(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 2)
	s := stores[0]
	for _, id := range []int{1, 2} {
		mustExec(t, s, "INSERT INTO staged (task_id, key, name) VALUES ($1, 'k', 'n')", sqlrow.Blob(numberedTask(id)))
	}
	mustExec(t, s, "INSERT INTO garbage (sort, ref) VALUES ('staged', $1)", sqlrow.Blob(numberedTask(1)))
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM garbage FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	mustExec(t, s, "INSERT INTO garbage (sort, ref) VALUES ('staged', $1)", sqlrow.Blob(numberedTask(2)))
	sweepByAll(t, stores[1:], 10)
	if n := countOf(t, s, "staged"); n != 1 {
		t.Errorf("%d are left, want that of the other node", n)
	}
	// The other node finds nothing of it and strikes it out; meanwhile there is more.
	again := make(chan error, 1)
	go func() {
		again <- stores[1].do(t.Context(), "discard", func(x *txn) error { return x.discard("staged", sqlrow.Blob(numberedTask(1))) })
	}()
	waits(t, s, again)
	if _, err := tx.Exec(t.Context(), "DELETE FROM garbage"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(tx.Commit(t.Context()), <-again); err != nil {
		t.Fatal(err)
	}
	sweepByAll(t, stores[1:], 10)
	if n := countOf(t, s, "staged") + countOf(t, s, "garbage"); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// TestUploadDroppedMeanwhile drops uploads on one node while another adds to them
// and a third takes them: either it is whole, or nothing is left of it.
func TestUploadDroppedMeanwhile(t *testing.T) {
	t.Parallel()
	stores := nodes(t, 3)
	src := makeSource(t, stores[0], 1)
	for round := range 15 {
		id := numberedTask(700 + round)
		if err := stores[0].BeginUpload(t.Context(), id, moment(0)); err != nil {
			t.Fatal(err)
		}
		run, c := newRun(t, round, account.Entitlements, src)
		run.Upload, run.State.File = id, source.File{AccountID: "id"}
		var wg sync.WaitGroup
		errs := make([]error, 3)
		wg.Go(func() { errs[0] = stores[0].AppendUpload(t.Context(), id, 0, []byte("abc"), moment(5)) })
		wg.Go(func() { _, errs[1] = stores[1].Sweep(t.Context(), moment(3), 100) })
		wg.Go(func() { _, _, errs[2] = tryRun(t.Context(), stores[2], run, c, task.IdempotencyKey{}) })
		wg.Wait()
		for i, err := range errs {
			if err != nil && (i == 1 || task.KindOf(err) != task.NotFound) {
				t.Errorf("round %d: %d: %v", round, i, err)
			}
		}
		data, err := stores[1].ReadUpload(t.Context(), id, 0)
		switch {
		case err == nil && errs[0] == nil && string(data) == "abc":
		case errors.Is(err, io.EOF) && errs[0] != nil, task.KindOf(err) == task.NotFound:
		default:
			t.Errorf("round %d: it is %q, %v, after %v", round, data, err, errs)
		}
		if errs[2] == nil {
			if _, err := stores[0].Update(t.Context(), run.TaskID, time.Time{}, cancelIt); err != nil {
				t.Fatal(err)
			}
		}
	}
	sweepByAll(t, stores, 1000)
	if n := countOf(t, stores[0], "upload_chunks"); n > countOf(t, stores[0], "uploads") {
		t.Errorf("%d chunks are left of no upload", n)
	}
}

// TestRunPlans holds the statements about runs against the indexes that are there
// for them, with more in the tables than they may look at.
func TestRunPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	for source := 1; source <= 2; source++ {
		fillRecords(t, s, source, 50_000, account.Accounts, true)
		mustExec(t, s, `INSERT INTO staged (task_id, key, name, hash) SELECT $1, key, name, hash FROM accounts WHERE source = $2`,
			sqlrow.Blob(numberedTask(source)), source)
		mustExec(t, s, `INSERT INTO changes (task_id, change, key, name) SELECT $1, 'CREATED', key, name FROM accounts WHERE source = $2`,
			sqlrow.Blob(numberedTask(source)), source)
		mustExec(t, s, `INSERT INTO runs (task_id, source, class, active, state) VALUES ($1, $2, 1, 1, '{}')`, sqlrow.Blob(numberedTask(source)), source)
	}
	run := account.Run{TaskID: numberedTask(1), Class: account.Accounts}
	id := sqlrow.Blob(run.TaskID)
	const after, limit = "u020000", 300
	keys, none := make([]string, maxBulk), make([][]byte, maxBulk)
	for i := range keys {
		keys[i], none[i] = fmt.Sprintf("u%06d", 49_990+i), []byte{}
	}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for text, args := range map[string][]any{
			countSQL:        {id, after, after, limit, 1},
			differSQL:       {true, id, after, after, limit, 1, maxDifferences, maxDifferenceBytes},
			missingSQL:      {false, []byte("{}"), 1, after, after, limit, id, maxGoneBytes},
			bodiesSQL:       {1, after, after, limit, maxDifferenceBytes},
			stagedSQL:       {1, id, after, after},
			restageSQL:      {"n", nil, nil, id, after, after},
			stageReadSQL:    {id, keys, keys, none, none, 1},
			stageKnownSQL:   {id, keys, keys, none, none, 1},
			updateSQL:       {1, "UPDATED", id, keys, keys, none, none, 1},
			deleteSQL:       {keys, 1},
			stagedEndSQL:    {id, limit - 1},
			sweepStagedSQL:  {id, "u000100", "u000100"},
			changesEndSQL:   {id, limit - 1},
			sweepChangesSQL: {id, "CREATED", "u000100", "CREATED", "u000100"},
			sweepRecordsSQL: {1, limit},
			changesSQL + " ORDER BY change, left(key, 600), key LIMIT ? OFFSET ?": {id, limit, 50},
		} {
			plan := explainAndUndo(t, s, number(ofClass(text, account.Accounts)), args)
			plan.each(func(n *node) {
				own := slices.Contains([]string{"accounts", "staged", "changes"}, n.Table)
				if own && n.Type == "Seq Scan" || n.Type == "Sort" {
					t.Errorf("analyzed %v: a %s of %s by %.200s\n%s", analyzed, n.Type, n.Table, text, plan)
				}
				if looked := (n.Rows + n.Removed) * n.Loops; own && looked > maxBulk+1 {
					t.Errorf("analyzed %v: %g rows of %s are looked at by %.200s\n%s", analyzed, looked, n.Table, text, plan)
				}
			})
		}
	}
}

// explainAndUndo runs a statement, tells how that went, and undoes it.
func explainAndUndo(tb testing.TB, s *Store, text string, args []any) *node {
	tb.Helper()
	e := &explainer{tb: tb}
	undo := errors.New("undo")
	err := s.do(tb.Context(), "explain", func(t *txn) error {
		if err := t.exec(inOrder); err != nil {
			return err
		}
		e.session, e.seen = t.conn, nil
		e.explain(t.ctx, text, args)
		return undo
	})
	if !errors.Is(err, undo) {
		tb.Fatal(err)
	}
	return &e.seen[0].plan
}
