package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	auditWalkSQL          = "DECLARE walk NO SCROLL CURSOR FOR SELECT " + sqlrow.AuditColumns + " FROM audit ORDER BY shard, n"
	auditPrefixSQL        = "SELECT " + sqlrow.AuditColumns + " FROM audit WHERE shard = ? ORDER BY n LIMIT ?"
	auditCheckpointTipSQL = "SELECT shard, n, link FROM audit_checkpoints WHERE shard = ?"
	auditCheckpointSQL    = `INSERT INTO audit_checkpoints (shard, n, link, made, until, signature) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (shard) DO UPDATE SET n = excluded.n, link = excluded.link, made = excluded.made, until = excluded.until,
		signature = excluded.signature`
	auditDeleteSQL = "DELETE FROM audit WHERE shard = ? AND n <= ?"
)

// walkBatch is how many entries a walk through the audit holds at once.
const walkBatch = 200

// WalkAudit calls begin with the state of the audit, then entry for each of its
// entries, by shard and number, all as of one moment and in memory that does not
// grow with them. It stops at their first error. It works on an audit that was
// altered. It takes the place of a list.
func (s *Store) WalkAudit(ctx context.Context, begin func(audit.State) error, entry func(*audit.Recorded) error) error {
	const doing = "walk through the audit"
	if err := take(ctx, s.lists); err != nil {
		return interpret(doing, err)
	}
	defer func() { <-s.lists }()
	faults, err := s.auditFaults(ctx)
	if err != nil {
		return err
	}
	return interpret(doing, s.read(ctx, beginRead+"; "+patient+"; SET LOCAL enable_sort = off; "+auditWalkSQL, func(r reading) error {
		state, err := r.auditState()
		if err != nil {
			return err
		}
		state.Faults = faults
		if err := begin(state); err != nil {
			return err
		}
		return r.fetchEach("walk", walkBatch, func(row rowScanner) error {
			e, err := sqlrow.ScanAudit(row)
			if err != nil {
				return err
			}
			return entry(&e)
		})
	}))
}

// auditState reads what is kept of the audit beside its entries. What was taken
// away or damaged is missing in it, and no error.
func (r reading) auditState() (audit.State, error) {
	state := audit.State{Tips: map[int]audit.Tip{}, Checkpoints: map[int]audit.Checkpoint{}}
	for name, to := range map[string]func([]byte){
		settingDeployment: func(b []byte) { state.Deployment = task.ID(b) },
		settingKeyCheck:   func(b []byte) { state.KeyCheck = b },
	} {
		var value []byte
		if err := r.queryRow(settingSQL, name).Scan(&value); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return state, err
		}
		to(value)
	}
	err := r.each(func(row rowScanner) error {
		var shard int
		var n int64
		var link []byte
		if err := row.Scan(&shard, &n, &link); err != nil {
			return err
		}
		if l, err := audit.ParseLink(link); err == nil {
			state.Tips[shard] = audit.Tip{Number: n, Link: l}
		}
		return nil
	}, "SELECT shard, n, link FROM audit_heads")
	if err != nil {
		return state, err
	}
	err = r.each(func(row rowScanner) error {
		var c audit.Checkpoint
		var link []byte
		var made, until int64
		if err := row.Scan(&c.Shard, &c.Number, &link, &made, &until, &c.Signature); err != nil {
			return err
		}
		if l, err := audit.ParseLink(link); err == nil {
			c.Link = l
		}
		c.Made, c.Until = time.UnixMilli(made).UTC(), time.UnixMilli(until).UTC()
		state.Checkpoints[c.Shard] = c
		return nil
	}, "SELECT shard, n, link, made, until, signature FROM audit_checkpoints")
	return state, err
}

// PurgeAudit deletes up to limit entries from the beginnings of the shards, each as
// far as its entries are from until or before, and leaves a checkpoint where it
// deleted, in the same transaction. sign completes it. It returns how many entries
// were deleted.
func (s *Store) PurgeAudit(
	ctx context.Context, until time.Time, limit int, sign func(deployment task.ID, c *audit.Checkpoint),
) (int, error) {
	deleted := 0
	err := s.doAlone(ctx, "purge audit", func(t *txn) error {
		deleted = 0
		var deployment []byte
		// One node at a time purges.
		if err := t.queryRow(settingSQL+" FOR UPDATE", settingDeployment).Scan(&deployment); err != nil {
			return fmt.Errorf("read the id of this deployment: %w", err)
		}
		for shard := 0; shard < audit.Shards && deleted < limit; shard++ {
			c := audit.Checkpoint{Until: until}
			n, err := t.auditPrefix(shard, limit-deleted, &c)
			if err != nil {
				return err
			}
			if n == 0 {
				continue
			}
			sign(task.ID(deployment), &c)
			err = t.exec(auditCheckpointSQL, shard, c.Number, c.Link[:], c.Made.UnixMilli(), c.Until.UnixMilli(), c.Signature)
			if err != nil {
				return err
			}
			if err := t.exec(auditDeleteSQL, shard, c.Number); err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return 0, err // nothing was deleted, however far it came
	}
	return deleted, nil
}

// auditPrefix counts the first entries of a shard that are from c.Until or before,
// up to limit, and places c at the last of them. Each must follow from the one
// before it: an entry whose time somebody has altered is not the old one that it
// seems to be.
func (t *txn) auditPrefix(shard, limit int, c *audit.Checkpoint) (int, error) {
	tip := t.chain.Begin(shard)
	_, last, err := scanTip(t.queryRow(auditCheckpointTipSQL, shard))
	switch {
	case err == nil:
		tip = last
	case !errors.Is(err, pgx.ErrNoRows):
		return 0, err
	}
	n, over := 0, false
	err = t.each(func(row rowScanner) error {
		e, err := sqlrow.ScanAudit(row)
		if err != nil || over {
			return err
		}
		if e.At.After(c.Until) {
			over = true
			return nil
		}
		if tip = t.chain.Next(shard, tip, &e.Entry); tip.Number != e.Number || tip.Link != e.Link {
			return fmt.Errorf("%s was altered, and what follows it cannot be told from what is old: see stint audit verify", e.Place)
		}
		c.Place, c.Link = e.Place, e.Link
		n++
		return nil
	}, auditPrefixSQL, shard, limit)
	return n, err
}
