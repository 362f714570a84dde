package postgres

import (
	"fmt"
	"math"
	"strings"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// ordering is an order of tasks other than that of their creation.
type ordering struct {
	by   string // what it compares, as its index does; equal ones are in the order of creation
	null bool   // it may be null
}

func orderingOf(f query.Field) ordering {
	switch f {
	case query.FieldCompleted:
		return ordering{"completed", true}
	case query.FieldDuration:
		return ordering{"(completed - launched)", true}
	case query.FieldUniqueName:
		return ordering{indexedUniqueName, false}
	case query.FieldTargetName:
		return ordering{indexedTargetName, true}
	case query.FieldLauncher:
		return ordering{"lower(launcher)", false}
	case query.FieldKind:
		return ordering{"kind", false}
	case query.FieldStatus:
		return ordering{"status", true}
	}
	panic("postgres: no order by the field " + string(f))
}

// part is one of the two that such a list has: tasks with a value first, those
// without behind them, whatever the direction.
type part struct {
	ordering
	field query.Field
	nulls bool // it is the one of those without
	desc  bool
	walk  bool // along the order's index, and not through what the filter's plan finds
	after *query.Position
	skip  int64
}

// sorted returns a page in an order other than that of creation.
func (l *lister) sorted(page query.Page) ([]task.Row, error) {
	walk, err := l.walks(int64(page.Limit) + int64(page.Offset))
	if err != nil {
		return nil, err
	}
	p := part{
		ordering: orderingOf(page.Sort[0].Field), field: page.Sort[0].Field, desc: page.Sort[0].Desc, walk: walk, skip: int64(page.Offset), after: page.After,
	}
	if !p.null && p.after != nil && p.after.Value == nil {
		return nil, nil
	}
	var found []task.Row
	if p.after == nil || p.after.Value != nil {
		if found, err = l.partRows(p, page.Limit, nil); err != nil || len(found) == page.Limit || !p.null {
			return found, err
		}
		if p.skip > 0 && len(found) == 0 {
			c := l.partSQL(p, "count(*)")
			var passed int64
			if err := l.queryRow(c.sql, c.args...).Scan(&passed); err != nil {
				return nil, err
			}
			p.skip -= passed
		} else {
			p.skip = 0
		}
		p.after = nil
	}
	p.nulls = true
	return l.partRows(p, page.Limit-len(found), found)
}

// minWalked is how many tasks are rather sorted than looked for along an index.
const minWalked = 1000

// walks chooses between the rows that the filter's plan finds, sorted, and a walk
// along the index of the order until it has met enough of them.
func (l *lister) walks(wanted int64) (bool, error) {
	found := l.plan.estimate
	if found == math.MaxInt64 {
		return true, nil
	}
	if found < minWalked {
		return false, nil
	}
	all := everything()
	if err := (&planner{l.reading}).estimate(&all); err != nil {
		return false, err
	}
	return all.estimate/found*wanted < found, nil
}

// partRows adds the rows of a part to those found before.
func (l *lister) partRows(p part, limit int, found []task.Row) ([]task.Row, error) {
	c := l.partSQL(p, sqlrow.RowColumns+", ("+p.by+")::text AS sort_key")
	direction := ""
	if p.desc {
		direction = " DESC"
	}
	c.sql += fmt.Sprintf(" ORDER BY %s%[2]s, created%[2]s, id%[2]s LIMIT ? OFFSET ?", p.by, direction)
	held := 0
	for i := range found {
		held += len(found[i].Wire)
	}
	err := l.each(func(row rowScanner) error {
		var key *string
		r, err := sqlrow.ScanRow(row, &key)
		if held += len(r.Wire); held > maxHeld && len(found) > 0 {
			r.Wire = nil
		}
		r.SortKey = key
		found = append(found, r)
		return err
	}, c.sql, append(c.args, limit, p.skip)...)
	return found, err
}

// partSQL selects what is visible of a part, behind its position.
func (l *lister) partSQL(p part, what string) clause {
	w := window{from: l.since, to: l.until}
	c := clause{sql: "SELECT " + what + " FROM tasks WHERE true"}
	if p.walk {
		c = c.and(opaque(w.holds("created")))
		if l.filter != nil {
			c = c.and(opaque(compile(l.filter)))
		}
	} else {
		var branches []string
		var args []any
		for _, b := range l.plan.branches {
			one := l.wholeSQL("id", b, w)
			branches = append(branches, "("+one.sql+")")
			args = append(args, one.args...)
		}
		c = clause{
			"SELECT " + what + " FROM (SELECT id AS of FROM (" + strings.Join(branches, " UNION ") + ") found) m" +
				" CROSS JOIN LATERAL (SELECT * FROM tasks WHERE id = m.of OFFSET 0) tasks WHERE true", args,
		}
	}
	switch {
	case p.nulls:
		c.sql += " AND " + p.by + " IS NULL"
	case p.null:
		c.sql += " AND " + p.by + " IS NOT NULL"
	}
	if p.after != nil {
		c = c.and(p.behind())
	}
	return c
}

// behind selects what comes behind the part's position.
func (p part) behind() clause {
	than := ">"
	if p.desc {
		than = "<"
	}
	at := []any{p.after.Created.UnixMilli(), sqlrow.Blob(p.after.ID)}
	if p.nulls {
		return clause{"(created, id) " + than + " (?, ?)", at}
	}
	return clause{"(" + p.by + ", created, id) " + than + " (?, ?, ?)", append([]any{p.after.Comparable(p.field)}, at...)}
}
