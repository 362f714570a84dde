package client

import (
	"bytes"
	"encoding/json"
	"time"
)

// CompletionStatus is how a task ended; empty while it is in progress (null on the wire).
type CompletionStatus string

// The ways a task ends.
const (
	Success    CompletionStatus = "SUCCESS"
	Warning    CompletionStatus = "WARNING"
	Failure    CompletionStatus = "ERROR"
	Terminated CompletionStatus = "TERMINATED"
	TempError  CompletionStatus = "TEMPERROR"
)

// MarshalJSON writes null for a task in progress, as the API does.
func (s CompletionStatus) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// State is where a task is in its life.
type State string

// The states of a task.
const (
	Queued    State = "queued"
	Running   State = "running"
	Completed State = "completed"
)

// MessageType is the weight of a message.
type MessageType string

// The weights of a message.
const (
	MessageInfo  MessageType = "INFO"
	MessageWarn  MessageType = "WARN"
	MessageError MessageType = "ERROR"
)

// LocalizedText is a text and its language.
type LocalizedText struct {
	Locale  string `json:"locale"`
	Message string `json:"message"`
}

// Message is one message of a task.
type Message struct {
	Type          MessageType   `json:"type"`
	Key           string        `json:"key"`
	LocalizedText LocalizedText `json:"localizedText"`
	Parameters    []any         `json:"parameters"`
}

// Return names an attribute that the task answers with.
type Return struct {
	Name          string `json:"name"`
	AttributeName string `json:"attributeName"`
}

// Target is what a task works on.
type Target struct {
	ID string `json:"id,omitempty"`
	// Type is APPLICATION, IDENTITY or empty.
	Type string `json:"type,omitempty"`
	Name string `json:"name,omitempty"`
}

// DefinitionSummary is the definition that a task was launched from.
type DefinitionSummary struct {
	ID          string         `json:"id"`
	UniqueName  string         `json:"uniqueName"`
	Description string         `json:"description"`
	ParentName  string         `json:"parentName"`
	Executor    string         `json:"executor"`
	Arguments   map[string]any `json:"arguments"`
}

// HistoryEntry is one line of a task's history.
type HistoryEntry struct {
	At      time.Time `json:"at"`
	Event   string    `json:"event"`
	Attempt int       `json:"attempt"`
	Actor   string    `json:"actor"`
	Text    string    `json:"text"`
	Count   int       `json:"count"`
}

// Task is one run of background work as the server tells it. Numbers in attributes and
// arguments are json.Number, so that large ones survive.
type Task struct {
	ID string `json:"id"`
	// BodyType is QUARTZ, QPOC or QUEUED_TASK; the sort of work is Kind.
	BodyType         string             `json:"type"`
	UniqueName       string             `json:"uniqueName"`
	Description      string             `json:"description"`
	ParentName       *string            `json:"parentName"`
	Launcher         string             `json:"launcher"`
	Created          time.Time          `json:"created"`
	Modified         time.Time          `json:"modified"`
	Launched         *time.Time         `json:"launched"`
	Completed        *time.Time         `json:"completed"`
	CompletionStatus CompletionStatus   `json:"completionStatus"`
	Messages         []Message          `json:"messages"`
	Returns          []Return           `json:"returns"`
	Attributes       map[string]any     `json:"attributes"`
	Progress         *string            `json:"progress"`
	PercentComplete  int                `json:"percentComplete"`
	Target           *Target            `json:"target"`
	Definition       *DefinitionSummary `json:"taskDefinitionSummary,omitempty"`

	// What follows is known for /stint/v1 answers only; [Client.Clear] answers without it.

	Kind                  string         `json:"kind,omitempty"`
	SourceID              *string        `json:"sourceId,omitempty"`
	State                 State          `json:"state,omitempty"`
	Attempt               int            `json:"attempt,omitempty"`
	LastHeartbeat         *time.Time     `json:"lastHeartbeat,omitempty"`
	HeartbeatLimitSeconds *int           `json:"heartbeatLimitSeconds,omitempty"`
	CancelRequested       *time.Time     `json:"cancelRequested,omitempty"`
	Waiting               *string        `json:"waiting,omitempty"`
	DurationMs            *int64         `json:"durationMs,omitempty"`
	History               []HistoryEntry `json:"history,omitempty"`

	raw json.RawMessage
}

// Raw is the task as the server sent it, members this package does not know included.
func (t *Task) Raw() json.RawMessage { return t.raw }

// UnmarshalJSON keeps the text beside the fields.
func (t *Task) UnmarshalJSON(text []byte) error {
	type plain Task
	var p plain
	if err := unmarshalExact(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*t = Task(p)
	return nil
}

// Done says whether the task is complete.
func (t *Task) Done() bool { return t.CompletionStatus != "" }

// Definition is a sort of work that can be launched.
type Definition struct {
	// Name is the kind, as [LaunchRequest.Type] takes it.
	Name        string `json:"name"`
	DisplayName string `json:"displayName"`
	Description string `json:"description"`
	Executor    string `json:"executor"`
}
