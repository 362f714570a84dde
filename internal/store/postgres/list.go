package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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

// order is the order of a list by a column, or an expression, that holds when tasks
// were created.
func (w window) order(created string) string {
	if w.desc {
		return " ORDER BY " + created + " DESC, id DESC"
	}
	return " ORDER BY " + created + ", id"
}

// holds compares such a column with the window.
func (w window) holds(created string) clause {
	c := clause{created + " > ? AND " + created + " < ?", []any{w.from, w.to}}
	if w.after == nil {
		return c
	}
	than := ">"
	if w.desc {
		than = "<"
	}
	return c.and(clause{"(" + created + ", id) " + than + " (?, ?)", []any{w.after.Created.UnixMilli(), sqlrow.Blob(w.after.ID)}})
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
			if errors.Is(err, pgx.ErrNoRows) {
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
	if b := l.plan.branches[0]; len(l.plan.branches) == 1 && len(b.values) < 2 {
		c := l.branchSQL(sqlrow.RowColumns, b, w)
		return clause{c.sql + w.order(b.created()) + " LIMIT ? OFFSET ?", append(c.args, limit, w.skip)}
	}
	var parts []string
	var args []any
	for _, b := range l.plan.branches {
		c := l.firstSQL(b, w, int64(limit)+w.skip)
		parts = append(parts, "("+c.sql+")")
		args = append(args, c.args...)
	}
	return clause{
		"SELECT " + sqlrow.RowColumns + " FROM (SELECT created AS at, id AS of FROM (" + strings.Join(parts, " UNION ") + ") found" +
			w.order("created") + " LIMIT ? OFFSET ?) page CROSS JOIN LATERAL (SELECT * FROM tasks WHERE id = page.of OFFSET 0) tasks" +
			w.order("created"),
		append(args, limit, w.skip),
	}
}

// firstSQL selects creation and id of the first n rows of a branch.
func (l *lister) firstSQL(b branch, w window, n int64) clause {
	ordered := clause{w.order(b.created()) + " LIMIT ?", []any{n}}
	if len(b.values) < 2 {
		c := l.branchSQL("created, id", b, w)
		return clause{c.sql + ordered.sql, append(c.args, ordered.args...)}
	}
	c := l.valuesSQL("created, id", b, w, ordered)
	return clause{c.sql + ordered.sql, append(c.args, n)}
}

// branchSQL selects the rows of one branch, of one value or none, that lie in a
// window and that the filter accepts.
func (l *lister) branchSQL(what string, b branch, w window) clause {
	c := clause{sql: "SELECT " + what + " FROM tasks WHERE true"}.and(w.holds(b.created()))
	if len(b.values) > 0 {
		c = c.and(b.is(b.values[0]))
	}
	return l.restSQL(c, b)
}

// valuesSQL selects the rows of one branch of many values: those of each value in
// turn, each in the way that ordered says, from its own range of the index.
func (l *lister) valuesSQL(what string, b branch, w window, ordered clause) clause {
	sort := "text"
	switch b.values[0].(type) {
	case []byte:
		sort = "uuid"
	case int64:
		sort = "bigint"
	}
	inner := l.restSQL(clause{sql: "SELECT " + what + " FROM tasks WHERE " + b.isAny()}.and(w.holds(b.created())), b)
	return clause{
		"SELECT one.* FROM unnest(?::" + sort + "[]) v (value) CROSS JOIN LATERAL (" + inner.sql + ordered.sql + ") one",
		append(append([]any{array(b.values)}, inner.args...), ordered.args...),
	}
}

// restSQL adds what else the rows of a branch have in common, and the filter.
func (l *lister) restSQL(c clause, b branch) clause {
	for _, part := range b.rest {
		c = c.and(part)
	}
	if !l.plan.exact {
		c = c.and(opaque(compile(l.filter)))
	}
	return c
}

func (c clause) and(other clause) clause {
	return clause{c.sql + " AND " + other.sql, append(c.args, other.args...)}
}

// opaque hides a condition from the server's planner, which would look for other
// indexes in it: the plan is made.
func opaque(c clause) clause {
	return clause{"CASE WHEN " + c.sql + " THEN true ELSE false END", c.args}
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
		all, err := l.tally(everything())
		return all - n, err
	}
	if l.plan.estimate == math.MaxInt64 {
		// All tasks are looked at, and that is fastest in the order in which they lie.
		if _, err := l.conn.Exec(l.ctx, "SET LOCAL enable_seqscan = on"); err != nil {
			return 0, err
		}
	}
	w := window{from: l.since, to: l.until}
	if len(l.plan.branches) == 1 {
		return l.countBranch(l.plan.branches[0], w)
	}
	var parts []string
	var args []any
	for _, b := range l.plan.branches {
		c := l.wholeSQL("id", b, w)
		parts = append(parts, "("+c.sql+")")
		args = append(args, c.args...)
	}
	var n int64
	err := l.queryRow("SELECT count(*) FROM ("+strings.Join(parts, " UNION ")+") found", args...).Scan(&n)
	return n, err
}

func (l *lister) countBranch(b branch, w window) (n int64, err error) {
	c := l.wholeSQL("1 AS one", b, w)
	err = l.queryRow("SELECT count(*) FROM ("+c.sql+") found", c.args...).Scan(&n)
	return n, err
}

// wholeSQL selects all rows of a branch.
func (l *lister) wholeSQL(what string, b branch, w window) clause {
	if len(b.values) < 2 {
		return l.branchSQL(what, b, w)
	}
	return l.valuesSQL(what, b, w, clause{sql: " OFFSET 0"}) // or the server joins in a way of its own
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
		n, err := rest.countBranch(b, window{from: since, to: restEnd})
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

func (l *lister) sumSpans(p plan, r tally.Range) (n int64, err error) {
	c := spanSQL(p, r)
	err = l.queryRow("SELECT coalesce(sum(n), 0)::bigint FROM ("+c.sql+") spans", c.args...).Scan(&n)
	return n, err
}

// spanSQL selects the counts of a plan in a range: those that are stored, and what
// was changed since they were.
func spanSQL(p plan, r tally.Range) clause {
	return clause{
		fmt.Sprintf(`SELECT bucket, n FROM tallies WHERE dimension = ? AND value = ANY (?) AND level = ? AND bucket >= ? AND bucket < ?
			UNION ALL SELECT bucket, n FROM (SELECT bucket >> %d AS bucket, n FROM tally_changes WHERE dimension = ? AND value = ANY (?)) changes
			WHERE bucket >= ? AND bucket < ?`, tally.Shift(r.Level)-tally.Shift(0)),
		[]any{p.dimension, p.values, r.Level, r.From, r.To, p.dimension, p.values, r.From, r.To},
	}
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
	c := spanSQL(l.plan, r)
	c.sql = "SELECT bucket, sum(n)::bigint FROM (" + c.sql + ") spans GROUP BY bucket HAVING sum(n) <> 0 ORDER BY bucket"
	if w.desc {
		c.sql += " DESC"
	}
	err = l.each(func(row rowScanner) error {
		var at, n int64
		if err := row.Scan(&at, &n); err != nil || ok {
			return err
		}
		if w.skip < n {
			bucket, ok = at, true
			return nil
		}
		w.skip -= n
		return nil
	}, c.sql, c.args...)
	if err != nil {
		return 0, false, fmt.Errorf("walk the counts: %w", err)
	}
	return bucket, ok, nil
}
