package client

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const auditPath = "/stint/v1/audit"

// AuditEntry is one change that somebody made. A text that there is none of is empty.
type AuditEntry struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	// Action is what was done, such as "task.clear", to the object with the id Object.
	Action string `json:"action"`
	Object string `json:"object"`
	// Actor is who did it, with which token or application, from where and with what.
	Actor     string `json:"actor"`
	Client    string `json:"client"`
	Address   string `json:"address"`
	Agent     string `json:"agent"`
	RequestID string `json:"requestId"`
	Reason    string `json:"reason"`
	// Words are the very words of the request, where they matter.
	Words string `json:"words"`
	// Before and After are what the object was and became; null where there is none.
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`

	raw json.RawMessage
}

// Raw is the entry as the server sent it, members this package does not know included.
func (e *AuditEntry) Raw() json.RawMessage { return e.raw }

// UnmarshalJSON keeps the text beside the fields.
func (e *AuditEntry) UnmarshalJSON(text []byte) error {
	type plain AuditEntry
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*e = AuditEntry(p)
	return nil
}

// AuditPage is one page of the audit.
type AuditPage struct {
	Entries []AuditEntry
	// Total is the number of all entries that match, -1 where it was not asked for.
	Total int
}

// ListAudit lists one page of the audit, the newest entries first unless sorted otherwise
// ("created").
func (c *Client) ListAudit(ctx context.Context, opts ListOptions) (AuditPage, error) {
	entries, total, err := listOf[AuditEntry](ctx, c, auditPath, opts)
	return AuditPage{Entries: entries, Total: total}, err
}

// Audit goes through all entries, page by page. An error is the last thing that comes.
func (c *Client) Audit(ctx context.Context, opts ListOptions) iter.Seq2[*AuditEntry, error] {
	return eachPage(opts, func(e *AuditEntry) string { return e.ID }, func(page ListOptions) ([]AuditEntry, error) {
		got, err := c.ListAudit(ctx, page)
		return got.Entries, err
	})
}

// AuditEntry gets the entry with an id.
func (c *Client) AuditEntry(ctx context.Context, id string) (*AuditEntry, error) {
	e := new(AuditEntry)
	if _, err := c.do(ctx, request{method: http.MethodGet, path: auditPath + "/" + url.PathEscape(id), repeatable: true}, e); err != nil {
		return nil, err
	}
	return e, nil
}

// Since is a filter that holds where the field, a time, is at or after another.
func Since(field string, at time.Time) string {
	return field + " ge " + Quote(at.UTC().Format(time.RFC3339Nano))
}

// Before is a filter that holds where the field, a time, is before another.
func Before(field string, at time.Time) string {
	return field + " lt " + Quote(at.UTC().Format(time.RFC3339Nano))
}
