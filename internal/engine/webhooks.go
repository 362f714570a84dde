package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
	"stint/internal/webhook"
)

// WebhookStore is what Webhooks needs of storage. Errors are *task.Error: NotFound for
// an unknown id.
type WebhookStore interface {
	// CreateWebhook refuses one too many with Conflict.
	CreateWebhook(ctx context.Context, w webhook.Webhook, most int, entry audit.Entry) error
	Webhook(ctx context.Context, id task.ID) (webhook.Webhook, error)
	// ListWebhooks returns a page, and the total where the page asks for it (else -1), as
	// ListDeliveries does.
	ListWebhooks(ctx context.Context, page query.Page) ([]webhook.Webhook, int64, error)
	// UpdateWebhook calls fn inside the transaction, perhaps more than once. Without an
	// entry nothing is changed.
	UpdateWebhook(ctx context.Context, id task.ID,
		fn func(webhook.Webhook) (webhook.Webhook, *audit.Entry, error)) (webhook.Webhook, error)
	DeleteWebhook(ctx context.Context, id task.ID, entry func(webhook.Webhook) (audit.Entry, error)) error
	// Listening returns those that are enabled.
	Listening(ctx context.Context) ([]webhook.Webhook, error)
	// Tell stores deliveries to w, and up to where the feed was read for it. It does
	// nothing where that is not what w says any more.
	Tell(ctx context.Context, w webhook.Webhook, next string, deliveries []webhook.Delivery) error

	AddDelivery(ctx context.Context, d webhook.Delivery, entry audit.Entry) error
	Delivery(ctx context.Context, id task.ID) (webhook.Delivery, error)
	ListDeliveries(ctx context.Context, id task.ID, page query.Page) ([]webhook.Delivery, int64, error)
	// UpdateDelivery calls fn inside the transaction, perhaps more than once; false
	// changes nothing.
	UpdateDelivery(ctx context.Context, id task.ID,
		fn func(webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error)) (webhook.Delivery, error)
	// LateDeliveries returns those that were to be tried before a time, in milliseconds
	// since 1970, in that order and behind another one.
	LateDeliveries(ctx context.Context, before int64, after webhook.Delivery, limit int) ([]webhook.Delivery, error)
	PurgeDeliveries(ctx context.Context, before int64, limit int) (int, error)
}

// Sealer keeps secrets so that storage alone does not tell them.
type Sealer interface {
	Seal(id task.ID, secret []byte) ([]byte, error)
	// Open fails where the key is not the one that sealed.
	Open(id task.ID, sealed []byte) ([]byte, error)
}

// Courier sends messages.
type Courier interface {
	// Post returns the status of the answer. It stops soon after ctx ends.
	Post(ctx context.Context, url string, headers map[string]string, body []byte) (status int, err error)
}

// WebhookOptions are the settings of Webhooks.
type WebhookOptions struct {
	Store WebhookStore
	Tasks Store
	Feed  FeedStore
	// Parse reads a filter of tasks; Render is a task as its readers get it.
	Parse   func(filter string) (query.Expr, error)
	Render  func(task.Row) ([]byte, error)
	Sealer  Sealer
	Courier Courier
	Now     func() time.Time
	Log     *slog.Logger
}

// Webhooks are those who are told over HTTP of tasks that have ended. All methods are
// safe for concurrent use.
type Webhooks struct {
	WebhookOptions
	turns turns
}

// NewWebhooks returns Webhooks over a store.
func NewWebhooks(o WebhookOptions) *Webhooks {
	return &Webhooks{WebhookOptions: o, turns: turns{of: map[task.ID]int{}}}
}

// check returns an error that names the field unless a webhook can be kept.
func (s *Webhooks) check(w *webhook.Webhook) error {
	return w.Check(func(filter string) error {
		_, err := s.Parse(filter)
		if e, ok := errors.AsType[*task.Error](err); ok {
			named := *e
			named.Field = "filter"
			return &named
		}
		return err
	})
}

// Webhook returns a webhook.
func (s *Webhooks) Webhook(ctx context.Context, id task.ID) (webhook.Webhook, error) {
	return s.Store.Webhook(ctx, id)
}

// List returns a page of the webhooks, and the total where the page asks for it (else
// -1).
func (s *Webhooks) List(ctx context.Context, page query.Page) ([]webhook.Webhook, int64, error) {
	return s.Store.ListWebhooks(ctx, page)
}

// Deliveries is List for the deliveries to a webhook.
func (s *Webhooks) Deliveries(ctx context.Context, id task.ID, page query.Page) ([]webhook.Delivery, int64, error) {
	return s.Store.ListDeliveries(ctx, id, page)
}

// Create makes a webhook and returns it with its secret, which nobody can read again.
// Its id, times and secrets are set here. It is told of what completes from now on.
func (s *Webhooks) Create(ctx context.Context, w webhook.Webhook, reason string, from audit.Origin) (webhook.Webhook, string, error) {
	if err := s.check(&w); err != nil {
		return w, "", err
	}
	now := task.Millis(s.Now())
	id, err := task.NewID(now, rand.Reader)
	if err != nil {
		return w, "", fmt.Errorf("create webhook: %w", err)
	}
	w.ID, w.Created, w.Modified, w.Rotated, w.Old, w.Disabled = id, now, now, time.Time{}, nil, ""
	secret := webhook.NewSecret()
	if w.Secret, err = s.Sealer.Seal(id, secret); err != nil {
		return w, "", fmt.Errorf("create webhook: %w", err)
	}
	at, err := s.Feed.Position(ctx)
	if err != nil {
		return w, "", err
	}
	w.Position = at.String()
	after, err := w.MarshalWire()
	if err != nil {
		return w, "", err
	}
	err = s.Store.CreateWebhook(ctx, w, webhook.Most, audit.Entry{
		At: now, Origin: from, Action: audit.WebhookCreate, Object: string(id), After: after, Reason: reason,
	})
	return w, webhook.ShowSecret(secret), err
}

// Update writes what fn makes of a webhook, with its entry; without an entry nothing is
// changed. One that is enabled is told of what completes from then on.
func (s *Webhooks) Update(
	ctx context.Context, id task.ID, fn func(webhook.Webhook) (webhook.Webhook, *audit.Entry, error),
) (webhook.Webhook, error) {
	at, err := s.Feed.Position(ctx)
	if err != nil {
		return webhook.Webhook{}, err
	}
	return s.Store.UpdateWebhook(ctx, id, func(before webhook.Webhook) (webhook.Webhook, *audit.Entry, error) {
		after, entry, err := fn(before)
		if err != nil || entry == nil {
			return before, nil, err
		}
		if after.Enabled && !before.Enabled {
			after.Position = at.String()
		}
		return after, entry, s.check(&after)
	})
}

// Delete deletes a webhook and its deliveries. An error of entry undoes everything.
func (s *Webhooks) Delete(ctx context.Context, id task.ID, entry func(webhook.Webhook) (audit.Entry, error)) error {
	return s.Store.DeleteWebhook(ctx, id, entry)
}

// Rotate gives a webhook another secret, and returns it. The old one signs beside it
// for a day.
func (s *Webhooks) Rotate(ctx context.Context, id task.ID, reason string, from audit.Origin) (webhook.Webhook, string, error) {
	secret := webhook.NewSecret()
	sealed, err := s.Sealer.Seal(id, secret)
	if err != nil {
		return webhook.Webhook{}, "", fmt.Errorf("rotate a secret: %w", err)
	}
	w, err := s.changed(ctx, id, audit.WebhookRotate, reason, from, func(w *webhook.Webhook) {
		w.Old, w.Secret, w.Rotated = w.Secret, sealed, w.Modified
	})
	return w, webhook.ShowSecret(secret), err
}

// changed changes a webhook and writes an entry of it.
func (s *Webhooks) changed(
	ctx context.Context, id task.ID, action audit.Action, reason string, from audit.Origin, change func(*webhook.Webhook),
) (webhook.Webhook, error) {
	now := task.Millis(s.Now())
	return s.Store.UpdateWebhook(ctx, id, func(before webhook.Webhook) (webhook.Webhook, *audit.Entry, error) {
		after := before
		after.Modified = now
		change(&after)
		was, err := before.MarshalWire()
		if err != nil {
			return before, nil, err
		}
		is, err := after.MarshalWire()
		return after, &audit.Entry{
			At: now, Origin: from, Action: action, Object: string(id), Before: was, After: is, Reason: reason,
		}, err
	})
}

// enabled returns a webhook; the error is of kind Conflict where it is not enabled.
func (s *Webhooks) enabled(ctx context.Context, id task.ID) (webhook.Webhook, error) {
	w, err := s.Store.Webhook(ctx, id)
	if err == nil && !w.Enabled {
		err = task.Errorf(task.Conflict, "", "the webhook is disabled: enable it first")
	}
	return w, err
}

// Test queues a delivery that tells of no task.
func (s *Webhooks) Test(ctx context.Context, id task.ID, reason string, from audit.Origin) (webhook.Delivery, error) {
	w, err := s.enabled(ctx, id)
	if err != nil {
		return webhook.Delivery{}, err
	}
	d, err := s.newDelivery(&w, "", webhook.Test)
	if err != nil {
		return d, err
	}
	after, err := d.MarshalWire()
	if err != nil {
		return d, err
	}
	return d, s.Store.AddDelivery(ctx, d, audit.Entry{
		At: d.Created, Origin: from, Action: audit.WebhookTest, Object: string(id), After: after, Reason: reason,
	})
}

func (s *Webhooks) newDelivery(w *webhook.Webhook, of task.ID, event webhook.Event) (webhook.Delivery, error) {
	now := task.Millis(s.Now())
	id, err := task.NewID(now, rand.Reader)
	if err != nil {
		return webhook.Delivery{}, fmt.Errorf("make a delivery: %w", err)
	}
	return webhook.Delivery{
		ID: id, WebhookID: w.ID, TaskID: of, Event: event, Created: now, State: webhook.Pending, NextAttempt: now,
	}, nil
}

// Redeliver has a delivery to a webhook tried now, whatever has become of it.
func (s *Webhooks) Redeliver(ctx context.Context, of, id task.ID, reason string, from audit.Origin) (webhook.Delivery, error) {
	if _, err := s.enabled(ctx, of); err != nil {
		return webhook.Delivery{}, err
	}
	now := task.Millis(s.Now())
	return s.Store.UpdateDelivery(ctx, id, func(before webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error) {
		if before.WebhookID != of {
			return before, false, nil, task.Errorf(task.NotFound, "", "no delivery of this webhook has the id %s", id)
		}
		after := before.Again(now)
		was, err := before.MarshalWire()
		if err != nil {
			return before, false, nil, err
		}
		is, err := after.MarshalWire()
		return after, true, &audit.Entry{
			At: now, Origin: from, Action: audit.WebhookRedeliver, Object: string(of), Before: was, After: is, Reason: reason,
		}, err
	})
}

// disable disables a webhook whose receiver wants no more.
func (s *Webhooks) disable(ctx context.Context, id task.ID) error {
	const why = "its receiver answered 410 Gone"
	_, err := s.changed(ctx, id, audit.WebhookDisable, why, audit.System(), func(w *webhook.Webhook) {
		w.Enabled, w.Disabled = false, why
	})
	return err
}
