package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"

	"stint/internal/audit"
	"stint/internal/task"
	"stint/internal/webhook"
)

const (
	// deliveryQueue has its own workers: receivers that hang hold up no task.
	deliveryQueue   = "webhooks"
	deliveryWorkers = 16
	// deliveriesOf is how many messages may be under way to one webhook, so that one
	// that hangs does not hold up the others.
	deliveriesOf = 4
	deliveryPoll = 250 * time.Millisecond
	// deliveryTimeout is how long a receiver may take to answer.
	deliveryTimeout = 30 * time.Second
	// A delivery whose webhook is busy comes again after a part of the time that it has
	// waited already.
	soonestTurn, latestTurn = time.Second, 5 * time.Minute

	lateBatch = 100
	// lateMost is how many late deliveries one look at them goes over.
	lateMost = 1000
	// maxSaid is how much is kept of what was wrong, in bytes.
	maxSaid = 500
)

// deliveryArgs are the arguments of the job of a delivery. Which of its jobs is the one
// that counts stands in the delivery.
type deliveryArgs struct {
	DeliveryID task.ID `json:"deliveryId"`
}

// Kind implements river.JobArgs.
func (deliveryArgs) Kind() string { return "delivery" }

type deliverer[TTx any] struct {
	river.WorkerDefaults[deliveryArgs]
	jobs *Jobs[TTx]
}

// Work tries one delivery. What comes of it is written to the delivery, with its next
// job, so that the queue never has to try again.
func (w *deliverer[TTx]) Work(ctx context.Context, job *river.Job[deliveryArgs]) error {
	defer w.jobs.sending.add(job.ID)()
	wait, err := w.jobs.hooks.deliver(ctx, job.ID, job.Args.DeliveryID)
	switch {
	case wait > 0:
		return river.JobSnooze(wait)
	case ctx.Err() != nil, task.KindOf(err) == task.Unavailable:
		return river.JobSnooze(soonestTurn)
	case err != nil:
		// The late delivery is found, and tried again.
		w.jobs.log.ErrorContext(ctx, "a delivery could not be tried", slog.String("delivery_id", string(job.Args.DeliveryID)), slog.Any("error", err))
	}
	return nil
}

// FollowDelivery keeps the queue in step with the deliveries, as Follow does with the
// tasks: one that is pending and has no job gets one, and the job that it had before is
// finalised.
func (j *Jobs[TTx]) FollowDelivery(ctx context.Context, tx TTx, before, after *webhook.Delivery) error {
	if before != nil && before.Job != 0 && (after.State != webhook.Pending || after.Job != before.Job) {
		if err := j.finalise(ctx, tx, before.Job, rivertype.JobStateCompleted); err != nil {
			return fmt.Errorf("finalise job %d: %w", before.Job, err)
		}
	}
	if after.State != webhook.Pending || after.Job != 0 {
		return nil
	}
	o := river.InsertOpts{Queue: deliveryQueue}
	if after.NextAttempt.After(j.now()) { // else the queue would wait for its scheduler
		o.ScheduledAt = after.NextAttempt
	}
	inserted, err := j.client.InsertTx(ctx, tx, deliveryArgs{after.ID}, &o)
	if err != nil {
		return fmt.Errorf("queue a delivery: %w", err)
	}
	after.Job = inserted.Job.ID
	return nil
}

// deliver tries a delivery by one of its jobs. It returns how long to wait where it is
// not its turn. The context of the call ends with the server.
func (s *Webhooks) deliver(ctx context.Context, job int64, id task.ID) (wait time.Duration, err error) {
	d, err := s.Store.Delivery(ctx, id)
	switch {
	case task.KindOf(err) == task.NotFound:
		return 0, nil
	case err != nil:
		return 0, err
	case d.State != webhook.Pending || d.Job != job:
		return 0, nil
	}
	w, err := s.Store.Webhook(ctx, d.WebhookID)
	if task.KindOf(err) == task.NotFound {
		return 0, s.giveUp(ctx, &d, "the webhook was deleted")
	}
	if err != nil {
		return 0, err
	}
	if !w.Enabled {
		return 0, s.giveUp(ctx, &d, "the webhook is disabled")
	}
	leave, ok := s.turns.take(w.ID)
	if !ok {
		return s.nextTurn(&d), nil
	}
	defer leave()
	body, err := s.message(ctx, &w, &d)
	if task.KindOf(err) == task.NotFound {
		return 0, s.giveUp(ctx, &d, "the task was deleted, or replaced")
	}
	if err != nil {
		return 0, err
	}
	result, err := s.try(ctx, &w, &d, body)
	if err != nil {
		return 0, err
	}
	return 0, s.note(ctx, &w, &d, result)
}

// nextTurn is how long a delivery waits for others to the same webhook.
func (s *Webhooks) nextTurn(d *webhook.Delivery) time.Duration {
	wait := min(max(s.Now().Sub(d.NextAttempt)/4, soonestTurn), latestTurn)
	return wait + rand.N(wait/2) //nolint:gosec // no secret
}

// message is what is sent.
func (s *Webhooks) message(ctx context.Context, w *webhook.Webhook, d *webhook.Delivery) ([]byte, error) {
	if d.TaskID == "" {
		data, err := w.TestData()
		if err != nil {
			return nil, err
		}
		return webhook.Message(d.Event, d.Created, data)
	}
	row, err := s.Tasks.Get(ctx, d.TaskID, time.Time{})
	if err != nil {
		return nil, err
	}
	end, err := endingOf(&row)
	if err != nil {
		return nil, err
	}
	if end.Completed == nil {
		return nil, task.Errorf(task.NotFound, "", "task %s has not ended: it was replaced", d.TaskID)
	}
	data, err := s.Render(row)
	if err != nil {
		return nil, err
	}
	return webhook.Message(d.Event, *end.Completed, data)
}

// try sends a message once. An error says that nothing was tried, or that the server
// stops.
func (s *Webhooks) try(ctx context.Context, w *webhook.Webhook, d *webhook.Delivery, body []byte) (webhook.Result, error) {
	now := s.Now()
	sealed := [][]byte{w.Secret}
	if w.Signs(now) {
		sealed = append(sealed, w.Old)
	}
	secrets := make([][]byte, len(sealed))
	for i := range sealed {
		var err error
		if secrets[i], err = s.Sealer.Open(w.ID, sealed[i]); err != nil {
			return webhook.Result{At: now, Err: "its secret cannot be opened with the key file: rotate it"}, nil
		}
	}
	limited, cancel := context.WithTimeout(ctx, deliveryTimeout)
	defer cancel()
	status, err := s.Courier.Post(limited, w.URL, webhook.Headers(d.ID, now, body, secrets...), body)
	if ctx.Err() != nil {
		return webhook.Result{}, ctx.Err()
	}
	result := webhook.Result{At: s.Now(), Status: status}
	switch {
	case limited.Err() != nil:
		result.Status, result.Err = 0, fmt.Sprintf("no answer within %s", deliveryTimeout)
	case err != nil:
		result.Err = said(err)
	case status < 200 || status > 299:
		result.Err = fmt.Sprintf("the receiver answered %d", status)
	}
	return result, nil
}

// said is an error as it can be stored.
func said(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

// note writes what came of a try. It is written even when the server is stopping: that
// is no reason to send again.
func (s *Webhooks) note(ctx context.Context, w *webhook.Webhook, d *webhook.Delivery, r webhook.Result) error {
	last := context.WithoutCancel(ctx)
	if r.Gone() {
		// First of the two: what is left undone by a crash is done by the next try.
		if err := s.disable(last, w.ID); err != nil && task.KindOf(err) != task.NotFound {
			return err
		}
		s.Log.WarnContext(ctx, "a webhook is disabled: its receiver answered 410 Gone", slog.String("webhook_id", string(w.ID)))
	}
	luck := rand.Float64() //nolint:gosec // no secret
	after, err := s.settle(last, d, func(now webhook.Delivery) webhook.Delivery { return now.Tried(r, luck) })
	if err == nil && after.State == webhook.Failed {
		s.Log.WarnContext(ctx, "a webhook could not be told", slog.String("webhook_id", string(w.ID)),
			slog.String("delivery_id", string(d.ID)), slog.Int("attempts", after.Attempts), slog.String("reason", after.LastError))
	}
	return err
}

func (s *Webhooks) giveUp(ctx context.Context, d *webhook.Delivery, why string) error {
	_, err := s.settle(ctx, d, func(now webhook.Delivery) webhook.Delivery { return now.GivenUp(why, s.Now()) })
	return err
}

// settle changes a delivery, unless another job has it by now.
func (s *Webhooks) settle(
	ctx context.Context, d *webhook.Delivery, change func(webhook.Delivery) webhook.Delivery,
) (webhook.Delivery, error) {
	after, err := s.Store.UpdateDelivery(ctx, d.ID, func(now webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error) {
		if now.State != webhook.Pending || now.Job != d.Job {
			return now, false, nil, nil
		}
		return change(now), true, nil, nil
	})
	if task.KindOf(err) == task.NotFound {
		return after, nil
	}
	return after, err
}

// turns bounds how many messages are under way to one webhook.
type turns struct {
	mu sync.Mutex
	of map[task.ID]int
}

func (t *turns) take(id task.ID) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[id] >= deliveriesOf {
		return nil, false
	}
	t.of[id]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.of[id]--; t.of[id] == 0 {
			delete(t.of, id)
		}
	}, true
}

// recoverDeliveries gives a job to the deliveries that were to be tried by now, and
// whose job neither waits nor runs: it ended with its process, or it is in the database
// that this one was copied from. It goes over so many at a time.
func (j *Jobs[TTx]) recoverDeliveries(ctx context.Context) error {
	if j.hooks == nil || !j.members.Leads() {
		return nil
	}
	now := j.now()
	for range lateMost / lateBatch {
		late, err := j.hooks.Store.LateDeliveries(ctx, now.UnixMilli(), j.late, lateBatch)
		if err != nil {
			return err
		}
		if err := j.requeue(ctx, late, now); err != nil {
			return err
		}
		if len(late) < lateBatch {
			j.late = webhook.Delivery{}
			return nil
		}
		j.late = late[len(late)-1]
	}
	return nil
}

func (j *Jobs[TTx]) requeue(ctx context.Context, late []webhook.Delivery, now time.Time) error {
	if len(late) == 0 {
		return nil
	}
	ids, missing := make([]int64, len(late)), make(map[int64]bool, len(late))
	for i := range late {
		ids[i], missing[late[i].Job] = late[i].Job, true
	}
	rows, err := j.driver.GetExecutor().JobGetByIDMany(ctx, &riverdriver.JobGetByIDManyParams{ID: ids})
	if err != nil {
		return err
	}
	lost, err := j.lost(ctx, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		delete(missing, row.ID)
	}
	var failed error
	for i := range late {
		d := &late[i]
		if !lost[d.Job] && !missing[d.Job] {
			continue
		}
		_, err := j.hooks.settle(ctx, d, func(d webhook.Delivery) webhook.Delivery {
			d.Job, d.NextAttempt = 0, task.Millis(now)
			return d
		})
		failed = errors.Join(failed, err)
	}
	return failed
}

const (
	deliveryRetention = time.Minute
	deliveryBatch     = 200
)

// Deliveries deletes what webhooks were told long ago.
type Deliveries struct {
	loop
	store WebhookStore
	now   func() time.Time
	log   *slog.Logger
}

// NewDeliveries returns the loop; Start and Stop begin and end it.
func NewDeliveries(store WebhookStore, now func() time.Time, log *slog.Logger) *Deliveries {
	d := &Deliveries{store: store, now: now, log: log}
	d.loop = loop{interval: deliveryRetention, run: d.runOnce}
	return d
}

// runOnce deletes all that is due now, in small batches.
func (d *Deliveries) runOnce(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := d.store.PurgeDeliveries(ctx, d.now().Add(-webhook.Kept).UnixMilli(), deliveryBatch)
		if err != nil && ctx.Err() == nil {
			d.log.WarnContext(ctx, "cannot delete old deliveries", slog.Any("error", err))
		}
		if err != nil || n < deliveryBatch {
			return
		}
	}
}
