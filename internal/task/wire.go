package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// timeLayout is the only form of date-time that Stint emits: one official
// client turns any other into year 1 without an error.
const timeLayout = "2006-01-02T15:04:05.000Z"

// FormatTime renders a time as the wire wants it.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

// wireTask is the TaskStatus of the contract, section 2: member order is the
// order on the wire.
type wireTask struct {
	ID               ID                         `json:"id"`
	Type             Type                       `json:"type"`
	UniqueName       string                     `json:"uniqueName"`
	Description      string                     `json:"description"`
	ParentName       *string                    `json:"parentName"`
	Launcher         string                     `json:"launcher"`
	Created          string                     `json:"created"`
	Modified         string                     `json:"modified"`
	Launched         *string                    `json:"launched"`
	Completed        *string                    `json:"completed"`
	CompletionStatus *CompletionStatus          `json:"completionStatus"`
	Messages         []wireMessage              `json:"messages"`
	Returns          []Return                   `json:"returns"`
	Attributes       map[string]json.RawMessage `json:"attributes"`
	Progress         *string                    `json:"progress"`
	PercentComplete  int                        `json:"percentComplete"`
	Target           *wireTarget                `json:"target,omitempty"`
	Definition       *Summary                   `json:"taskDefinitionSummary,omitempty"`
}

type wireMessage struct {
	Type          MessageType       `json:"type"`
	Key           string            `json:"key"`
	LocalizedText wireText          `json:"localizedText"`
	Parameters    []json.RawMessage `json:"parameters"`
}

type wireText struct {
	Locale  string `json:"locale"`
	Message string `json:"message"`
}

type wireTarget struct {
	ID   string  `json:"id"`
	Type *string `json:"type"`
	Name string  `json:"name"`
}

// MarshalWire renders the TaskStatus: all 16 required members always, target
// and taskDefinitionSummary when known. The task's own rules guarantee that the
// result decodes in every official client.
func (t *Task) MarshalWire() ([]byte, error) {
	w := wireTask{
		ID: t.ID, Type: t.Type, UniqueName: t.UniqueName, Description: t.Description,
		ParentName: t.ParentName, Launcher: t.Launcher,
		Created: FormatTime(t.Created), Modified: FormatTime(t.Modified),
		Launched: formatOptional(t.Launched), Completed: formatOptional(t.Completed),
		Messages: make([]wireMessage, len(t.Messages)), Returns: t.Returns, Attributes: t.Attributes,
		Progress: t.Progress, PercentComplete: t.PercentComplete, Definition: t.Definition,
	}
	if t.Status != InProgress {
		w.CompletionStatus = &t.Status
	}
	for i, m := range t.Messages {
		w.Messages[i] = wireMessage{
			Type: m.Type, Key: m.Key, LocalizedText: wireText{Locale: m.Locale, Message: m.Text}, Parameters: m.Parameters,
		}
	}
	if w.Returns == nil {
		w.Returns = []Return{}
	}
	if w.Attributes == nil {
		w.Attributes = map[string]json.RawMessage{}
	}
	if t.Target != nil {
		w.Target = &wireTarget{ID: t.Target.ID, Name: t.Target.Name}
		if t.Target.Type != "" {
			w.Target.Type = &t.Target.Type
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(w); err != nil {
		return nil, fmt.Errorf("render task %s: %w", t.ID, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// UnmarshalWire reads what MarshalWire wrote into t and leaves the fields that
// the wire does not show as they are. It is for stored JSON, not for input.
func (t *Task) UnmarshalWire(data []byte) error {
	var w wireTask
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("read stored task: %w", err)
	}
	t.ID, t.Type, t.UniqueName, t.Description = w.ID, w.Type, w.UniqueName, w.Description
	t.ParentName, t.Launcher, t.Progress, t.PercentComplete = w.ParentName, w.Launcher, w.Progress, w.PercentComplete
	t.Returns, t.Attributes, t.Definition = w.Returns, w.Attributes, w.Definition
	t.Status, t.Target, t.Messages = InProgress, nil, nil
	if w.CompletionStatus != nil {
		t.Status = *w.CompletionStatus
	}
	for _, m := range w.Messages {
		t.Messages = append(t.Messages, Message{
			Type: m.Type, Key: m.Key, Locale: m.LocalizedText.Locale, Text: m.LocalizedText.Message, Parameters: m.Parameters,
		})
	}
	if w.Target != nil {
		t.Target = &Target{ID: w.Target.ID, Name: w.Target.Name}
		if w.Target.Type != nil {
			t.Target.Type = *w.Target.Type
		}
	}
	for _, f := range []struct {
		from *string
		to   *time.Time
	}{{&w.Created, &t.Created}, {&w.Modified, &t.Modified}, {w.Launched, &t.Launched}, {w.Completed, &t.Completed}} {
		*f.to = time.Time{}
		if f.from == nil {
			continue
		}
		at, err := time.Parse(timeLayout, *f.from)
		if err != nil {
			return fmt.Errorf("read stored task %s: %w", w.ID, err)
		}
		*f.to = at
	}
	return nil
}

func formatOptional(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := FormatTime(t)
	return &s
}

// ParseTime reads a date-time as people and scripts write it: RFC 3339 with any
// number of decimals and any offset; also a space instead of T, +0000 or +00
// instead of +00:00, and no zone, which is UTC. It is cut to the millisecond. A
// time that the wire cannot show, or that stands for none, is not read.
// Source: contract, section 6.
func ParseTime(s string) (time.Time, bool) {
	s = strings.ToUpper(s)
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			t = Millis(t)
			return t, t.Year() >= 1 && t.Year() <= 9999 && !t.IsZero()
		}
	}
	return time.Time{}, false
}
