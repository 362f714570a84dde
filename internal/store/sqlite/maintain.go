package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// Overdue returns the ids of up to limit tasks whose heartbeat deadline is now
// or before, the longest overdue first.
func (s *Store) Overdue(ctx context.Context, now time.Time, limit int) ([]task.ID, error) {
	var ids []task.ID
	err := s.readOne(ctx, "find overdue tasks", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var id []byte
			err := row.Scan(&id)
			ids = append(ids, sqlrow.ID(id))
			return err
		}, overdueSQL, now.UnixMilli(), limit)
	})
	return ids, err
}

const overdueSQL = "SELECT id FROM tasks WHERE deadline IS NOT NULL AND deadline <= ? ORDER BY deadline LIMIT ?"

// Purge deletes up to limit tasks created at before or earlier, the oldest
// first, with their history, and as many forgotten idempotency keys. expire
// says what becomes of a task that is still in progress; its audit entry stays.
// It returns how many tasks were deleted.
func (s *Store) Purge(ctx context.Context, before time.Time, limit int, expire audit.UpdateFunc) (int, error) {
	deleted := 0
	err := s.do(ctx, "purge tasks", func(t *txn) error {
		deleted = 0
		ids, err := t.createdBefore(before, limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := t.purge(id, expire); err != nil {
				return err
			}
			deleted++
		}
		return t.exec("DELETE FROM idempotency WHERE key IN (SELECT key FROM idempotency WHERE created <= ? LIMIT ?)",
			before.UnixMilli(), limit)
	})
	if err != nil {
		return 0, err // nothing was deleted, however far it came
	}
	return deleted, nil
}

const purgeSQL = "SELECT id FROM tasks WHERE created <= ? ORDER BY created, id LIMIT ?"

func (t *txn) createdBefore(before time.Time, limit int) ([]task.ID, error) {
	stmt, err := t.stmts.get(t.ctx, t.tx, purgeSQL) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(t.ctx, before.UnixMilli(), limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []task.ID
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, sqlrow.ID(id))
	}
	return ids, rows.Err()
}

func (t *txn) purge(id task.ID, expire audit.UpdateFunc) error {
	tk, seq, err := t.load(id)
	if err != nil {
		return err
	}
	c, err := expire(tk)
	if err != nil {
		return err
	}
	if c.Entry != nil {
		if err := t.addAudit(*c.Entry); err != nil {
			return err
		}
	}
	if err := t.exec("DELETE FROM history WHERE task_id = ?", sqlrow.Blob(id)); err != nil {
		return err
	}
	return t.delete(seq, &tk)
}

// Setting returns the stored value of a setting; where there is none yet it
// stores and returns initial.
func (s *Store) Setting(ctx context.Context, name string, initial []byte) ([]byte, error) {
	var value []byte
	err := s.do(ctx, "read setting", func(t *txn) error {
		err := t.queryRow("SELECT value FROM settings WHERE name = ?", name).Scan(&value)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		value = initial
		return t.exec("INSERT INTO settings (name, value) VALUES (?, ?)", name, initial)
	})
	return value, err
}
