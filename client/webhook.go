package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const webhooksPath = "/stint/v1/webhooks"

// NewWebhook describes a webhook to create.
type NewWebhook struct {
	Name string `json:"name"`
	// URL is absolute, http or https.
	URL string `json:"url"`
	// Events are "task.completed" and "task.failed"; both where there are none.
	Events []string `json:"events,omitempty"`
	// Filter selects tasks, as that of a list of tasks does; empty is all.
	Filter string `json:"filter,omitempty"`
	// Enabled is true where it is nil.
	Enabled *bool `json:"enabled,omitempty"`
	// Reason is kept in the audit trail.
	Reason string `json:"-"`
}

// Webhook is an address that is told of tasks that have ended.
type Webhook struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	URL     string   `json:"url"`
	Events  []string `json:"events"`
	Filter  string   `json:"filter"`
	Enabled bool     `json:"enabled"`
	// DisabledReason says why the server has disabled it.
	DisabledReason string     `json:"disabledReason"`
	Created        time.Time  `json:"created"`
	Modified       time.Time  `json:"modified"`
	SecretRotated  *time.Time `json:"secretRotated"`
	// Secret signs what is sent. It is there in the answers of CreateWebhook and
	// RotateWebhook alone.
	Secret string `json:"secret"`

	raw json.RawMessage
}

// Raw is the webhook as the server sent it, members this package does not know included.
func (w *Webhook) Raw() json.RawMessage { return w.raw }

// UnmarshalJSON keeps the text beside the fields.
func (w *Webhook) UnmarshalJSON(text []byte) error {
	type plain Webhook
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*w = Webhook(p)
	return nil
}

// WebhookDelivery is the telling of one event to one webhook.
type WebhookDelivery struct {
	// ID is also that of the message, the same at each try.
	ID        string `json:"id"`
	WebhookID string `json:"webhookId"`
	TaskID    string `json:"taskId"` // empty for a test
	Event     string `json:"event"`
	// State is "pending", "delivered" or "failed".
	State       string     `json:"state"`
	Attempts    int        `json:"attempts"`
	Created     time.Time  `json:"created"`
	LastAttempt *time.Time `json:"lastAttempt"`
	// LastStatus is what the receiver answered last; 0 where it did not.
	LastStatus  int        `json:"lastStatus"`
	LastError   string     `json:"lastError"`
	NextAttempt *time.Time `json:"nextAttempt"`
	Done        *time.Time `json:"done"`

	raw json.RawMessage
}

// Raw is the delivery as the server sent it, members this package does not know included.
func (d *WebhookDelivery) Raw() json.RawMessage { return d.raw }

// UnmarshalJSON keeps the text beside the fields.
func (d *WebhookDelivery) UnmarshalJSON(text []byte) error {
	type plain WebhookDelivery
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*d = WebhookDelivery(p)
	return nil
}

// CreateWebhook makes a webhook, which is told of what completes from now on. Its secret
// is in the answer alone.
func (c *Client) CreateWebhook(ctx context.Context, w NewWebhook) (*Webhook, error) {
	return c.webhook(ctx, request{
		method: http.MethodPost, path: webhooksPath, body: w, header: map[string]string{"Stint-Reason": headerText(w.Reason)},
	})
}

// WebhookPage is one page of a list of webhooks.
type WebhookPage struct {
	Webhooks []Webhook
	// Total is the number of all webhooks that match, -1 where it was not asked for.
	Total int
}

// ListWebhooks lists one page of webhooks, by name unless sorted otherwise.
func (c *Client) ListWebhooks(ctx context.Context, opts ListOptions) (WebhookPage, error) {
	webhooks, total, err := listOf[Webhook](ctx, c, webhooksPath, opts)
	return WebhookPage{Webhooks: webhooks, Total: total}, err
}

// Webhooks goes through all webhooks, page by page. An error is the last thing that comes.
func (c *Client) Webhooks(ctx context.Context, opts ListOptions) iter.Seq2[*Webhook, error] {
	return eachPage(opts, func(w *Webhook) string { return w.ID }, func(page ListOptions) ([]Webhook, error) {
		got, err := c.ListWebhooks(ctx, page)
		return got.Webhooks, err
	})
}

// Webhook gets the webhook with an id.
func (c *Client) Webhook(ctx context.Context, id string) (*Webhook, error) {
	return c.webhook(ctx, request{method: http.MethodGet, path: webhookPath(id), repeatable: true})
}

// FindWebhook gets the webhook with an id, or with a name that no other has, ASCII case
// ignored.
func (c *Client) FindWebhook(ctx context.Context, nameOrID string) (*Webhook, error) {
	if looksLikeID(nameOrID) {
		return c.Webhook(ctx, nameOrID)
	}
	page, err := c.ListWebhooks(ctx, ListOptions{Filter: AnyOf("name", nameOrID), Limit: 2})
	if err != nil {
		return nil, err
	}
	switch len(page.Webhooks) {
	case 0:
		return nil, fmt.Errorf("no webhook is called %q: %w", nameOrID, ErrNotFound)
	case 1:
		return &page.Webhooks[0], nil
	}
	return nil, fmt.Errorf("several webhooks are called %q: use an id, such as %s", nameOrID, page.Webhooks[0].ID)
}

// PatchWebhook changes the webhook with an id by a JSON Merge Patch of its name, url,
// events, filter and enabled, and answers it as it is then. The reason is kept in the
// audit trail.
func (c *Client) PatchWebhook(ctx context.Context, id string, patch json.RawMessage, reason string) (*Webhook, error) {
	return c.webhook(ctx, request{
		method: http.MethodPatch, path: webhookPath(id), body: patch, content: "application/merge-patch+json", repeatable: true,
		header: map[string]string{"Stint-Reason": headerText(reason)},
	})
}

// DeleteWebhook deletes the webhook with an id, and its deliveries.
func (c *Client) DeleteWebhook(ctx context.Context, id, reason string) (*Webhook, error) {
	return c.webhook(ctx, request{
		method: http.MethodDelete, path: webhookPath(id), header: map[string]string{"Stint-Reason": headerText(reason)},
	})
}

// RotateWebhook gives the webhook with an id another secret, which is in the answer
// alone. The old one signs beside it for a day.
func (c *Client) RotateWebhook(ctx context.Context, id, reason string) (*Webhook, error) {
	return c.webhook(ctx, request{method: http.MethodPost, path: webhookPath(id) + "/rotate", body: reasonBody{reason}})
}

// TestWebhook queues a delivery to the webhook with an id that tells of no task.
func (c *Client) TestWebhook(ctx context.Context, id, reason string) (*WebhookDelivery, error) {
	return c.delivery(ctx, webhookPath(id)+"/test", reason)
}

// Redeliver has a delivery to a webhook tried now, whatever has become of it.
func (c *Client) Redeliver(ctx context.Context, webhookID, id, reason string) (*WebhookDelivery, error) {
	return c.delivery(ctx, webhookPath(webhookID)+"/deliveries/"+url.PathEscape(id)+"/redeliver", reason)
}

// DeliveryPage is one page of a list of deliveries.
type DeliveryPage struct {
	Deliveries []WebhookDelivery
	// Total is the number of all deliveries that match, -1 where it was not asked for.
	Total int
}

// ListDeliveries lists one page of the deliveries to a webhook, the newest first unless
// sorted otherwise ("created").
func (c *Client) ListDeliveries(ctx context.Context, webhookID string, opts ListOptions) (DeliveryPage, error) {
	deliveries, total, err := listOf[WebhookDelivery](ctx, c, webhookPath(webhookID)+"/deliveries", opts)
	return DeliveryPage{Deliveries: deliveries, Total: total}, err
}

// Deliveries goes through all deliveries to a webhook, page by page. An error is the last
// thing that comes.
func (c *Client) Deliveries(ctx context.Context, webhookID string, opts ListOptions) iter.Seq2[*WebhookDelivery, error] {
	return eachPage(opts, func(d *WebhookDelivery) string { return d.ID }, func(page ListOptions) ([]WebhookDelivery, error) {
		got, err := c.ListDeliveries(ctx, webhookID, page)
		return got.Deliveries, err
	})
}

type reasonBody struct {
	Reason string `json:"reason"`
}

func (c *Client) webhook(ctx context.Context, r request) (*Webhook, error) {
	w := new(Webhook)
	if _, err := c.do(ctx, r, w); err != nil {
		return nil, err
	}
	return w, nil
}

func (c *Client) delivery(ctx context.Context, path, reason string) (*WebhookDelivery, error) {
	d := new(WebhookDelivery)
	if _, err := c.do(ctx, request{method: http.MethodPost, path: path, body: reasonBody{reason}}, d); err != nil {
		return nil, err
	}
	return d, nil
}

func webhookPath(id string) string { return webhooksPath + "/" + url.PathEscape(id) }
