// Package webhook describes who is told over HTTP of tasks that have ended.
//
// It owns a webhook and a delivery, their rules, what is sent and how it is signed
// (Standard Webhooks), and when it is tried again. It does not own storage, nor the
// network.
//
// Invariants: a webhook is told of a task at most once for each event, with one id
// however often it is tried; its secret is shown once and stored sealed.
package webhook

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"stint/internal/principal"
	"stint/internal/task"
)

// Event is what a webhook is told of.
type Event string

// The events.
const (
	TaskCompleted Event = "task.completed" // as it should
	TaskFailed    Event = "task.failed"
	Test          Event = "webhook.test" // that somebody asked for
)

// Events returns those that a webhook can ask for.
func Events() []Event { return []Event{TaskCompleted, TaskFailed} }

// Statuses returns those of the tasks that an event tells of.
func (e Event) Statuses() []task.CompletionStatus {
	switch e {
	case TaskCompleted:
		return []task.CompletionStatus{task.Success, task.Warning}
	case TaskFailed:
		return []task.CompletionStatus{task.Failure, task.TempError, task.Terminated}
	case Test:
	}
	return nil
}

// EventOf returns the event that tells of a task's end.
func EventOf(s task.CompletionStatus) (Event, bool) {
	for _, e := range Events() {
		if slices.Contains(e.Statuses(), s) {
			return e, true
		}
	}
	return "", false
}

const (
	// Most is how many webhooks there may be.
	Most = 50
	// Kept is how long a delivery is kept.
	Kept = 30 * 24 * time.Hour
	// overlap is how long the secret from before a rotation signs beside the new one.
	overlap = 24 * time.Hour

	maxURL    = 2048
	maxFilter = 4096
)

// Webhook is an address that is told of tasks that have ended. Times are UTC and whole
// milliseconds.
type Webhook struct {
	ID     task.ID
	Name   string
	URL    string
	Events []Event
	// Filter, in the language of /stint/v1/tasks, selects the tasks; "" selects all.
	Filter  string
	Enabled bool
	// Disabled says why it was disabled by Stint itself; "" where a person did.
	Disabled string

	Created, Modified time.Time
	// Secret is what signs, sealed; Old the one before it, which signs too for a while
	// after Rotated.
	Secret, Old []byte
	Rotated     time.Time // zero where it never was

	// Position is up to where the feed of tasks was read for it; "" is the feed's
	// beginning.
	Position string
}

// Check returns an error that names the field unless the webhook can be kept. parse
// reads its filter.
func (w *Webhook) Check(parse func(filter string) error) error {
	if err := principal.CheckName("name", w.Name); err != nil {
		return err
	}
	if err := checkURL(w.URL); err != nil {
		return err
	}
	if len(w.Events) == 0 {
		return task.Errorf(task.Missing, "events", "is empty: one or more of %s", principal.List(Events()))
	}
	for i, e := range w.Events {
		if !slices.Contains(Events(), e) {
			return task.Errorf(task.IllegalValue, "events", "%q is not an event: %s", task.Abbreviate(string(e)), principal.List(Events()))
		}
		if slices.Contains(w.Events[:i], e) {
			return task.Errorf(task.IllegalValue, "events", "%s stands twice", e)
		}
	}
	if len(w.Filter) > maxFilter {
		return task.Errorf(task.IllegalValue, "filter", "%d bytes are too many: at most %d", len(w.Filter), maxFilter)
	}
	if w.Filter == "" {
		return nil
	}
	return parse(w.Filter)
}

// checkURL refuses what no request can be sent to, or not to one place alone.
func checkURL(s string) error {
	const field = "url"
	illegal := func(why string) error {
		return task.Errorf(task.IllegalValue, field, "%q is not allowed: %s", task.Abbreviate(s), why)
	}
	switch {
	case strings.TrimSpace(s) == "":
		return task.Errorf(task.Missing, field, "is empty: an http or https URL")
	case len(s) > maxURL:
		return task.Errorf(task.IllegalValue, field, "%d bytes are too many: at most %d", len(s), maxURL)
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsControl(r) || r == ' ' }):
		return illegal("only ASCII without spaces; other characters are percent-encoded, a host's by Punycode")
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return illegal("it is no URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return illegal("it must begin with http:// or https://")
	case u.Hostname() == "":
		return illegal("it names no host")
	case u.User != nil:
		// It would be shown to all who may see the webhook.
		return task.Errorf(task.IllegalValue, field, "must not hold a user or a password: the signature says who sends")
	case u.Fragment != "" || strings.Contains(s, "#"):
		return illegal("a fragment is not sent")
	}
	return nil
}

// Signs reports whether the secret from before a rotation signs, too.
func (w *Webhook) Signs(now time.Time) bool {
	return len(w.Old) > 0 && now.Before(w.Rotated.Add(overlap))
}
