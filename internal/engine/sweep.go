package engine

import (
	"context"
	"log/slog"
	"time"
)

const (
	sweepInterval = time.Second
	// sweepBatch is small, so that no other write waits long behind one.
	sweepBatch = 1000
	// abandoned is how long an upload that no task took may stand still. Where this
	// process is alone, one from before its start is abandoned at once.
	abandoned = time.Hour
)

// Sweeper is what Sweep needs of storage.
type Sweeper interface {
	// Sweep deletes up to limit rows of what nothing needs any more, uploads
	// included that no task took and that stand still since before. It returns
	// whether there may be more.
	Sweep(ctx context.Context, before time.Time, limit int) (bool, error)
}

// Sweep deletes what ended tasks and deleted sources leave behind.
type Sweep struct {
	loop
	store   Sweeper
	now     func() time.Time
	started time.Time // zero where other processes may be receiving
	log     *slog.Logger
}

// NewSweep returns the loop; Start and Stop begin and end it. alone says that no
// other process has the storage.
func NewSweep(store Sweeper, alone bool, now func() time.Time, log *slog.Logger) *Sweep {
	s := &Sweep{store: store, now: now, log: log}
	if alone {
		s.started = now()
	}
	s.loop = loop{interval: sweepInterval, run: s.runOnce}
	return s
}

// runOnce deletes all there is, in small batches.
func (s *Sweep) runOnce(ctx context.Context) {
	for ctx.Err() == nil {
		before := s.now().Add(-abandoned)
		if before.Before(s.started) {
			before = s.started
		}
		more, err := s.store.Sweep(ctx, before, sweepBatch)
		if err != nil {
			if ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot delete what is left of ended tasks", slog.Any("error", err))
			}
			return
		}
		if !more {
			return
		}
	}
}
