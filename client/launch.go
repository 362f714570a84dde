package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"
)

// NewIdempotencyKey makes a key that no other launch has.
func NewIdempotencyKey() string { return rand.Text() }

// Who runs a task, as [LaunchRequest.Executor] says it.
const (
	ExecutorBuiltIn  = "builtin"
	ExecutorExternal = "external"
)

// LaunchRequest describes a task to launch. It can be stored as JSON and launched later.
type LaunchRequest struct {
	// Type is a kind (IDENTITY_REFRESH) or a definition's display name; required.
	Type        string         `json:"type"`
	UniqueName  string         `json:"uniqueName,omitempty"`
	Description string         `json:"description,omitempty"`
	ParentName  string         `json:"parentName,omitempty"`
	Launcher    string         `json:"launcher,omitempty"`
	SourceID    string         `json:"sourceId,omitempty"`
	Target      *Target        `json:"target,omitempty"`
	Arguments   map[string]any `json:"arguments,omitempty"`
	Attributes  map[string]any `json:"attributes,omitempty"`
	// Executor says who runs the task: [ExecutorBuiltIn] the server itself, [ExecutorExternal]
	// whoever reports to it. Empty: the server runs what aggregates one of its sources, and
	// others the rest.
	Executor string `json:"executor,omitempty"`
	// HeartbeatLimitSeconds is how long the task may be silent before it is taken for lost;
	// zero means the server's default of 60.
	HeartbeatLimitSeconds int `json:"heartbeatLimitSeconds,omitempty"`
	// IdempotencyKey makes launching again harmless; one is made where none is given.
	IdempotencyKey string `json:"-"`
}

// UnmarshalJSON keeps numbers as they were written: the server knows a repeated launch by its
// very text.
func (l *LaunchRequest) UnmarshalJSON(text []byte) error {
	type plain LaunchRequest
	return unmarshalExact(text, (*plain)(l))
}

// Launched is a launched task and what reporting to it takes.
type Launched struct {
	Task
	// ReportToken authorises reports to this task; empty where the server runs it.
	ReportToken string
	// Replayed says that the key had launched this task before.
	Replayed bool
}

// UnmarshalJSON decodes the task and the token beside it.
func (l *Launched) UnmarshalJSON(text []byte) error {
	var beside struct {
		ReportToken string `json:"reportToken"`
	}
	if err := json.Unmarshal(text, &beside); err != nil {
		return err
	}
	l.ReportToken = beside.ReportToken
	return l.Task.UnmarshalJSON(text)
}

// Launch launches a task.
func (c *Client) Launch(ctx context.Context, launch LaunchRequest) (*Launched, error) {
	key := launch.IdempotencyKey
	if key == "" {
		key = NewIdempotencyKey()
	}
	launched := new(Launched)
	header, err := c.do(ctx, request{
		method: http.MethodPost, path: tasksPath, body: launch, repeatable: true,
		header: map[string]string{"Idempotency-Key": key},
	}, launched)
	if err != nil {
		return nil, err
	}
	launched.Replayed = strings.EqualFold(header.Get("Idempotency-Replayed"), "true")
	return launched, nil
}
