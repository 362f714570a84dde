package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"stint/internal/account"
)

const (
	// There are as many uploads as arrive or are being read: few.
	abandonedSQL = " FROM uploads WHERE task_id IS NULL AND touched < ?"

	garbageSQL      = "SELECT sort, ref FROM garbage LIMIT 1"
	sweepStagedSQL  = "DELETE FROM staged WHERE task_id = ?1 AND key IN (SELECT key FROM staged WHERE task_id = ?1 LIMIT ?2)"
	sweepChangesSQL = `DELETE FROM changes WHERE task_id = ?1 AND (change, key) IN
		(SELECT change, key FROM changes WHERE task_id = ?1 LIMIT ?2)`
	sweepUploadSQL = `DELETE FROM upload_chunks WHERE upload = ?1 AND start IN
		(SELECT start FROM upload_chunks WHERE upload = ?1 LIMIT ?2)`
	sweepDeliveriesSQL = "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE webhook = ? LIMIT ?)"
	sweepRecordsSQL    = "DELETE FROM @records WHERE seq IN (SELECT seq FROM @records WHERE source = ? LIMIT ?)"
)

// discard marks what nothing needs any more, to be deleted a little at a time.
func (t *txn) discard(sort string, ref []byte) error {
	return t.exec("INSERT OR IGNORE INTO garbage (sort, ref) VALUES (?, ?)", sort, ref)
}

// sourceRef names a deleted source in garbage.
func sourceRef(seq int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seq)) //nolint:gosec // row numbers are positive
}

// Sweep deletes up to limit rows of what nothing needs any more: what ended runs
// have staged, their uploads, the changes of purged tasks, the accounts of
// deleted sources, and uploads that no task took and that nothing was added to
// since before. It returns whether there may be more.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	err = s.doAlone(ctx, "sweep", func(t *txn) error {
		more = false
		if err := t.abandonUploads(before); err != nil {
			return err
		}
		var sort string
		var ref []byte
		err := t.queryRow(garbageSQL).Scan(&sort, &ref)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		more = true
		deleted, err := t.sweep(sort, ref, limit)
		if err != nil || deleted > 0 {
			return err
		}
		return t.exec("DELETE FROM garbage WHERE sort = ? AND ref = ?", sort, ref)
	})
	return more, err
}

// abandonUploads drops the uploads that no task took and that nothing was added
// to since before.
func (t *txn) abandonUploads(before time.Time) error {
	if err := t.exec("INSERT OR IGNORE INTO garbage (sort, ref) SELECT 'upload', id"+abandonedSQL, before.UnixMilli()); err != nil {
		return err
	}
	return t.exec("DELETE"+abandonedSQL, before.UnixMilli())
}

// sweep deletes some of one piece of garbage and returns how many rows.
func (t *txn) sweep(sort string, ref []byte, limit int) (int64, error) {
	switch sort {
	case "staged":
		return t.execCount(sweepStagedSQL, ref, limit)
	case "changes":
		return t.execCount(sweepChangesSQL, ref, limit)
	case "webhook":
		return t.execCount(sweepDeliveriesSQL, ref, limit)
	case "upload":
		return t.wipeUpload(ref, limit)
	default:
		seq := int64(binary.BigEndian.Uint64(ref)) //nolint:gosec // as sourceRef wrote it
		n, err := t.execCount(ofClass(sweepRecordsSQL, account.Accounts), seq, limit)
		if err != nil || n > 0 {
			return n, err
		}
		return t.execCount(ofClass(sweepRecordsSQL, account.Entitlements), seq, limit)
	}
}

// wipeUpload deletes chunks and overwrites what the file held of them: an upload
// is somebody's export of everything they know about people.
func (t *txn) wipeUpload(id []byte, limit int) (int64, error) {
	if err := t.exec("PRAGMA secure_delete = 1"); err != nil {
		return 0, err
	}
	n, err := t.execCount(sweepUploadSQL, id, max(1, limit/100))
	return n, errors.Join(err, t.exec("PRAGMA secure_delete = 0"))
}

// execCount runs a statement and returns how many rows it changed.
func (t *txn) execCount(query string, args ...any) (int64, error) {
	stmt, err := t.stmts.get(t.ctx, t.tx, query) //nolint:sqlclosecheck // closed with the transaction
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
