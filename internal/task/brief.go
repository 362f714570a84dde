package task

import "time"

// Brief is what statistics tell of a task.
type Brief struct {
	ID       ID
	Kind     Kind
	SourceID string
	Status   CompletionStatus
	Created  time.Time
	// Launched is zero where it never ran, Completed where it is in progress.
	Launched, Completed time.Time
	// What follows is known of the newest of a Pair alone.
	UniqueName, TargetName string
	PercentComplete        int
}

// State is where the task is in its life.
func (b *Brief) State() State {
	switch {
	case b.Status != InProgress:
		return Completed
	case !b.Launched.IsZero():
		return Running
	}
	return Queued
}

// Duration is how long it ran; false where it did not, or still does.
func (b *Brief) Duration() (time.Duration, bool) {
	if b.Launched.IsZero() || b.Completed.IsZero() {
		return 0, false
	}
	return b.Completed.Sub(b.Launched), true
}

// Failed reports whether what it was launched for went wrong. That somebody ended it
// is no failure.
func (s CompletionStatus) Failed() bool { return s == Failure || s == TempError }

// Good reports whether what it was launched for was done, warnings or not.
func (s CompletionStatus) Good() bool { return s == Success || s == Warning }

// Pair is the tasks of one kind on one source, or without one.
type Pair struct {
	Kind     Kind
	SourceID string // as the newest task has it
	// InProgress is how many are now.
	InProgress int
	// Newest are the newest, the newest first; at least one.
	Newest []Brief
}
