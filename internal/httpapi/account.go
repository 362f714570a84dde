package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/task"
)

// Accounts is where accounts and entitlements are kept. Errors are *task.Error:
// NotFound for an unknown id. Lists come with the total where the page asks for
// it, else -1.
type Accounts interface {
	Account(ctx context.Context, id task.ID) (account.Stored, error)
	// ListAccounts and ListEntitlements return a page; what is past the first
	// megabyte comes without Body.
	ListAccounts(ctx context.Context, page query.Page) ([]account.Stored, int64, error)
	Entitlement(ctx context.Context, id task.ID) (account.Stored, error)
	ListEntitlements(ctx context.Context, page query.Page) ([]account.Stored, int64, error)
	// FillRecords reads the Body of the first of the records, a megabyte at a time,
	// and returns how many it has looked at. Those that are gone keep a nil Body.
	FillRecords(ctx context.Context, class account.Class, records []account.Stored) (int, error)
	// ListChanges returns a page of what the run of a task has changed.
	ListChanges(ctx context.Context, id task.ID, page query.Page) ([]account.Changed, int64, error)
}

// recordHead and recordTail are what stands before and behind the stored JSON of
// a record.
type recordHead struct {
	ID             task.ID `json:"id"`
	SourceID       task.ID `json:"sourceId"`
	SourceName     string  `json:"sourceName"`
	Attribute      string  `json:"attribute,omitempty"`
	NativeIdentity string  `json:"nativeIdentity"`
	Name           string  `json:"name"`
}

type recordTail struct {
	Created    string         `json:"created"`
	Modified   string         `json:"modified"`
	LastChange account.Change `json:"lastChange"`
	LastTaskID task.ID        `json:"lastTaskId"`
}

func marshalAccount(a *account.Stored) ([]byte, error) {
	return joinRecord(a, recordHead{NativeIdentity: a.Key}, `"attributes":`, string(a.Body))
}

func marshalEntitlement(e *account.Stored) ([]byte, error) {
	var stored struct {
		DisplayName, Description, Attributes json.RawMessage
	}
	if err := json.Unmarshal(e.Body, &stored); err != nil {
		return nil, fmt.Errorf("render entitlement: %w", err)
	}
	var body []string
	if stored.DisplayName != nil {
		body = append(body, `"displayName":`, string(stored.DisplayName), ",")
	}
	body = append(body, `"description":`, orElse(stored.Description, `""`), `,"attributes":`, orElse(stored.Attributes, "{}"))
	attribute, nativeIdentity := account.ParseEntitlementKey(e.Key)
	return joinRecord(e, recordHead{Attribute: attribute, NativeIdentity: nativeIdentity}, body...)
}

func orElse(value json.RawMessage, otherwise string) string {
	if value == nil {
		return otherwise
	}
	return string(value)
}

// joinRecord renders a record; what is stored as JSON stands in it as it is.
func joinRecord(r *account.Stored, head recordHead, stored ...string) ([]byte, error) {
	head.ID, head.SourceID, head.SourceName, head.Name = r.ID, r.SourceID, r.SourceName, r.Name
	before, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("render record: %w", err)
	}
	after, err := json.Marshal(recordTail{
		task.FormatTime(r.Created), task.FormatTime(r.Modified), r.LastChange, r.LastTaskID,
	})
	if err != nil {
		return nil, fmt.Errorf("render record: %w", err)
	}
	var b bytes.Buffer
	b.Grow(len(before) + len(r.Body) + len(after) + 64)
	b.Write(before[:len(before)-1])
	b.WriteByte(',')
	for _, part := range stored {
		b.WriteString(part)
	}
	b.WriteByte(',')
	b.Write(after[1:])
	return b.Bytes(), nil
}

func (a *api) listAccounts(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Accounts().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	records, total, err := a.accounts.ListAccounts(r.Context(), page)
	if err != nil {
		return err
	}
	return a.writeRecords(w, r, account.Accounts, page, records, total)
}

func (a *api) listEntitlements(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Entitlements().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	records, total, err := a.accounts.ListEntitlements(r.Context(), page)
	if err != nil {
		return err
	}
	return a.writeRecords(w, r, account.Entitlements, page, records, total)
}

func (a *api) writeRecords(w http.ResponseWriter, r *http.Request, class account.Class, page query.Page, records []account.Stored, total int64) error {
	list := filling[account.Stored]{
		held: func(s *account.Stored) *[]byte { return &s.Body },
		fill: func(ctx context.Context, rest []account.Stored) (int, error) {
			return a.accounts.FillRecords(ctx, class, rest)
		},
		render: marshalAccount,
	}
	if class == account.Entitlements {
		list.render = marshalEntitlement
	}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return list.write(ctx, w, records) })
}

func (a *api) getAccount(w http.ResponseWriter, r *http.Request) error {
	return writeRecord(w, r, account.Accounts, a.accounts.Account, marshalAccount)
}

func (a *api) getEntitlement(w http.ResponseWriter, r *http.Request) error {
	return writeRecord(w, r, account.Entitlements, a.accounts.Entitlement, marshalEntitlement)
}

func writeRecord(
	w http.ResponseWriter, r *http.Request, class account.Class,
	read func(context.Context, task.ID) (account.Stored, error), render func(*account.Stored) ([]byte, error),
) error {
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return task.Errorf(task.NotFound, "", "no %s has the id %q", strings.TrimSuffix(class.String(), "s"), task.Abbreviate(r.PathValue("id")))
	}
	record, err := read(r.Context(), id)
	if err != nil {
		return err
	}
	body, err := render(&record)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// wireChange is one line of what a run has changed.
type wireChange struct {
	Change            account.Change `json:"change"`
	Attribute         string         `json:"attribute,omitempty"`
	NativeIdentity    string         `json:"nativeIdentity"`
	Name              string         `json:"name"`
	ChangedAttributes []string       `json:"changedAttributes"`
}

func marshalChange(c *account.Changed) ([]byte, error) {
	line := wireChange{Change: c.Change, NativeIdentity: c.Key, Name: c.Name, ChangedAttributes: c.Attributes}
	if c.Class == account.Entitlements {
		line.Attribute, line.NativeIdentity = account.ParseEntitlementKey(c.Key)
	}
	body, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("render change: %w", err)
	}
	return body, nil
}

func (a *api) listTaskChanges(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Changes().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	row, err := a.visible(r)
	if err != nil {
		return err
	}
	changes, total, err := a.accounts.ListChanges(r.Context(), row.ID, page)
	if err != nil {
		return err
	}
	list := filling[account.Changed]{render: marshalChange}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return list.write(ctx, w, changes) })
}
