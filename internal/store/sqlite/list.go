package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// maxHeld is how many bytes of TaskStatus a list holds at once.
const maxHeld = 1 << 20

// List returns a page of the tasks created after since, and, where the page
// asks for it, how many there are in all; else -1. Both are of one moment. The
// first megabyte of the rows comes with its TaskStatus; the Wire of the rows
// after it is nil, and Fill reads it.
func (s *Store) List(ctx context.Context, page query.Page, since time.Time) ([]task.Row, int64, error) {
	var rows []task.Row
	var total int64
	err := s.readList(ctx, "list tasks", func(r reading) (err error) {
		rows, total, err = list(r, page, sqlrow.Since(since))
		return err
	})
	return rows, total, err
}

// readList is readMany for a list. Some filters cannot be answered but by looking
// at every row: they are bounded in number, so that look-ups always find a
// reader, and in time.
func (s *Store) readList(ctx context.Context, doing string, fn func(reading) error) error {
	limited, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	select {
	case s.lists <- struct{}{}:
		defer func() { <-s.lists }()
	case <-limited.Done():
		return tooSlow(ctx, doing, limited.Err())
	}
	err := s.readMany(limited, doing, fn)
	if err != nil && limited.Err() != nil {
		err = tooSlow(ctx, doing, err)
	}
	return err
}

// listTimeout is how long a list may take, less than the server gives an answer.
const listTimeout = 20 * time.Second

// tooSlow is the error of a list that ran out of time; a caller who gave up gets
// his own.
func tooSlow(caller context.Context, doing string, err error) error {
	if caller.Err() != nil {
		return interpret(doing, caller.Err())
	}
	return unavailable("the list takes too long; narrow its filter, or try again when there are fewer", err)
}

func list(r reading, page query.Page, since int64) (rows []task.Row, total int64, err error) {
	rest, after, before := query.Created(query.Simplify(page.Filter))
	l := &lister{reading: r, since: max(since, after), until: min(before, maxTime), filter: rest}
	if l.plan, err = (&planner{r}).plan(rest); err != nil {
		return nil, 0, fmt.Errorf("plan: %w", err)
	}
	total = -1
	if page.Count {
		if total, err = l.count(); err != nil {
			return nil, 0, fmt.Errorf("count: %w", err)
		}
	}
	switch {
	case page.Limit == 0:
	case page.Sort[0].Field == query.FieldCreated:
		rows, err = l.page(page)
	default:
		rows, err = l.sorted(page)
	}
	return rows, total, err
}

// lister runs one list in one read transaction.
type lister struct {
	reading
	since  int64 // created > since
	until  int64 // created < until
	filter query.Expr
	plan   plan
}

// window is a part of a list: the rows with from < created < to, less the first
// skip of them; where after is set, those that come behind it.
type window struct {
	from, to int64
	skip     int64
	desc     bool
	after    *query.Position
}

// holds selects the rows of the window.
func (w window) holds() clause {
	c := clause{"created > ? AND created < ?", []any{w.from, w.to}}
	if w.after == nil {
		return c
	}
	at := clause{"(created, id) > (?, ?)", []any{w.after.Created.UnixMilli(), sqlrow.Blob(w.after.ID)}}
	// The plus keeps the bound that the position is closer than from being the one that
	// an index is entered at.
	c.sql = "+created > ? AND created < ?"
	if w.desc {
		at.sql, c.sql = "(created, id) < (?, ?)", "created > ? AND +created < ?"
	}
	return c.and(at)
}

func (l *lister) page(page query.Page) ([]task.Row, error) {
	w := window{from: l.since, to: l.until, skip: int64(page.Offset), desc: page.Sort[0].Desc, after: page.After}
	if l.plan.tallied && w.skip > 0 {
		if err := l.seek(&w); err != nil {
			return nil, err
		}
	}
	c := l.pageSQL(w, page.Limit)
	found := make([]task.Row, 0, page.Limit)
	held := 0
	err := l.each(func(row rowScanner) error {
		r, err := sqlrow.ScanRow(row)
		if held += len(r.Wire); held > maxHeld && len(found) > 0 {
			r.Wire = nil
		}
		found = append(found, r)
		return err
	}, c.sql, c.args...)
	return found, err
}

// Fill reads rows of a list again, as they are now, from the first on until it
// holds a megabyte. A row whose task is gone meanwhile keeps a nil Wire. It
// returns how many rows it has looked at: at least one, unless it fails.
func (s *Store) Fill(ctx context.Context, rows []task.Row) (int, error) {
	looked, held := 0, 0
	err := s.readMany(ctx, "read tasks", func(r reading) error {
		for ; looked < len(rows) && held < maxHeld; looked++ {
			row, err := sqlrow.ScanRow(r.queryRow(getSQL, sqlrow.Blob(rows[looked].ID), sqlrow.Since(time.Time{})))
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			rows[looked] = row
			held += len(row.Wire)
		}
		return nil
	})
	return looked, err
}

// pageSQL selects the rows of a window. Each branch is read in order from its
// index, no further than the page needs; the union drops what stands in two
// branches.
func (l *lister) pageSQL(w window, limit int) clause {
	order := " ORDER BY created, id"
	if w.desc {
		order = " ORDER BY created DESC, id DESC"
	}
	if len(l.plan.branches) == 1 {
		c := l.branchSQL(sqlrow.RowColumns, l.plan.branches[0], w)
		return clause{c.sql + order + " LIMIT ? OFFSET ?", append(c.args, limit, w.skip)}
	}
	var parts []string
	var args []any
	for _, b := range l.plan.branches {
		c := l.branchSQL("seq, created, id", b, w)
		parts = append(parts, "SELECT * FROM ("+c.sql+order+" LIMIT ?)")
		args = append(append(args, c.args...), int64(limit)+w.skip)
	}
	return clause{
		"SELECT " + sqlrow.RowColumns + " FROM tasks WHERE seq IN (SELECT seq FROM (" + strings.Join(parts, " UNION ") + ")" +
			order + " LIMIT ? OFFSET ?)" + order,
		append(args, limit, w.skip),
	}
}

// branchSQL selects the rows of one branch that lie in a window and that the
// filter accepts.
func (l *lister) branchSQL(what string, b branch, w window) clause {
	c := clause{sql: "SELECT " + what + " FROM tasks INDEXED BY " + b.index + " WHERE true"}.and(w.holds())
	if own := b.condition(); own.sql != "" {
		c.sql += " AND " + own.sql
		c.args = append(c.args, own.args...)
	}
	if !l.plan.exact {
		own := compile(l.filter)
		c.sql += " AND " + own.sql
		c.args = append(c.args, own.args...)
	}
	return c
}

// maxTime lies after every creation time.
const maxTime = int64(1) << 62

// count returns how many visible rows the filter selects.
func (l *lister) count() (int64, error) {
	if l.since >= l.until-1 {
		return 0, nil
	}
	if l.plan.tallied {
		return l.tally(l.plan)
	}
	if not, ok := l.filter.(query.Not); ok {
		inner := lister{reading: l.reading, since: l.since, until: l.until, filter: not.Term}
		var err error
		if inner.plan, err = (&planner{l.reading}).plan(not.Term); err != nil {
			return 0, err
		}
		n, err := inner.count()
		if err != nil {
			return 0, err
		}
		all, err := l.tally(plan{
			branches: []branch{{index: "tasks_created"}}, exact: true, tallied: true, dimension: tally.All, values: []string{""},
		})
		return all - n, err
	}
	w := window{from: l.since, to: l.until}
	var c clause
	if len(l.plan.branches) == 1 {
		c = l.branchSQL("count(*)", l.plan.branches[0], w)
	} else {
		var parts []string
		for _, b := range l.plan.branches {
			one := l.branchSQL("seq", b, w)
			parts = append(parts, one.sql)
			c.args = append(c.args, one.args...)
		}
		c.sql = "SELECT count(*) FROM (" + strings.Join(parts, " UNION ") + ")"
	}
	var n int64
	err := l.queryRow(c.sql, c.args...).Scan(&n)
	return n, err
}

// tally counts the rows of a tallied plan.
func (l *lister) tally(p plan) (int64, error) {
	n, err := l.tallyAfter(p, l.since)
	if err != nil || l.until >= maxTime {
		return n, err
	}
	late, err := l.tallyAfter(p, l.until-1)
	return n - late, err
}

// tallyAfter counts the rows of a tallied plan that were created after a moment: whole
// spans from the stored counts, and the rows of the one short span that it cuts.
func (l *lister) tallyAfter(p plan, since int64) (int64, error) {
	if since < 0 {
		return l.sumSpans(p, tally.Range{Level: tally.Levels - 1, From: 0, To: maxTime})
	}
	spans, restEnd := tally.Since(since + 1)
	var total int64
	for _, r := range spans {
		n, err := l.sumSpans(p, r)
		if err != nil {
			return 0, err
		}
		total += n
	}
	rest := lister{reading: l.reading, plan: p}
	for _, b := range p.branches {
		var n int64
		c := rest.branchSQL("count(*)", b, window{from: since, to: restEnd})
		if err := l.queryRow(c.sql, c.args...).Scan(&n); err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (l *lister) sumSpans(p plan, r tally.Range) (int64, error) {
	c := spanSQL("coalesce(sum(n), 0)", p, r)
	var n int64
	err := l.queryRow(c.sql, c.args...).Scan(&n)
	return n, err
}

func spanSQL(what string, p plan, r tally.Range) clause {
	c := clause{sql: "SELECT " + what + " FROM tallies WHERE dimension = ? AND value IN (?" +
		strings.Repeat(", ?", len(p.values)-1) + ") AND level = ? AND bucket >= ? AND bucket < ?"}
	c.args = append(c.args, p.dimension)
	for _, v := range p.values {
		c.args = append(c.args, v)
	}
	c.args = append(c.args, r.Level, r.From, r.To)
	return c
}

// seek moves the window's edge past most of the rows that it skips, by walking
// down the stored counts: what is left to skip lies in one short span.
func (l *lister) seek(w *window) error {
	if w.desc {
		if l.until < maxTime {
			late, err := l.tallyAfter(l.plan, l.until-1)
			if err != nil {
				return err
			}
			w.skip += late
			w.to = maxTime
		}
	} else {
		// Rows that are not visible come first in this direction.
		all, err := l.sumSpans(l.plan, tally.Range{Level: tally.Levels - 1, From: 0, To: maxTime})
		if err != nil {
			return err
		}
		visible, err := l.tallyAfter(l.plan, l.since)
		if err != nil {
			return err
		}
		w.skip += all - visible
		w.from = -1
	}
	r := tally.Range{Level: tally.Levels - 1, From: 0, To: maxTime}
	for ; r.Level >= 0; r.Level-- {
		bucket, ok, err := l.walk(w, r)
		if err != nil {
			return err
		}
		if !ok {
			w.to = 0 // past the end
			return nil
		}
		if w.desc {
			w.to = (bucket + 1) << tally.Shift(r.Level)
		} else {
			w.from = bucket<<tally.Shift(r.Level) - 1
		}
		if r.Level > 0 {
			step := tally.Shift(r.Level) - tally.Shift(r.Level-1)
			r.From, r.To = bucket<<step, (bucket+1)<<step
		}
	}
	return nil
}

// walk goes over the spans of a range in the window's order, takes from skip
// the rows of those it passes, and returns the span in which skip ends.
func (l *lister) walk(w *window, r tally.Range) (bucket int64, ok bool, err error) {
	c := spanSQL("bucket, sum(n)", l.plan, r)
	c.sql += " GROUP BY bucket ORDER BY bucket"
	if w.desc {
		c.sql += " DESC"
	}
	rows, err := l.query(c.sql, c.args...)
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&bucket, &n); err != nil {
			return 0, false, fmt.Errorf("walk the counts: %w", err)
		}
		if w.skip < n {
			return bucket, true, nil
		}
		w.skip -= n
	}
	return 0, false, rows.Err()
}
