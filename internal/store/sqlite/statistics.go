package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	openSQL = "SELECT kind, launched IS NOT NULL, count(*), min(created) FROM tasks INDEXED BY tasks_in_progress WHERE status IS NULL GROUP BY 1, 2"

	endedSQL = "SELECT " + sqlrow.EndedColumns + ` FROM tasks INDEXED BY tasks_ended
		WHERE status IS NOT NULL AND completed >= ? AND completed < ? AND created > ?`

	pairSource  = "ifnull(source_id, '') COLLATE NOCASE"
	nextPairSQL = "SELECT " + pairSource + " FROM tasks INDEXED BY tasks_pair WHERE kind = ? AND " + pairSource + " > ? ORDER BY " + pairSource + " LIMIT 1"
	nextKindSQL = "SELECT kind, " + pairSource + " FROM tasks INDEXED BY tasks_pair WHERE kind > ? ORDER BY kind, " + pairSource + " LIMIT 1"
	newestSQL   = "SELECT " + sqlrow.BriefColumns + " FROM tasks INDEXED BY tasks_pair WHERE kind = ? AND " + pairSource + ` = ? AND created > ?
		ORDER BY created DESC, id DESC LIMIT ?`
	openPairsSQL = "SELECT kind, " + pairSource + ` AS source, count(*) FROM tasks INDEXED BY tasks_in_progress
		WHERE status IS NULL AND created > ? GROUP BY kind, source COLLATE NOCASE`
)

// Open returns how many tasks are queued, and running, of each kind.
func (s *Store) Open(ctx context.Context) ([]task.Open, error) {
	var open []task.Open
	err := s.readList(ctx, "count what is in progress", func(r reading) error {
		open = nil
		return r.each(func(row rowScanner) error {
			o := task.Open{State: task.Queued}
			var running bool
			var oldest int64
			err := row.Scan(&o.Kind, &running, &o.Tasks, &oldest)
			if running {
				o.State = task.Running
			}
			o.Oldest = time.UnixMilli(oldest).UTC()
			open = append(open, o)
			return err
		}, openSQL)
	})
	return open, err
}

// Faults returns how many reads and writes the database has failed.
func (s *Store) Faults() (reads, writes uint64) { return s.faults.Counts() }

// EachEnded calls fn for every task that has ended from one time on and before
// another, that the filter, where it is not nil, accepts, and that was created after
// since; in no order. It stops at fn's first error. It takes the place of a list.
func (s *Store) EachEnded(
	ctx context.Context, filter query.Expr, since, from, to time.Time, fn func(task.Brief) error,
) error {
	return s.readList(ctx, "read what has ended", func(r reading) error {
		return eachEnded(r, filter, sqlrow.Since(since), from, to, fn)
	})
}

func eachEnded(r reading, filter query.Expr, since int64, from, to time.Time, fn func(task.Brief) error) error {
	c := clause{endedSQL, []any{from.UnixMilli(), to.UnixMilli(), since}}
	if filter = query.Simplify(filter); filter != nil {
		own := compile(filter)
		c = clause{c.sql + " AND " + own.sql, append(c.args, own.args...)}
	}
	return r.each(func(row rowScanner) error {
		b, err := sqlrow.ScanEnded(row)
		if err != nil {
			return err
		}
		return fn(b)
	}, c.sql, c.args...)
}

// NewestOfPairs returns, for each kind and source that has tasks created after since,
// up to newest of them; up to limit pairs, by kind and source, and whether there are
// more.
func (s *Store) NewestOfPairs(ctx context.Context, since time.Time, newest, limit int) (pairs []task.Pair, more bool, err error) {
	err = s.readList(ctx, "read the newest tasks", func(r reading) (err error) {
		pairs, more, err = newestOfPairs(r, sqlrow.Since(since), newest, limit)
		return err
	})
	return pairs, more, err
}

// pairKey is a kind and a source as they are compared.
type pairKey struct{ kind, source string }

func newestOfPairs(r reading, since int64, newest, limit int) (pairs []task.Pair, more bool, err error) {
	inProgress := map[pairKey]int{}
	err = r.each(func(row rowScanner) error {
		var k pairKey
		var n int
		err := row.Scan(&k.kind, &k.source, &n)
		inProgress[pairKey{k.kind, task.LowerASCII(k.source)}] = n
		return err
	}, openPairsSQL, since)
	if err != nil {
		return nil, false, err
	}
	k, ok, err := r.nextKind("")
	for ; ok && err == nil; k, ok, err = r.nextPair(k) {
		p := task.Pair{InProgress: inProgress[pairKey{k.kind, task.LowerASCII(k.source)}]}
		err := r.each(func(row rowScanner) error {
			b, err := sqlrow.ScanBrief(row)
			p.Newest = append(p.Newest, b)
			return err
		}, newestSQL, k.kind, k.source, since, newest)
		switch {
		case err != nil:
			return nil, false, err
		case len(p.Newest) == 0:
			continue
		case len(pairs) == limit:
			return pairs, true, nil
		}
		p.Kind, p.SourceID = p.Newest[0].Kind, p.Newest[0].SourceID
		pairs = append(pairs, p)
	}
	return pairs, false, err
}

// nextPair returns the pair behind another.
func (r reading) nextPair(after pairKey) (pairKey, bool, error) {
	next := pairKey{kind: after.kind}
	err := r.queryRow(nextPairSQL, after.kind, after.source).Scan(&next.source)
	if errors.Is(err, sql.ErrNoRows) {
		return r.nextKind(after.kind)
	}
	return next, err == nil, err
}

// nextKind returns the first pair of the kind behind another.
func (r reading) nextKind(after string) (pairKey, bool, error) {
	var next pairKey
	err := r.queryRow(nextKindSQL, after).Scan(&next.kind, &next.source)
	if errors.Is(err, sql.ErrNoRows) {
		return next, false, nil
	}
	return next, err == nil, err
}
