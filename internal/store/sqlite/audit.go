package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

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
	auditTipSQL    = "SELECT n, link FROM audit_heads WHERE shard = ?"
	auditInsertSQL = "INSERT INTO audit (" + sqlrow.AuditColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	auditMoveSQL   = "UPDATE audit_heads SET n = ?, link = ? WHERE shard = ?"
	auditObjectSQL = "SELECT " + sqlrow.AuditColumns + " FROM audit WHERE object = ? AND shard = ? ORDER BY n"
	settingSQL     = "SELECT value FROM settings WHERE name = ?"
)

// addAudit links an entry to the chain of its shard and stores it.
func (t *txn) addAudit(e audit.Entry) error {
	shard := audit.ShardOf(e.Object)
	tip, err := scanTip(t.queryRow(auditTipSQL, shard))
	if err != nil {
		return fmt.Errorf("read the end of the audit: %w", err)
	}
	next := t.chain.Next(shard, tip, &e)
	if err := t.execOne(auditInsertSQL, auditValues(shard, next, &e)...); err != nil {
		return err
	}
	return t.execOne(auditMoveSQL, next.Number, next.Link[:], shard)
}

// execOne writes one row, or fails: a trigger that somebody has added could keep it
// from being written without a word.
func (t *txn) execOne(query string, args ...any) error {
	n, err := t.execCount(query, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("%d rows of the audit were written, not one", n)
	}
	return err
}

// auditValues are the values of sqlrow.AuditColumns.
func auditValues(shard int, at audit.Tip, e *audit.Entry) []any {
	return []any{
		shard, at.Number, at.Link[:], e.At.UnixMilli(), string(e.Action), e.Origin.Actor, e.Origin.Client, e.Origin.Address,
		e.Origin.Agent, e.Origin.RequestID, e.Object, []byte(e.Before), []byte(e.After), e.Words, e.Reason,
	}
}

func scanTip(row rowScanner) (audit.Tip, error) {
	var tip audit.Tip
	var link []byte
	if err := row.Scan(&tip.Number, &link); err != nil {
		return tip, err
	}
	var err error
	tip.Link, err = audit.ParseLink(link)
	return tip, err
}

// Audit returns the entries about an object, oldest first.
func (s *Store) Audit(ctx context.Context, object string) ([]audit.Entry, error) {
	var entries []audit.Entry
	err := s.readOne(ctx, "read audit", func(r reading) error {
		return r.each(func(row rowScanner) error {
			e, err := sqlrow.ScanAudit(row)
			entries = append(entries, e.Entry)
			return err
		}, auditObjectSQL, object, audit.ShardOf(object))
	})
	return entries, err
}

// openChain reads what links need. Its error wraps ErrOtherKey where they were
// made under another key.
func (s *Store) openChain(ctx context.Context, o Options) error {
	values := map[string][]byte{}
	for _, name := range []string{settingDeployment, settingKeyCheck} {
		var value []byte
		if err := s.write.QueryRowContext(ctx, settingSQL, name).Scan(&value); err != nil {
			return fmt.Errorf("read the setting %s: %w", name, err)
		}
		values[name] = value
	}
	if err := s.checkAuditSchema(ctx, o.Path); err != nil {
		return err
	}
	chain := audit.NewChain(o.AuditKey, task.ID(values[settingDeployment]))
	s.chain.Store(chain)
	if check := chain.KeyCheck(); string(check[:]) != string(values[settingKeyCheck]) {
		return fmt.Errorf("%s %w", o.Path, ErrOtherKey)
	}
	return nil
}

// beginChain gives a database its chain, in the transaction that makes the tables
// of it: an unlinked entry that is found later was put there.
func beginChain(ctx context.Context, tx *sql.Tx, key []byte, deployment task.ID) error {
	chain := audit.NewChain(key, deployment)
	check := chain.KeyCheck()
	for name, value := range map[string][]byte{settingDeployment: []byte(deployment), settingKeyCheck: check[:]} {
		if _, err := tx.ExecContext(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", name, value); err != nil {
			return err
		}
	}
	tips := make([]audit.Tip, audit.Shards)
	for shard := range tips {
		tips[shard] = chain.Begin(shard)
	}
	if err := linkOld(ctx, tx, chain, tips); err != nil {
		return err
	}
	for shard, tip := range tips {
		_, err := tx.ExecContext(ctx, "INSERT INTO audit_heads (shard, n, link) VALUES (?, ?, ?)", shard, tip.Number, tip.Link[:])
		if err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, "DROP TABLE audit_unlinked")
	return err
}

// linkOld moves the entries from before the chain into it, oldest first, and
// tips with them. The connection does one thing at a time: it reads one entry and
// writes it.
func linkOld(ctx context.Context, tx *sql.Tx, chain *audit.Chain, tips []audit.Tip) error {
	insert, err := tx.PrepareContext(ctx, auditInsertSQL)
	if err != nil {
		return err
	}
	defer insert.Close()
	next, err := tx.PrepareContext(ctx, `SELECT seq, at, action, actor, address, agent, request_id, object, before, after, words, reason
		FROM audit_unlinked WHERE seq > ? ORDER BY seq LIMIT 1`)
	if err != nil {
		return err
	}
	defer next.Close()
	for seq := int64(0); ; {
		var e audit.Entry
		var ms int64
		var before, after []byte
		err := next.QueryRowContext(ctx, seq).Scan(&seq, &ms, &e.Action, &e.Origin.Actor, &e.Origin.Address, &e.Origin.Agent,
			&e.Origin.RequestID, &e.Object, &before, &after, &e.Words, &e.Reason)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		e.At, e.Before, e.After = time.UnixMilli(ms), before, after
		shard := audit.ShardOf(e.Object)
		tips[shard] = chain.Next(shard, tips[shard], &e)
		if _, err := insert.ExecContext(ctx, auditValues(shard, tips[shard], &e)...); err != nil {
			return err
		}
	}
}

// newDeployment makes the id of a deployment.
func newDeployment() (task.ID, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make the id of this deployment: %w", err)
	}
	return sqlrow.ID(b), nil
}
