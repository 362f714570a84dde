package account

import (
	"time"

	"stint/internal/task"
)

// The statuses of an account aggregation. Source: contract, section 8.
const (
	StatusStarted    = "STARTED"
	StatusCollected  = "ACCOUNTS_COLLECTED"
	StatusCompleted  = "COMPLETED"
	StatusCancelled  = "CANCELLED"
	StatusTerminated = "TERMINATED"
)

// Status is how an aggregation stands, for those who watch it.
type Status struct {
	Start  time.Time
	Status string
	// Total counts new, changed and deleted records only, as Processed does; both
	// are 0 until the source was compared with what is stored.
	Total, Processed, MarkedForDeletion, Deleted int64
}

// Status returns how a run stands whose task is t.
func (r *Run) Status(t *task.Task) Status {
	s := Status{
		Start: t.Launched, Status: StatusStarted,
		Processed: r.State.Changed(), Deleted: r.State.Deleted,
	}
	if s.Start.IsZero() {
		s.Start = t.Created
	}
	if r.State.Phase != Collecting && r.State.Phase != Comparing {
		s.Total = r.State.ToChange()
		s.MarkedForDeletion = r.State.Missing - r.State.Withheld
	}
	switch t.Status {
	case task.InProgress:
		if r.State.Phase != Collecting {
			s.Status = StatusCollected
		}
	case task.Success, task.Warning, task.Failure:
		s.Status = StatusCompleted
	case task.Terminated:
		s.Status = StatusTerminated
		if !t.CancelRequested.IsZero() {
			s.Status = StatusCancelled
		}
	case task.TempError:
		s.Status = StatusTerminated
	}
	return s
}
