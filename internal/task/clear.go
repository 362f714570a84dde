package task

import (
	"time"
)

// maxFuture is how far ahead of the clock a completion time may lie.
const maxFuture = 24 * time.Hour

// Clear is a person's word that a task has ended.
type Clear struct {
	Status CompletionStatus
	// Completed is when it ended; zero is now. A time before the task was
	// created is taken as the person's word.
	Completed time.Time
	Actor     string
	Reason    string
}

// Done reports whether t ended already as the clear asks: it is the repeat of
// one that was answered, perhaps to nobody. A status without a time is compared
// alone.
func (cl Clear) Done(t *Task) bool {
	return t.Status != InProgress && cl.Status == t.Status &&
		(cl.Completed.IsZero() || Millis(cl.Completed).Equal(t.Completed))
}

// Check returns an error about a time of completion that lies too far ahead.
func (cl Clear) Check(now time.Time) error {
	if cl.Completed.After(now.Add(maxFuture)) {
		return Errorf(IllegalValue, "completed", "%s is more than 24 hours in the future", FormatTime(cl.Completed))
	}
	return nil
}

// ApplyClear ends t for good. On a complete task it changes nothing where it
// asks for what is there already (a status without a time is compared alone),
// and is refused as IllegalUpdate otherwise. The percentage stays where it was.
// Source: contract, section 6.
func (t Task) ApplyClear(cl Clear, now time.Time) (Change, error) {
	now = Millis(now)
	cl.Completed = Millis(cl.Completed)
	if err := cl.Check(now); err != nil {
		return Change{}, err
	}
	if cl.Done(&t) {
		return unchanged(t), nil
	}
	if t.Status != InProgress {
		return Change{}, Errorf(IllegalUpdate, "", "the task ended as %s at %s; a completed task does not change",
			t.Status, FormatTime(t.Completed))
	}
	if cl.Completed.IsZero() {
		cl.Completed = now
	}
	c := changed(t)
	c.Task.complete(cl.Status, cl.Completed, now)
	c.add(now, EventCleared, cl.Actor, "cleared as %s%s", cl.Status, because(cl.Reason))
	return c, nil
}

// ClearMany is a person's word about all tasks in progress that a filter selects.
type ClearMany struct {
	Clear Clear
	// Limit is how many are cleared at most: the oldest first.
	Limit int
	// DryRun only says what would be done.
	DryRun bool
	// May refuses the tasks of sources that the person may not act on.
	May func(sourceID string) error
	// Words are those of the request.
	Words string
}

// Cleared is what became of one task of many.
type Cleared struct {
	Row                  Row // without its Wire
	UniqueName, Launcher string
	// Changed says that it had ended, or was no longer one of them, when its turn came.
	Changed bool
	// Err is why it was not cleared, or would not be.
	Err error
}

// ApplyCancel asks t to stop. Where nobody would hear it (queued, or nothing
// ever reported) or Stint itself runs it, it ends TERMINATED at once; else its
// executor's next report is told. Repeats change nothing; a task that ended otherwise refuses with
// Conflict.
func (t Task) ApplyCancel(actor, reason string, now time.Time) Change {
	now = Millis(now)
	switch {
	case t.Status == Terminated, t.Status == InProgress && !t.CancelRequested.IsZero():
		return unchanged(t)
	case t.Status != InProgress:
		return refused(t, Errorf(Conflict, "", "the task ended as %s at %s; it cannot be cancelled any more",
			t.Status, FormatTime(t.Completed)))
	}
	c := changed(t)
	if t.LastReport.IsZero() || t.BuiltIn {
		c.Task.CancelRequested, c.Task.CancelReason = now, reason
		c.Task.complete(Terminated, later(now, t.Launched), now)
		c.add(now, EventCancelled, actor, "cancelled%s", because(reason))
		return c
	}
	c.Task.CancelRequested, c.Task.CancelReason = now, reason
	c.Task.touch(now)
	c.add(now, EventCancelRequested, actor, "asked to stop%s", because(reason))
	return c
}

// Expire ends a task that is still in progress when its retention ends, so that
// nothing it holds stays held. Source: contract, section 3.
func (t Task) Expire(now time.Time) Change {
	now = Millis(now)
	if t.Status != InProgress {
		return unchanged(t)
	}
	c := changed(t)
	c.Task.complete(Terminated, later(now, t.Launched), now)
	c.add(now, EventExpired, "", "ended as TERMINATED: still in progress at the end of its retention")
	return c
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
