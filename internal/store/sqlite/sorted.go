package sqlite

import (
	"fmt"
	"math"
	"strings"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// ordering is an order of tasks other than that of their creation.
type ordering struct {
	by    string // what it compares; equal ones are in the order of creation
	index string // is in this order
	// lacking is the index of those whose by is null; empty where none is.
	lacking string
}

func orderingOf(f query.Field) ordering {
	switch f {
	case query.FieldCompleted:
		return ordering{"completed", "tasks_completed", "tasks_completed"}
	case query.FieldDuration:
		return ordering{"duration", "tasks_duration", "tasks_duration"}
	case query.FieldUniqueName:
		return ordering{"unique_name", "tasks_unique_name", ""}
	case query.FieldTargetName:
		return ordering{"target_name", "tasks_target_name", "tasks_target_name"}
	case query.FieldLauncher:
		return ordering{"launcher", "tasks_launcher", ""}
	case query.FieldKind:
		return ordering{"kind", "tasks_kind", ""}
	case query.FieldStatus:
		return ordering{"status", "tasks_status", "tasks_in_progress"}
	}
	panic("sqlite: no order by the field " + string(f))
}

// part is one of the two that such a list has: tasks with a value first, those
// without behind them, whatever the direction.
type part struct {
	ordering
	field query.Field
	null  bool
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
	if p.lacking == "" && p.after != nil && p.after.Value == nil {
		return nil, nil
	}
	var found []task.Row
	if p.after == nil || p.after.Value != nil {
		if found, err = l.partRows(p, page.Limit, nil); err != nil || len(found) == page.Limit || p.lacking == "" {
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
	p.null = true
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
	all, err := (&planner{l.reading}).estimate(tally.All, []string{""})
	return all/found*wanted < found, err
}

// partRows adds the rows of a part to those found before.
func (l *lister) partRows(p part, limit int, found []task.Row) ([]task.Row, error) {
	c := l.partSQL(p, sqlrow.RowColumns+", CAST("+p.by+" AS TEXT) AS sort_key")
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
	c := clause{sql: "SELECT " + what + " FROM tasks"}
	if p.walk {
		index := p.index
		if p.null {
			index = p.lacking
		}
		c.sql += " INDEXED BY " + index + " WHERE true"
		c = c.and(w.holds())
		if l.filter != nil {
			c = c.and(compile(l.filter))
		}
	} else {
		var branches []string
		for _, b := range l.plan.branches {
			one := l.branchSQL("seq", b, w)
			branches = append(branches, one.sql)
			c.args = append(c.args, one.args...)
		}
		c.sql += " WHERE seq IN (" + strings.Join(branches, " UNION ") + ")"
	}
	switch {
	case p.null:
		c.sql += " AND " + p.by + " IS NULL"
	case p.lacking != "":
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
	if p.null {
		return clause{"(created, id) " + than + " (?, ?)", at}
	}
	return clause{"(" + p.by + ", created, id) " + than + " (?, ?, ?)", append([]any{p.after.Comparable(p.field)}, at...)}
}
