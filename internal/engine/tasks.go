package engine

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// Store is what the engine needs of storage. Errors are *task.Error; all
// methods are safe for concurrent use.
type Store interface {
	Get(ctx context.Context, id task.ID, since time.Time) (task.Row, error)
	Create(ctx context.Context, c task.Change, key task.IdempotencyKey, entry audit.Entry) (task.Task, bool, error)
	Update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error)
	Overdue(ctx context.Context, now time.Time, limit int) ([]task.ID, error)
	Purge(ctx context.Context, before time.Time, limit int, expire audit.UpdateFunc) (int, error)
	List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error)
	Fill(ctx context.Context, rows []task.Row) (int, error)
}

// Options are the settings of Tasks.
type Options struct {
	Store Store
	Now   func() time.Time
	// Visibility is how long a task is shown after it was created; 0 is for
	// ever.
	Visibility time.Duration
	// ReportKey makes the report tokens.
	ReportKey []byte
	// Bus reaches the other processes; nil where there are none.
	Bus Bus
}

// Bus tells other processes on the same storage which tasks have ended. What it says
// may be lost: it makes them look sooner than they would.
type Bus interface {
	// Announce says that a task has ended. It returns at once.
	Announce(id task.ID)
	// Listen calls heard for what others announce, changed where one of them has
	// changed tasks, and missed after a time in which it could not hear, until ctx ends.
	Listen(ctx context.Context, heard func(id task.ID), changed, missed func())
}

// Tasks carries out the operations on tasks. All methods are safe for
// concurrent use.
type Tasks struct {
	store      Store
	now        func() time.Time
	visibility time.Duration
	reportKey  []byte
	hub        *hub
	bus        Bus
	// failedAt is when a write last failed for want of storage, in Unix
	// milliseconds.
	failedAt atomic.Int64

	endsMu sync.Mutex
	ends   map[task.ID]context.CancelFunc // what stops the work of a task here
}

// lookAgain is how often a task that is waited for is looked at where another
// process may end it, and what that says may be lost.
const lookAgain = 5 * time.Second

// NewTasks returns Tasks over a store.
func NewTasks(o Options) *Tasks {
	return &Tasks{
		store: o.Store, now: o.Now, visibility: o.Visibility, reportKey: o.ReportKey, hub: newHub(), bus: o.Bus,
		ends: map[task.ID]context.CancelFunc{},
	}
}

// VisibleSince returns the time after which a task must have been created to be
// shown now; the zero time where all are. Source: contract, section 3.
func (s *Tasks) VisibleSince() time.Time {
	if s.visibility <= 0 {
		return time.Time{}
	}
	return task.Millis(s.now()).Add(-s.visibility)
}

// Launch makes a queued task. With a key, the repeat of a launch gets the first
// one's task; another launch with the same key is refused with Conflict.
func (s *Tasks) Launch(ctx context.Context, l task.Launch, key task.IdempotencyKey, from audit.Origin) (task.Launched, error) {
	now := s.now()
	id, err := task.NewID(now, rand.Reader)
	if err != nil {
		return task.Launched{}, fmt.Errorf("launch: %w", err)
	}
	if l.Launcher == "" {
		l.Launcher = from.Launcher()
	}
	c, err := task.NewTask(id, l, from.Actor, now)
	if err != nil {
		return task.Launched{}, err
	}
	after, err := c.Task.MarshalWire()
	if err != nil {
		return task.Launched{}, fmt.Errorf("launch: %w", err)
	}
	t, created, err := s.store.Create(ctx, c, key, audit.Entry{
		At: c.Task.Created, Origin: from, Action: audit.Launch, Object: string(id), After: after,
	})
	if err != nil {
		return task.Launched{}, err
	}
	return task.Launched{Task: t, ReportToken: s.reportToken(t.ID), Replayed: !created}, nil
}

// reportToken returns the token of a task: made from its id, so that the repeat
// of a launch can hand it out again and nothing needs to be stored.
func (s *Tasks) reportToken(id task.ID) string {
	mac := hmac.New(sha256.New, s.reportKey)
	mac.Write([]byte("report token of " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Report takes a report, which must be valid. Refusals are *task.Error of kind
// Forbidden (the token) or Conflict (stale, late, duplicate), with Refused set;
// the latter leave a line in the history.
func (s *Tasks) Report(ctx context.Context, id task.ID, token string, r task.Report) (task.Task, error) {
	if !hmac.Equal([]byte(token), []byte(s.reportToken(id))) {
		err := task.Errorf(task.Forbidden, "Stint-Report-Token", "is not the report token of task %s", id)
		err.Refused = task.RefusedToken
		return task.Task{}, err
	}
	return s.update(ctx, id, time.Time{}, func(t task.Task) (audit.Change, error) {
		if t.BuiltIn {
			err := task.Errorf(task.Forbidden, "", "task %s is run by Stint itself; nobody else reports for it", id)
			err.Refused = task.RefusedToken
			return audit.Change{}, err
		}
		return audit.Change{Change: t.ApplyReport(r, s.now())}, nil
	})
}

// Cancel asks a task to stop. Its error is of kind NotFound, or Conflict where
// the task has ended otherwise.
func (s *Tasks) Cancel(ctx context.Context, id task.ID, reason string, from audit.Origin) (task.Task, error) {
	return s.update(ctx, id, s.VisibleSince(), s.Cancelling(reason, from))
}

// Clear ends a task by a person's word. decide sees the task as it is, inside
// the transaction, and says what the person asks; nil asks for nothing. words
// are the very words of the request.
func (s *Tasks) Clear(
	ctx context.Context, id task.ID, decide func(task.Task) (*task.Clear, error), words string, from audit.Origin,
) (task.Task, error) {
	return s.update(ctx, id, s.VisibleSince(), func(t task.Task) (audit.Change, error) {
		clearing, err := decide(t)
		if err != nil {
			return audit.Change{}, err
		}
		if clearing == nil {
			return audit.Change{Change: task.Change{Task: t}}, nil
		}
		now := s.now()
		clearing.Actor = from.Actor
		c, err := t.ApplyClear(*clearing, now)
		if err != nil {
			return audit.Change{}, err
		}
		return withEntry(t, c, audit.Entry{
			At: task.Millis(now), Origin: from, Action: audit.Clear, Words: words, Reason: clearing.Reason,
		})
	})
}

// Wait returns the task as soon as it is complete, or as it is when ctx ends or
// Close is called.
func (s *Tasks) Wait(ctx context.Context, id task.ID) (task.Row, error) {
	changed, stop := s.hub.watch(id)
	defer stop()
	var again <-chan time.Time // never
	if s.bus != nil {
		ticker := time.NewTicker(lookAgain)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		// The read must not end with the wait: its answer is what is waited for.
		row, err := s.store.Get(context.WithoutCancel(ctx), id, s.VisibleSince())
		if err != nil {
			return task.Row{}, err
		}
		if row.State == task.Completed {
			return row, nil
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return row, nil
		case <-s.hub.closed:
			return row, nil
		}
	}
}

// Close wakes all that wait, for a shutdown. It may be called more than once.
func (s *Tasks) Close() { s.hub.close() }

func (s *Tasks) update(ctx context.Context, id task.ID, since time.Time, fn audit.UpdateFunc) (task.Task, error) {
	t, err := s.store.Update(ctx, id, since, fn)
	switch {
	case err == nil:
		s.Changed(&t)
	case task.KindOf(err) == task.Unavailable:
		s.failedAt.Store(s.now().UnixMilli())
	}
	return t, err
}

// lastFailure is when a write last failed because the storage could not take
// it: reports may have been turned away.
func (s *Tasks) lastFailure() time.Time { return time.UnixMilli(s.failedAt.Load()) }

// withEntry completes the audit entry of a change of before, if it is one.
func withEntry(before task.Task, c task.Change, entry audit.Entry) (audit.Change, error) {
	if c.Err != nil || !c.Changed {
		return audit.Change{Change: c}, nil //nolint:nilerr // a refusal travels inside the change
	}
	var err error
	entry.Object = string(before.ID)
	if entry.Before, err = before.MarshalWire(); err != nil {
		return audit.Change{}, err
	}
	if entry.After, err = c.Task.MarshalWire(); err != nil {
		return audit.Change{}, err
	}
	return audit.Change{Change: c, Entry: &entry}, nil
}

// onEnd has stop called when the task ends, until the returned function is
// called.
func (s *Tasks) onEnd(id task.ID, stop context.CancelFunc) func() {
	s.endsMu.Lock()
	defer s.endsMu.Unlock()
	s.ends[id] = stop
	return func() {
		s.endsMu.Lock()
		defer s.endsMu.Unlock()
		delete(s.ends, id)
	}
}

func (s *Tasks) ended(id task.ID) {
	s.endsMu.Lock()
	stop := s.ends[id]
	s.endsMu.Unlock()
	if stop != nil {
		stop()
	}
}

// Changed wakes those who wait for a task that was changed in the store, and
// stops its work here where it has ended.
func (s *Tasks) Changed(t *task.Task) {
	s.hub.notify(t.ID)
	if t.Status == task.InProgress {
		return
	}
	s.ended(t.ID)
	if s.bus != nil {
		s.bus.Announce(t.ID)
	}
}

// heard is Changed for a task that another process has ended.
func (s *Tasks) heard(id task.ID) {
	s.hub.notify(id)
	s.ended(id)
}
