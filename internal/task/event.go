package task

import (
	"fmt"
	"time"
)

// EventName names what happened to a task.
type EventName string

// The events of a task's history.
const (
	EventLaunched        EventName = "launched"
	EventImported        EventName = "imported"
	EventReplaced        EventName = "replaced" // by an import
	EventStarted         EventName = "started"
	EventCancelRequested EventName = "cancelRequested"
	EventStopTold        EventName = "stopTold"
	EventCompleted       EventName = "completed"
	EventCleared         EventName = "cleared"
	EventCancelled       EventName = "cancelled"
	EventLost            EventName = "lost"    // missed its heartbeat limit
	EventExpired         EventName = "expired" // in progress when its retention ended
	EventRefused         EventName = "refused" // a report that was not accepted
	EventInterrupted     EventName = "interrupted"
	EventNoted           EventName = "noted" // something that the work wants kept
)

// Event is one line of a task's history. Refusals of one sort are one line, which
// stands where the first of them came: Count says how many, At when the last did.
type Event struct {
	At      time.Time
	Name    EventName
	Attempt int
	Actor   string
	Text    string // for people
	// Key groups lines that may be counted together; empty never groups.
	Key   string
	Count int
}

// Change is what one operation makes of a task. With Err set the operation was
// refused: the task stays as it is and only the events are kept. With neither
// Err nor Changed, nothing is written at all.
type Change struct {
	Task    Task
	Changed bool
	Events  []Event
	Err     error
}

func (c *Change) add(now time.Time, name EventName, actor, format string, args ...any) {
	c.Events = append(c.Events, Event{
		At: now, Name: name, Attempt: c.Task.Attempt, Actor: actor, Text: fmt.Sprintf(format, args...), Count: 1,
	})
}

func changed(t Task) Change { return Change{Task: t, Changed: true} }

func unchanged(t Task) Change { return Change{Task: t} }

func refused(t Task, err error) Change { return Change{Task: t, Err: err} }

// complete ends the task: both fields in one place, nowhere else.
func (t *Task) complete(status CompletionStatus, at, now time.Time) {
	t.Status, t.Completed = status, at
	t.touch(now)
}
