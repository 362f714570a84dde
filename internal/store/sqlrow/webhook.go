package sqlrow

import (
	"encoding/json"
	"fmt"
	"time"

	"stint/internal/task"
	"stint/internal/webhook"
)

const (
	// WebhookColumns are those of a webhook, in the order of ScanWebhook.
	WebhookColumns = "id, name, created, modified, enabled, settings, secret, old_secret, rotated, position"
	// DeliveryColumns are those of a delivery, in the order of ScanDelivery.
	DeliveryColumns = `id, webhook, task_id, event, created, state, attempts, earlier, last_attempt, last_status, last_error,
		next_attempt, done, job`
)

// webhookSettings is what the column settings holds, as JSON.
type webhookSettings struct {
	URL      string          `json:"url"`
	Events   []webhook.Event `json:"events"`
	Filter   string          `json:"filter,omitempty"`
	Disabled string          `json:"disabled,omitempty"`
}

// WebhookRow returns the values of WebhookColumns.
func WebhookRow(w *webhook.Webhook) ([]any, error) {
	settings, err := json.Marshal(webhookSettings{w.URL, w.Events, w.Filter, w.Disabled})
	if err != nil {
		return nil, fmt.Errorf("store webhook: %w", err)
	}
	enabled := 0
	if w.Enabled {
		enabled = 1
	}
	var old any
	if len(w.Old) > 0 {
		old = w.Old
	}
	return []any{
		Blob(w.ID), w.Name, w.Created.UnixMilli(), w.Modified.UnixMilli(), enabled, settings, w.Secret, old, Millis(w.Rotated),
		Text(w.Position),
	}, nil
}

// ScanWebhook reads a webhook.
func ScanWebhook(row Scanner) (webhook.Webhook, error) {
	var (
		w                          webhook.Webhook
		id, settings               []byte
		created, modified, enabled int64
		rotated                    *int64
		position                   *string
		stored                     webhookSettings
	)
	err := row.Scan(&id, &w.Name, &created, &modified, &enabled, &settings, &w.Secret, &w.Old, &rotated, &position)
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(settings, &stored); err != nil {
		return w, fmt.Errorf("read the settings of a webhook: %w", err)
	}
	w.ID, w.Enabled, w.Position = ID(id), enabled != 0, orEmpty(position)
	w.URL, w.Events, w.Filter, w.Disabled = stored.URL, stored.Events, stored.Filter, stored.Disabled
	w.Created, w.Modified, w.Rotated = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC(), Time(rotated)
	return w, nil
}

// NoWebhook is the error of a look-up that may have found nothing.
func NoWebhook(id task.ID, err error) error { return none(err, "webhook", id) }

// ManyWebhooks is the error of one webhook too many.
func ManyWebhooks(n, most int) error {
	return task.Errorf(task.Conflict, "", "there are %d webhooks: at most %d; delete one that is not needed any more", n, most)
}

// DeliveryRow returns the values of DeliveryColumns.
func DeliveryRow(d *webhook.Delivery) []any {
	var status, job any
	if d.LastStatus != 0 {
		status = d.LastStatus
	}
	if d.State == webhook.Pending {
		job = d.Job
	}
	return []any{
		Blob(d.ID), Blob(d.WebhookID), Blob(d.TaskID), string(d.Event), d.Created.UnixMilli(), string(d.State), d.Attempts, d.Before,
		Millis(d.LastAttempt), status, Text(d.LastError), Millis(d.NextAttempt), Millis(d.Done), job,
	}
}

// ScanDelivery reads a delivery.
func ScanDelivery(row Scanner) (webhook.Delivery, error) {
	var (
		d                webhook.Delivery
		id, hook, of     []byte
		created          int64
		last, next, done *int64
		status, job      *int64
		said             *string
	)
	err := row.Scan(&id, &hook, &of, &d.Event, &created, &d.State, &d.Attempts, &d.Before, &last, &status, &said, &next, &done, &job)
	if err != nil {
		return d, err
	}
	d.ID, d.WebhookID, d.TaskID = ID(id), ID(hook), ID(of)
	d.Created, d.LastAttempt, d.NextAttempt, d.Done = time.UnixMilli(created).UTC(), Time(last), Time(next), Time(done)
	d.LastError = orEmpty(said)
	if status != nil {
		d.LastStatus = int(*status)
	}
	if job != nil {
		d.Job = *job
	}
	return d, nil
}

// NoDelivery is the error of a look-up that may have found nothing.
func NoDelivery(id task.ID, err error) error { return none(err, "delivery of this webhook", id) }
