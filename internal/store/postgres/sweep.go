package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"stint/internal/account"
)

const (
	// There are as many uploads as arrive or are being read: few. One that somebody
	// adds to, takes or drops right now is passed over.
	abandonedSQL = `DELETE FROM uploads WHERE id IN (
		SELECT id FROM uploads WHERE task_id IS NULL AND touched < ? FOR UPDATE SKIP LOCKED) RETURNING id`

	// Those that another node is about are passed over.
	garbageSQL = "SELECT sort, ref FROM garbage LIMIT 1 FOR UPDATE SKIP LOCKED"

	// The statements that find how far to delete, and those that delete so far. Rows
	// are told by their keys: a list of them in a subquery, and the server may read
	// all that there is.
	stagedEndSQL   = "SELECT key FROM staged WHERE task_id = ? ORDER BY left(key, 600), key LIMIT 1 OFFSET ?"
	sweepStagedSQL = "DELETE FROM staged WHERE task_id = ? AND left(key, 600) <= left(?, 600) AND key <= ?"

	changesEndSQL   = "SELECT change, key FROM changes WHERE task_id = ? ORDER BY change, left(key, 600), key LIMIT 1 OFFSET ?"
	sweepChangesSQL = `DELETE FROM changes WHERE task_id = ? AND (change, left(key, 600)) <= (?, left(?, 600)) AND (change, key) <= (?, ?)`

	sweepUploadSQL = `DELETE FROM upload_chunks WHERE upload = ? AND start = ANY (ARRAY(
		SELECT start FROM upload_chunks WHERE upload = ? ORDER BY start LIMIT ?))`
	sweepDeliveriesSQL = "DELETE FROM deliveries WHERE id = ANY (ARRAY(SELECT id FROM deliveries WHERE webhook = ? LIMIT ?))"
	sweepRecordsSQL    = "DELETE FROM @records WHERE seq = ANY (ARRAY(SELECT seq FROM @records WHERE source = ? LIMIT ?))"
)

// discard marks what nothing needs any more, to be deleted a little at a time.
// Where it is marked already it waits for whoever may be about to find that all of
// it is gone.
func (t *txn) discard(sort string, ref []byte) error {
	return t.exec("INSERT INTO garbage (sort, ref) VALUES (?, ?) ON CONFLICT (sort, ref) DO UPDATE SET ref = excluded.ref", sort, ref)
}

// sourceRef names a deleted source in garbage.
func sourceRef(seq int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(seq)) //nolint:gosec // row numbers are positive
}

// Sweep deletes up to limit rows of what nothing needs any more: what ended runs
// have staged, their uploads, the changes of purged tasks, the accounts of
// deleted sources, and uploads that no task took and that nothing was added to
// since before. It returns whether there may be more for it to do: what another
// node sweeps meanwhile is that node's.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (more bool, err error) {
	err = s.doAlone(ctx, "sweep", func(t *txn) error {
		more = false
		if err := t.abandonUploads(before); err != nil {
			return err
		}
		var sort string
		var ref []byte
		err := t.queryRow(garbageSQL).Scan(&sort, &ref)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		more = true
		if err := t.exec(inOrder); err != nil {
			return err
		}
		deleted, err := t.sweep(sort, ref, max(1, limit))
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
	var ids [][]byte
	err := t.each(func(row rowScanner) error {
		var id []byte
		err := row.Scan(&id)
		ids = append(ids, id)
		return err
	}, abandonedSQL, before.UnixMilli())
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.discard("upload", id); err != nil {
			return err
		}
	}
	return nil
}

// sweep deletes some of one piece of garbage and returns how many rows.
func (t *txn) sweep(sort string, ref []byte, limit int) (int64, error) {
	switch sort {
	case "staged":
		var key string
		err := t.queryRow(stagedEndSQL, ref, limit-1).Scan(&key)
		if errors.Is(err, pgx.ErrNoRows) { // there are fewer
			return t.execRows("DELETE FROM staged WHERE task_id = ?", ref)
		}
		if err != nil {
			return 0, err
		}
		return t.execRows(sweepStagedSQL, ref, key, key)
	case "changes":
		var change, key string
		err := t.queryRow(changesEndSQL, ref, limit-1).Scan(&change, &key)
		if errors.Is(err, pgx.ErrNoRows) {
			return t.execRows("DELETE FROM changes WHERE task_id = ?", ref)
		}
		if err != nil {
			return 0, err
		}
		return t.execRows(sweepChangesSQL, ref, change, key, change, key)
	case "webhook":
		return t.execRows(sweepDeliveriesSQL, ref, limit)
	case "upload":
		return t.execRows(sweepUploadSQL, ref, ref, max(1, limit/100))
	default:
		seq := int64(binary.BigEndian.Uint64(ref)) //nolint:gosec // as sourceRef wrote it
		n, err := t.execRows(ofClass(sweepRecordsSQL, account.Accounts), seq, limit)
		if err != nil || n > 0 {
			return n, err
		}
		return t.execRows(ofClass(sweepRecordsSQL, account.Entitlements), seq, limit)
	}
}
