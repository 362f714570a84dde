package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"stint/internal/account"
	"stint/internal/store/sqlrow"
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
// reads one range of keys, in order, and looks up the other side of each of them:
// so nothing is sorted but keys that share their first 600 characters.
//
// What is held is bounded on the server, by sums over the rows before each one:
// whoever stops reading here would have to wait for all the rest.
const (
	countSQL = `SELECT coalesce(max(s.key), ''), count(*),
		count(*) FILTER (WHERE s.hash IS NOT NULL AND a.hash IS NULL),
		count(*) FILTER (WHERE s.hash IS NOT NULL AND a.hash <> s.hash),
		count(*) FILTER (WHERE s.hash IS NULL)
		FROM (SELECT key, hash FROM staged
			WHERE task_id = ? AND left(key, 600) >= left(?, 600) AND key > ? ORDER BY left(key, 600), key LIMIT ?) s
		LEFT JOIN LATERAL (SELECT hash FROM @records
			WHERE source = ? AND left(key, 600) = left(s.key, 600) AND key = s.key LIMIT 1) a ON true`

	differSQL = `SELECT key, name, keep, stored, name_before, CASE WHEN counts THEN body END, CASE WHEN counts THEN body_before END, counts
		FROM (SELECT *, count(*) FILTER (WHERE counts) OVER w AS number,
			coalesce(sum(octet_length(key) + octet_length(name) + octet_length(body) + coalesce(octet_length(body_before), 0)) FILTER (WHERE counts) OVER w, 0) AS size
			FROM (SELECT s.head, s.key, s.name, s.hash IS NULL AS keep, a.hash IS NOT NULL AS stored, coalesce(a.name, '') AS name_before,
				coalesce(s.body, a.body) AS body, a.body AS body_before, s.hash IS NOT NULL AND (? OR a.hash IS DISTINCT FROM s.hash) AS counts
				FROM (SELECT left(key, 600) AS head, key, name, hash, body FROM staged
					WHERE task_id = ? AND left(key, 600) >= left(?, 600) AND key > ? ORDER BY head, key LIMIT ?) s
				LEFT JOIN LATERAL (SELECT name, hash, body FROM @records
					WHERE source = ? AND left(key, 600) = s.head AND key = s.key LIMIT 1) a ON true) both_sides
			WINDOW w AS (ORDER BY head, key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) summed
		WHERE number < ? AND size < ? ORDER BY head, key`

	missingSQL = `SELECT key, name, gone
		FROM (SELECT *, coalesce(sum(octet_length(key) + octet_length(name)) FILTER (WHERE gone) OVER w, 0) AS size
			FROM (SELECT a.head, a.key, a.name, s.found IS NULL AND (NOT ? OR a.body = ?) AS gone
				FROM (SELECT left(key, 600) AS head, key, name, body FROM @records
					WHERE source = ? AND left(key, 600) >= left(?, 600) AND key > ? ORDER BY head, key LIMIT ?) a
				LEFT JOIN LATERAL (SELECT true AS found FROM staged
					WHERE task_id = ? AND left(key, 600) = a.head AND key = a.key LIMIT 1) s ON true) both_sides
			WINDOW w AS (ORDER BY head, key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) summed
		WHERE size < ? ORDER BY head, key`

	bodiesSQL = `SELECT key, name, body
		FROM (SELECT *, coalesce(sum(octet_length(key) + octet_length(name) + octet_length(body)) OVER w, 0) AS size
			FROM (SELECT left(key, 600) AS head, key, name, body FROM accounts
				WHERE source = ? AND left(key, 600) >= left(?, 600) AND key > ? ORDER BY head, key LIMIT ?) a
			WINDOW w AS (ORDER BY head, key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) summed
		WHERE size < ? ORDER BY head, key`
)

// Compare counts how up to limit staged records after a key compare with what is
// stored.
func (s *Store) Compare(ctx context.Context, run *account.Run, after string, limit int) (account.Counts, error) {
	var c account.Counts
	err := s.readRun(ctx, run, func(r reading, source int64) error {
		return r.queryRow(ofClass(countSQL, run.Class), sqlrow.Blob(run.TaskID), after, after, limit, source).
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
	err = s.readRun(ctx, run, func(r reading, source int64) error {
		found, last = nil, ""
		return r.each(func(row rowScanner) error {
			var d account.Difference
			var before account.Record
			var stored, counts bool
			if err := row.Scan(&d.Key, &d.Name, &d.Keep, &stored, &before.Name, &d.Body, &before.Body, &counts); err != nil {
				return err
			}
			last = d.Key
			if !counts {
				return nil
			}
			if stored {
				before.Key = d.Key
				d.Before = &before
			}
			found = append(found, d)
			return nil
		}, ofClass(differSQL, run.Class), all, sqlrow.Blob(run.TaskID), after, after, limit, source, maxDifferences, maxDifferenceBytes)
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
	err = s.readRun(ctx, run, func(r reading, source int64) error {
		gone, last = nil, ""
		return r.each(func(row rowScanner) error {
			var g account.Gone
			var isGone bool
			if err := row.Scan(&g.Key, &g.Name, &isGone); err != nil {
				return err
			}
			last = g.Key
			if isGone {
				gone = append(gone, g)
			}
			return nil
		}, ofClass(missingSQL, run.Class), run.State.Held, []byte(account.HeldBody), source, after, after, limit, sqlrow.Blob(run.TaskID), maxGoneBytes)
	})
	return gone, last, err
}

// AccountsAfter returns up to limit stored accounts of a run's source after a
// key, in the order of their keys. It stops early where it holds enough.
func (s *Store) AccountsAfter(ctx context.Context, run *account.Run, after string, limit int) ([]account.Record, error) {
	var found []account.Record
	err := s.readRun(ctx, run, func(r reading, source int64) error {
		found = nil
		return r.each(func(row rowScanner) error {
			var a account.Record
			err := row.Scan(&a.Key, &a.Name, &a.Body)
			found = append(found, a)
			return err
		}, bodiesSQL, source, after, after, limit, maxDifferenceBytes)
	})
	return found, err
}

// inOrder makes the server read a range of an index in its order and look up one by
// one what belongs to it, instead of reading all that there is: it believes that
// there is not much, until it has counted.
const inOrder = `SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off;
	SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL jit = off`

// readRun runs a read with the number of a run's source.
func (s *Store) readRun(ctx context.Context, run *account.Run, fn func(r reading, source int64) error) error {
	return interpret("compare accounts", s.read(ctx, beginRead+"; "+inOrder, func(r reading) error {
		var source int64
		var class account.Class
		err := r.queryRow(runSQL, sqlrow.Blob(run.TaskID)).Scan(&source, &class)
		if errors.Is(err, pgx.ErrNoRows) {
			return noRun(run.TaskID)
		}
		if err != nil {
			return err
		}
		return fn(r, source)
	}))
}
