package engine

import (
	"context"
	"log/slog"
	"time"

	"stint/internal/audit"
	"stint/internal/task"
)

const (
	auditInterval = time.Minute
	// auditBatch is small, so that no other write waits long behind one.
	auditBatch = 200
)

// AuditPurger is what AuditRetention needs of storage.
type AuditPurger interface {
	// PurgeAudit deletes up to limit entries from until or before, those alone that
	// nothing younger stands before in their chain, and leaves a checkpoint, which
	// sign completes, where it deleted. It returns how many it deleted.
	PurgeAudit(ctx context.Context, until time.Time, limit int, sign func(deployment task.ID, c *audit.Checkpoint)) (int, error)
}

// AuditRetention deletes the entries of the audit that have been kept long enough.
type AuditRetention struct {
	loop
	store  AuditPurger
	signer *audit.Signer
	keep   time.Duration
	now    func() time.Time
	log    *slog.Logger
}

// NewAuditRetention returns the loop; Start and Stop begin and end it. keep is
// counted from the time of an entry; 0 is for ever.
func NewAuditRetention(store AuditPurger, signer *audit.Signer, keep time.Duration, now func() time.Time, log *slog.Logger) *AuditRetention {
	r := &AuditRetention{store: store, signer: signer, keep: keep, now: now, log: log}
	r.loop = loop{interval: auditInterval, run: r.runOnce}
	return r
}

// runOnce deletes all that is due now, in small batches.
func (r *AuditRetention) runOnce(ctx context.Context) {
	if r.keep <= 0 {
		return
	}
	total := 0
	for ctx.Err() == nil {
		now := task.Millis(r.now())
		n, err := r.store.PurgeAudit(ctx, now.Add(-r.keep), auditBatch, func(deployment task.ID, c *audit.Checkpoint) {
			c.Made = now
			r.signer.SignCheckpoint(deployment, c)
		})
		if err != nil {
			if ctx.Err() == nil {
				r.log.ErrorContext(ctx, "cannot delete old audit entries", slog.Any("error", err))
			}
			return
		}
		total += n
		if n < auditBatch {
			break
		}
	}
	if total > 0 {
		r.log.InfoContext(ctx, "deleted old audit entries", slog.Int("count", total))
	}
}
