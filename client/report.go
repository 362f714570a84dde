package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// ReportMessage is a message to add to a task.
type ReportMessage struct {
	Type       MessageType `json:"type"`
	Key        string      `json:"key,omitempty"`
	Text       string      `json:"text"`
	Parameters []any       `json:"parameters,omitempty"`
}

// clean makes a message what the server takes.
func (m ReportMessage) clean() ReportMessage {
	m.Text, m.Key = shorten(cleanText(m.Text), maxMessageText), cleanText(m.Key)
	if m.Parameters != nil {
		m.Parameters, _ = cleanValue(m.Parameters).([]any)
	}
	return m
}

// Report is what a program tells about its task. Only the attempt is required: a report of
// nothing else is a heartbeat.
type Report struct {
	Attempt int `json:"attempt"`
	// Sequence rises with each report of an attempt and makes sending one again harmless.
	Sequence int64 `json:"sequence,omitempty"`
	// Progress is a short text for people.
	Progress *string `json:"progress,omitempty"`
	// PercentComplete is 0 to 100; the server never lets it fall.
	PercentComplete *int `json:"percentComplete,omitempty"`
	// Messages are appended.
	Messages []ReportMessage `json:"messages,omitempty"`
	// Attributes are merged by name.
	Attributes map[string]any `json:"attributes,omitempty"`
	// Returns replace those reported before.
	Returns []Return `json:"returns,omitempty"`
	// CompletionStatus ends the task.
	CompletionStatus CompletionStatus `json:"completionStatus,omitempty"`
}

// UnmarshalJSON keeps numbers as they were written.
func (r *Report) UnmarshalJSON(text []byte) error {
	type plain Report
	return unmarshalExact(text, (*plain)(r))
}

// unmarshalExact decodes JSON with numbers as json.Number, so that encoding it again makes the
// same text.
func unmarshalExact(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// ReportResult is the server's answer to a report.
type ReportResult struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	State   State  `json:"state"`
	// Stop says that somebody asked to cancel: stop working and report a completion.
	Stop bool `json:"stop"`
	// Reason is why to stop.
	Reason           *string          `json:"reason"`
	CompletionStatus CompletionStatus `json:"completionStatus"`
	// Repeated says that the report had arrived with an earlier try whose answer was lost.
	// The other fields but ID and Attempt are then not known.
	Repeated bool `json:"-"`
}

// Report sends one report. A refused one is an [Error] that matches [ErrStale], [ErrLate],
// [ErrDuplicate] or [ErrForbidden]. It is sent again after a lost connection only where that
// cannot add its messages twice: with a sequence number, or without messages.
func (c *Client) Report(ctx context.Context, id, token string, report Report) (*ReportResult, error) {
	result := new(ReportResult)
	tries := 0
	r := request{
		method: http.MethodPost, path: taskPath(id, "/report"), body: report,
		header:     map[string]string{"Stint-Report-Token": token},
		repeatable: report.Sequence > 0 || len(report.Messages) == 0,
		tries:      &tries,
	}
	_, err := c.do(ctx, r, result)
	if tries > 1 && report.Sequence > 0 && errors.Is(err, ErrDuplicate) {
		return &ReportResult{ID: id, Attempt: report.Attempt, Repeated: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return result, nil
}

// cleanText makes text what the server takes: valid UTF-8 without U+0000.
func cleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// cleanValue is cleanText for the strings of a JSON value.
func cleanValue(v any) any {
	switch v := v.(type) {
	case string:
		return cleanText(v)
	case map[string]any:
		clean := make(map[string]any, len(v))
		for name, member := range v {
			clean[cleanText(name)] = cleanValue(member)
		}
		return clean
	case []any:
		clean := make([]any, len(v))
		for i, element := range v {
			clean[i] = cleanValue(element)
		}
		return clean
	}
	return v
}
