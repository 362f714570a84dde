package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"stint/internal/task"
)

type wireWebhook struct {
	ID             task.ID `json:"id"`
	Name           string  `json:"name"`
	URL            string  `json:"url"`
	Events         []Event `json:"events"`
	Filter         string  `json:"filter"`
	Enabled        bool    `json:"enabled"`
	DisabledReason *string `json:"disabledReason"`
	Created        string  `json:"created"`
	Modified       string  `json:"modified"`
	SecretRotated  *string `json:"secretRotated"`
}

// MarshalWire renders the webhook, without its secrets.
func (w *Webhook) MarshalWire() ([]byte, error) {
	return marshal(wireWebhook{
		ID: w.ID, Name: w.Name, URL: w.URL, Events: w.Events, Filter: w.Filter, Enabled: w.Enabled,
		DisabledReason: optional(w.Disabled), Created: task.FormatTime(w.Created), Modified: task.FormatTime(w.Modified),
		SecretRotated: optionalTime(w.Rotated),
	}, "webhook")
}

type wireDelivery struct {
	ID          task.ID  `json:"id"`
	WebhookID   task.ID  `json:"webhookId"`
	TaskID      *task.ID `json:"taskId"`
	Event       Event    `json:"event"`
	State       State    `json:"state"`
	Attempts    int      `json:"attempts"`
	Created     string   `json:"created"`
	LastAttempt *string  `json:"lastAttempt"`
	LastStatus  *int     `json:"lastStatus"`
	LastError   *string  `json:"lastError"`
	NextAttempt *string  `json:"nextAttempt"`
	Done        *string  `json:"done"`
}

// MarshalWire renders the delivery.
func (d *Delivery) MarshalWire() ([]byte, error) {
	w := wireDelivery{
		ID: d.ID, WebhookID: d.WebhookID, Event: d.Event, State: d.State, Attempts: d.Attempts,
		Created: task.FormatTime(d.Created), LastAttempt: optionalTime(d.LastAttempt), LastError: optional(d.LastError),
		NextAttempt: optionalTime(d.NextAttempt), Done: optionalTime(d.Done),
	}
	if d.TaskID != "" {
		w.TaskID = &d.TaskID
	}
	if d.LastStatus != 0 {
		w.LastStatus = &d.LastStatus
	}
	return marshal(w, "delivery")
}

// Message is the body of what is sent: an event, when it was, and its data.
func Message(e Event, at time.Time, data []byte) ([]byte, error) {
	return marshal(struct {
		Type      Event           `json:"type"`
		Timestamp string          `json:"timestamp"`
		Data      json.RawMessage `json:"data"`
	}{e, task.FormatTime(at), data}, "message")
}

// TestData is what a test tells of: the webhook.
func (w *Webhook) TestData() ([]byte, error) {
	return marshal(struct {
		WebhookID task.ID `json:"webhookId"`
		Name      string  `json:"name"`
	}{w.ID, w.Name}, "test")
}

func marshal(v any, what string) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("render %s: %w", what, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := task.FormatTime(t)
	return &s
}
