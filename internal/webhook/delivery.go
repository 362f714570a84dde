package webhook

import (
	"time"

	"stint/internal/task"
)

// State is what has become of a delivery.
type State string

// The states.
const (
	Pending   State = "pending"
	Delivered State = "delivered"
	Failed    State = "failed"
)

// States returns all states.
func States() []State { return []State{Pending, Delivered, Failed} }

// Delivery is the telling of one event to one webhook. Times are UTC and whole
// milliseconds.
type Delivery struct {
	// ID is also the id of the message, the same at each try.
	ID        task.ID
	WebhookID task.ID
	TaskID    task.ID // "" for a test
	Event     Event
	Created   time.Time
	State     State
	// Attempts is how often it was tried, Before how many of these came before a person
	// asked for it again.
	Attempts, Before int
	LastAttempt      time.Time // zero before the first
	// LastStatus is the status that the receiver answered with last; 0 where it did not.
	LastStatus int
	// LastError says what was wrong last.
	LastError string
	// NextAttempt is when it is tried next; zero where it is not.
	NextAttempt time.Time
	Done        time.Time // zero while it is pending
	// Job is the number of the job that tries next; 0 asks for one.
	Job int64
}

// Result is what came of one try.
type Result struct {
	At     time.Time
	Status int // 0 where there was no answer
	Err    string
}

// gone is the status by which a receiver says that it wants no more.
const gone = 410

// Gone reports whether the receiver wants no more of anything.
func (r *Result) Gone() bool { return r.Status == gone }

func (r *Result) ok() bool { return r.Err == "" && r.Status >= 200 && r.Status < 300 }

// waits returns how long after each try the next one comes: eleven tries in a little
// more than two days.
func waits() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
	}
}

// jitter is by what part a wait may be longer, so that what failed together does not
// come again together.
const jitter = 0.2

// Tried returns the delivery after a try. luck, from 0 to 1, decides how much later
// than it must the next one comes.
func (d *Delivery) Tried(r Result, luck float64) Delivery {
	after := *d
	after.Attempts++
	after.LastAttempt, after.LastStatus, after.LastError = task.Millis(r.At), r.Status, r.Err
	after.Job, after.NextAttempt = 0, time.Time{}
	all, tries := waits(), after.Attempts-after.Before
	switch {
	case r.ok():
		after.State = Delivered
	case r.Gone() || tries > len(all):
		after.State = Failed
	default:
		wait := all[tries-1]
		after.NextAttempt = task.Millis(r.At.Add(wait + time.Duration(luck*jitter*float64(wait))))
		return after
	}
	after.Done = after.LastAttempt
	return after
}

// GivenUp returns the delivery that nobody tries any more, for a reason.
func (d *Delivery) GivenUp(why string, now time.Time) Delivery {
	after := *d
	after.State, after.LastError, after.Done = Failed, why, task.Millis(now)
	after.Job, after.NextAttempt = 0, time.Time{}
	return after
}

// Again returns the delivery that is tried now, and as often as a new one.
func (d *Delivery) Again(now time.Time) Delivery {
	after := *d
	after.State, after.Before = Pending, d.Attempts
	after.NextAttempt, after.Done, after.Job = task.Millis(now), time.Time{}, 0
	return after
}
