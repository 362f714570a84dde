package sqlite

import (
	"context"
	"database/sql"

	"stint/internal/account"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// Bounds of what one read for a run holds in memory.
const (
	maxDifferences     = 1000
	maxDifferenceBytes = 4 << 20
	// maxGoneBytes is less: each byte of a key or a name is in several indexes, and
	// what is missing is deleted as it is read.
	maxGoneBytes = 512 << 10
)

// The statements that compare what a run has staged with what is stored. Each
// reads one range of keys, in order.
const (
	countSQL = `SELECT coalesce(max(s.key), ''), count(*),
		coalesce(sum(s.hash IS NOT NULL AND a.seq IS NULL), 0),
		coalesce(sum(s.hash IS NOT NULL AND a.seq IS NOT NULL AND a.hash <> s.hash), 0),
		coalesce(sum(s.hash IS NULL), 0)
		FROM (SELECT key, hash FROM staged WHERE task_id = ? AND key > ? ORDER BY key LIMIT ?) s
		LEFT JOIN @records a ON a.source = ? AND a.key = s.key`

	differSQL = `SELECT s.key, s.name, s.hash IS NULL, a.seq IS NOT NULL, a.hash IS s.hash, coalesce(a.name, ''),
		CASE WHEN ? OR a.hash IS NOT s.hash THEN coalesce(s.body, a.body) END,
		CASE WHEN ? OR a.hash IS NOT s.hash THEN a.body END
		FROM (SELECT key, name, hash, body FROM staged WHERE task_id = ? AND key > ? ORDER BY key LIMIT ?) s
		LEFT JOIN @records a ON a.source = ? AND a.key = s.key ORDER BY s.key`

	missingSQL = `SELECT a.key, a.name, EXISTS (SELECT 1 FROM staged s WHERE s.task_id = ? AND s.key = a.key)
		OR (? AND a.body <> ?)
		FROM (SELECT key, name, body FROM @records WHERE source = ? AND key > ? ORDER BY key LIMIT ?) a ORDER BY a.key`

	bodiesSQL = `SELECT key, name, body FROM accounts WHERE source = ? AND key > ? ORDER BY key LIMIT ?`
)

// Compare counts how up to limit staged records after a key compare with what is
// stored.
func (s *Store) Compare(ctx context.Context, run *account.Run, after string, limit int) (account.Counts, error) {
	var c account.Counts
	err := s.readRun(ctx, run, func(r reading, source int64) error {
		return r.queryRow(ofClass(countSQL, run.Class), sqlrow.Blob(run.TaskID), after, limit, source).
			Scan(&c.Last, &c.Rows, &c.New, &c.Differing, &c.Kept)
	})
	return c, err
}

// Differing returns the staged records after a key that are new or say something
// else than what is stored; with all, the unchanged ones too. It looks at up to
// limit staged records, and stops early where it holds enough. last is the key
// to go on after; "" at the end.
func (s *Store) Differing(
	ctx context.Context, run *account.Run, after string, limit int, all bool,
) (found []account.Difference, last string, err error) {
	size := 0
	err = s.readRun(ctx, run, func(r reading, source int64) error {
		rows, err := r.query(ofClass(differSQL, run.Class), all, all, sqlrow.Blob(run.TaskID), after, limit, source)
		if err != nil {
			return err
		}
		defer rows.Close()
		for len(found) < maxDifferences && size < maxDifferenceBytes && rows.Next() {
			var d account.Difference
			var before account.Record
			var stored, same bool
			if err := rows.Scan(&d.Key, &d.Name, &d.Keep, &stored, &same, &before.Name, &d.Body, &before.Body); err != nil {
				return err
			}
			last = d.Key
			if d.Keep || same && !all {
				continue
			}
			if stored {
				before.Key = d.Key
				d.Before = &before
			}
			size += len(d.Key) + len(d.Name) + len(d.Body) + len(before.Body)
			found = append(found, d)
		}
		return rows.Err()
	})
	return found, last, err
}

// Missing returns the stored records that a run has not staged, of up to limit
// stored ones after a key. last is the key to go on after; "" at the end. Where
// the run reads what accounts hold, only those are missing that were found so:
// of the others more is known (their body is not HeldBody). It stops early where it
// holds enough.
func (s *Store) Missing(
	ctx context.Context, run *account.Run, after string, limit int,
) (gone []account.Gone, last string, err error) {
	size := 0
	err = s.readRun(ctx, run, func(r reading, source int64) error {
		rows, err := r.query(ofClass(missingSQL, run.Class),
			sqlrow.Blob(run.TaskID), run.State.Held, []byte(account.HeldBody), source, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size < maxGoneBytes && rows.Next() {
			var g account.Gone
			var staged bool
			if err := rows.Scan(&g.Key, &g.Name, &staged); err != nil {
				return err
			}
			last = g.Key
			if !staged {
				size += len(g.Key) + len(g.Name)
				gone = append(gone, g)
			}
		}
		return rows.Err()
	})
	return gone, last, err
}

// AccountsAfter returns up to limit stored accounts of a run's source after a
// key, in the order of their keys. It stops early where it holds enough.
func (s *Store) AccountsAfter(ctx context.Context, run *account.Run, after string, limit int) ([]account.Record, error) {
	var found []account.Record
	size := 0
	err := s.readRun(ctx, run, func(r reading, source int64) error {
		rows, err := r.query(bodiesSQL, source, after, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for size < maxDifferenceBytes && rows.Next() {
			var a account.Record
			if err := rows.Scan(&a.Key, &a.Name, &a.Body); err != nil {
				return err
			}
			size += len(a.Key) + len(a.Name) + len(a.Body)
			found = append(found, a)
		}
		return rows.Err()
	})
	return found, err
}

// readRun runs a read with the number of a run's source.
func (s *Store) readRun(ctx context.Context, run *account.Run, fn func(r reading, source int64) error) error {
	return s.readOne(ctx, "compare accounts", func(r reading) error {
		var source int64
		err := r.queryRow("SELECT source FROM runs WHERE task_id = ?", sqlrow.Blob(run.TaskID)).Scan(&source)
		if err == sql.ErrNoRows { //nolint:errorlint // as the driver returns it
			return task.Errorf(task.NotFound, "", "no aggregation has the id %s", run.TaskID)
		}
		if err != nil {
			return err
		}
		return fn(r, source)
	})
}
