package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/strictjson"
	"stint/internal/task"
)

// Sources is where sources are kept. Errors are *task.Error: NotFound for an
// unknown id, Conflict for a name that is taken.
type Sources interface {
	CreateSource(ctx context.Context, s source.Source, entry audit.Entry) error
	Source(ctx context.Context, id task.ID) (source.Source, error)
	// ListSources returns a page, and the total where the page asks for it (else
	// -1).
	ListSources(ctx context.Context, page query.Page) ([]source.Source, int64, error)
	// UpdateSource calls fn inside the transaction, perhaps more than once. Without
	// an entry nothing was changed.
	UpdateSource(ctx context.Context, id task.ID, fn func(source.Source) (source.Source, *audit.Entry, error)) (source.Source, error)
	// DeleteSource ends what runs on the source by end. An error of entry undoes
	// everything.
	DeleteSource(ctx context.Context, id task.ID, end audit.UpdateFunc,
		entry func(source.Deletion) (audit.Entry, error)) (source.Deletion, error)
}

// sourceBody is what a person decides of a source. What is absent or null is
// the default.
type sourceBody struct {
	Name                string          `json:"name"`
	Description         string          `json:"description"`
	Type                string          `json:"type"`
	ConnectorAttributes *attributesBody `json:"connectorAttributes"`
	DeletionThreshold   *thresholdBody  `json:"deletionThreshold"`
}

type attributesBody struct {
	AccountID           string   `json:"accountId"`
	DisplayName         *string  `json:"displayName"`
	Entitlements        []string `json:"entitlements"`
	MultiValueSeparator *string  `json:"multiValueSeparator"`
	Delimiter           *string  `json:"delimiter"`
	Columns             []string `json:"columns"`
}

type thresholdBody struct {
	Percent *whole `json:"percent"`
	Minimum *whole `json:"minimum"`
}

// wireSource is a source as it is answered.
type wireSource struct {
	ID                  task.ID        `json:"id"`
	Name                string         `json:"name"`
	Description         string         `json:"description"`
	Type                source.Type    `json:"type"`
	ConnectorAttributes attributesBody `json:"connectorAttributes"`
	DeletionThreshold   wireThreshold  `json:"deletionThreshold"`
	AccountCount        int64          `json:"accountCount"`
	EntitlementCount    int64          `json:"entitlementCount"`
	Created             string         `json:"created"`
	Modified            string         `json:"modified"`
}

type wireThreshold struct {
	Percent int   `json:"percent"`
	Minimum int64 `json:"minimum"`
}

// readOnlyMembers are those of a wireSource that nobody changes.
func readOnlyMembers() []string {
	return []string{"id", "type", "created", "modified", "accountCount", "entitlementCount"}
}

// apply puts what the body says into s, and checks the whole.
func (b *sourceBody) apply(s *source.Source) error {
	s.Name, s.Description, s.Type = b.Name, b.Description, source.Type(b.Type)
	if t, ok := source.ParseType(b.Type); ok {
		s.Type = t
	}
	s.File = source.File{Delimiter: source.DefaultDelimiter, MultiValueSeparator: source.DefaultMultiValueSeparator}
	if c := b.ConnectorAttributes; c != nil {
		s.File.AccountID, s.File.Entitlements, s.File.Columns = c.AccountID, c.Entitlements, c.Columns
		set(&s.File.DisplayName, c.DisplayName)
		set(&s.File.MultiValueSeparator, c.MultiValueSeparator)
		set(&s.File.Delimiter, c.Delimiter)
	}
	s.Deletions = source.DefaultThreshold()
	if d := b.DeletionThreshold; d != nil {
		if d.Percent != nil {
			s.Deletions.Percent = int(*d.Percent)
		}
		if d.Minimum != nil {
			s.Deletions.Minimum = int64(*d.Minimum)
		}
	}
	return s.Validate()
}

func set(to *string, given *string) {
	if given != nil {
		*to = *given
	}
}

func marshalSource(s *source.Source) ([]byte, error) {
	f := &s.File
	w := wireSource{
		ID: s.ID, Name: s.Name, Description: s.Description, Type: s.Type,
		ConnectorAttributes: attributesBody{
			AccountID: f.AccountID, Entitlements: notNil(f.Entitlements), Columns: notNil(f.Columns),
			MultiValueSeparator: &f.MultiValueSeparator, Delimiter: &f.Delimiter,
		},
		DeletionThreshold: wireThreshold{s.Deletions.Percent, s.Deletions.Minimum},
		AccountCount:      s.Accounts, EntitlementCount: s.Entitlements,
		Created: task.FormatTime(s.Created), Modified: task.FormatTime(s.Modified),
	}
	if f.DisplayName != "" {
		w.ConnectorAttributes.DisplayName = &f.DisplayName
	}
	body, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("render source: %w", err)
	}
	return body, nil
}

func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// sourceID returns the id in the path; what cannot be one is not found.
func sourceID(r *http.Request) (task.ID, error) {
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return "", task.Errorf(task.NotFound, "", "no source has the id %q", task.Abbreviate(r.PathValue("id")))
	}
	return id, nil
}

func (a *api) createSource(w http.ResponseWriter, r *http.Request) error {
	var b sourceBody
	if err := a.readJSON(w, r, &b); err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	now := task.Millis(a.now())
	s := source.Source{Created: now, Modified: now}
	if err := b.apply(&s); err != nil {
		return err
	}
	if s.ID, err = task.NewID(now, rand.Reader); err != nil {
		return fmt.Errorf("create source: %w", err)
	}
	body, err := marshalSource(&s)
	if err != nil {
		return err
	}
	err = a.sources.CreateSource(r.Context(), s, audit.Entry{
		At: now, Origin: origin(r), Action: audit.SourceCreate, Object: string(s.ID), After: body, Reason: why,
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/stint/v1/sources/"+string(s.ID))
	w.Header().Set("ETag", etag(body))
	writeJSON(w, http.StatusCreated, body)
	return nil
}

func (a *api) getSource(w http.ResponseWriter, r *http.Request) error {
	id, err := sourceID(r)
	if err != nil {
		return err
	}
	s, err := a.sources.Source(r.Context(), id)
	if err != nil {
		return err
	}
	body, err := marshalSource(&s)
	if err != nil {
		return err
	}
	writeTagged(w, r, body)
	return nil
}

func (a *api) listSources(w http.ResponseWriter, r *http.Request) error {
	page, err := query.Sources().ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	sources, total, err := a.sources.ListSources(r.Context(), page)
	if err != nil {
		return err
	}
	if page.Count {
		w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	separator := "["
	for i := range sources {
		body, err := marshalSource(&sources[i])
		if err != nil {
			a.log.ErrorContext(r.Context(), "list broken off", slog.String("request_id", requestID(r.Context())), slog.Any("error", err))
			// The answer has begun: only a broken connection says that it is not whole.
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, separator)
		if _, err := w.Write(body); err != nil { //nolint:gosec // JSON, and said to be
			return nil //nolint:nilerr // the client has gone
		}
		separator = ","
	}
	if len(sources) == 0 {
		_, _ = io.WriteString(w, separator)
	}
	_, _ = io.WriteString(w, "]")
	return nil
}

func (a *api) patchSource(w http.ResponseWriter, r *http.Request) error {
	id, err := sourceID(r)
	if err != nil {
		return err
	}
	if err := onSource(r.Context(), string(id)); err != nil {
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
	s, err := a.sources.UpdateSource(r.Context(), id, func(before source.Source) (source.Source, *audit.Entry, error) {
		entry := &audit.Entry{Origin: origin(r), Action: audit.SourceUpdate, Object: string(id), Words: string(words), Reason: why}
		return a.patched(before, patch, r.Header.Values("If-Match"), entry)
	})
	if err != nil {
		return err
	}
	body, err := marshalSource(&s)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(body))
	writeJSON(w, http.StatusOK, body)
	return nil
}

// patched applies a patch to a source and completes the entry; nil where nothing
// changes. The repeat of a patch that was applied already succeeds, with the tag
// of before the first try too (RFC 9110, section 13.1.1).
func (a *api) patched(
	before source.Source, patch sourcePatch, ifMatch []string, entry *audit.Entry,
) (after source.Source, _ *audit.Entry, err error) {
	if entry.Before, err = marshalSource(&before); err != nil {
		return before, nil, err
	}
	after, refused := patch.source(before, entry.Before)
	if refused == nil {
		if entry.After, err = marshalSource(&after); err != nil {
			return before, nil, err
		}
		if bytes.Equal(entry.Before, entry.After) {
			return before, nil, nil
		}
	}
	if tag := etag(entry.Before); len(ifMatch) > 0 && !matches(ifMatch, tag, false) {
		return before, nil, task.Errorf(task.PreconditionFailed, "If-Match", "the source is now %s", tag)
	}
	if refused != nil {
		return before, nil, refused
	}
	entry.At = task.Millis(a.now())
	after.Modified = entry.At
	if before.Modified.After(entry.At) { // the clock went back
		after.Modified = before.Modified
	}
	entry.After, err = marshalSource(&after)
	return after, entry, err
}

// deletionBody says what a deletion did.
type deletionBody struct {
	Source              json.RawMessage `json:"source"`
	DeletedAccounts     int64           `json:"deletedAccounts"`
	DeletedEntitlements int64           `json:"deletedEntitlements"`
	TerminatedTasks     []task.ID       `json:"terminatedTasks"`
	Text                string          `json:"text"`
}

func (a *api) deleteSource(w http.ResponseWriter, r *http.Request) error {
	id, err := sourceID(r)
	if err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	ifMatch := r.Header.Values("If-Match")
	var doc []byte
	gone, err := a.sources.DeleteSource(r.Context(), id, a.tasks.Cancelling("its source was deleted", origin(r)),
		func(d source.Deletion) (_ audit.Entry, err error) {
			if doc, err = marshalSource(&d.Source); err != nil {
				return audit.Entry{}, err
			}
			if len(ifMatch) > 0 && !matches(ifMatch, etag(doc), false) {
				return audit.Entry{}, task.Errorf(task.PreconditionFailed, "If-Match", "the source is now %s", etag(doc))
			}
			return audit.Entry{
				At: task.Millis(a.now()), Origin: origin(r), Action: audit.SourceDelete, Object: string(id), Before: doc, Reason: why,
			}, nil
		})
	if err != nil {
		return err
	}
	answer := deletionBody{
		Source: doc, DeletedAccounts: gone.Accounts, DeletedEntitlements: gone.Entitlements, TerminatedTasks: []task.ID{},
		Text: deletionText(&gone),
	}
	for i := range gone.Ended {
		a.tasks.Changed(&gone.Ended[i])
		answer.TerminatedTasks = append(answer.TerminatedTasks, gone.Ended[i].ID)
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("render deletion: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

// deletionText says what a deletion did to accounts and history.
func deletionText(d *source.Deletion) string {
	text := fmt.Sprintf("The source %q is deleted, and with it %s and %s. ",
		d.Source.Name, counted(d.Accounts, "account"), counted(d.Entitlements, "entitlement"))
	if n := len(d.Ended); n > 0 {
		text += counted(int64(n), "aggregation") + " in progress ended as TERMINATED. "
	}
	return text + "The tasks of the source, with their histories, stay listed until their retention ends."
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.FormatInt(n, 10) + " " + what + "s"
}

// source applies the patch to a source, whose JSON is doc.
func (p sourcePatch) source(before source.Source, doc []byte) (source.Source, error) {
	rest, err := p.changeable(doc, "source", readOnlyMembers())
	if err != nil {
		return before, err
	}
	var b sourceBody
	if err := strictjson.Unmarshal(rest, &b); err != nil {
		return before, err
	}
	after := before
	return after, b.apply(&after)
}
