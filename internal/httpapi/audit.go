package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// Audits is where the audit is read. Errors are *task.Error.
type Audits interface {
	AuditEntry(ctx context.Context, at audit.Place) (audit.Recorded, error)
	// ListAudit returns a page, and the total where the page asks for it (else -1).
	// Entries past the first megabyte come without Before, After and Words; their
	// Before is nil and not null.
	ListAudit(ctx context.Context, page query.Page) ([]audit.Recorded, int64, error)
	// FillAudit reads what the first of such entries lack, a megabyte at a time, and
	// returns how many it has looked at. Those that are gone keep a nil Before.
	FillAudit(ctx context.Context, entries []audit.Recorded) (int, error)
}

// wireEntry is an audit entry as it is answered. A text that there is none of is
// empty.
type wireEntry struct {
	ID        task.ID         `json:"id"`
	Created   string          `json:"created"`
	Action    audit.Action    `json:"action"`
	Actor     string          `json:"actor"`
	Client    string          `json:"client"`
	Address   string          `json:"address"`
	Agent     string          `json:"agent"`
	RequestID string          `json:"requestId"`
	Object    string          `json:"object"`
	Reason    string          `json:"reason"`
	Words     string          `json:"words"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
}

func marshalEntry(e *audit.Recorded) ([]byte, error) {
	body, err := json.Marshal(wireEntry{
		ID: e.ID(), Created: task.FormatTime(e.At), Action: e.Action, Actor: e.Origin.Actor, Client: e.Origin.Client,
		Address: e.Origin.Address, Agent: e.Origin.Agent, RequestID: e.Origin.RequestID, Object: e.Object, Reason: e.Reason,
		Words: e.Words, Before: shownDocument(e.Before), After: shownDocument(e.After),
	})
	if err != nil {
		return nil, fmt.Errorf("render audit entry: %w", err)
	}
	return body, nil
}

// shownDocument is a document of an entry. What is no JSON any more, because
// somebody altered it, is shown as the text that it is: the entry must be seen.
func shownDocument(doc json.RawMessage) json.RawMessage {
	if len(doc) == 0 {
		return json.RawMessage("null")
	}
	if json.Valid(doc) {
		return doc
	}
	text, err := json.Marshal(string(doc))
	if err != nil {
		return json.RawMessage("null")
	}
	return text
}

func (a *api) listAudit(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Audit().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	entries, total, err := a.audits.ListAudit(r.Context(), page)
	if err != nil {
		return err
	}
	list := filling[audit.Recorded]{
		held: func(e *audit.Recorded) *[]byte { return (*[]byte)(&e.Before) },
		fill: a.audits.FillAudit,
		render: func(e *audit.Recorded) ([]byte, error) {
			body, err := marshalEntry(e)
			e.After, e.Words = nil, "" // so much need not be kept until the end
			return body, err
		},
	}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return list.write(ctx, w, entries) })
}

func (a *api) getAuditEntry(w http.ResponseWriter, r *http.Request) error {
	at, ok := audit.ParsePlace(r.PathValue("id"))
	if !ok {
		return task.Errorf(task.NotFound, "", "no audit entry has the id %q", task.Abbreviate(r.PathValue("id")))
	}
	e, err := a.audits.AuditEntry(r.Context(), at)
	if err != nil {
		return err
	}
	body, err := marshalEntry(&e)
	if err != nil {
		return err
	}
	writeTagged(w, r, body)
	return nil
}
