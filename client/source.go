package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const sourcesPath = "/stint/v1/sources"

// DelimitedFile is the type of a source whose accounts come in uploaded files.
const DelimitedFile = "DelimitedFile"

// ConnectorAttributes say how the files of a source are read. What is empty has the server's
// default.
type ConnectorAttributes struct {
	// AccountID is the column of the account's own id; required.
	AccountID string `json:"accountId"`
	// DisplayName is the column of the account's name.
	DisplayName string `json:"displayName,omitempty"`
	// Entitlements are the columns that hold entitlements, several in a cell where
	// MultiValueSeparator stands between them.
	Entitlements        []string `json:"entitlements,omitempty"`
	MultiValueSeparator string   `json:"multiValueSeparator,omitempty"`
	Delimiter           string   `json:"delimiter,omitempty"`
	// Columns are those that a file of accounts has; empty until the first was accepted.
	Columns []string `json:"columns,omitempty"`
}

// DeletionThreshold is how many deletions of an aggregation pass unasked: Percent of what is
// stored, but at least Minimum. Nil is the server's default.
type DeletionThreshold struct {
	Percent *int   `json:"percent,omitempty"`
	Minimum *int64 `json:"minimum,omitempty"`
}

// NewSource describes a source to create.
type NewSource struct {
	// Name is unique, ASCII case ignored; required.
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Type is how it is read, such as [DelimitedFile]; required.
	Type                string              `json:"type"`
	ConnectorAttributes ConnectorAttributes `json:"connectorAttributes"`
	DeletionThreshold   *DeletionThreshold  `json:"deletionThreshold,omitempty"`
	// Reason is kept in the audit trail.
	Reason string `json:"-"`
}

// Source is a system that accounts and entitlements are read from.
type Source struct {
	ID                  string              `json:"id"`
	Name                string              `json:"name"`
	Description         string              `json:"description"`
	Type                string              `json:"type"`
	ConnectorAttributes ConnectorAttributes `json:"connectorAttributes"`
	DeletionThreshold   DeletionThreshold   `json:"deletionThreshold"`
	AccountCount        int64               `json:"accountCount"`
	EntitlementCount    int64               `json:"entitlementCount"`
	Created             time.Time           `json:"created"`
	Modified            time.Time           `json:"modified"`

	raw json.RawMessage
}

// Raw is the source as the server sent it, members this package does not know included.
func (s *Source) Raw() json.RawMessage { return s.raw }

// UnmarshalJSON keeps the text beside the fields.
func (s *Source) UnmarshalJSON(text []byte) error {
	type plain Source
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*s = Source(p)
	return nil
}

// SourceDeletion says what the deletion of a source did.
type SourceDeletion struct {
	Source              Source   `json:"source"`
	DeletedAccounts     int64    `json:"deletedAccounts"`
	DeletedEntitlements int64    `json:"deletedEntitlements"`
	TerminatedTasks     []string `json:"terminatedTasks"`
	// Text says it for people.
	Text string `json:"text"`

	raw json.RawMessage
}

// Raw is the answer as the server sent it.
func (d *SourceDeletion) Raw() json.RawMessage { return d.raw }

// UnmarshalJSON keeps the text beside the fields.
func (d *SourceDeletion) UnmarshalJSON(text []byte) error {
	type plain SourceDeletion
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*d = SourceDeletion(p)
	return nil
}

// CreateSource creates a source. [ErrConflict] says that the name is taken.
func (c *Client) CreateSource(ctx context.Context, source NewSource) (*Source, error) {
	return c.source(ctx, request{
		method: http.MethodPost, path: sourcesPath, body: source, header: map[string]string{"Stint-Reason": headerText(source.Reason)},
	})
}

// SourcePage is one page of a list of sources.
type SourcePage struct {
	Sources []Source
	// Total is the number of all sources that match, -1 where it was not asked for.
	Total int
}

// ListSources lists one page of sources, by name unless sorted otherwise ("created", "-name" and
// so on).
func (c *Client) ListSources(ctx context.Context, opts ListOptions) (SourcePage, error) {
	sources, total, err := listOf[Source](ctx, c, sourcesPath, opts)
	return SourcePage{Sources: sources, Total: total}, err
}

// Sources goes through all sources, page by page. An error is the last thing that comes.
func (c *Client) Sources(ctx context.Context, opts ListOptions) iter.Seq2[*Source, error] {
	return eachPage(opts, func(s *Source) string { return s.ID }, func(page ListOptions) ([]Source, error) {
		got, err := c.ListSources(ctx, page)
		return got.Sources, err
	})
}

// Source gets the source with an id.
func (c *Client) Source(ctx context.Context, id string) (*Source, error) {
	return c.source(ctx, request{method: http.MethodGet, path: sourcePath(id), repeatable: true})
}

// SourceByName gets the source with a name, ASCII case ignored; [ErrNotFound] where there is
// none.
func (c *Client) SourceByName(ctx context.Context, name string) (*Source, error) {
	page, err := c.ListSources(ctx, ListOptions{Filter: AnyOf("name", name), Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(page.Sources) == 0 {
		return nil, fmt.Errorf("no source is called %q: %w", name, ErrNotFound)
	}
	return &page.Sources[0], nil
}

// FindSource gets the source with a name or an id: no name has the form of an id.
func (c *Client) FindSource(ctx context.Context, nameOrID string) (*Source, error) {
	if looksLikeID(nameOrID) {
		return c.Source(ctx, nameOrID)
	}
	return c.SourceByName(ctx, nameOrID)
}

// looksLikeID says whether a text is 32 hex digits, or a UUID with its dashes.
func looksLikeID(s string) bool {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		s = strings.ReplaceAll(s, "-", "")
	}
	return len(s) == 32 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// SourcePatch changes a source.
type SourcePatch struct {
	// Patch is a JSON Merge Patch (an object) or a JSON Patch (an array of operations).
	Patch json.RawMessage
	// Reason is kept in the audit trail.
	Reason string
}

// PatchSource changes the source with an id and answers it as it is then.
func (c *Client) PatchSource(ctx context.Context, id string, patch SourcePatch) (*Source, error) {
	r := request{
		method: http.MethodPatch, path: sourcePath(id), body: patch.Patch, content: "application/json-patch+json",
		header: map[string]string{"Stint-Reason": headerText(patch.Reason)},
	}
	if bytes.HasPrefix(bytes.TrimSpace(patch.Patch), []byte("{")) {
		// Merging twice is merging once; appending twice is not.
		r.content, r.repeatable = "application/merge-patch+json", true
	}
	return c.source(ctx, r)
}

// DeleteSource deletes the source with an id, its accounts and its entitlements, and ends what
// the server runs on it. The tasks stay.
func (c *Client) DeleteSource(ctx context.Context, id, reason string) (*SourceDeletion, error) {
	deletion := new(SourceDeletion)
	_, err := c.do(ctx, request{
		method: http.MethodDelete, path: sourcePath(id), header: map[string]string{"Stint-Reason": headerText(reason)},
	}, deletion)
	if err != nil {
		return nil, err
	}
	return deletion, nil
}

func (c *Client) source(ctx context.Context, r request) (*Source, error) {
	s := new(Source)
	if _, err := c.do(ctx, r, s); err != nil {
		return nil, err
	}
	return s, nil
}

func sourcePath(id string) string { return sourcesPath + "/" + url.PathEscape(id) }
