package postgres

import (
	"context"
	"time"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	openSQL = "SELECT kind, launched IS NOT NULL, count(*), min(created) FROM tasks WHERE status IS NULL GROUP BY 1, 2"

	endedSQL = "SELECT " + sqlrow.EndedColumns + " FROM tasks WHERE completed >= ? AND completed < ? AND created > ?"

	pairSource = "coalesce(lower(left(source_id, 600)), '')"
	// From one pair to the next: how many tasks each has does not matter.
	pairsSQL = `WITH RECURSIVE pair AS (
			(SELECT kind, ` + pairSource + ` AS source FROM tasks ORDER BY kind, ` + pairSource + ` LIMIT 1)
			UNION ALL
			SELECT n.kind, n.source FROM pair CROSS JOIN LATERAL (
				SELECT kind, ` + pairSource + ` AS source FROM tasks WHERE (kind, ` + pairSource + `) > (pair.kind, pair.source)
				ORDER BY kind, ` + pairSource + ` LIMIT 1) n
		) SELECT pair.kind, pair.source FROM pair WHERE EXISTS (
			SELECT 1 FROM tasks t WHERE t.kind = pair.kind AND coalesce(lower(left(t.source_id, 600)), '') = pair.source AND t.created > ?)
		LIMIT ?`
	newestSQL = "SELECT n, newest.* FROM unnest(?::text[], ?::text[]) WITH ORDINALITY pair (kind, source, n) CROSS JOIN LATERAL (SELECT " +
		sqlrow.BriefColumns + " FROM tasks WHERE tasks.kind = pair.kind AND " + pairSource + ` = pair.source AND created > ?
		ORDER BY created DESC, id DESC LIMIT ?) newest`
	openPairsSQL = "SELECT kind, " + pairSource + ", count(*) FROM tasks WHERE status IS NULL AND created > ? GROUP BY 1, 2"
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
		c = clause{c.sql + " AND CASE WHEN " + own.sql + " THEN true END", append(c.args, own.args...)}
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
	var kinds, sources []string
	err = r.each(func(row rowScanner) error {
		var k pairKey
		err := row.Scan(&k.kind, &k.source)
		kinds, sources = append(kinds, k.kind), append(sources, k.source)
		return err
	}, pairsSQL, since, limit+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(kinds) > limit; more {
		kinds, sources = kinds[:limit], sources[:limit]
	}
	pairs = make([]task.Pair, len(kinds))
	err = r.each(func(row rowScanner) error {
		var n int
		b, err := sqlrow.ScanBrief(sqlrow.Leading{Row: row, First: &n})
		if err == nil {
			pairs[n-1].Newest = append(pairs[n-1].Newest, b)
		}
		return err
	}, newestSQL, kinds, sources, since, newest)
	if err != nil {
		return nil, false, err
	}
	inProgress := map[pairKey]int{}
	err = r.each(func(row rowScanner) error {
		var k pairKey
		var n int
		err := row.Scan(&k.kind, &k.source, &n)
		inProgress[k] = n
		return err
	}, openPairsSQL, since)
	for i := range pairs {
		p := &pairs[i]
		p.Kind, p.SourceID, p.InProgress = p.Newest[0].Kind, p.Newest[0].SourceID, inProgress[pairKey{kinds[i], sources[i]}]
	}
	return pairs, more, err
}
