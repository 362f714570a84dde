package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/strictjson"
	"stint/internal/task"
	"stint/internal/webhook"
)

// Webhooks are those who are told over HTTP of tasks that have ended. Errors are
// *task.Error: NotFound for an unknown id, Conflict for one webhook too many, or one
// that is disabled.
type Webhooks interface {
	Webhook(ctx context.Context, id task.ID) (webhook.Webhook, error)
	// List returns a page, and the total where the page asks for it (else -1), as
	// Deliveries does.
	List(ctx context.Context, page query.Page) ([]webhook.Webhook, int64, error)
	Deliveries(ctx context.Context, id task.ID, page query.Page) ([]webhook.Delivery, int64, error)
	// Create and Rotate return the new secret.
	Create(ctx context.Context, w webhook.Webhook, reason string, from audit.Origin) (webhook.Webhook, string, error)
	Rotate(ctx context.Context, id task.ID, reason string, from audit.Origin) (webhook.Webhook, string, error)
	// Update calls fn inside the transaction, perhaps more than once. Without an entry
	// nothing is changed.
	Update(ctx context.Context, id task.ID,
		fn func(webhook.Webhook) (webhook.Webhook, *audit.Entry, error)) (webhook.Webhook, error)
	// Delete undoes everything where entry fails.
	Delete(ctx context.Context, id task.ID, entry func(webhook.Webhook) (audit.Entry, error)) error
	Test(ctx context.Context, id task.ID, reason string, from audit.Origin) (webhook.Delivery, error)
	Redeliver(ctx context.Context, of, id task.ID, reason string, from audit.Origin) (webhook.Delivery, error)
}

// webhookBody is what a person decides of a webhook. What is absent or null is the
// default.
type webhookBody struct {
	Name    string   `json:"name"`
	URL     string   `json:"url"`
	Events  []string `json:"events"`
	Filter  string   `json:"filter"`
	Enabled *bool    `json:"enabled"`
}

func (b *webhookBody) apply(w *webhook.Webhook) {
	w.Name, w.URL, w.Filter, w.Enabled = b.Name, b.URL, b.Filter, b.Enabled == nil || *b.Enabled
	w.Events = webhook.Events()
	if b.Events != nil {
		w.Events = make([]webhook.Event, len(b.Events))
	}
	for i, e := range b.Events {
		w.Events[i] = webhook.Event(e)
		for _, known := range webhook.Events() {
			if task.EqualFoldASCII(e, string(known)) {
				w.Events[i] = known
			}
		}
	}
}

// readOnlyOfWebhook are the members of a webhook that nobody changes.
func readOnlyOfWebhook() []string {
	return []string{"id", "disabledReason", "created", "modified", "secretRotated"}
}

// webhookID returns the id in the path; what cannot be one is not found.
func webhookID(r *http.Request) (task.ID, error) {
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return "", task.Errorf(task.NotFound, "", "no webhook has the id %q", task.Abbreviate(r.PathValue("id")))
	}
	return id, nil
}

func (a *api) createWebhook(w http.ResponseWriter, r *http.Request) error {
	var b webhookBody
	if err := a.readJSON(w, r, &b); err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	var hook webhook.Webhook
	b.apply(&hook)
	hook, secret, err := a.webhooks.Create(r.Context(), hook, why, origin(r))
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/stint/v1/webhooks/"+string(hook.ID))
	return writeWebhookSecret(w, http.StatusCreated, &hook, secret)
}

// writeWebhookSecret answers with a webhook and its secret, which nobody can ask for
// again.
func writeWebhookSecret(w http.ResponseWriter, status int, hook *webhook.Webhook, secret string) error {
	body, err := hook.MarshalWire()
	if err != nil {
		return err
	}
	extra, err := json.Marshal(map[string]string{"secret": secret})
	if err != nil {
		return fmt.Errorf("render a secret: %w", err)
	}
	noStore(w)
	writeJSON(w, status, []byte(strings.TrimSuffix(string(body), "}")+","+string(extra[1:])))
	return nil
}

func (a *api) getWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	hook, err := a.webhooks.Webhook(r.Context(), id)
	if err != nil {
		return err
	}
	body, err := hook.MarshalWire()
	if err != nil {
		return err
	}
	writeTagged(w, r, body)
	return nil
}

func (a *api) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Webhooks().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found, total, err := a.webhooks.List(r.Context(), page)
	if err != nil {
		return err
	}
	all := filling[webhook.Webhook]{render: func(hook *webhook.Webhook) ([]byte, error) { return hook.MarshalWire() }}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return all.write(ctx, w, found) })
}

func (a *api) patchWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	words, err := a.readBody(w, r, maxBody, mediaJSONPatch, mediaMergePatch, mediaJSON)
	if err != nil {
		return err
	}
	patch, err := parseSourcePatch(r.Header.Get("Content-Type"), words)
	if err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	hook, err := a.webhooks.Update(r.Context(), id, func(before webhook.Webhook) (webhook.Webhook, *audit.Entry, error) {
		entry := &audit.Entry{Origin: origin(r), Action: audit.WebhookUpdate, Object: string(id), Words: string(words), Reason: why}
		return a.patchedWebhook(before, patch, r.Header.Values("If-Match"), entry)
	})
	if err != nil {
		return err
	}
	body, err := hook.MarshalWire()
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(body))
	writeJSON(w, http.StatusOK, body)
	return nil
}

// patchedWebhook is patched for a webhook.
func (a *api) patchedWebhook(
	before webhook.Webhook, patch sourcePatch, ifMatch []string, entry *audit.Entry,
) (after webhook.Webhook, _ *audit.Entry, err error) {
	if entry.Before, err = before.MarshalWire(); err != nil {
		return before, nil, err
	}
	after, refused := patch.webhook(before, entry.Before)
	if refused == nil {
		if entry.After, err = after.MarshalWire(); err != nil {
			return before, nil, err
		}
		if bytes.Equal(entry.Before, entry.After) {
			return before, nil, nil
		}
	}
	if tag := etag(entry.Before); len(ifMatch) > 0 && !matches(ifMatch, tag, false) {
		return before, nil, task.Errorf(task.PreconditionFailed, "If-Match", "the webhook is now %s", tag)
	}
	if refused != nil {
		return before, nil, refused
	}
	entry.At = task.Millis(a.now())
	after.Modified = entry.At
	if before.Modified.After(entry.At) { // the clock went back
		after.Modified = before.Modified
	}
	if after.Enabled {
		after.Disabled = ""
	}
	entry.After, err = after.MarshalWire()
	return after, entry, err
}

// webhook applies the patch to a webhook, whose JSON is doc.
func (p sourcePatch) webhook(before webhook.Webhook, doc []byte) (webhook.Webhook, error) {
	rest, err := p.changeable(doc, "webhook", readOnlyOfWebhook())
	if err != nil {
		return before, err
	}
	var b webhookBody
	if err := strictjson.Unmarshal(rest, &b); err != nil {
		return before, err
	}
	after := before
	b.apply(&after)
	return after, nil
}

func (a *api) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	ifMatch := r.Header.Values("If-Match")
	var doc []byte
	err = a.webhooks.Delete(r.Context(), id, func(hook webhook.Webhook) (_ audit.Entry, err error) {
		if doc, err = hook.MarshalWire(); err != nil {
			return audit.Entry{}, err
		}
		if len(ifMatch) > 0 && !matches(ifMatch, etag(doc), false) {
			return audit.Entry{}, task.Errorf(task.PreconditionFailed, "If-Match", "the webhook is now %s", etag(doc))
		}
		return audit.Entry{
			At: task.Millis(a.now()), Origin: origin(r), Action: audit.WebhookDelete, Object: string(id), Before: doc, Reason: why,
		}, nil
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, doc)
	return nil
}

// bodyReason reads why something is asked for, from a body that may be missing, or the
// header Stint-Reason.
func (a *api) bodyReason(w http.ResponseWriter, r *http.Request) (string, error) {
	body, err := a.readBody(w, r, maxBody, mediaJSON)
	if err != nil {
		return "", err
	}
	var b struct {
		Reason string `json:"reason"`
	}
	if len(body) > 0 {
		if err := strictjson.Unmarshal(body, &b); err != nil {
			return "", err
		}
	}
	if b.Reason == "" {
		return reason(r)
	}
	return b.Reason, checkReason("reason", b.Reason)
}

func (a *api) rotateWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	why, err := a.bodyReason(w, r)
	if err != nil {
		return err
	}
	hook, secret, err := a.webhooks.Rotate(r.Context(), id, why, origin(r))
	if err != nil {
		return err
	}
	return writeWebhookSecret(w, http.StatusOK, &hook, secret)
}

func (a *api) testWebhook(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	why, err := a.bodyReason(w, r)
	if err != nil {
		return err
	}
	d, err := a.webhooks.Test(r.Context(), id, why, origin(r))
	if err != nil {
		return err
	}
	return writeDelivery(w, &d)
}

// writeDelivery answers with a delivery that will be tried.
func writeDelivery(w http.ResponseWriter, d *webhook.Delivery) error {
	body, err := d.MarshalWire()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, body)
	return nil
}

func (a *api) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	id, err := webhookID(r)
	if err != nil {
		return err
	}
	page, err := query.Deliveries().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	found, total, err := a.webhooks.Deliveries(r.Context(), id, page)
	if err != nil {
		return err
	}
	all := filling[webhook.Delivery]{render: func(d *webhook.Delivery) ([]byte, error) { return d.MarshalWire() }}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return all.write(ctx, w, found) })
}

func (a *api) redeliver(w http.ResponseWriter, r *http.Request) error {
	of, err := webhookID(r)
	if err != nil {
		return err
	}
	id, ok := task.ParseID(r.PathValue("deliveryId"))
	if !ok {
		return task.Errorf(task.NotFound, "", "no delivery of this webhook has the id %q", task.Abbreviate(r.PathValue("deliveryId")))
	}
	why, err := a.bodyReason(w, r)
	if err != nil {
		return err
	}
	d, err := a.webhooks.Redeliver(r.Context(), of, id, why, origin(r))
	if err != nil {
		return err
	}
	return writeDelivery(w, &d)
}
