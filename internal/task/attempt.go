package task

import (
	"fmt"
	"time"
)

// maxInterruptions is how many attempts in a row may be interrupted without new
// progress before a built-in task is given up.
const maxInterruptions = 20

// interruptedKey is the key of the message of a task that was given up.
const interruptedKey = "interrupted_too_often"

// ApplyStart begins an attempt of a built-in task. It is refused as a report of
// that attempt would be.
func (t Task) ApplyStart(attempt int, now time.Time) Change {
	c := t.ApplyReport(Report{Attempt: attempt}, now)
	// The very first start stands in the history already.
	if c.Err == nil && c.Changed && attempt > 1 && !t.Launched.IsZero() {
		c.add(Millis(now), EventStarted, "", "attempt %d started", attempt)
	}
	return c
}

// ApplyInterrupted ends an attempt of a built-in task that could not go on, for
// no fault of its own: the next attempt has the fence. After too many in a row
// without new progress the task ends TEMPERROR. An attempt that is not the
// current one, or whose task is complete, changes nothing.
func (t Task) ApplyInterrupted(attempt int, why string, now time.Time) Change {
	now = Millis(now)
	if t.Status != InProgress || t.Attempt != attempt {
		return unchanged(t)
	}
	c := changed(t)
	next := &c.Task
	next.Interruptions++
	if next.Interruptions >= maxInterruptions {
		c.Task.appendMessages([]Message{{
			Type: MessageError, Key: interruptedKey, Locale: "en",
			Text: fmt.Sprintf("The work was interrupted %d times in a row without new progress, the last time because %s.", next.Interruptions, why),
		}})
		c.Task.complete(TempError, later(now, t.Launched), now)
		c.add(now, EventCompleted, "", "ended as TEMPERROR: interrupted %d times in a row without new progress, last because %s", next.Interruptions, why)
		return c
	}
	c.add(now, EventInterrupted, "", "attempt %d was interrupted: %s; attempt %d follows", attempt, why, attempt+1)
	next.Attempt++
	next.Sequence = 0
	next.touch(now)
	return c
}

// ApplyBusy ends a new task that finds another at the same work. Source:
// contract, section 8.
func (t Task) ApplyBusy(other ID, now time.Time) Change {
	now = Millis(now)
	c := changed(t)
	c.Task.Launched = later(now, t.Created)
	c.Task.appendMessages([]Message{{
		Type: MessageError, Key: "aggregation_running", Locale: "en",
		Text: "The running aggregation must complete before the next one can start. It is task " + string(other) + ".",
	}})
	c.Task.complete(Failure, c.Task.Launched, now)
	c.add(now, EventCompleted, "", "ended as ERROR: task %s is in progress on the source", other)
	return c
}

// Assigned is a task in progress that Stint runs itself, and the job of its
// current attempt.
type Assigned struct {
	ID      ID
	Attempt int
	Job     int64
}
