package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"stint/internal/query"
	"stint/internal/task"
	"stint/internal/webhook"
)

const (
	// dispatchPause is how long webhooks wait at least from one look at the feed to the
	// next, and dispatchEach how much longer for each of them.
	dispatchPause = 200 * time.Millisecond
	dispatchEach  = 20 * time.Millisecond
	// dispatchIdle is that where there are no webhooks.
	dispatchIdle = time.Second
	// dispatchBatch is how many deliveries are made at once.
	dispatchBatch = 100
	// dispatchKeep is how often it is written down how far the feed was read, where
	// there was nothing to tell.
	dispatchKeep = 10 * time.Second
	// clockSlack is how much earlier than the webhook was made a task may have ended by the
	// clock of another node.
	clockSlack = time.Minute
)

// Dispatcher reads the feed of tasks for the webhooks, and makes a delivery of each
// task that has ended and that a webhook wants. It costs those who write tasks nothing.
type Dispatcher struct {
	routine
	hooks *Webhooks
	feed  *Feed
	when  func() bool
	log   *slog.Logger
	read  map[task.ID]progress
}

// progress is how far the feed was read for a webhook, beyond what is stored.
type progress struct {
	stored string
	at     task.Position
	kept   time.Time // when it was stored
}

// NewDispatcher returns the loop; Start and Stop begin and end it.
func NewDispatcher(hooks *Webhooks, feed *Feed, log *slog.Logger) *Dispatcher {
	return &Dispatcher{hooks: hooks, feed: feed, log: log, read: map[task.ID]progress{}}
}

// OnlyWhen has the loop pass over a run where when says no. It is called before Start.
func (d *Dispatcher) OnlyWhen(when func() bool) { d.when = when }

// Start begins the loop. A second call does nothing.
func (d *Dispatcher) Start(ctx context.Context) { d.begin(ctx, d.loop) }

func (d *Dispatcher) loop(ctx context.Context) {
	for ctx.Err() == nil {
		rung, wait := d.feed.bell.next(), lookAgain
		pause := dispatchPause
		if d.when == nil || d.when() {
			n, again, err := d.runOnce(ctx)
			if err != nil && ctx.Err() == nil {
				d.log.WarnContext(ctx, "cannot look for what webhooks are to be told; trying again", slog.Any("error", err))
			}
			pause += time.Duration(n) * dispatchEach
			if again && err == nil {
				wait = feedHeld
			}
			if n == 0 {
				pause = dispatchIdle // a webhook that is made now has missed nothing when it is found
			}
		} else {
			rung = nil
		}
		sleep(ctx, wait, rung)
		sleep(ctx, min(wait, pause), nil)
	}
}

// sleep returns after a time, when a channel is closed, or when ctx ends.
func sleep(ctx context.Context, d time.Duration, or <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-or:
	case <-ctx.Done():
	}
}

// runOnce looks at the feed for each webhook. It returns how many there are, and
// whether there may be more to read at once.
func (d *Dispatcher) runOnce(ctx context.Context) (n int, again bool, err error) {
	hooks, err := d.hooks.Store.Listening(ctx)
	if err != nil {
		return 0, false, err
	}
	for i := range hooks {
		more, err := d.look(ctx, &hooks[i])
		if err != nil {
			return len(hooks), false, err
		}
		again = again || more
	}
	return len(hooks), again, nil
}

// look reads the feed for one webhook.
func (d *Dispatcher) look(ctx context.Context, w *webhook.Webhook) (more bool, err error) {
	filter, err := d.wanted(w)
	if err != nil {
		d.log.WarnContext(ctx, "the filter of a webhook cannot be read any more: change it", slog.String("webhook_id", string(w.ID)), slog.Any("error", err))
		return false, nil
	}
	read, known := d.read[w.ID]
	if !known || read.stored != w.Position {
		if read, err = d.from(ctx, w); err != nil {
			return false, err
		}
	}
	c, err := d.hooks.Feed.Changes(ctx, filter, read.at, time.Time{}, dispatchBatch)
	if err != nil {
		return false, err
	}
	if c.Lost {
		d.log.WarnContext(ctx, "nobody knows what has completed since a webhook was told last; it is told of what completes from now on",
			slog.String("webhook_id", string(w.ID)))
	}
	deliveries, err := d.deliveries(w, c.Tasks)
	if err != nil {
		return false, err
	}
	now := d.hooks.Now()
	if len(deliveries) == 0 && !c.Lost && (c.Next == read.at || now.Sub(read.kept) < dispatchKeep) {
		read.at = c.Next
		d.read[w.ID] = read
		return c.More || c.Held, nil
	}
	next := c.Next.String()
	if err := d.hooks.Store.Tell(ctx, *w, next, deliveries); err != nil {
		return false, err
	}
	d.read[w.ID] = progress{stored: next, at: c.Next, kept: now}
	return c.More || c.Held, nil
}

// from is where the feed is read from for a webhook, by what is stored.
func (d *Dispatcher) from(ctx context.Context, w *webhook.Webhook) (progress, error) {
	read := progress{stored: w.Position, kept: d.hooks.Now()}
	if at, ok := task.ParsePosition(w.Position); ok {
		read.at = at
		return read, nil
	}
	end, err := d.hooks.Feed.Position(ctx)
	read.at = task.Position{Feed: end.Feed}
	return read, err
}

// wanted selects the tasks that a webhook wants to be told of.
func (d *Dispatcher) wanted(w *webhook.Webhook) (query.Expr, error) {
	ended := query.Compare{Field: query.FieldStatus}
	for _, e := range w.Events {
		for _, s := range e.Statuses() {
			ended.Values = append(ended.Values, string(s))
		}
	}
	if w.Filter == "" {
		return ended, nil
	}
	own, err := d.hooks.Parse(w.Filter)
	return query.And{Terms: []query.Expr{ended, own}}, err
}

// deliveries makes those of tasks that have ended since the webhook was made.
func (d *Dispatcher) deliveries(w *webhook.Webhook, tasks []task.Changed) ([]webhook.Delivery, error) {
	var all []webhook.Delivery
	for i := range tasks {
		end, err := endingOf(&tasks[i].Row)
		if err != nil {
			return nil, err
		}
		event, ok := webhook.EventOf(end.CompletionStatus)
		// When a person has cleared it, it may have ended long before.
		if !ok || end.Modified.Before(w.Created.Add(-clockSlack)) {
			continue // imported, with its past
		}
		one, err := d.hooks.newDelivery(w, tasks[i].ID, event)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// ending is how a task has ended, and when.
type ending struct {
	CompletionStatus task.CompletionStatus
	Completed        *time.Time
	Modified         time.Time
}

func endingOf(r *task.Row) (ending, error) {
	var end ending
	if err := json.Unmarshal(r.Wire, &end); err != nil {
		return end, fmt.Errorf("read stored task %s: %w", r.ID, err)
	}
	return end, nil
}
