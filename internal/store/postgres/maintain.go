package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	overdueSQL = "SELECT id FROM deadlines WHERE deadline <= ? ORDER BY deadline LIMIT ?"
	// What somebody is writing is purged the next time; so is what another node
	// purges now.
	purgeSQL     = "SELECT id, " + sqlrow.TaskColumns + " FROM tasks WHERE created + 0 <= ? ORDER BY created + 0, id LIMIT ? FOR UPDATE SKIP LOCKED"
	purgeKeysSQL = `DELETE FROM idempotency WHERE key IN
		(SELECT key FROM idempotency WHERE created <= ? ORDER BY created LIMIT ? FOR UPDATE SKIP LOCKED)`
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

// Purge deletes up to limit tasks created at before or earlier, the oldest
// first, with their history, and as many forgotten idempotency keys. expire
// says what becomes of a task that is still in progress; its audit entry stays.
// It returns how many tasks were deleted.
func (s *Store) Purge(ctx context.Context, before time.Time, limit int, expire audit.UpdateFunc) (int, error) {
	deleted := 0
	err := s.doAlone(ctx, "purge tasks", func(t *txn) error {
		old, err := t.createdBefore(before, limit)
		if err != nil {
			return err
		}
		for i := range old {
			if err := t.purge(&old[i], expire); err != nil {
				return err
			}
		}
		deleted = len(old)
		return t.exec(purgeKeysSQL, before.UnixMilli(), limit)
	})
	if err != nil {
		return 0, err // nothing was deleted, however far it came
	}
	return deleted, nil
}

// createdBefore locks the oldest tasks.
func (t *txn) createdBefore(before time.Time, limit int) ([]task.Task, error) {
	var found []task.Task
	err := t.each(func(row rowScanner) error {
		var id []byte
		tk, err := sqlrow.ScanTask(sqlrow.Leading{Row: row, First: &id})
		tk.ID = sqlrow.ID(id)
		found = append(found, tk)
		return err
	}, purgeSQL, before.UnixMilli(), limit)
	return found, err
}

func (t *txn) purge(tk *task.Task, expire audit.UpdateFunc) error {
	c, err := expire(*tk)
	if err != nil {
		return err
	}
	if c.Entry != nil {
		if err := t.addAudit(*c.Entry); err != nil {
			return err
		}
	}
	if err := t.exec(historyDeleteSQL, sqlrow.Blob(tk.ID)); err != nil {
		return err
	}
	return t.delete(tk)
}

// Setting returns the stored value of a setting; where there is none yet it
// stores and returns initial.
func (s *Store) Setting(ctx context.Context, name string, initial []byte) ([]byte, error) {
	var value []byte
	err := s.do(ctx, "read setting", func(t *txn) error {
		err := t.queryRow(settingSQL, name).Scan(&value)
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		// Of those who find none at once, one stores it, and the others read that.
		if err := t.exec("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", name, initial); err != nil {
			return err
		}
		return t.queryRow(settingSQL, name).Scan(&value)
	})
	return value, err
}
