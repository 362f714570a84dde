package task

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Report is what an executor says of the task that it carries out. Everything
// but Attempt may be absent: a bare Attempt is a heartbeat.
type Report struct {
	Attempt         int
	Sequence        int64 // 0: the reporter counts nothing
	Progress        *string
	PercentComplete *int
	Messages        []Message
	Attributes      map[string]json.RawMessage // merged by name
	Returns         []Return                   // replace those before, unless nil
	Completion      CompletionStatus           // InProgress: not complete yet

	// Advanced says that the work got further than any attempt before; Note is
	// kept in the history. Both are for built-in work alone.
	Advanced bool
	Note     string
}

// Validate checks what can be checked without the task. The error is an Error
// that names the member.
func (r *Report) Validate() error {
	if r.Attempt < 1 {
		return Errorf(IllegalValue, "attempt", "%d is not allowed: the number of the attempt, 1 or more", r.Attempt)
	}
	if r.Sequence < 0 {
		return Errorf(IllegalValue, "sequence", "%d is not allowed: 1 or more", r.Sequence)
	}
	if p := r.PercentComplete; p != nil && (*p < 0 || *p > 100) {
		return Errorf(IllegalValue, "percentComplete", "%d is not allowed: 0 to 100", *p)
	}
	if r.Progress != nil {
		if err := checkText("progress", *r.Progress, maxProgress); err != nil {
			return err
		}
	}
	if len(r.Messages) > maxMessages {
		return Errorf(IllegalValue, "messages", "%d are too many: at most %d in one report", len(r.Messages), maxMessages)
	}
	for i := range r.Messages {
		if err := r.Messages[i].Validate(fmt.Sprintf("messages/%d", i)); err != nil {
			return err
		}
		if r.Messages[i].Key == DroppedKey {
			return Errorf(IllegalValue, fmt.Sprintf("messages/%d/key", i), "%q is not allowed: it is the key of a message that counts others", DroppedKey)
		}
	}
	if len(r.Returns) > maxReturns {
		return Errorf(IllegalValue, "returns", "%d are too many: at most %d", len(r.Returns), maxReturns)
	}
	for i, ret := range r.Returns {
		if err := ret.validate(fmt.Sprintf("returns/%d", i)); err != nil {
			return err
		}
	}
	return checkAttributes(r.Attributes)
}

func (r Return) validate(field string) error {
	if r.Name == "" || r.AttributeName == "" {
		return Errorf(Missing, field, "name and attributeName are required")
	}
	return firstError(checkText(field+"/name", r.Name, maxName), checkText(field+"/attributeName", r.AttributeName, maxName))
}

// Validate checks one message; field names it in the error.
func (m *Message) Validate(field string) error {
	if m.Type != MessageInfo && m.Type != MessageWarn && m.Type != MessageError {
		return Errorf(IllegalValue, field+"/type", "%q is not allowed: INFO, WARN or ERROR", m.Type)
	}
	if len(m.Parameters) > maxParameters {
		return Errorf(IllegalValue, field+"/parameters", "%d are too many: at most %d", len(m.Parameters), maxParameters)
	}
	for i, p := range m.Parameters {
		if !validParameter(p) {
			return Errorf(IllegalValue, fmt.Sprintf("%s/parameters/%d", field, i),
				"%s is not allowed: a string or a non-empty object", Abbreviate(string(p)))
		}
	}
	return firstError(
		checkText(field+"/key", m.Key, maxName),
		checkText(field+"/localizedText/locale", m.Locale, 64),
		checkText(field+"/localizedText/message", m.Text, maxMessageText),
	)
}

// validParameter tells what every official client can read: numbers and empty
// objects break one of them.
func validParameter(p json.RawMessage) bool {
	var v any
	if json.Unmarshal(p, &v) != nil {
		return false
	}
	switch v := v.(type) {
	case string:
		return true
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// ApplyReport makes of t what a report says. Stale, late and duplicate reports
// are refused (Change.Err is an Error of kind Conflict with Refused set) and
// leave an event; the repeat of the completion that ended the task changes
// nothing. The report must be valid.
func (t Task) ApplyReport(r Report, now time.Time) Change {
	now = Millis(now)
	if c, stop := t.refuse(r, now); stop {
		return c
	}
	if err := checkAttributes(t.merged(r.Attributes)); err != nil {
		return refused(t, err)
	}
	c := changed(t)
	next := &c.Task
	if next.Launched.IsZero() {
		next.Launched = later(now, next.Created)
		c.add(now, EventStarted, "", "started")
	}
	if !next.CancelRequested.IsZero() && t.LastReport.Before(next.CancelRequested) && r.Completion == InProgress {
		c.add(now, EventStopTold, "", "the executor was told to stop")
	}
	next.LastReport = now
	if r.Advanced {
		next.Interruptions = 0
	}
	if r.Note != "" {
		c.add(now, EventNoted, "", "%s", r.Note)
	}
	if next.HeartbeatLimit == 0 && !next.BuiltIn {
		next.HeartbeatLimit = DefaultHeartbeatLimit
	}
	if r.Sequence > 0 {
		next.Sequence = r.Sequence
	}
	if r.Progress != nil {
		next.Progress = r.Progress
	}
	if r.PercentComplete != nil {
		next.PercentComplete = max(next.PercentComplete, *r.PercentComplete)
	}
	next.appendMessages(r.Messages)
	next.Attributes = t.merged(r.Attributes)
	if r.Returns != nil {
		next.Returns = r.Returns
	}
	next.touch(now)
	if r.Completion != InProgress {
		c.complete(r.Completion, now)
	}
	return c
}

// refuse returns the change to make of t instead of what the report asks, if
// any.
func (t Task) refuse(r Report, now time.Time) (Change, bool) {
	switch {
	case t.Status != InProgress && r.Completion != InProgress && r.Completion == t.Reported && r.Attempt == t.Attempt:
		return unchanged(t), true
	case r.Attempt != t.Attempt:
		return t.refusal(r, now, RefusedStale, true, "attempt %d is not the current one: attempt %d is", r.Attempt, t.Attempt), true
	case t.Status != InProgress:
		return t.refusal(r, now, RefusedLate, !t.takenForLost(), "the task ended as %s at %s", t.Status, FormatTime(t.Completed)), true
	case r.Sequence != 0 && r.Sequence <= t.Sequence:
		return t.refusal(r, now, RefusedDuplicate, false, "report %d was accepted before: %d is the last", r.Sequence, t.Sequence), true
	}
	return Change{}, false
}

func (t Task) refusal(r Report, now time.Time, why Refusal, stop bool, format string, args ...any) Change {
	err := Errorf(Conflict, "", format, args...)
	err.Refused, err.Stop = why, stop
	c := refused(t, err)
	tried := "a report"
	if r.Completion != InProgress {
		tried = "the completion " + string(r.Completion)
	}
	c.add(now, EventRefused, "", "refused %s of attempt %d as %s: %s", tried, r.Attempt, why, err.Msg)
	c.Events[0].Attempt = r.Attempt
	c.Events[0].Key = fmt.Sprintf("%s/%d/%s", why, r.Attempt, r.Completion)
	return c
}

// complete ends the task by its executor's word. After a cancel it ends
// TERMINATED whatever the executor says; its word stays in the history.
func (c *Change) complete(status CompletionStatus, now time.Time) {
	t := &c.Task
	t.Reported = status
	ended, text := status, fmt.Sprintf("completed as %s", status)
	if !t.CancelRequested.IsZero() {
		ended = Terminated
		text = fmt.Sprintf("cancelled; the executor reported %s", status)
	}
	if ended == Success {
		t.PercentComplete = 100
	}
	t.complete(ended, later(now, t.Launched), now)
	c.add(now, EventCompleted, "", "%s", text)
}

// merged returns the attributes with more ones over them.
func (t *Task) merged(more map[string]json.RawMessage) map[string]json.RawMessage {
	if len(more) == 0 {
		return t.Attributes
	}
	merged := make(map[string]json.RawMessage, len(t.Attributes)+len(more))
	for k, v := range t.Attributes {
		merged[k] = v
	}
	for k, v := range more {
		merged[k] = v
	}
	return merged
}

// ShouldStop reports whether the executor is to stop its work, and why.
func (t *Task) ShouldStop() (bool, string) {
	if t.Status == InProgress && !t.CancelRequested.IsZero() {
		return true, "a person asked the task to stop at " + FormatTime(t.CancelRequested) + because(t.CancelReason)
	}
	return false, ""
}

// missedKey is the key of the message of a task that missed its heartbeat limit.
const missedKey = "heartbeat_missed"

// takenForLost reports whether nobody asked for the task's end: its executor
// was not heard of, and may have been well all the time.
func (t *Task) takenForLost() bool {
	return t.Status == TempError && slices.ContainsFunc(t.Messages, func(m Message) bool { return m.Key == missedKey })
}

// Lost ends a running task that missed its heartbeat limit: TEMPERROR, or
// TERMINATED where it had been asked to stop. A task that is not past its
// deadline stays as it is.
func (t Task) Lost(now time.Time) Change {
	now = Millis(now)
	deadline := t.HeartbeatDeadline()
	if deadline.IsZero() || now.Before(deadline) {
		return unchanged(t)
	}
	status, text := TempError, fmt.Sprintf(
		"The executor was not heard of since %s, longer than its heartbeat limit of %s. What became of the work is unknown.",
		FormatTime(t.LastReport), t.HeartbeatLimit)
	if !t.CancelRequested.IsZero() {
		status, text = Terminated, fmt.Sprintf(
			"The task was asked to stop at %s and its executor did not say that it had. What became of the work is unknown.",
			FormatTime(t.CancelRequested))
	}
	c := changed(t)
	severityOf := MessageError
	if status == Terminated {
		severityOf = MessageWarn
	}
	c.Task.appendMessages([]Message{{Type: severityOf, Key: missedKey, Locale: "en", Text: text}})
	c.Task.complete(status, later(now, t.Launched), now)
	c.add(now, EventLost, "", "ended as %s: last report %s, limit %s", status, FormatTime(t.LastReport), t.HeartbeatLimit)
	return c
}

func droppedMessage(n int) Message {
	count, _ := json.Marshal(strconv.Itoa(n)) //nolint:errchkjson // a string of digits always encodes
	return Message{
		Type: MessageWarn, Key: DroppedKey, Locale: "en",
		Text:       fmt.Sprintf("%d more messages were not kept.", n),
		Parameters: []json.RawMessage{count},
	}
}

func parseCount(p json.RawMessage) int {
	var s string
	if json.Unmarshal(p, &s) != nil {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
