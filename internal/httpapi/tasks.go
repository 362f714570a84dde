package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"stint/internal/query"
	"stint/internal/strictjson"
	"stint/internal/task"
)

// taskExtras is what Stint's own resources show beside the TaskStatus.
type taskExtras struct {
	Kind                  task.Kind   `json:"kind"`
	SourceID              *string     `json:"sourceId"`
	State                 task.State  `json:"state"`
	Attempt               int         `json:"attempt"`
	LastHeartbeat         *string     `json:"lastHeartbeat"`
	HeartbeatLimitSeconds *int64      `json:"heartbeatLimitSeconds"`
	CancelRequested       *string     `json:"cancelRequested"`
	Waiting               *string     `json:"waiting"`
	DurationMs            *int64      `json:"durationMs"`
	History               []wireEvent `json:"history,omitempty"`
	ReportToken           string      `json:"reportToken,omitempty"`
}

type wireEvent struct {
	At      string         `json:"at"`
	Event   task.EventName `json:"event"`
	Attempt int            `json:"attempt"`
	Actor   string         `json:"actor"`
	Text    string         `json:"text"`
	Count   int            `json:"count"`
}

func extrasOf(row task.Row) taskExtras {
	e := taskExtras{
		Kind: row.Kind, State: row.State, Attempt: row.Attempt,
		LastHeartbeat: optionalTime(row.LastReport), CancelRequested: optionalTime(row.CancelRequested),
	}
	if row.SourceID != "" {
		e.SourceID = &row.SourceID
	}
	if limit := int64(row.HeartbeatLimit / time.Second); limit > 0 {
		e.HeartbeatLimitSeconds = &limit
	}
	if row.Duration != nil {
		took := row.Duration.Milliseconds()
		e.DurationMs = &took
	}
	if row.State == task.Queued {
		waiting := "waiting for its executor's first report"
		if row.BuiltIn {
			waiting = "waiting for a worker to be free"
		}
		e.Waiting = &waiting
	}
	return e
}

// join puts the extra members behind those of a TaskStatus.
func (e taskExtras) join(wire []byte) ([]byte, error) {
	extra, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("render task: %w", err)
	}
	body := make([]byte, 0, len(wire)+len(extra))
	body = append(body, bytes.TrimSuffix(wire, []byte("}"))...)
	body = append(body, ',')
	return append(body, extra[1:]...), nil
}

// TaskBody renders a task as GET /stint/v1/tasks/{id} shows it, without its history.
func TaskBody(row task.Row) ([]byte, error) { return extrasOf(row).join(row.Wire) }

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := task.FormatTime(t)
	return &s
}

func (a *api) listTasks(w http.ResponseWriter, r *http.Request) error {
	page, err := a.richer.ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	limit := page.Limit
	if limit > 0 {
		page.Limit++ // tells whether another page follows
	}
	rows, total, err := a.store.List(r.Context(), page, a.tasks.VisibleSince())
	if err != nil {
		return err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		w.Header().Set("Link", nextPage(r.URL, page.Sort[0], &rows[limit-1]))
	}
	return a.writeRows(w, r, page, rows, total, func(row task.Row) ([]byte, error) { return extrasOf(row).join(row.Wire) })
}

// nextPage is the header Link of a page that ends with a row (RFC 8288). The page that
// it leads to is not counted again.
func nextPage(u *url.URL, by query.Sorter, last *task.Row) string {
	values := u.Query()
	values.Set("cursor", query.Position{Value: last.SortKey, Created: last.Created, ID: last.ID}.Cursor(by))
	values.Del("offset")
	values.Del("count")
	return "<" + u.Path + "?" + values.Encode() + `>; rel="next"`
}

func (a *api) getTask(w http.ResponseWriter, r *http.Request) error {
	row, err := a.visible(r)
	if err != nil {
		return err
	}
	events, err := a.store.History(r.Context(), row.ID)
	if err != nil {
		return err
	}
	extras := extrasOf(row)
	extras.History = make([]wireEvent, len(events))
	for i, e := range events {
		extras.History[i] = wireEvent{task.FormatTime(e.At), e.Name, e.Attempt, e.Actor, e.Text, e.Count}
	}
	return writeTask(w, http.StatusOK, extras, row.Wire)
}

func writeTask(w http.ResponseWriter, status int, extras taskExtras, wire []byte) error {
	body, err := extras.join(wire)
	if err != nil {
		return err
	}
	writeJSON(w, status, body)
	return nil
}

func (a *api) cancelTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	var b struct {
		Reason string `json:"reason"`
	}
	body, err := a.readBody(w, r, maxBody, "application/json")
	if err != nil {
		return err
	}
	if len(body) > 0 {
		if err := strictjson.Unmarshal(body, &b); err != nil {
			return err
		}
	}
	if err := checkReason("reason", b.Reason); err != nil {
		return err
	}
	// The source of a task never changes: what is read now holds for the cancel, too.
	asked, err := a.store.Get(r.Context(), id, a.tasks.VisibleSince())
	if err != nil {
		return err
	}
	if err := onSource(r.Context(), asked.SourceID); err != nil {
		return err
	}
	t, err := a.tasks.Cancel(r.Context(), id, b.Reason, origin(r))
	if err != nil {
		return err
	}
	row, err := task.NewRow(&t)
	if err != nil {
		return err
	}
	return writeTask(w, http.StatusAccepted, extrasOf(row), row.Wire)
}

const (
	defaultWait = 30
	maxWait     = 300
)

func (a *api) waitForTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	timeout, err := waitTimeout(r)
	if err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(a.now().Add(timeout + writeTimeout))
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	row, err := a.tasks.Wait(ctx, id)
	if err != nil {
		return err
	}
	return writeTask(w, http.StatusOK, extrasOf(row), row.Wire)
}

func waitTimeout(r *http.Request) (time.Duration, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, &task.Error{Kind: task.Syntax, Field: "timeout", Msg: "the query string cannot be decoded", Err: err}
	}
	given := values["timeout"]
	if len(given) > 1 {
		return 0, task.Errorf(task.IllegalValue, "timeout", "is given %d times: once at most", len(given))
	}
	if len(given) == 0 || given[0] == "" {
		return defaultWait * time.Second, nil
	}
	n, err := strconv.Atoi(given[0])
	if err != nil || n < 0 || n > maxWait {
		return 0, task.Errorf(task.IllegalValue, "timeout", "%q is not allowed: whole seconds from 0 to %d", task.Abbreviate(given[0]), maxWait)
	}
	return time.Duration(n) * time.Second, nil
}

func (a *api) listDefinitions(w http.ResponseWriter, _ *http.Request) error {
	type definition struct {
		Name        task.Kind `json:"name"`
		DisplayName string    `json:"displayName"`
		Description string    `json:"description"`
		Executor    string    `json:"executor"`
	}
	var all []definition
	for _, d := range a.catalog.Definitions() {
		all = append(all, definition{d.Kind, d.DisplayName, d.Description, d.Executor})
	}
	body, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("render definitions: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
