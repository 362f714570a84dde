package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

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
	if row.State == task.Queued {
		waiting := "waiting for its executor's first report"
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

func optionalTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := task.FormatTime(t)
	return &s
}

func (a *api) listTasks(w http.ResponseWriter, r *http.Request) error {
	page, err := a.table.ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	return a.writePage(w, r, page, func(row task.Row) ([]byte, error) { return extrasOf(row).join(row.Wire) })
}

func (a *api) getTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	row, err := a.store.Get(r.Context(), id, a.tasks.VisibleSince())
	if err != nil {
		return err
	}
	events, err := a.store.History(r.Context(), id)
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

// launchBody is the body of a launch.
type launchBody struct {
	Type                  string                     `json:"type"`
	UniqueName            string                     `json:"uniqueName"`
	Description           string                     `json:"description"`
	ParentName            *string                    `json:"parentName"`
	Launcher              string                     `json:"launcher"`
	SourceID              string                     `json:"sourceId"`
	Target                *targetBody                `json:"target"`
	Arguments             json.RawMessage            `json:"arguments"`
	Attributes            map[string]json.RawMessage `json:"attributes"`
	HeartbeatLimitSeconds *int64                     `json:"heartbeatLimitSeconds"`
}

type targetBody struct {
	ID   string  `json:"id"`
	Type *string `json:"type"`
	Name string  `json:"name"`
}

// launch checks the body against the known definitions.
func (b *launchBody) launch(catalog *task.Catalog) (task.Launch, error) {
	l := task.Launch{
		UniqueName: b.UniqueName, Description: b.Description, ParentName: b.ParentName, Launcher: b.Launcher,
		SourceID: b.SourceID, Attributes: b.Attributes,
	}
	if b.Type == "" {
		return l, task.Errorf(task.Missing, "type", "is required: %s", strings.Join(catalog.Kinds(), ", "))
	}
	var known bool
	if l.Definition, known = catalog.Lookup(b.Type); !known {
		return l, task.Errorf(task.IllegalValue, "type", "%q is not a known type: %s", abbreviate(b.Type), strings.Join(catalog.Kinds(), ", "))
	}
	if b.Target != nil {
		l.Target = &task.Target{ID: b.Target.ID, Name: b.Target.Name}
		if b.Target.Type != nil {
			l.Target.Type = *b.Target.Type
		}
	}
	if b.Arguments != nil && string(b.Arguments) != "null" {
		if b.Arguments[0] != '{' {
			return l, task.Errorf(task.IllegalValue, "arguments", "%s is not allowed: an object is expected", abbreviate(string(b.Arguments)))
		}
		l.Arguments = b.Arguments
	}
	if s := b.HeartbeatLimitSeconds; s != nil {
		longest := int64(task.MaxHeartbeatLimit / time.Second)
		if *s < 1 || *s > longest {
			return l, task.Errorf(task.IllegalValue, "heartbeatLimitSeconds", "%d is not allowed: 1 to %d", *s, longest)
		}
		l.HeartbeatLimit = time.Duration(*s) * time.Second
	}
	return l, nil
}

func (a *api) launchTask(w http.ResponseWriter, r *http.Request) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var b launchBody
	body, err := a.readJSON(w, r, &b)
	if err != nil {
		return err
	}
	l, err := b.launch(a.catalog)
	if err != nil {
		return err
	}
	if key.Key != "" {
		sum := sha256.Sum256(body)
		key.Fingerprint = sum[:]
	}
	launched, err := a.tasks.Launch(r.Context(), l, key, origin(r))
	if err != nil {
		return err
	}
	row, err := task.NewRow(&launched.Task)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/stint/v1/tasks/"+string(launched.Task.ID))
	if launched.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	extras := extrasOf(row)
	extras.ReportToken = launched.ReportToken
	return writeTask(w, http.StatusAccepted, extras, row.Wire)
}

func idempotencyKey(r *http.Request) (task.IdempotencyKey, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return task.IdempotencyKey{}, nil
	}
	key := values[0]
	if len(values) > 1 || len(key) < 1 || len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return task.IdempotencyKey{}, task.Errorf(task.IllegalValue, "Idempotency-Key",
			"%q is not allowed: one text of 1 to 255 printable ASCII characters", abbreviate(strings.Join(values, ", ")))
	}
	return task.IdempotencyKey{Key: key}, nil
}

// reportBody is the body of a report.
type reportBody struct {
	Attempt          *int                       `json:"attempt"`
	Sequence         *int64                     `json:"sequence"`
	Progress         *string                    `json:"progress"`
	PercentComplete  *int                       `json:"percentComplete"`
	Messages         []messageBody              `json:"messages"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	Returns          []task.Return              `json:"returns"`
	CompletionStatus *string                    `json:"completionStatus"`
}

type messageBody struct {
	Type          task.MessageType  `json:"type"`
	Key           string            `json:"key"`
	Text          *string           `json:"text"`
	LocalizedText *localizedText    `json:"localizedText"`
	Parameters    []json.RawMessage `json:"parameters"`
}

type localizedText struct {
	Locale  string `json:"locale"`
	Message string `json:"message"`
}

func (b *reportBody) report() (task.Report, error) {
	rep := task.Report{
		Progress: b.Progress, PercentComplete: b.PercentComplete, Attributes: b.Attributes, Returns: b.Returns,
	}
	if b.Attempt == nil {
		return rep, task.Errorf(task.Missing, "attempt", "is required: the attempt that the launch answered with")
	}
	rep.Attempt = *b.Attempt
	if b.Sequence != nil {
		if *b.Sequence < 1 {
			return rep, task.Errorf(task.IllegalValue, "sequence", "%d is not allowed: 1 or more", *b.Sequence)
		}
		rep.Sequence = *b.Sequence
	}
	for i, m := range b.Messages {
		message := task.Message{Type: m.Type, Key: m.Key, Locale: "en", Parameters: m.Parameters}
		switch {
		case (m.Text == nil) == (m.LocalizedText == nil):
			return rep, task.Errorf(task.Missing, fmt.Sprintf("messages/%d", i), "one of text and localizedText is required")
		case m.Text != nil:
			message.Text = *m.Text
		default:
			message.Text = m.LocalizedText.Message
			if m.LocalizedText.Locale != "" {
				message.Locale = m.LocalizedText.Locale
			}
		}
		rep.Messages = append(rep.Messages, message)
	}
	if b.CompletionStatus != nil {
		status, ok := task.ParseCompletionStatus(*b.CompletionStatus)
		if !ok {
			return rep, task.Errorf(task.IllegalValue, "completionStatus", "%q is not allowed: %s", abbreviate(*b.CompletionStatus), task.StatusList())
		}
		rep.Completion = status
	}
	return rep, rep.Validate()
}

// reportAnswer tells the executor where its task stands.
type reportAnswer struct {
	ID               task.ID                `json:"id"`
	Attempt          int                    `json:"attempt"`
	State            task.State             `json:"state"`
	Stop             bool                   `json:"stop"`
	Reason           *string                `json:"reason"`
	CompletionStatus *task.CompletionStatus `json:"completionStatus"`
}

func (a *api) reportTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	var b reportBody
	if _, err := a.readJSON(w, r, &b); err != nil {
		return err
	}
	rep, err := b.report()
	if err != nil {
		return err
	}
	t, err := a.tasks.Report(r.Context(), id, r.Header.Get("Stint-Report-Token"), rep)
	if err != nil {
		return err
	}
	answer := reportAnswer{ID: t.ID, Attempt: t.Attempt, State: t.State()}
	if stop, why := t.ShouldStop(); stop {
		answer.Stop, answer.Reason = true, &why
	}
	if t.Status != task.InProgress {
		answer.CompletionStatus = &t.Status
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("render the answer to a report: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
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
		return 0, task.Errorf(task.IllegalValue, "timeout", "%q is not allowed: whole seconds from 0 to %d", abbreviate(given[0]), maxWait)
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
