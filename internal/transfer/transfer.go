// Package transfer reads and writes the files that tasks travel in: one JSON
// object a line, a TaskStatus with kind and sourceId beside its own members.
//
// It owns that form and its checks. It does not own storage. What it reads is
// complete and valid, or an error that names the line and the member.
package transfer

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"stint/internal/strictjson"
	"stint/internal/task"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 8 << 20

// Read yields the tasks of a file in its order. The first error ends it; it is
// a *task.Error that names the line. Empty lines are passed over.
func Read(r io.Reader, catalog *task.Catalog) iter.Seq2[task.Task, error] {
	return func(yield func(task.Task, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 64<<10), maxLine)
		n := 0
		for lines.Scan() {
			n++
			line := lines.Bytes()
			if n == 1 {
				line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
			}
			if len(bytes.TrimSpace(line)) == 0 {
				continue
			}
			t, err := parse(line, catalog)
			if err != nil {
				yield(task.Task{}, onLine(n, err))
				return
			}
			if !yield(t, nil) {
				return
			}
		}
		if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
			yield(task.Task{}, onLine(n+1, task.Errorf(task.TooLarge, "", "longer than %d bytes", maxLine)))
		} else if err != nil {
			yield(task.Task{}, onLine(n+1, err))
		}
	}
}

// onLine puts the line's number before an error's text.
func onLine(n int, err error) error {
	e, ok := errors.AsType[*task.Error](err)
	if !ok {
		return fmt.Errorf("line %d: %w", n, err)
	}
	return &task.Error{Kind: e.Kind, Msg: fmt.Sprintf("line %d: %s", n, e.Text()), Err: e.Err}
}

// Write writes one task as one line.
func Write(w io.Writer, row task.Row) error {
	extra := struct {
		Kind     task.Kind `json:"kind"`
		SourceID *string   `json:"sourceId"`
	}{Kind: row.Kind}
	if row.SourceID != "" {
		extra.SourceID = &row.SourceID
	}
	more, err := json.Marshal(extra)
	if err != nil {
		return fmt.Errorf("write task: %w", err)
	}
	line := append(append([]byte(nil), row.Wire[:len(row.Wire)-1]...), ',')
	line = append(append(line, more[1:]...), '\n')
	if _, err := w.Write(line); err != nil {
		return fmt.Errorf("write task: %w", err)
	}
	return nil
}

// line is one line of a file. What the TaskStatus of older clients may lack is
// a pointer.
type line struct {
	ID               string                     `json:"id"`
	Type             task.Type                  `json:"type"`
	UniqueName       string                     `json:"uniqueName"`
	Description      string                     `json:"description"`
	ParentName       *string                    `json:"parentName"`
	Launcher         string                     `json:"launcher"`
	Created          json.RawMessage            `json:"created"`
	Modified         json.RawMessage            `json:"modified"`
	Launched         json.RawMessage            `json:"launched"`
	Completed        json.RawMessage            `json:"completed"`
	CompletionStatus *string                    `json:"completionStatus"`
	Messages         []message                  `json:"messages"`
	Returns          []task.Return              `json:"returns"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	Progress         *string                    `json:"progress"`
	PercentComplete  int                        `json:"percentComplete"`
	Target           *target                    `json:"target"`
	Definition       *task.Summary              `json:"taskDefinitionSummary"`
	Kind             string                     `json:"kind"`
	SourceID         json.RawMessage            `json:"sourceId"`
}

type message struct {
	Type          task.MessageType  `json:"type"`
	Key           string            `json:"key"`
	LocalizedText *text             `json:"localizedText"`
	Parameters    []json.RawMessage `json:"parameters"`
}

type text struct {
	Locale  string `json:"locale"`
	Message string `json:"message"`
}

type target struct {
	ID   string  `json:"id"`
	Type *string `json:"type"`
	Name string  `json:"name"`
}

func parse(data []byte, catalog *task.Catalog) (task.Task, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("[")) {
		return task.Task{}, task.Errorf(task.Content, "", "a JSON array; one task a line is expected (jq -c '.[]' makes that)")
	}
	var l line
	if err := strictjson.Unmarshal(data, &l); err != nil {
		return task.Task{}, err
	}
	t := task.Task{
		Type: l.Type, UniqueName: l.UniqueName, Description: l.Description, ParentName: l.ParentName, Launcher: l.Launcher,
		Returns: l.Returns, Attributes: l.Attributes, Progress: l.Progress, PercentComplete: l.PercentComplete,
		Definition: l.Definition, Attempt: 1,
	}
	var ok bool
	if t.ID, ok = task.ParseID(l.ID); !ok {
		return t, task.Errorf(task.IllegalValue, "id", "%q is not 32 hex digits", l.ID)
	}
	if err := l.times(&t); err != nil {
		return t, err
	}
	if l.CompletionStatus != nil {
		if t.Status, ok = task.ParseCompletionStatus(*l.CompletionStatus); !ok {
			return t, task.Errorf(task.IllegalValue, "completionStatus", "%q is not allowed: %s", *l.CompletionStatus, task.StatusList())
		}
	}
	l.messages(&t)
	if l.Target != nil {
		t.Target = &task.Target{ID: l.Target.ID, Name: l.Target.Name}
		if l.Target.Type != nil {
			t.Target.Type = *l.Target.Type
		}
	}
	if d := t.Definition; d != nil && (d.Arguments == nil || string(d.Arguments) == "null") {
		d.Arguments = json.RawMessage("{}")
	}
	if err := l.kind(&t, catalog); err != nil {
		return t, err
	}
	if err := l.source(&t); err != nil {
		return t, err
	}
	return t, t.Validate()
}

func (l *line) times(t *task.Task) error {
	for _, f := range []struct {
		name string
		raw  json.RawMessage
		to   *time.Time
	}{
		{"created", l.Created, &t.Created},
		{"modified", l.Modified, &t.Modified},
		{"launched", l.Launched, &t.Launched},
		{"completed", l.Completed, &t.Completed},
	} {
		if f.raw == nil || string(f.raw) == "null" {
			continue
		}
		at, ok := parseTime(f.raw)
		if !ok {
			return task.Errorf(task.IllegalValue, f.name, "%s is not a time: RFC 3339 like 2026-11-24T23:40:50.123Z, or whole epoch milliseconds", f.raw)
		}
		*f.to = at
	}
	// Older services leave modified null, which older clients cannot read.
	if t.Modified.Before(t.Created) {
		t.Modified = t.Created
	}
	return nil
}

func parseTime(raw json.RawMessage) (time.Time, bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return task.ParseTime(s)
	}
	ms, err := strconv.ParseInt(string(raw), 10, 64)
	return time.UnixMilli(ms).UTC(), err == nil
}

func (l *line) messages(t *task.Task) {
	for _, m := range l.Messages {
		out := task.Message{Type: m.Type, Key: m.Key, Locale: "en", Text: m.Key, Parameters: m.Parameters}
		if m.LocalizedText != nil {
			out.Locale, out.Text = m.LocalizedText.Locale, m.LocalizedText.Message
		}
		t.Messages = append(t.Messages, out)
	}
}

// kind takes the kind as given, or as the definition's or the task's name tells
// it: what another service answers has none.
func (l *line) kind(t *task.Task, catalog *task.Catalog) error {
	names := []string{l.Kind}
	if l.Kind == "" {
		names = []string{l.UniqueName}
		if l.Definition != nil {
			names = []string{l.Definition.UniqueName, l.UniqueName}
		}
	}
	for _, name := range names {
		if d, ok := catalog.Lookup(name); ok {
			t.Kind = d.Kind
			return nil
		}
	}
	if l.Kind == "" {
		return task.Errorf(task.Missing, "kind", "is required, as no name tells it: %s", strings.Join(catalog.Kinds(), ", "))
	}
	return task.Errorf(task.IllegalValue, "kind", "%q is not known: %s", l.Kind, strings.Join(catalog.Kinds(), ", "))
}

// source takes the source as given; where the line does not speak of one, it is
// the target that is an application.
func (l *line) source(t *task.Task) error {
	switch {
	case l.SourceID == nil && t.Target != nil && t.Target.Type == task.TargetApplication:
		t.SourceID = t.Target.ID
	case l.SourceID == nil, string(l.SourceID) == "null":
	default:
		if json.Unmarshal(l.SourceID, &t.SourceID) != nil {
			return task.Errorf(task.IllegalValue, "sourceId", "%s is not allowed: a string or null is expected", l.SourceID)
		}
	}
	return nil
}
