package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/store/dump"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// The settings that the chain of the audit needs.
const (
	settingDeployment = dump.SettingDeployment
	settingKeyCheck   = dump.SettingKeyCheck
)

const (
	// Those who need several shards lock them in one order.
	auditTipsSQL   = "SELECT shard, n, link FROM audit_heads WHERE shard = ANY (?) ORDER BY shard FOR UPDATE"
	auditInsertSQL = "INSERT INTO audit (" + sqlrow.AuditColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	auditMoveSQL   = "UPDATE audit_heads SET n = ?, link = ? WHERE shard = ?"
	auditObjectSQL = "SELECT " + sqlrow.AuditColumns + " FROM audit WHERE lower(left(object, 600)) = ? AND lower(object) = ? AND shard = ? ORDER BY n"
	settingSQL     = "SELECT value FROM settings WHERE name = ?"
)

// addAudit has an entry linked to the chain of its shard when the transaction is
// about to be committed.
func (t *txn) addAudit(e audit.Entry) error {
	t.entries = append(t.entries, e)
	return nil
}

// writeAudit links the entries of the transaction and stores them.
func (t *txn) writeAudit() error {
	if len(t.entries) == 0 {
		return nil
	}
	var shards []int32
	for i := range t.entries {
		shards = append(shards, int32(audit.ShardOf(t.entries[i].Object))) //nolint:gosec // there are sixteen
	}
	tips := map[int]audit.Tip{}
	err := t.each(func(row rowScanner) error {
		shard, tip, err := scanTip(row)
		tips[shard] = tip
		return err
	}, auditTipsSQL, shards)
	if err != nil {
		return fmt.Errorf("read the end of the audit: %w", err)
	}
	var batch pgx.Batch
	for i := range t.entries {
		e := &t.entries[i]
		shard := audit.ShardOf(e.Object)
		tip, ok := tips[shard]
		if !ok {
			return fmt.Errorf("the end of shard %d of the audit is missing", shard)
		}
		tips[shard] = t.chain.Next(shard, tip, e)
		batch.Queue(number(auditInsertSQL), auditValues(shard, tips[shard], e)...)
	}
	slices.Sort(shards)
	for _, shard := range slices.Compact(shards) {
		tip := tips[int(shard)]
		batch.Queue(number(auditMoveSQL), tip.Number, tip.Link[:], shard)
	}
	results := t.tx.SendBatch(t.ctx, &batch)
	for range batch.Len() {
		tag, err := results.Exec()
		if err == nil && tag.RowsAffected() != 1 {
			// A trigger that somebody has added could keep it from being written without a word.
			err = fmt.Errorf("%d rows of the audit were written, not one", tag.RowsAffected())
		}
		if err != nil {
			return errors.Join(err, results.Close())
		}
	}
	return results.Close()
}

// auditValues are the values of sqlrow.AuditColumns.
func auditValues(shard int, at audit.Tip, e *audit.Entry) []any {
	return []any{
		shard, at.Number, at.Link[:], e.At.UnixMilli(), string(e.Action), e.Origin.Actor, e.Origin.Client, e.Origin.Address,
		[]byte(e.Origin.Agent), e.Origin.RequestID, e.Object, []byte(e.Before), []byte(e.After), []byte(e.Words), []byte(e.Reason),
	}
}

func scanTip(row rowScanner) (int, audit.Tip, error) {
	var shard int
	var tip audit.Tip
	var link []byte
	if err := row.Scan(&shard, &tip.Number, &link); err != nil {
		return 0, tip, err
	}
	var err error
	tip.Link, err = audit.ParseLink(link)
	return shard, tip, err
}

// Audit returns the entries about an object, oldest first.
func (s *Store) Audit(ctx context.Context, object string) ([]audit.Entry, error) {
	if !storable(object) {
		return nil, nil
	}
	var entries []audit.Entry
	err := s.readOne(ctx, "read audit", func(r reading) error {
		entries = nil
		return r.each(func(row rowScanner) error {
			e, err := sqlrow.ScanAudit(row)
			entries = append(entries, e.Entry)
			return err
		}, auditObjectSQL, firstOf(task.LowerASCII(object)), task.LowerASCII(object), audit.ShardOf(object))
	})
	return entries, err
}

// openChain reads what links need. Its error wraps ErrOtherKey where they were
// made under another key.
func (s *Store) openChain(ctx context.Context, o Options) error {
	values := map[string][]byte{}
	for _, name := range []string{settingDeployment, settingKeyCheck} {
		var value []byte
		err := s.readOne(ctx, "read the setting "+name, func(r reading) error { return r.queryRow(settingSQL, name).Scan(&value) })
		if err != nil {
			return err
		}
		values[name] = value
	}
	chain := audit.NewChain(o.AuditKey, task.ID(values[settingDeployment]))
	s.chain.Store(chain)
	if check := chain.KeyCheck(); string(check[:]) != string(values[settingKeyCheck]) {
		return fmt.Errorf("the database %w", ErrOtherKey)
	}
	return nil
}

// beginChain gives a database its chain, in the transaction that makes the tables
// of it: an unlinked entry that is found later was put there.
func beginChain(ctx context.Context, tx pgx.Tx, key []byte, deployment task.ID) error {
	chain := audit.NewChain(key, deployment)
	check := chain.KeyCheck()
	for name, value := range map[string][]byte{settingDeployment: []byte(deployment), settingKeyCheck: check[:]} {
		if _, err := tx.Exec(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2)", name, value); err != nil {
			return err
		}
	}
	for shard := range audit.Shards {
		tip := chain.Begin(shard)
		_, err := tx.Exec(ctx, "INSERT INTO audit_heads (shard, n, link) VALUES ($1, $2, $3)", shard, tip.Number, tip.Link[:])
		if err != nil {
			return err
		}
	}
	return nil
}

// newDeployment makes the id of a deployment.
func newDeployment() (task.ID, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the id of this deployment: %w", err)
	}
	return sqlrow.ID(b), nil
}
