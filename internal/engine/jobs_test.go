package engine

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"

	"stint/internal/task"
)

// executing is an executor made of a function.
type executing func(ctx context.Context, t task.Task) (task.Report, error)

func (e executing) Execute(ctx context.Context, t task.Task) (task.Report, error) { return e(ctx, t) }

// success is an executor that succeeds at once.
func success(context.Context, task.Task) (task.Report, error) {
	return task.Report{Completion: task.Success}, nil
}

// until is an executor that tells of each attempt, and runs until it is stopped.
func until(began chan<- task.Task) executing {
	return func(ctx context.Context, t task.Task) (task.Report, error) {
		began <- t
		<-ctx.Done()
		return task.Report{}, ctx.Err()
	}
}

// queue is a bench with a queue in the same file.
type queue struct {
	*bench
	jobs *Jobs[*sql.Tx]
	log  *lines
}

// newQueue makes a queue that runs nothing yet.
func newQueue(tb testing.TB, b *bench, e executing) *queue {
	tb.Helper()
	q := &queue{bench: b, log: newLog()}
	var err error
	q.jobs, err = NewJobs(tb.Context(), JobOptions[*sql.Tx]{
		Driver: riversqlite.New(b.store.DB()), Tasks: b.Tasks, Store: b.store, Executor: e, Workers: 2, ID: rand.Text(), Members: Alone{},
		Log: slog.New(slog.NewTextHandler(q.log, nil)),
		Now: time.Now, // as the queue, which deletes rows that ended long ago
	})
	if err != nil {
		tb.Fatal(err)
	}
	b.store.OnTask(q.jobs.Follow)
	return q
}

// start runs the queue until the test ends.
func (q *queue) start(tb testing.TB) {
	tb.Helper()
	if err := q.jobs.Start(context.WithoutCancel(tb.Context())); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { q.stop(tb) })
}

// stop stops the queue; a second time it does nothing.
func (q *queue) stop(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := q.jobs.Stop(ctx); err != nil {
		tb.Errorf("stop: %v", err)
	}
}

// lines is a log that a test, and it alone, reads and waits for.
type lines struct {
	written chan string
	read    strings.Builder
}

func newLog() *lines { return &lines{written: make(chan string, 10_000)} }

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.written <- string(p)
	return len(p), nil
}

// await waits until the log holds a text.
func (l *lines) await(tb testing.TB, text string) {
	tb.Helper()
	for !strings.Contains(l.read.String(), text) {
		l.read.WriteString(receive(tb, l.written))
	}
}

// all is what was written up to now.
func (l *lines) all() string {
	for {
		select {
		case line := <-l.written:
			l.read.WriteString(line)
		default:
			return l.read.String()
		}
	}
}

func startQueue(tb testing.TB, e executing) *queue {
	tb.Helper()
	q := newQueue(tb, newBench(tb), e)
	q.start(tb)
	return q
}

// launchBuiltIn launches a task that the queue runs.
func (b *bench) launchBuiltIn(tb testing.TB) task.ID {
	tb.Helper()
	definition, ok := task.NewCatalog().Lookup(string(task.AccountAggregation))
	if !ok {
		tb.Fatal("no definition")
	}
	l, err := b.Launch(tb.Context(), task.Launch{Definition: definition, BuiltIn: true}, task.IdempotencyKey{}, person())
	if err != nil {
		tb.Fatal(err)
	}
	return l.Task.ID
}

// await returns a task once it is complete.
func (b *bench) await(tb testing.TB, id task.ID) task.Task {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	if row, err := b.Wait(ctx, id); err != nil || row.State != task.Completed {
		tb.Fatalf("task %s is %s, %v", id, row.State, err)
	}
	return b.read(tb, id)
}

// rows are the jobs of a task as the queue has them, the oldest first.
func (b *bench) rows(tb testing.TB, id task.ID) string {
	tb.Helper()
	rows, err := b.store.DB().QueryContext(tb.Context(),
		"SELECT state, finalized_at IS NOT NULL FROM river_job WHERE json_extract(args, '$.taskId') = ? ORDER BY id", string(id))
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var said []string
	for rows.Next() {
		var state string
		var final bool
		if err := rows.Scan(&state, &final); err != nil {
			tb.Fatal(err)
		}
		if open := state == "available" || state == "running"; open == final {
			tb.Errorf("a job is %s, finalised %t", state, final)
		}
		said = append(said, state)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return strings.Join(said, " ")
}

const deadProcess = "a process that died"

// orphan makes of the waiting jobs what a process leaves that died.
func (b *bench) orphan(tb testing.TB) {
	tb.Helper()
	_, err := b.store.DB().ExecContext(tb.Context(), `UPDATE river_job SET state = 'running', attempt = 1,
		attempted_at = created_at, attempted_by = json_array(?) WHERE state = 'available'`, deadProcess)
	if err != nil {
		tb.Fatal(err)
	}
}

// receive waits for something to happen in an executor.
func receive[T any](tb testing.TB, from <-chan T) (got T) {
	tb.Helper()
	select {
	case got = <-from:
	case <-time.After(30 * time.Second):
		tb.Fatal("nothing comes")
	}
	return got
}

func wantHistory(tb testing.TB, b *bench, id task.ID, want string) {
	tb.Helper()
	if got := strings.TrimSpace(b.history(tb, id)); got != want {
		tb.Errorf("the history is %q, want %q", got, want)
	}
}

func wantRows(tb testing.TB, b *bench, id task.ID, want string) {
	tb.Helper()
	if got := b.rows(tb, id); got != want {
		tb.Errorf("the jobs are %q, want %q", got, want)
	}
}

func TestJobsRunWhatIsLaunched(t *testing.T) {
	t.Parallel()
	got := make(chan task.Task, 1)
	q := startQueue(t, func(_ context.Context, tk task.Task) (task.Report, error) {
		got <- tk
		text := "all of it"
		return task.Report{Completion: task.Warning, Progress: &text, Messages: []task.Message{{Type: task.MessageWarn, Key: "k", Text: "w"}}}, nil
	})
	id := q.launchBuiltIn(t)
	done := q.await(t, id)
	if tk := receive(t, got); tk.ID != id || tk.Attempt != 1 || tk.State() != task.Running {
		t.Errorf("the executor got task %s, attempt %d, %s", tk.ID, tk.Attempt, tk.State())
	}
	if done.Status != task.Warning || done.Progress == nil || *done.Progress != "all of it" || len(done.Messages) != 1 {
		t.Errorf("the task is %q, %v, %+v", done.Status, done.Progress, done.Messages)
	}
	wantHistory(t, q.bench, id, "launched started completed")
	wantRows(t, q.bench, id, "completed")
}

// TestWhatIsLaunchedBeforeTheStartWaits: nothing runs before Start, everything
// that waits then does.
func TestWhatIsLaunchedBeforeTheStartWaits(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), success)
	var ids []task.ID
	for range 5 {
		ids = append(ids, q.launchBuiltIn(t))
	}
	for _, id := range ids {
		wantHistory(t, q.bench, id, "launched")
		wantRows(t, q.bench, id, "available")
	}
	q.start(t)
	for _, id := range ids {
		if done := q.await(t, id); done.Status != task.Success || done.Attempt != 1 {
			t.Errorf("task %s is %q, attempt %d", id, done.Status, done.Attempt)
		}
	}
}

// TestFailedWork: what went wrong inside is for the log alone; what the executor
// says of the work is for people.
func TestFailedWork(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		run       executing
		key, text string
		logged    string
	}{
		"panic": {
			func(context.Context, task.Task) (task.Report, error) { panic("the secret cause") },
			"internal_fault", "inside the server", "the secret cause",
		},
		"a fault inside": {
			func(context.Context, task.Task) (task.Report, error) {
				return task.Report{}, fmt.Errorf("read: %w", errors.New("the secret cause"))
			}, "internal_fault", "inside the server", "the secret cause",
		},
		"what people can know": {
			func(context.Context, task.Task) (task.Report, error) {
				return task.Report{}, task.Errorf(task.IllegalValue, "file", "is not UTF-8")
			}, "failed", "file: is not UTF-8", "is not UTF-8",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := startQueue(t, test.run)
			for range 2 { // the process lives, and the next one is run
				id := q.launchBuiltIn(t)
				done := q.await(t, id)
				if done.Status != task.Failure || len(done.Messages) != 1 {
					t.Fatalf("the task is %q with %+v", done.Status, done.Messages)
				}
				if m := done.Messages[0]; m.Type != task.MessageError || m.Key != test.key || !strings.Contains(m.Text, test.text) ||
					strings.Contains(m.Text, "secret") {
					t.Errorf("the message %+v", m)
				}
				wantHistory(t, q.bench, id, "launched started completed")
				wantRows(t, q.bench, id, "completed")
				if log := q.log.all(); !strings.Contains(log, test.logged) || !strings.Contains(log, string(id)) {
					t.Errorf("the log does not tell of it: %s", log)
				}
			}
		})
	}
}

// TestStorageThatComesBack: work goes on in the same attempt, and the history
// does not tell of each try.
func TestStorageThatComesBack(t *testing.T) {
	t.Parallel()
	tries := map[int]int{}
	q := newQueue(t, newBench(t), func(_ context.Context, tk task.Task) (task.Report, error) {
		if tries[tk.Attempt]++; tries[tk.Attempt] < 3 {
			return task.Report{}, task.Errorf(task.Unavailable, "", "the disk is full")
		}
		return task.Report{Completion: task.Success}, nil
	})
	id := q.launchBuiltIn(t)
	q.orphan(t)
	q.start(t)
	if done := q.await(t, id); done.Status != task.Success || done.Attempt != 2 {
		t.Errorf("the task is %q, attempt %d: %+v", done.Status, done.Attempt, done.Messages)
	}
	events, err := q.store.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var second int
	for _, e := range events {
		if e.Name == task.EventStarted && e.Attempt == 2 {
			second++
		}
	}
	if second != 1 {
		t.Errorf("attempt 2 started %d times: %+v", second, events)
	}
	if log := q.log.all(); strings.Count(log, "trying again") != 2 {
		t.Errorf("the log: %s", log)
	}
}

// TestStopWhileTheStorageIsAway: a stop does not make a failure of what only
// waits.
func TestStopWhileTheStorageIsAway(t *testing.T) {
	t.Parallel()
	q := newQueue(t, newBench(t), func(context.Context, task.Task) (task.Report, error) {
		return task.Report{}, task.Errorf(task.Unavailable, "", "the disk is full")
	})
	id := q.launchBuiltIn(t)
	// The stop has begun, its cancellation has not come to the attempt yet.
	q.jobs.stopping.Store(true)
	q.jobs.attempt(t.Context(), attemptArgs{id, 1})
	if left := q.read(t, id); left.Status != task.InProgress || left.Attempt != 2 {
		t.Errorf("the task is %q, attempt %d: %+v", left.Status, left.Attempt, left.Messages)
	}
	wantHistory(t, q.bench, id, "launched started interrupted")
	wantRows(t, q.bench, id, "cancelled available")
}

func TestEndedByAPerson(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end     func(t *testing.T, q *queue, id task.ID) error
		status  task.CompletionStatus
		history string
	}{
		"cancelled": {func(t *testing.T, q *queue, id task.ID) error {
			t.Helper()
			_, err := q.Cancel(t.Context(), id, "enough", person())
			return err
		}, task.Terminated, "cancelled"},
		"cleared": {func(t *testing.T, q *queue, id task.ID) error {
			t.Helper()
			_, err := q.Clear(t.Context(), id, func(task.Task) (*task.Clear, error) {
				return &task.Clear{Status: task.Warning}, nil
			}, "words", person())
			return err
		}, task.Warning, "cleared"},
		"with its source": {func(t *testing.T, q *queue, id task.ID) error {
			t.Helper()
			ended, err := q.store.Update(t.Context(), id, time.Time{}, q.Cancelling("gone", person()))
			q.Changed(&ended)
			return err
		}, task.Terminated, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := make(chan task.Task, 2)
			q := startQueue(t, until(began))
			id, other := q.launchBuiltIn(t), q.launchBuiltIn(t)
			receive(t, began)
			receive(t, began)
			if err := test.end(t, q, id); err != nil {
				t.Fatal(err)
			}
			q.log.await(t, "stopped the work of a task that has ended")
			if ended := q.read(t, id); ended.Status != test.status || ended.Attempt != 1 {
				t.Errorf("the task is %q, attempt %d", ended.Status, ended.Attempt)
			}
			wantHistory(t, q.bench, id, "launched started "+test.history)
			wantRows(t, q.bench, id, "cancelled")
			if running := q.read(t, other); running.Status != task.InProgress {
				t.Errorf("the other task is %q", running.Status)
			}
			wantRows(t, q.bench, other, "running")
		})
	}
}

// TestEndedWhileItWaits: what was cancelled before its turn is never run.
func TestEndedWhileItWaits(t *testing.T) {
	t.Parallel()
	ran := make(chan task.Task, 2)
	q := newQueue(t, newBench(t), func(_ context.Context, tk task.Task) (task.Report, error) {
		ran <- tk
		return task.Report{Completion: task.Success}, nil
	})
	cancelled, other := q.launchBuiltIn(t), q.launchBuiltIn(t)
	if _, err := q.Cancel(t.Context(), cancelled, "", person()); err != nil {
		t.Fatal(err)
	}
	q.start(t)
	q.await(t, other)
	if tk := receive(t, ran); tk.ID != other || len(ran) > 0 {
		t.Errorf("the cancelled task %s was run", tk.ID)
	}
	wantHistory(t, q.bench, cancelled, "launched cancelled")
	wantRows(t, q.bench, cancelled, "cancelled")
}

// TestAnOutcomeAfterTheEnd: an executor that finishes all the same changes
// nothing.
func TestAnOutcomeAfterTheEnd(t *testing.T) {
	t.Parallel()
	began := make(chan task.Task, 1)
	q := startQueue(t, func(ctx context.Context, tk task.Task) (task.Report, error) {
		began <- tk
		<-ctx.Done()
		text := "too late"
		return task.Report{Completion: task.Success, Progress: &text}, nil
	})
	id := q.launchBuiltIn(t)
	receive(t, began)
	if _, err := q.Cancel(t.Context(), id, "", person()); err != nil {
		t.Fatal(err)
	}
	q.log.await(t, "was not taken")
	if ended := q.read(t, id); ended.Status != task.Terminated || ended.Progress != nil {
		t.Errorf("the task is %q, %v", ended.Status, ended.Progress)
	}
	wantHistory(t, q.bench, id, "launched started cancelled refused")
}

// TestAStopIsNoEnd: the next start goes on with what was interrupted.
func TestAStopIsNoEnd(t *testing.T) {
	t.Parallel()
	began := make(chan task.Task, 1)
	q := startQueue(t, until(began))
	id := q.launchBuiltIn(t)
	receive(t, began)
	q.stop(t)
	wantHistory(t, q.bench, id, "launched started interrupted")
	wantRows(t, q.bench, id, "cancelled available")
	events, err := q.store.History(t.Context(), id)
	if err != nil || !strings.Contains(events[2].Text, "the server was stopped") || events[2].Attempt != 1 {
		t.Errorf("the line %+v, %v", events, err)
	}
	next := newQueue(t, q.bench, success)
	next.start(t)
	if done := next.await(t, id); done.Status != task.Success || done.Attempt != 2 {
		t.Errorf("the task is %q, attempt %d", done.Status, done.Attempt)
	}
	wantHistory(t, q.bench, id, "launched started interrupted started completed")
	wantRows(t, q.bench, id, "cancelled completed")
}
