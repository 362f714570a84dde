package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	accountsPath     = "/stint/v1/accounts"
	entitlementsPath = "/stint/v1/entitlements"
)

// Account is an account as its source last stated it.
type Account struct {
	ID             string `json:"id"`
	SourceID       string `json:"sourceId"`
	SourceName     string `json:"sourceName"`
	NativeIdentity string `json:"nativeIdentity"`
	Name           string `json:"name"`
	// Attributes are texts (string) or several of them ([]any of string).
	Attributes map[string]any `json:"attributes"`
	Created    time.Time      `json:"created"`
	Modified   time.Time      `json:"modified"`
	// LastChange, CREATED or UPDATED, is what the aggregation LastTaskID did to it.
	LastChange string `json:"lastChange"`
	LastTaskID string `json:"lastTaskId"`

	raw json.RawMessage
}

// Raw is the account as the server sent it, members this package does not know included.
func (a *Account) Raw() json.RawMessage { return a.raw }

// UnmarshalJSON keeps the text beside the fields.
func (a *Account) UnmarshalJSON(text []byte) error {
	type plain Account
	var p plain
	if err := unmarshalExact(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*a = Account(p)
	return nil
}

// Entitlement is a right that an account can hold, as its source last stated it.
type Entitlement struct {
	ID         string `json:"id"`
	SourceID   string `json:"sourceId"`
	SourceName string `json:"sourceName"`
	// Attribute is the attribute of an account that holds it, NativeIdentity its value there.
	Attribute      string            `json:"attribute"`
	NativeIdentity string            `json:"nativeIdentity"`
	Name           string            `json:"name"`
	DisplayName    string            `json:"displayName,omitempty"`
	Description    string            `json:"description"`
	Attributes     map[string]string `json:"attributes"`
	Created        time.Time         `json:"created"`
	Modified       time.Time         `json:"modified"`
	// LastChange, CREATED or UPDATED, is what the aggregation LastTaskID did to it.
	LastChange string `json:"lastChange"`
	LastTaskID string `json:"lastTaskId"`

	raw json.RawMessage
}

// Raw is the entitlement as the server sent it, members this package does not know included.
func (e *Entitlement) Raw() json.RawMessage { return e.raw }

// UnmarshalJSON keeps the text beside the fields.
func (e *Entitlement) UnmarshalJSON(text []byte) error {
	type plain Entitlement
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*e = Entitlement(p)
	return nil
}

// Change is what an aggregation did to one account or entitlement.
type Change struct {
	// Change is CREATED, UPDATED or DELETED.
	Change string `json:"change"`
	// Attribute is empty for an account.
	Attribute      string `json:"attribute,omitempty"`
	NativeIdentity string `json:"nativeIdentity"`
	Name           string `json:"name"`
	// ChangedAttributes are the names of those that differ, for an update.
	ChangedAttributes []string `json:"changedAttributes"`

	raw json.RawMessage
}

// Raw is the change as the server sent it, members this package does not know included.
func (c *Change) Raw() json.RawMessage { return c.raw }

// UnmarshalJSON keeps the text beside the fields.
func (c *Change) UnmarshalJSON(text []byte) error {
	type plain Change
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*c = Change(p)
	return nil
}

// AccountPage is one page of a list of accounts.
type AccountPage struct {
	Accounts []Account
	// Total is the number of all accounts that match, -1 where it was not asked for.
	Total int
}

// ListAccounts lists one page of accounts. Sorters are "name" and "nativeIdentity".
func (c *Client) ListAccounts(ctx context.Context, opts ListOptions) (AccountPage, error) {
	list, total, err := listOf[Account](ctx, c, accountsPath, opts)
	return AccountPage{list, total}, err
}

// Accounts goes through all accounts, page by page. An error is the last thing that comes.
func (c *Client) Accounts(ctx context.Context, opts ListOptions) iter.Seq2[*Account, error] {
	return allOf(ctx, c, accountsPath, opts, func(a *Account) string { return a.ID })
}

// CountAccounts says how many accounts match a filter.
func (c *Client) CountAccounts(ctx context.Context, filter string) (int, error) {
	return c.count(ctx, accountsPath, filter)
}

// Account gets the account with an id.
func (c *Client) Account(ctx context.Context, id string) (*Account, error) {
	a := new(Account)
	if _, err := c.do(ctx, request{method: http.MethodGet, path: accountsPath + "/" + url.PathEscape(id), repeatable: true}, a); err != nil {
		return nil, err
	}
	return a, nil
}

// EntitlementPage is one page of a list of entitlements.
type EntitlementPage struct {
	Entitlements []Entitlement
	// Total is the number of all entitlements that match, -1 where it was not asked for.
	Total int
}

// ListEntitlements lists one page of entitlements. Sorters are "name" and "nativeIdentity".
func (c *Client) ListEntitlements(ctx context.Context, opts ListOptions) (EntitlementPage, error) {
	list, total, err := listOf[Entitlement](ctx, c, entitlementsPath, opts)
	return EntitlementPage{list, total}, err
}

// Entitlements goes through all entitlements, page by page. An error is the last thing that
// comes.
func (c *Client) Entitlements(ctx context.Context, opts ListOptions) iter.Seq2[*Entitlement, error] {
	return allOf(ctx, c, entitlementsPath, opts, func(e *Entitlement) string { return e.ID })
}

// CountEntitlements says how many entitlements match a filter.
func (c *Client) CountEntitlements(ctx context.Context, filter string) (int, error) {
	return c.count(ctx, entitlementsPath, filter)
}

// Entitlement gets the entitlement with an id.
func (c *Client) Entitlement(ctx context.Context, id string) (*Entitlement, error) {
	e := new(Entitlement)
	if _, err := c.do(ctx, request{method: http.MethodGet, path: entitlementsPath + "/" + url.PathEscape(id), repeatable: true}, e); err != nil {
		return nil, err
	}
	return e, nil
}

// ChangePage is one page of what a run has changed.
type ChangePage struct {
	Changes []Change
	// Total is the number of all changes that match, -1 where it was not asked for.
	Total int
}

// ListChanges lists one page of what the aggregation with a task's id has changed, in the order
// of change and native identity.
func (c *Client) ListChanges(ctx context.Context, taskID string, opts ListOptions) (ChangePage, error) {
	list, total, err := listOf[Change](ctx, c, taskPath(taskID, "/changes"), opts)
	return ChangePage{list, total}, err
}

// Changes goes through all that the aggregation with a task's id has changed, page by page. An
// error is the last thing that comes.
func (c *Client) Changes(ctx context.Context, taskID string, opts ListOptions) iter.Seq2[*Change, error] {
	return allOf(ctx, c, taskPath(taskID, "/changes"), opts, func(change *Change) string {
		return change.Change + "\x00" + change.Attribute + "\x00" + change.NativeIdentity
	})
}

// CountChanges says how many changes of an aggregation match a filter.
func (c *Client) CountChanges(ctx context.Context, taskID, filter string) (int, error) {
	return c.count(ctx, taskPath(taskID, "/changes"), filter)
}

// allOf goes through all elements of the list at path.
func allOf[T any](ctx context.Context, c *Client, path string, opts ListOptions, id func(*T) string) iter.Seq2[*T, error] {
	return eachPage(opts, id, func(page ListOptions) ([]T, error) {
		list, _, err := listOf[T](ctx, c, path, page)
		return list, err
	})
}

// listOf lists one page of the elements at path.
func listOf[T any](ctx context.Context, c *Client, path string, opts ListOptions) (list []T, total int, err error) {
	query := opts.values()
	if opts.Limit > 0 {
		query.Set("limit", strconv.Itoa(opts.Limit))
	}
	header, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, repeatable: true}, &list)
	if err != nil || !opts.Count {
		return list, -1, err
	}
	total, err = totalOf(header)
	return list, total, err
}

// count says how many elements of the list at path match a filter.
func (c *Client) count(ctx context.Context, path, filter string) (int, error) {
	query := ListOptions{Filter: filter, Count: true}.values()
	query.Set("limit", "0")
	header, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, repeatable: true}, nil)
	if err != nil {
		return 0, err
	}
	return totalOf(header)
}

func totalOf(header http.Header) (int, error) {
	total := header.Get("X-Total-Count")
	n, err := strconv.Atoi(total)
	if err != nil {
		return -1, fmt.Errorf("the server counted %q elements: %w", total, err)
	}
	return n, nil
}
