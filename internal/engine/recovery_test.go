package engine

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// TestADeathIsNoEnd: jobs that another process seems to run are taken over, once
// each, whether their attempt had begun or not.
func TestADeathIsNoEnd(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), success)
	var ids []task.ID
	for range recoveryBatch + 10 { // more than one batch
		ids = append(ids, q.launchBuiltIn(t))
	}
	begun := ids[3]
	if _, err := q.update(t.Context(), begun, time.Time{}, func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: tk.ApplyStart(1, q.clock.Now())}, nil
	}); err != nil {
		t.Fatal(err)
	}
	q.orphan(t)
	waiting := q.launchBuiltIn(t)
	q.start(t)
	for _, id := range ids {
		if done := q.await(t, id); done.Status != task.Success || done.Attempt != 2 {
			t.Errorf("task %s is %q, attempt %d", id, done.Status, done.Attempt)
		}
		wantRows(t, q.bench, id, "cancelled completed")
	}
	wantHistory(t, q.bench, begun, "launched started interrupted started completed")
	if done := q.await(t, waiting); done.Attempt != 1 {
		t.Errorf("the one that had waited is at attempt %d", done.Attempt)
	}
}

// TestOrphansOfNoTask: rows that run nowhere and belong to nothing are ended,
// however many there are and whatever this process runs.
func TestOrphansOfNoTask(t *testing.T) {
	t.Parallel()
	began := make(chan task.Task, 1)
	q := newQueue(t, newBench(t), until(began))
	const nobody task.ID = "0000000000000000000000000000000a"
	for range recoveryBatch + 10 {
		if _, err := q.jobs.client.Insert(t.Context(), attemptArgs{TaskID: nobody, Attempt: 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	q.orphan(t)
	q.start(t)
	id := q.launchBuiltIn(t)
	receive(t, began)
	want := strings.TrimSpace(strings.Repeat("cancelled ", recoveryBatch+10))
	wantRows(t, q.bench, nobody, want)
	q.jobs.recoverOnce(t.Context())
	wantRows(t, q.bench, id, "running")
	wantHistory(t, q.bench, id, "launched started")
}

// TestGivenUpAtTheTwentiethDeath: a task that kills its process is not run for
// ever.
func TestGivenUpAtTheTwentiethDeath(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), success)
	id := q.launchBuiltIn(t)
	for range 20 {
		q.orphan(t)
		q.jobs.recoverOnce(t.Context())
	}
	if given := q.read(t, id); given.Status != task.TempError || given.Attempt != 20 {
		t.Errorf("the task is %q, attempt %d", given.Status, given.Attempt)
	}
	wantRows(t, q.bench, id, strings.TrimSpace(strings.Repeat("cancelled ", 20)))
}

// TestAJobWithoutItsTask: nothing is run, and the row does not stay.
func TestAJobWithoutItsTask(t *testing.T) {
	t.Parallel()
	const nobody task.ID = "0000000000000000000000000000000a"
	q := startQueue(t, func(_ context.Context, tk task.Task) (task.Report, error) {
		t.Errorf("task %s was run", tk.ID)
		return task.Report{Completion: task.Success}, nil
	})
	if _, err := q.jobs.client.Insert(t.Context(), attemptArgs{TaskID: nobody, Attempt: 1}, nil); err != nil {
		t.Fatal(err)
	}
	q.log.await(t, "had lost its task")
	q.stop(t) // which waits for the row
	wantRows(t, q.bench, nobody, "completed")
}

// TestPurgedWhileItRuns: the work ends with its next write.
func TestPurgedWhileItRuns(t *testing.T) {
	t.Parallel()
	began, goOn := make(chan task.Task, 1), make(chan struct{})
	var b *bench
	e := func(ctx context.Context, tk task.Task) (task.Report, error) {
		began <- tk
		<-goOn
		_, err := b.store.Work(ctx, tk.ID, tk.Attempt, b.clock.Now(), func(account.Work) (task.Report, error) {
			t.Error("the work of a deleted task was taken")
			return task.Report{}, nil
		})
		return task.Report{}, err
	}
	b = newBench(t)
	q := newQueue(t, b, e)
	q.start(t)
	id := q.launchBuiltIn(t)
	receive(t, began)
	b.clock.Add(time.Hour)
	n, err := b.store.Purge(t.Context(), b.clock.Now(), 10, func(tk task.Task) (audit.Change, error) {
		return audit.Change{Change: tk.Expire(b.clock.Now())}, nil
	})
	if err != nil || n != 1 {
		t.Fatalf("%d were deleted, %v", n, err)
	}
	wantRows(t, b, id, "cancelled")
	close(goOn)
	q.log.await(t, "had lost its task")
	if _, err := b.store.Get(t.Context(), id, time.Time{}); task.KindOf(err) != task.NotFound {
		t.Errorf("the task is there again: %v", err)
	}
	wantHistory(t, b, id, "")
}

// TestImportedOver: an import, which knows no queue, makes of a built-in task one
// that others run. What waited for the old one runs nothing, whatever it looked
// like.
func TestImportedOver(t *testing.T) {
	t.Parallel()
	for name, orphaned := range map[string]bool{"waiting": false, "orphaned": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "stint.db")
			open := func() *bench {
				store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path})
				if err != nil {
					t.Fatal(err)
				}
				b := &bench{clock: newClock(), store: store}
				b.Tasks = NewTasks(Options{Store: store, Now: b.clock.Now})
				return b
			}
			ran := executing(func(_ context.Context, tk task.Task) (task.Report, error) {
				t.Errorf("task %s was run", tk.ID)
				return task.Report{Completion: task.Success}, nil
			})
			first := newQueue(t, open(), ran)
			id := first.launchBuiltIn(t)
			if orphaned {
				first.orphan(t)
			}
			if err := first.store.Close(); err != nil {
				t.Fatal(err)
			}
			importer := open()
			imported := importer.read(t, id)
			imported.BuiltIn, imported.Description = false, "another"
			_, err := importer.store.Import(t.Context(), func(yield func(task.Task, error) bool) { yield(imported, nil) }, true,
				importer.clock.Now(), func(task.ImportResult) audit.Entry { return audit.Entry{Action: audit.Import} })
			if err != nil {
				t.Fatal(err)
			}
			before := importer.read(t, id)
			if err := importer.store.Close(); err != nil {
				t.Fatal(err)
			}
			b := open()
			t.Cleanup(func() { _ = b.store.Close() })
			next := newQueue(t, b, ran)
			next.start(t)
			if !orphaned {
				next.log.await(t, "had lost its task")
			}
			next.stop(t)
			if diff := cmp.Diff(before, b.read(t, id)); diff != "" || before.BuiltIn {
				t.Errorf("the imported task changed: %s", diff)
			}
			if rows := b.rows(t, id); rows != "completed" && rows != "cancelled" {
				t.Errorf("the jobs are %q", rows)
			}
		})
	}
}

// TestTheFence: an attempt that has lost it changes nothing, is told so each
// time, and leaves one line.
func TestTheFence(t *testing.T) {
	t.Parallel()
	began := make(chan task.Task, 2)
	goOn := map[int]chan struct{}{1: make(chan struct{}), 2: make(chan struct{})}
	refusals := make(chan error, 2)
	b := newBench(t)
	q := newQueue(t, b, func(ctx context.Context, tk task.Task) (task.Report, error) {
		began <- tk
		<-goOn[tk.Attempt]
		if tk.Attempt > 1 {
			return task.Report{Completion: task.Success}, nil
		}
		var err error
		for range 2 {
			_, err = b.store.Work(ctx, tk.ID, tk.Attempt, b.clock.Now(), func(account.Work) (task.Report, error) {
				t.Error("the work of a stale attempt was taken")
				return task.Report{}, nil
			})
			refusals <- err
		}
		return task.Report{}, err
	})
	q.start(t)
	id := q.launchBuiltIn(t)
	receive(t, began)
	q.jobs.interrupt(t.Context(), attemptArgs{id, 1})
	if second := receive(t, began); second.Attempt != 2 {
		t.Fatalf("attempt %d", second.Attempt)
	}
	wantRows(t, b, id, "cancelled running")
	before := b.read(t, id)
	close(goOn[1])
	for range 2 {
		if e, ok := errors.AsType[*task.Error](receive(t, refusals)); !ok || e.Refused != task.RefusedStale || !e.Stop {
			t.Errorf("the stale attempt was told %v", e)
		}
	}
	q.log.await(t, "had lost its task")
	if diff := cmp.Diff(before, b.read(t, id)); diff != "" {
		t.Errorf("the stale attempt changed the task: %s", diff)
	}
	events, err := b.store.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last.Name != task.EventRefused || last.Attempt != 1 || last.Count != 2 {
		t.Errorf("the last line is %+v", last)
	}
	close(goOn[2])
	if done := b.await(t, id); done.Status != task.Success || done.Attempt != 2 {
		t.Errorf("the task is %q, attempt %d", done.Status, done.Attempt)
	}
	wantHistory(t, b, id, "launched started interrupted started refused completed")
	wantRows(t, b, id, "cancelled completed")
}

// others are the processes that share a queue, as a test says.
type others struct {
	leads bool
	gone  map[string]bool
}

func (o *others) Leads() bool { return o.leads }

func (o *others) Gone(context.Context, []string) (map[string]bool, error) { return o.gone, nil }

// TestTheJobOfAnotherNode: it is that node's for as long as it lives, and its heir's
// is who leads.
func TestTheJobOfAnotherNode(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), success)
	o := &others{gone: map[string]bool{}}
	q.jobs.members = o
	id := q.launchBuiltIn(t)
	q.orphan(t)
	for _, step := range []struct {
		leads, gone bool
		rows        string
	}{{false, true, "running"}, {true, false, "running"}, {true, true, "cancelled available"}} {
		o.leads = step.leads
		o.gone[deadProcess] = step.gone
		q.jobs.recoverOnce(t.Context())
		wantRows(t, q.bench, id, step.rows)
	}
}

// TestAJobThatNeverBegan: the answer to picking it was lost. It is nobody's, though
// its row says that it is this process's.
func TestAJobThatNeverBegan(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), success)
	q.jobs.members, q.jobs.now = &others{}, q.clock.Now
	id := q.launchBuiltIn(t)
	q.orphan(t)
	q.jobs.id = deadProcess
	job := q.read(t, id).Job
	q.jobs.recoverOnce(t.Context())
	q.clock.Add(unknown - time.Second)
	q.jobs.recoverOnce(t.Context())
	wantRows(t, q.bench, id, "running") // it may be about to begin
	ended := q.jobs.active.add(job)
	q.clock.Add(unknown)
	q.jobs.recoverOnce(t.Context())
	wantRows(t, q.bench, id, "running")
	ended()
	q.jobs.recoverOnce(t.Context())
	q.clock.Add(unknown)
	q.jobs.recoverOnce(t.Context())
	wantRows(t, q.bench, id, "cancelled available")
}
