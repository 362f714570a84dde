package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"stint/internal/account"
	"stint/internal/task"
)

// The fields of a form that launches an aggregation. The second is Stint's own.
const (
	fieldDisableOptimization = "disableOptimization"
	fieldAllowDeletions      = "allowDeletions"
)

// loadAccounts launches an account aggregation as the original does. Source:
// contract, section 8.
func (a *api) loadAccounts(w http.ResponseWriter, r *http.Request) error {
	t, err := a.load(w, r, account.Accounts)
	if err != nil {
		return err
	}
	return writeLegacy(w, struct {
		Success bool       `json:"success"`
		Task    legacyTask `json:"task"`
	}{true, legacyOf(t)})
}

// loadEntitlements launches an entitlement aggregation as the original does: its
// answer has no envelope.
func (a *api) loadEntitlements(w http.ResponseWriter, r *http.Request) error {
	t, err := a.load(w, r, account.Entitlements)
	if err != nil {
		return err
	}
	return writeLegacy(w, legacyOf(t))
}

// load launches an aggregation from a form.
func (a *api) load(w http.ResponseWriter, r *http.Request, class account.Class) (*task.Task, error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return nil, err
	}
	id, ok := task.ParseID(r.PathValue("id"))
	if !ok {
		return nil, task.Errorf(task.NotFound, "", "no source has the id %q", shortName(r.PathValue("id")))
	}
	// Before the body: who names no source need not send one.
	if _, err := a.sources.Source(r.Context(), id); err != nil {
		return nil, err
	}
	if err := onSource(r.Context(), string(id)); err != nil {
		return nil, err
	}
	reader := &formReader{
		api: a, w: w, r: r, known: []string{fieldDisableOptimization, fieldAllowDeletions},
		receive: func(ctx context.Context, _ map[string]string, in io.Reader) (account.Upload, error) {
			return a.aggregations.Receive(ctx, id, class, in)
		},
	}
	got, err := reader.read(r.Context())
	if err != nil {
		return nil, err
	}
	l := account.Launch{SourceID: id, Class: class, Upload: got.upload}
	if l.DisableOptimization, err = got.truth(fieldDisableOptimization); err == nil {
		l.AllowDeletions, err = got.number(fieldAllowDeletions)
	}
	if err != nil {
		return nil, a.unused(r.Context(), got, err)
	}
	launched, err := a.launchRun(w, r, l, key, got)
	if err != nil {
		return nil, err
	}
	return &launched.Task, nil
}

// launchRun launches an aggregation. The file of one that fails is forgotten.
func (a *api) launchRun(
	w http.ResponseWriter, r *http.Request, l account.Launch, key task.IdempotencyKey, got *form,
) (task.Launched, error) {
	if key.Key != "" {
		fmt.Fprintf(got.sum, "%s of %s", l.Class, l.SourceID)
		key.Fingerprint = got.sum.Sum(nil)
	}
	launched, err := a.aggregations.Launch(r.Context(), l, key, origin(r))
	if err != nil {
		return launched, a.unused(r.Context(), got, err)
	}
	setLaunched(w, &launched)
	return launched, nil
}

// unused forgets the file of a launch that failed with err.
func (a *api) unused(ctx context.Context, got *form, err error) error {
	if got.upload.ID != "" {
		if fault := a.discard(ctx, got.upload); fault != nil {
			// It is swept away later.
			a.log.WarnContext(ctx, "cannot forget an upload", slog.Any("error", fault))
		}
	}
	return err
}

// legacyTask is the older shape of a task, which the original's launches answer
// with. Source: contract, section 8.
type legacyTask struct {
	ID               task.ID                    `json:"id"`
	Type             task.Type                  `json:"type"`
	Name             string                     `json:"name"`
	Description      string                     `json:"description"`
	ParentName       *string                    `json:"parentName"`
	Launcher         string                     `json:"launcher"`
	Created          string                     `json:"created"`
	Launched         *string                    `json:"launched"`
	Completed        *string                    `json:"completed"`
	CompletionStatus *task.CompletionStatus     `json:"completionStatus"`
	Messages         []legacyMessage            `json:"messages"`
	Progress         *string                    `json:"progress"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	Returns          []legacyReturn             `json:"returns"`
}

type legacyMessage struct {
	Type          task.MessageType `json:"type"`
	Error         bool             `json:"error"`
	Warning       bool             `json:"warning"`
	Key           string           `json:"key"`
	LocalizedText string           `json:"localizedText"`
}

type legacyReturn struct {
	DisplayLabel  string `json:"displayLabel"`
	AttributeName string `json:"attributeName"`
}

func legacyOf(t *task.Task) legacyTask {
	l := legacyTask{
		ID: t.ID, Type: t.Type, Name: t.UniqueName, Description: t.Description, ParentName: t.ParentName, Launcher: t.Launcher,
		Created: task.FormatTime(t.Created), Launched: optionalTime(t.Launched), Completed: optionalTime(t.Completed),
		Messages: make([]legacyMessage, len(t.Messages)), Progress: t.Progress, Attributes: t.Attributes,
		Returns: make([]legacyReturn, len(t.Returns)),
	}
	if t.Status != task.InProgress {
		l.CompletionStatus = &t.Status
	}
	for i, m := range t.Messages {
		l.Messages[i] = legacyMessage{m.Type, m.Type == task.MessageError, m.Type == task.MessageWarn, m.Key, m.Text}
	}
	for i, ret := range t.Returns {
		l.Returns[i] = legacyReturn{ret.Name, ret.AttributeName}
	}
	return l
}

func writeLegacy(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("render task: %w", err)
	}
	writeJSON(w, http.StatusAccepted, body)
	return nil
}

// aggregationStatus says how an account aggregation stands. Source: contract,
// section 8.
func (a *api) aggregationStatus(w http.ResponseWriter, r *http.Request) error {
	row, err := a.visible(r)
	if err != nil {
		return err
	}
	run, err := a.aggregations.Run(r.Context(), row.ID)
	if err != nil {
		return err
	}
	if run.Class != account.Accounts {
		return task.Errorf(task.NotFound, "", "task %s is an aggregation of %s, not of accounts", row.ID, run.Class)
	}
	t := task.Task{CancelRequested: row.CancelRequested}
	if err := t.UnmarshalWire(row.Wire); err != nil {
		return err
	}
	s := run.Status(&t)
	body, err := json.Marshal(map[string]any{
		"start": task.FormatTime(s.Start), "status": s.Status, "totalAccounts": s.Total, "processedAccounts": s.Processed,
		"totalAccountsMarkedForDeletion": s.MarkedForDeletion, "deletedAccounts": s.Deleted,
	})
	if err != nil {
		return fmt.Errorf("render status: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
