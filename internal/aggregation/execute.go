package aggregation

import (
	"context"
	"fmt"
	"time"

	"stint/internal/account"
	"stint/internal/source"
	"stint/internal/task"
)

// maxListed is how many rows with a problem have a message of their own.
const maxListed = 100

// reportInterval is the longest that a run keeps its progress to itself.
const reportInterval = time.Second

// attempt is one attempt of a run.
type attempt struct {
	*Aggregator
	number int
	source source.Source
	run    account.Run
	// last is when the last transaction ended; rate tells how fast the phase goes.
	last time.Time
	rate rate
}

// Execute carries out an attempt, from where the one before stopped. It
// implements engine.Executor.
func (a *Aggregator) Execute(ctx context.Context, t task.Task) (task.Report, error) {
	run, err := a.store.Run(ctx, t.ID)
	if err != nil {
		return task.Report{}, err
	}
	src, err := a.store.Source(ctx, run.SourceID)
	if err != nil {
		return task.Report{}, err
	}
	src.File = run.State.File
	at := &attempt{Aggregator: a, number: t.Attempt, source: src, run: run, last: a.now()}
	for at.run.State.Phase != account.Finished {
		// Each phase goes on where it stopped and enters the next in a transaction.
		at.rate = rate{start: a.now()}
		if err := at.phase(ctx); err != nil {
			return task.Report{}, err
		}
	}
	return at.outcome()
}

func (at *attempt) phase(ctx context.Context) error {
	switch at.run.State.Phase {
	case account.Collecting:
		if at.run.State.Held {
			return at.collectHeld(ctx)
		}
		return at.collect(ctx)
	case account.Comparing:
		return at.compare(ctx)
	case account.Applying:
		return at.apply(ctx)
	case account.Deleting:
		return at.delete(ctx)
	case account.Finished:
	}
	return fmt.Errorf("run %s is in the unknown phase %q", at.run.TaskID, at.run.State.Phase)
}

// step is one transaction of a run: fn does its part and changes the state, which
// is kept with it. fn may be called again, each time with the state as it was.
func (at *attempt) step(ctx context.Context, fn func(w account.Work, s *account.State, r *task.Report) error) error {
	var next account.State
	_, err := at.store.Work(ctx, at.run.TaskID, at.number, at.now(), func(w account.Work) (task.Report, error) {
		next = at.run.State
		report := task.Report{Advanced: true}
		if err := fn(w, &next, &report); err != nil {
			return task.Report{}, err
		}
		if err := w.SetState(&next); err != nil {
			return task.Report{}, err
		}
		return report, at.describe(&next, &report)
	})
	if err != nil {
		return err
	}
	at.run.State = next
	at.last = at.now()
	return ctx.Err()
}

// describe adds to a report how far the run has come.
func (at *attempt) describe(s *account.State, r *task.Report) (err error) {
	text, percent := at.progress(s)
	r.Progress, r.PercentComplete = &text, &percent
	r.Attributes, err = attributes(at.run.Class, s, at.source.Name)
	return err
}

// due reports whether it is time to show progress.
func (at *attempt) due() bool { return at.now().Sub(at.last) >= reportInterval }

// compare counts what is new, changed and gone, and decides about deletions.
func (at *attempt) compare(ctx context.Context) error {
	const limit = 10_000
	next := at.run.State
	next.New, next.Differing, next.Missing = 0, 0, 0
	for after := ""; ; {
		c, err := at.store.Compare(ctx, &at.run, after, limit)
		if err != nil {
			return err
		}
		if c.Rows == 0 {
			break
		}
		next.New += c.New
		next.Differing += c.Differing
		after = c.Last
		if err := at.showComparing(ctx, c.Rows); err != nil {
			return err
		}
	}
	for after := ""; ; {
		gone, last, err := at.store.Missing(ctx, &at.run, after, limit)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		next.Missing += int64(len(gone))
		after = last
		if err := at.showComparing(ctx, int64(len(gone))); err != nil {
			return err
		}
	}
	next.Unchanged = next.Total - next.New - next.Differing
	if next.DisableOptimization {
		next.Differing, next.Unchanged = next.Differing+next.Unchanged, 0
	}
	at.decide(&next)
	return at.step(ctx, func(_ account.Work, s *account.State, r *task.Report) error {
		*s = next
		s.Phase, s.After = account.Applying, ""
		r.Note = at.compared(s)
		return nil
	})
}

// showComparing shows that the comparison goes on; what it has counted so far is
// not kept, it is soon counted again.
func (at *attempt) showComparing(ctx context.Context, rows int64) error {
	at.rate.add(rows)
	if !at.due() {
		return ctx.Err()
	}
	return at.step(ctx, func(_ account.Work, _ *account.State, r *task.Report) error {
		r.Advanced = false
		return nil
	})
}

// decide withholds the deletions that nobody may want. What a source has in a
// file today may be half of what it has: an export that broke off looks like an
// exodus.
func (at *attempt) decide(s *account.State) {
	limit := at.source.Deletions.Limit(s.Stored)
	s.Withheld, s.Why = 0, ""
	switch {
	case s.Missing == 0 || s.Missing <= s.AllowDeletions:
	case s.Total == 0:
		s.Withheld, s.Why = s.Missing, fmt.Sprintf("no %s were read at all", at.run.Class)
	case s.Missing > limit:
		s.Withheld, s.Why = s.Missing, fmt.Sprintf("the source's deletion threshold lets %d of %d pass", limit, s.Stored)
	}
}

// apply records what is new and changed.
func (at *attempt) apply(ctx context.Context) error {
	const limit = 10_000
	for {
		found, last, err := at.store.Differing(ctx, &at.run, at.run.State.After, limit, at.run.State.DisableOptimization)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		if len(found) == 0 && !at.due() {
			at.run.State.After = last // kept with the next transaction
			continue
		}
		changes, err := at.changes(found)
		if err != nil {
			return err
		}
		at.rate.add(int64(len(changes)))
		err = at.step(ctx, func(w account.Work, s *account.State, _ *task.Report) error {
			s.After = last
			for i := range changes {
				if changes[i].Change == account.Created {
					s.Created++
				} else {
					s.Updated++
				}
			}
			return w.Record(changes)
		})
		if err != nil {
			return err
		}
	}
	return at.step(ctx, func(_ account.Work, s *account.State, _ *task.Report) error {
		s.Phase, s.After = account.Deleting, ""
		if s.Missing == s.Withheld {
			s.Phase = account.Finished
		}
		return nil
	})
}

// changes says what to record of differences.
func (at *attempt) changes(found []account.Difference) ([]account.Recorded, error) {
	changes := make([]account.Recorded, len(found))
	for i := range found {
		d := &found[i]
		changes[i] = account.Recorded{Record: d.Record, Change: account.Updated}
		if d.Before != nil {
			changes[i].Attributes = account.DiffAttributes(d.Before, &d.Record)
			continue
		}
		id, err := newID(at.now())
		if err != nil {
			return nil, err
		}
		changes[i].ID, changes[i].Change = id, account.Created
	}
	return changes, nil
}

// delete deletes what is gone.
func (at *attempt) delete(ctx context.Context) error {
	const limit = 1000
	for {
		gone, last, err := at.store.Missing(ctx, &at.run, at.run.State.After, limit)
		if err != nil {
			return err
		}
		if last == "" {
			break
		}
		if len(gone) == 0 && !at.due() {
			at.run.State.After = last
			continue
		}
		at.rate.add(int64(len(gone)))
		err = at.step(ctx, func(w account.Work, s *account.State, _ *task.Report) error {
			s.After = last
			s.Deleted += int64(len(gone))
			return w.Delete(gone)
		})
		if err != nil {
			return err
		}
	}
	return at.step(ctx, func(_ account.Work, s *account.State, _ *task.Report) error {
		s.Phase, s.After = account.Finished, ""
		return nil
	})
}
