package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"stint/internal/task"
	"stint/internal/webhook"
)

// Executor carries out an attempt of a task. It stops soon after ctx ends and
// returns ctx's error then. It goes on from what earlier attempts left. Its
// report completes the task; an error of kind Unavailable says that the attempt
// may go on later, one with Refused set that the attempt has lost its fence,
// any other that the task has failed.
type Executor interface {
	Execute(ctx context.Context, t task.Task) (task.Report, error)
}

// JobStore is what Jobs needs of storage beside Tasks.
type JobStore interface {
	// BuiltIn returns up to limit tasks in progress that Stint runs itself whose
	// job has a greater number than after, in the order of those numbers.
	BuiltIn(ctx context.Context, after int64, limit int) ([]task.Assigned, error)
}

// JobOptions are the settings of Jobs.
type JobOptions[TTx any] struct {
	Driver   riverdriver.Driver[TTx]
	Tasks    *Tasks
	Store    JobStore
	Executor Executor
	// Webhooks are told of tasks that have ended; nil where there are none.
	Webhooks *Webhooks
	// Workers is how many tasks run at once; the others wait.
	Workers int
	// Poll is how often the queue is looked at for work; 0 is 50 ms, or a second where
	// it is shared, and tells.
	Poll time.Duration
	// ID is that of this process, never used before.
	ID string
	// Members are the processes that share the queue.
	Members Members
	// Shared says that other processes may queue and end what this one runs: the
	// queue tells of it, beside being looked at.
	Shared bool
	// Idle says that this process runs nothing: it queues, ends, and takes care of
	// what processes that are gone have left.
	Idle bool
	Log  *slog.Logger
	Now  func() time.Time
}

const (
	// pollInterval is how often the queue is looked at for work, unless the options
	// say otherwise, and sharedPoll where it tells, too; the cooldown bounds how soon
	// one look follows another.
	pollInterval  = 50 * time.Millisecond
	sharedPoll    = time.Second
	fetchCooldown = time.Millisecond
	// jobRetention is how long the queue remembers a job: what people want to know
	// stands in the task.
	jobRetention = time.Hour
)

// Jobs runs the tasks that are Stint's own, on River. Each attempt is a job: its
// row is made and finalised in the transaction that moves the task's fence.
type Jobs[TTx any] struct {
	client   *river.Client[TTx]
	driver   riverdriver.Driver[TTx]
	tasks    *Tasks
	store    JobStore
	executor Executor
	hooks    *Webhooks
	log      *slog.Logger
	now      func() time.Time
	id       string // of this process, in the queue
	members  Members
	idle     bool
	stopping atomic.Bool
	recovery *loop
	late     webhook.Delivery // the last one that the recovery has looked at
	active   active
	sending  active // as active, of deliveries
}

// attemptArgs are the arguments of a job.
type attemptArgs struct {
	TaskID  task.ID `json:"taskId"`
	Attempt int     `json:"attempt"`
}

// Kind implements river.JobArgs.
func (attemptArgs) Kind() string { return "attempt" }

type worker[TTx any] struct {
	river.WorkerDefaults[attemptArgs]
	jobs *Jobs[TTx]
}

// Work runs one attempt. Whatever becomes of it is written to the task, so that
// the queue never has to try again.
func (w *worker[TTx]) Work(ctx context.Context, job *river.Job[attemptArgs]) error {
	defer w.jobs.active.add(job.ID)()
	w.jobs.attempt(ctx, job.Args)
	return nil
}

// NewJobs brings the queue's tables up to date and returns Jobs, which runs
// nothing before Start.
func NewJobs[TTx any](ctx context.Context, o JobOptions[TTx]) (*Jobs[TTx], error) {
	quiet := slog.New(newCalm(o.Log.Handler(), o.Now))
	migrator, err := rivermigrate.New(o.Driver, &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue's tables: %w", err)
	}
	if _, err := migrator.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return nil, fmt.Errorf("bring the queue's tables up to date: %w", err)
	}
	j := &Jobs[TTx]{
		driver: o.Driver, tasks: o.Tasks, store: o.Store, executor: o.Executor, hooks: o.Webhooks, log: o.Log, now: o.Now,
		id: o.ID, members: o.Members, idle: o.Idle,
	}
	poll := pollInterval
	if o.Shared {
		poll = sharedPoll
	}
	config := &river.Config{
		ID: j.id, Logger: quiet,
		FetchCooldown: fetchCooldown, FetchPollInterval: cmp.Or(o.Poll, poll), PollOnly: !o.Shared,
		// Neither the queue's clock nor its retries end or repeat an attempt: a long
		// aggregation may run for hours, and the next attempt has another number.
		JobTimeout: -1, MaxAttempts: 1,
		CompletedJobRetentionPeriod: jobRetention, CancelledJobRetentionPeriod: jobRetention, DiscardedJobRetentionPeriod: jobRetention,
	}
	if !o.Idle {
		if err := j.addWorkers(config, o.Workers); err != nil {
			return nil, fmt.Errorf("set up the queue: %w", err)
		}
	}
	if j.client, err = river.NewClient(o.Driver, config); err != nil {
		return nil, fmt.Errorf("set up the queue: %w", err)
	}
	j.recovery = &loop{interval: recoveryInterval, run: j.recoverOnce}
	return j, nil
}

// addWorkers has this process run what is queued.
func (j *Jobs[TTx]) addWorkers(config *river.Config, n int) error {
	config.Workers = river.NewWorkers()
	config.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: n}}
	if err := river.AddWorkerSafely(config.Workers, &worker[TTx]{jobs: j}); err != nil || j.hooks == nil {
		return err
	}
	config.Queues[deliveryQueue] = river.QueueConfig{
		MaxWorkers: deliveryWorkers, FetchPollInterval: max(config.FetchPollInterval, deliveryPoll),
	}
	return river.AddWorkerSafely(config.Workers, &deliverer[TTx]{jobs: j})
}

// Start takes up what an earlier process left, then runs what is queued, until
// Stop.
func (j *Jobs[TTx]) Start(ctx context.Context) error {
	j.recoverOnce(ctx)
	if !j.idle {
		if err := j.client.Start(ctx); err != nil {
			return fmt.Errorf("start the queue: %w", err)
		}
	}
	j.recovery.Start(ctx)
	return nil
}

// Stop interrupts what runs, so that the next start goes on with it, and returns
// when nothing runs any more, or with ctx's error.
func (j *Jobs[TTx]) Stop(ctx context.Context) error {
	j.stopping.Store(true)
	j.recovery.Stop()
	if j.idle {
		return nil
	}
	if err := j.client.StopAndCancel(ctx); err != nil {
		return fmt.Errorf("stop the queue: %w", err)
	}
	return nil
}

// Working is how many tasks run here now.
func (j *Jobs[TTx]) Working() int { return j.active.count() }

// Follow keeps the queue in step with the tasks. A store calls it for every write
// of a task, inside its transaction: a task that begins an attempt gets a job,
// one that leaves an attempt behind, or ends, has its job finalised.
func (j *Jobs[TTx]) Follow(ctx context.Context, tx TTx, before, after *task.Task) error {
	wasOpen := before != nil && before.BuiltIn && before.Status == task.InProgress
	isOpen := after != nil && after.BuiltIn && after.Status == task.InProgress
	if wasOpen && isOpen && before.Attempt == after.Attempt {
		return nil
	}
	if wasOpen {
		state := rivertype.JobStateCancelled
		if after != nil && after.Reported != task.InProgress {
			state = rivertype.JobStateCompleted
		}
		if err := j.finalise(ctx, tx, before.Job, state); err != nil {
			return fmt.Errorf("finalise job %d: %w", before.Job, err)
		}
	}
	if isOpen {
		inserted, err := j.client.InsertTx(ctx, tx, attemptArgs{after.ID, after.Attempt}, nil)
		if err != nil {
			return fmt.Errorf("queue attempt %d: %w", after.Attempt, err)
		}
		after.Job = inserted.Job.ID
	}
	return nil
}

// finalise ends a job's row, whether it runs, waits, or has ended already.
func (j *Jobs[TTx]) finalise(ctx context.Context, tx TTx, id int64, state rivertype.JobState) error {
	changed, err := j.endRunning(ctx, j.driver.UnwrapExecutor(tx), id, state)
	if err != nil || changed {
		return err
	}
	if _, err := j.client.JobCancelTx(ctx, tx, id); err != nil && !errors.Is(err, rivertype.ErrNotFound) {
		return err
	}
	return nil
}

// endRunning ends the row of a job that the queue takes for running.
func (j *Jobs[TTx]) endRunning(ctx context.Context, exec riverdriver.Executor, id int64, state rivertype.JobState) (bool, error) {
	now := j.now().UTC()
	rows, err := exec.JobSetStateIfRunningMany(ctx, &riverdriver.JobSetStateIfRunningManyParams{
		ID: []int64{id}, Attempt: []*int{nil}, ErrData: [][]byte{nil}, FinalizedAt: []*time.Time{&now},
		MetadataDoMerge: []bool{false}, MetadataUpdates: [][]byte{nil}, ScheduledAt: []*time.Time{nil},
		State: []rivertype.JobState{state},
	})
	return len(rows) > 0 && rows[0].State == state, err
}
