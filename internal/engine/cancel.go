package engine

import (
	"stint/internal/audit"
	"stint/internal/task"
)

// Cancelling returns what Cancel does to a task, for a store that does it
// together with something else. Changed is to be told of the task then.
func (s *Tasks) Cancelling(reason string, from audit.Origin) audit.UpdateFunc {
	return func(t task.Task) (audit.Change, error) {
		now := s.now()
		c := t.ApplyCancel(from.Actor, reason, now)
		return withEntry(t, c, audit.Entry{At: task.Millis(now), Origin: from, Action: audit.Cancel, Reason: reason})
	}
}
