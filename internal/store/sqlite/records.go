package sqlite

import (
	"fmt"
	"math"
	"strings"

	"stint/internal/account"
	"stint/internal/query"
)

// maxProbed is how many index entries are looked at to tell how many there are.
const maxProbed = 10_000

// recordLister runs one list of accounts or entitlements in one read
// transaction.
type recordLister struct {
	reading
	class  account.Class
	filter query.Expr
}

// recordPlan says which branches together hold every record that a filter
// selects, as plan does for tasks.
type recordPlan struct {
	branches []branch
	exact    bool
	// order is the field in whose order one branch is read, if it is one.
	order query.Field
	// sources are the ids of the sources whose records the branches hold, if that
	// is what they hold.
	sources []any
}

func (l *recordLister) list(page query.Page) (found []account.Stored, total int64, err error) {
	l.filter = query.Simplify(page.Filter)
	selective, err := l.of(l.filter)
	if err != nil {
		return nil, 0, fmt.Errorf("plan: %w", err)
	}
	if selective != nil && !selective.exact && tooLong(l.compile(l.filter), len(selective.branches)) {
		selective = nil
	}
	total = -1
	if page.Count {
		if total, err = l.count(selective); err != nil {
			return nil, 0, fmt.Errorf("count: %w", err)
		}
	}
	if page.Limit == 0 {
		return nil, total, nil
	}
	p, err := l.planPage(selective, page)
	if err != nil {
		return nil, 0, fmt.Errorf("plan: %w", err)
	}
	found = make([]account.Stored, 0, page.Limit)
	held := 0
	c := l.pageSQL(p, page)
	err = l.each(func(row rowScanner) error {
		r, err := scanRecord(row)
		if held += len(r.Body); held > maxHeld && len(found) > 0 {
			r.Body = nil
		}
		found = append(found, r)
		return err
	}, c.sql, c.args...)
	return found, total, err
}

// planPage chooses between the branches of the filter's selective part and a
// walk in the order of the list, which the filter applies to.
func (l *recordLister) planPage(selective *recordPlan, page query.Page) (*recordPlan, error) {
	order := page.Sort[0].Field
	walk := &recordPlan{branches: []branch{{index: l.orderIndex(order)}}, exact: l.filter == nil, order: order}
	if selective == nil {
		return walk, nil
	}
	if len(selective.branches) == 1 && selective.order == order {
		return selective, nil
	}
	rows, err := l.estimate(selective)
	if err != nil {
		return nil, err
	}
	all, err := l.stored(nil)
	if err != nil {
		return nil, err
	}
	// How far a walk goes until it has met enough of them.
	wanted := int64(page.Offset) + int64(page.Limit)
	if rows >= maxProbed && wanted < rows && all/rows*wanted < rows {
		return walk, nil
	}
	return selective, nil
}

// orderIndex returns the index in whose order a field is read.
func (l *recordLister) orderIndex(f query.Field) string {
	switch f {
	case query.FieldName:
		return l.class.String() + "_name"
	case query.FieldNativeIdentity:
		return l.class.String() + "_native_identity"
	}
	return l.class.String() + "_key"
}

// of returns the plan for e, or nil where e has no selective part.
func (l *recordLister) of(e query.Expr) (*recordPlan, error) {
	switch e := e.(type) {
	case query.Compare:
		return l.compare(e), nil
	case query.Prefix:
		if indexed(e.Field) {
			return &recordPlan{
				branches: []branch{{index: l.orderIndex(e.Field), rest: []clause{startsWith(l.column(e.Field), e.Value)}}},
				exact:    true, order: e.Field,
			}, nil
		}
	case query.And:
		return l.and(e)
	case query.Or:
		return l.or(e)
	}
	return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
}

// indexed reports whether there is an index in the order of a field.
func indexed(f query.Field) bool { return f == query.FieldName || f == query.FieldNativeIdentity }

func (l *recordLister) compare(e query.Compare) *recordPlan {
	values := recordParameters(e)
	switch {
	case len(values) == 0:
		return &recordPlan{branches: []branch{{index: l.class.String() + "_id", rest: []clause{nothing()}}}, exact: true}
	case e.Field == query.FieldID:
		return &recordPlan{branches: []branch{{index: l.class.String() + "_id", column: "r.id", values: values}}, exact: true}
	case e.Field == query.FieldSource:
		return &recordPlan{
			branches: branches(l.class.String()+"_key", "s.id", values, nil), exact: true,
			order: query.FieldKey, sources: values,
		}
	case indexed(e.Field):
		p := &recordPlan{branches: branches(l.orderIndex(e.Field), l.column(e.Field), values, nil), exact: true}
		if len(values) == 1 {
			p.order = e.Field
		}
		return p
	}
	return nil
}

// and takes the term with the fewest rows; the others are left to the filter.
func (l *recordLister) and(e query.And) (*recordPlan, error) {
	var found []*recordPlan
	for _, term := range e.Terms[:min(len(e.Terms), maxConsidered)] {
		p, err := l.of(term)
		if err != nil {
			return nil, err
		}
		if p != nil {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	best, least := found[0], int64(math.MaxInt64)
	for _, p := range found {
		if len(found) == 1 {
			break
		}
		rows, err := l.estimate(p)
		if err != nil {
			return nil, err
		}
		if rows < least {
			best, least = p, rows
		}
	}
	return &recordPlan{branches: best.branches, order: best.order, sources: best.sources}, nil
}

// or needs a plan for every term, and is their union.
func (l *recordLister) or(e query.Or) (*recordPlan, error) {
	union := &recordPlan{exact: true}
	for _, term := range e.Terms {
		found, err := l.of(term)
		if err != nil || found == nil {
			return nil, err
		}
		for _, b := range found.branches {
			if !found.exact {
				// The term's own filter keeps the union exact.
				b.rest = append(append([]clause(nil), b.rest...), l.compile(term))
			}
			union.branches = append(union.branches, b)
		}
		if len(union.branches) > maxBranches {
			return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
		}
	}
	return union, nil
}

// estimate says how many rows the branches of a plan hold, roughly: above
// maxProbed, anything.
func (l *recordLister) estimate(p *recordPlan) (int64, error) {
	if p.sources != nil {
		return l.stored(p.sources)
	}
	var sum int64
	for _, b := range p.branches {
		c := clause{sql: "SELECT count(*) FROM (SELECT 1" + l.from(b)}
		if own := b.condition(); own.sql != "" {
			c.sql += " WHERE " + own.sql
			c.args = own.args
		}
		var n int64
		if err := l.queryRow(c.sql+" LIMIT ?)", append(c.args, maxProbed)...).Scan(&n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// stored returns how many records the given sources have; all, where none is
// given.
func (l *recordLister) stored(sources []any) (int64, error) {
	c := clause{sql: "SELECT coalesce(sum(" + l.class.String() + "), 0) FROM sources"}
	if sources != nil {
		only := compare("id", sources)
		c = clause{c.sql + " WHERE " + only.sql, only.args}
	}
	var n int64
	err := l.queryRow(c.sql, c.args...).Scan(&n)
	return n, err
}

// count returns how many records the filter selects.
func (l *recordLister) count(p *recordPlan) (int64, error) {
	if l.filter == nil {
		return l.stored(nil)
	}
	if p != nil && p.exact && p.sources != nil {
		return l.stored(p.sources)
	}
	if p == nil {
		p = &recordPlan{branches: []branch{{index: l.class.String() + "_key"}}}
	}
	var c clause
	if len(p.branches) == 1 {
		c = l.branchSQL("count(*)", p, p.branches[0])
	} else {
		var parts []string
		for _, b := range p.branches {
			one := l.branchSQL("r.seq", p, b)
			parts = append(parts, one.sql)
			c.args = append(c.args, one.args...)
		}
		c.sql = "SELECT count(*) FROM (" + strings.Join(parts, " UNION ") + ")"
	}
	var n int64
	err := l.queryRow(c.sql, c.args...).Scan(&n)
	return n, err
}

// pageSQL selects the records of a page. Where there are several branches, each
// is read no further than the page needs; the union drops what stands in two.
func (l *recordLister) pageSQL(p *recordPlan, page query.Page) clause {
	order := l.orderSQL(page.Sort)
	if len(p.branches) == 1 {
		c := l.branchSQL(recordColumns, p, p.branches[0])
		return clause{c.sql + order + " LIMIT ? OFFSET ?", append(c.args, page.Limit, page.Offset)}
	}
	var parts []string
	var args []any
	for _, b := range p.branches {
		c := l.branchSQL("r.seq", p, b)
		parts = append(parts, "SELECT * FROM ("+c.sql+order+" LIMIT ?)")
		args = append(append(args, c.args...), int64(page.Limit)+int64(page.Offset))
	}
	return clause{
		"SELECT " + recordColumns + " FROM " + l.class.String() + " r CROSS JOIN sources s ON s.seq = r.source WHERE r.seq IN (" +
			strings.Join(parts, " UNION ") + ")" + order + " LIMIT ? OFFSET ?",
		append(args, page.Limit, page.Offset),
	}
}

// orderSQL returns the order of a list; ties are broken by id.
func (l *recordLister) orderSQL(sorters []query.Sorter) string {
	var terms []string
	direction := ""
	for _, s := range sorters {
		if direction = ""; s.Desc {
			direction = " DESC"
		}
		if s.Field == query.FieldKey {
			terms = append(terms, "s.seq"+direction, "r.key"+direction)
			continue
		}
		terms = append(terms, l.column(s.Field)+direction)
	}
	if sorters[len(sorters)-1].Field != query.FieldKey {
		terms = append(terms, "r.id"+direction)
	}
	return " ORDER BY " + strings.Join(terms, ", ")
}

// branchSQL selects the records of one branch that the filter accepts.
func (l *recordLister) branchSQL(what string, p *recordPlan, b branch) clause {
	c := clause{sql: "SELECT " + what + l.from(b)}
	conditions := []clause{b.condition()}
	if !p.exact {
		conditions = append(conditions, l.compile(l.filter))
	}
	separator := " WHERE "
	for _, own := range conditions {
		if own.sql != "" {
			c.sql += separator + own.sql
			c.args = append(c.args, own.args...)
			separator = " AND "
		}
	}
	return c
}

// from joins records with their sources: from the sources on where the index
// has them in order, else the other way.
func (l *recordLister) from(b branch) string {
	records := l.class.String() + " r INDEXED BY " + b.index
	if b.index == l.class.String()+"_key" {
		return " FROM sources s CROSS JOIN " + records + " ON r.source = s.seq"
	}
	return " FROM " + records + " CROSS JOIN sources s ON s.seq = r.source"
}

// compile turns a filter into a condition that selects the records that
// query.MatchLists accepts.
func (l *recordLister) compile(e query.Expr) clause { return compileWith(l.leaf, e) }

func (l *recordLister) leaf(e query.Expr) clause {
	// The plan is made: SQLite need not look for another in a chain of a thousand
	// terms, which takes it seconds.
	unplanned := func(f query.Field) string { return "+" + l.column(f) }
	// A primitive is listed as one element, an array as its own.
	const elements = "EXISTS (SELECT 1 FROM json_each(CAST(r.body AS TEXT), ?) v WHERE "
	switch e := e.(type) {
	case query.Compare:
		if name, ok := e.Field.Attribute(); ok {
			c := compare("v.value COLLATE NOCASE", recordParameters(e))
			return clause{elements + c.sql + ")", append([]any{jsonPath(name)}, c.args...)}
		}
		return compare(unplanned(e.Field), recordParameters(e))
	case query.Null:
		if name, ok := e.Field.Attribute(); ok {
			return clause{"NOT " + elements + "v.type <> 'null')", []any{jsonPath(name)}}
		}
	}
	return onColumn(unplanned)(e)
}

// jsonPath returns SQLite's path to a member of an object.
func jsonPath(name string) string { return "$." + string(account.AppendText(nil, name)) }

// recordParameters is parameters for records, whose ids are all bytes.
func recordParameters(e query.Compare) []any {
	if e.Field == query.FieldSource || e.Field == query.FieldLastTask {
		e.Field = query.FieldID
	}
	return parameters(e)
}

func (l *recordLister) column(f query.Field) string {
	switch f {
	case query.FieldID:
		return "r.id"
	case query.FieldSource:
		return "s.id"
	case query.FieldName:
		return "r.name"
	case query.FieldLastTask:
		return "r.task_id"
	case query.FieldLastChange:
		return "r.change"
	case query.FieldAttribute:
		return "r.attribute COLLATE NOCASE"
	case query.FieldNativeIdentity:
		if l.class == account.Accounts {
			return "r.key COLLATE NOCASE"
		}
		return "r.native_identity COLLATE NOCASE"
	}
	panic("sqlite: no column for the field " + string(f) + " of " + l.class.String())
}
