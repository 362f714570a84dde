package task

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Type is the body's "type": how the original runs a task. It is not Kind.
type Type string

// The body types. No other is ever emitted.
const (
	Quartz     Type = "QUARTZ"      // what Stint runs itself
	QPOC       Type = "QPOC"        // only from imports
	QueuedTask Type = "QUEUED_TASK" // what others run and report
)

// Types returns the body types in their fixed order.
func Types() []Type { return []Type{Quartz, QPOC, QueuedTask} }

// CompletionStatus says how a task ended; empty means in progress.
type CompletionStatus string

// The completion statuses. No other is ever emitted.
const (
	InProgress CompletionStatus = ""
	Success    CompletionStatus = "SUCCESS"
	Warning    CompletionStatus = "WARNING"
	Failure    CompletionStatus = "ERROR"
	Terminated CompletionStatus = "TERMINATED"
	TempError  CompletionStatus = "TEMPERROR"
)

// CompletionStatuses returns the five statuses in their fixed order.
func CompletionStatuses() []CompletionStatus {
	return []CompletionStatus{Success, Warning, Failure, Terminated, TempError}
}

// ParseCompletionStatus reads one of the five statuses in any ASCII case.
func ParseCompletionStatus(s string) (CompletionStatus, bool) {
	for _, c := range CompletionStatuses() {
		if EqualFoldASCII(s, string(c)) {
			return c, true
		}
	}
	return "", false
}

// StatusList returns the statuses as "SUCCESS, WARNING, …" for messages.
func StatusList() string {
	all := CompletionStatuses()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// MessageType is the severity of a message.
type MessageType string

// The severities.
const (
	MessageInfo  MessageType = "INFO"
	MessageWarn  MessageType = "WARN"
	MessageError MessageType = "ERROR"
)

// Message is one message of a task.
type Message struct {
	Type   MessageType
	Key    string
	Locale string
	Text   string
	// Parameters are strings or non-empty objects; nil is null on the wire.
	Parameters []json.RawMessage
}

// Return names one value that a task hands back in its attributes.
type Return struct {
	Name          string `json:"name"`
	AttributeName string `json:"attributeName"`
}

// Target is what a task works on. An empty Type is null on the wire.
type Target struct {
	ID   string
	Type string // APPLICATION, IDENTITY or empty
	Name string
}

// The target types.
const (
	TargetApplication = "APPLICATION"
	TargetIdentity    = "IDENTITY"
)

// Summary describes the definition that a task was launched from, as the task
// keeps it: later changes of the definition do not reach it.
type Summary struct {
	ID          string          `json:"id"`
	UniqueName  string          `json:"uniqueName"`
	Description string          `json:"description"`
	ParentName  string          `json:"parentName"`
	Executor    string          `json:"executor"`
	Arguments   json.RawMessage `json:"arguments"` // an object
}

// Task is one run of background work. Times are UTC and whole milliseconds; a
// zero time is "not yet".
type Task struct {
	ID          ID
	Type        Type
	Kind        Kind
	SourceID    string // empty: none
	UniqueName  string
	Description string
	ParentName  *string
	Launcher    string

	Created   time.Time
	Modified  time.Time
	Launched  time.Time
	Completed time.Time
	Status    CompletionStatus

	Messages        []Message
	Returns         []Return
	Attributes      map[string]json.RawMessage
	Progress        *string
	PercentComplete int
	Target          *Target
	Definition      *Summary

	// Attempt is the fencing number: a write of a running task names it, and
	// one that names another is refused. It starts at 1.
	Attempt int
	// Sequence is the number of the last accepted report of this attempt; 0
	// where reports carry none.
	Sequence int64
	// LastReport is when the last report was accepted.
	LastReport time.Time
	// HeartbeatLimit is how long the executor may be silent once it has
	// reported; 0 where nothing was asked yet, as of an import.
	HeartbeatLimit time.Duration
	// CancelRequested is when a person asked the running task to stop.
	CancelRequested time.Time
	// CancelReason is why, in that person's words; it may be empty.
	CancelReason string
	// Reported is the completion that the executor reported, where that is
	// what ended the task. It tells the repeat of a completion from a late one.
	Reported CompletionStatus

	// BuiltIn is set for a task that Stint itself runs. Job is the queue's number
	// of the current attempt then, for the queue's use alone.
	BuiltIn bool
	Job     int64
	// Interruptions counts the attempts in a row that were interrupted without new
	// progress.
	Interruptions int
}

// State is where a task stands in its life.
type State string

// The states.
const (
	Queued    State = "queued"
	Running   State = "running"
	Completed State = "completed"
)

// State returns where the task stands.
func (t *Task) State() State {
	switch {
	case t.Status != InProgress:
		return Completed
	case t.Launched.IsZero():
		return Queued
	default:
		return Running
	}
}

// DefaultHeartbeatLimit is the heartbeat limit of a task whose launch gives
// none.
const DefaultHeartbeatLimit = time.Minute

// minStopTime is the least time a worker has to stop after a cancel.
const minStopTime = time.Minute

// HeartbeatDeadline returns when the task is lost unless it reports before, or
// the zero time where no liveness is asked: it is complete, has never reported,
// or is built in and starts over when its process dies. After a cancel it is
// also the time by which the worker must have stopped.
func (t *Task) HeartbeatDeadline() time.Time {
	if t.Status != InProgress || t.LastReport.IsZero() || t.HeartbeatLimit <= 0 || t.BuiltIn {
		return time.Time{}
	}
	deadline := t.LastReport.Add(t.HeartbeatLimit)
	if !t.CancelRequested.IsZero() {
		stop := t.CancelRequested.Add(max(t.HeartbeatLimit, minStopTime))
		if stop.Before(deadline) {
			deadline = stop
		}
	}
	return deadline
}

// Millis returns t in UTC, cut to the millisecond, so that databases and JSON
// agree to the digit.
func Millis(t time.Time) time.Time {
	return t.UTC().Truncate(time.Millisecond)
}

// touch sets Modified to now, or keeps it where the clock went back.
func (t *Task) touch(now time.Time) {
	t.Modified = later(now, later(t.Modified, t.Created))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Validate checks a whole task from outside: an import. The error is an Error
// that names the member.
func (t *Task) Validate() error {
	switch {
	case t.Type != Quartz && t.Type != QPOC && t.Type != QueuedTask:
		return Errorf(IllegalValue, "type", "%q is not allowed: QUARTZ, QPOC or QUEUED_TASK", t.Type)
	case t.UniqueName == "":
		return Errorf(Missing, "uniqueName", "is required")
	case t.Launcher == "":
		return Errorf(Missing, "launcher", "is required")
	case t.Created.IsZero():
		return Errorf(Missing, "created", "is required")
	case t.Completed.IsZero() != (t.Status == InProgress):
		return Errorf(Missing, "completed", "completed and completionStatus are set together or null together")
	case !t.Launched.IsZero() && t.Launched.Before(t.Created):
		return Errorf(IllegalValue, "launched", "%s is before created, %s", FormatTime(t.Launched), FormatTime(t.Created))
	case t.PercentComplete < 0 || t.PercentComplete > 100:
		return Errorf(IllegalValue, "percentComplete", "%d is not allowed: 0 to 100", t.PercentComplete)
	case len(t.Returns) > maxReturns:
		return Errorf(IllegalValue, "returns", "%d are too many: at most %d", len(t.Returns), maxReturns)
	}
	for _, at := range []time.Time{t.Created, t.Modified, t.Launched, t.Completed} {
		if at.Year() < 1 || at.Year() > 9999 {
			return Errorf(IllegalValue, "", "%s is not a time of the years 1 to 9999", FormatTime(at))
		}
	}
	// Times of creation are counted in spans from 1970 on.
	if t.Created.Year() < 1970 {
		return Errorf(IllegalValue, "created", "%s is before 1970", FormatTime(t.Created))
	}
	if t.Target != nil {
		if err := t.Target.validate(); err != nil {
			return err
		}
	}
	if err := t.Definition.validate(); err != nil {
		return err
	}
	for i := range t.Messages {
		if err := t.Messages[i].Validate("messages/" + strconv.Itoa(i)); err != nil {
			return err
		}
	}
	for i, r := range t.Returns {
		if err := r.validate("returns/" + strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return firstError(
		checkText("uniqueName", t.UniqueName, maxName),
		checkText("description", t.Description, maxText),
		checkText("launcher", t.Launcher, maxLauncher),
		checkText("sourceId", t.SourceID, maxName),
		checkAttributes(t.Attributes),
	)
}

func (s *Summary) validate() error {
	if s == nil {
		return nil
	}
	if s.ID == "" || s.UniqueName == "" {
		return Errorf(Missing, "taskDefinitionSummary", "id and uniqueName are required")
	}
	if len(s.Arguments) == 0 || s.Arguments[0] != '{' {
		return Errorf(IllegalValue, "taskDefinitionSummary.arguments", "an object is expected")
	}
	return nil
}
