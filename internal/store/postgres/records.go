package postgres

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

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

// recordSource is a source, by its number, and how many records it has.
type recordSource struct{ seq, n int64 }

// recordBranch is a range of an index: the records that meet all its conditions.
type recordBranch struct {
	conditions []clause
	// order is the field in whose order the range is read, if there is one.
	order query.Field
}

// recordPlan says which branches together hold every record that a filter
// selects. Nothing about the plan can change what is selected: where exact is false
// the filter itself is applied to each branch too.
type recordPlan struct {
	branches []recordBranch
	exact    bool
	// sources are those whose records the branches hold, if that is what they hold.
	sources []recordSource
}

func (l *recordLister) list(page query.Page) (found []account.Stored, total int64, err error) {
	l.filter = query.Simplify(page.Filter)
	if err := l.scans(false); err != nil {
		return nil, 0, err
	}
	selective, err := l.of(l.filter)
	if err != nil {
		return nil, 0, fmt.Errorf("plan: %w", err)
	}
	if selective != nil && !selective.exact && recordsTooLong(l.compile(l.filter), len(selective.branches)) {
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
	found, err = l.page(selective, page)
	return found, total, err
}

// scans lets the server read the whole table, or forbids it where there is an index
// for what is asked: it does not know as well as a plan what a filter leaves over.
func (l *recordLister) scans(allowed bool) error {
	setting := "SET LOCAL enable_seqscan = off"
	if allowed {
		setting = "SET LOCAL enable_seqscan = on"
	}
	_, err := l.conn.Exec(l.ctx, setting)
	return err
}

// recordsTooLong reports whether a filter, applied to each of the branches, would
// take the server long to read.
func recordsTooLong(c clause, branches int) bool {
	const maxBytes, maxParameters = 400_000, 16_000
	return branches > 1 && (len(c.sql)*branches > maxBytes || len(c.args)*branches > maxParameters)
}

func (l *recordLister) page(selective *recordPlan, page query.Page) ([]account.Stored, error) {
	if inOrder := page.Sort[0].Field == query.FieldKey; inOrder && (l.filter == nil || selective != nil && selective.exact && selective.sources != nil) {
		var err error
		var all []recordSource
		if l.filter != nil {
			all = selective.sources
		} else if all, err = l.sourcesOf(nil); err != nil {
			return nil, fmt.Errorf("plan: %w", err)
		}
		return l.bySource(all, page)
	}
	p, err := l.planPage(selective, page)
	if err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return l.read(nil, l.pageSQL(p, page), page.Sort)
}

// bySource reads a page of all records of some sources, source by source: how many
// each has is known, so that those before the page are passed over.
func (l *recordLister) bySource(all []recordSource, page query.Page) (found []account.Stored, err error) {
	if page.Sort[0].Desc {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	for _, src := range all {
		if int64(page.Offset) >= src.n {
			page.Offset -= int(src.n)
			continue
		}
		p := &recordPlan{branches: []recordBranch{ofSources(src)}, exact: true}
		before := len(found)
		if found, err = l.read(found, l.pageSQL(p, page), page.Sort); err != nil {
			return nil, err
		}
		page.Offset = 0
		if page.Limit -= len(found) - before; page.Limit <= 0 {
			break
		}
	}
	return found, nil
}

// read runs a query of pageSQL and appends what it finds, in its order, with as
// many bodies as may be held at once.
func (l *recordLister) read(found []account.Stored, c clause, sorters []query.Sorter) ([]account.Stored, error) {
	held := 0
	for i := range found {
		held += len(found[i].Body)
	}
	order := l.orderOf(sorters).outer()
	err := l.each(func(row rowScanner) error {
		r, err := scanRecord(row)
		found = append(found, r)
		return err
	}, `SELECT id, source_id, source_name, key, name, created, modified, change, task_id, CASE WHEN size < ? THEN body END
		FROM (SELECT *, coalesce(sum(octet_length(body)) OVER (ORDER BY `+order+` ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS size
			FROM (`+c.sql+`) page) summed ORDER BY `+order, append([]any{maxHeldRecords - held}, c.args...)...)
	return found, err
}

// planPage chooses between the branches of the filter's selective part and a
// walk in the order of the list, which the filter applies to.
func (l *recordLister) planPage(selective *recordPlan, page query.Page) (*recordPlan, error) {
	order := page.Sort[0].Field
	walk := &recordPlan{branches: []recordBranch{{order: order}}, exact: l.filter == nil}
	if selective == nil {
		return walk, nil
	}
	if !slices.ContainsFunc(selective.branches, func(b recordBranch) bool { return b.order != order }) {
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

// of returns the plan for e, or nil where e has no selective part.
func (l *recordLister) of(e query.Expr) (*recordPlan, error) {
	switch e := e.(type) {
	case query.Compare:
		return l.compare(e)
	case query.Prefix:
		if indexed(e.Field) {
			return &recordPlan{branches: []recordBranch{{l.begins(e), e.Field}}, exact: true}, nil
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

func (l *recordLister) compare(e query.Compare) (*recordPlan, error) {
	values := recordParameters(e)
	switch {
	case len(values) == 0:
		return &recordPlan{branches: []recordBranch{{conditions: []clause{nothing()}}}, exact: true}, nil
	case e.Field == query.FieldID:
		return &recordPlan{branches: []recordBranch{{conditions: []clause{compare("r.id", values)}}}, exact: true}, nil
	case e.Field == query.FieldSource:
		found, err := l.sourcesOf(values)
		if err != nil {
			return nil, err
		}
		p := &recordPlan{exact: true, sources: found}
		if len(found) > maxBranches {
			p.branches = []recordBranch{ofSources(found...)}
			return p, nil
		}
		for _, src := range found {
			p.branches = append(p.branches, ofSources(src))
		}
		if len(found) == 0 {
			p.branches = []recordBranch{{conditions: []clause{nothing()}}}
		}
		return p, nil
	case indexed(e.Field) && len(values) <= maxBranches:
		p := &recordPlan{exact: true}
		for _, v := range values {
			p.branches = append(p.branches, recordBranch{l.equals(e.Field, []any{v}), e.Field})
		}
		return p, nil
	case indexed(e.Field):
		return &recordPlan{branches: []recordBranch{{conditions: l.equals(e.Field, values)}}, exact: true}, nil
	}
	return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
}

// ofSources is the range of the records of sources.
func ofSources(sources ...recordSource) recordBranch {
	if len(sources) == 1 {
		return recordBranch{[]clause{{"r.source = ?", []any{sources[0].seq}}}, query.FieldKey}
	}
	numbers := make([]int64, len(sources))
	for i, src := range sources {
		numbers[i] = src.seq
	}
	return recordBranch{conditions: []clause{{"r.source = ANY (?)", []any{numbers}}}}
}

// equals selects a range of the index of a field, and the whole texts where the
// index does not hold them.
func (l *recordLister) equals(f query.Field, values []any) []clause {
	heads, long := make([]any, len(values)), false
	for i, v := range values {
		heads[i] = firstOf(v.(string))
		// The index says the same of all texts that begin so.
		long = long || utf8.RuneCountInString(v.(string)) >= maxIndexed
	}
	conditions := []clause{compare(l.head(f), heads)}
	if len(heads) == 1 {
		// A range of one: of what equals something, the server knows that it needs no
		// order, and then takes any index for the rest of it.
		conditions[0] = clause{"(" + l.head(f) + " >= ? AND " + l.head(f) + " <= ?)", []any{heads[0], heads[0]}}
	}
	if long {
		conditions = append(conditions, compare(l.column(f), values))
	}
	return conditions
}

// begins is equals for a prefix.
func (l *recordLister) begins(e query.Prefix) []clause {
	conditions := []clause{startsWith(l.head(e.Field), firstOf(e.Value))}
	if firstOf(e.Value) != e.Value {
		conditions = append(conditions, startsWith(l.column(e.Field), e.Value))
	}
	return conditions
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
	return &recordPlan{branches: best.branches, sources: best.sources}, nil
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
				b.conditions = append(slices.Clone(b.conditions), l.compile(term))
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
	var sum int64
	if p.sources != nil {
		for _, src := range p.sources {
			sum += src.n
		}
		return sum, nil
	}
	for _, b := range p.branches {
		c := l.branchSQL("1", &recordPlan{exact: true}, b)
		c.sql += l.own(b)
		var n int64
		if err := l.queryRow("SELECT count(*) FROM ("+c.sql+" LIMIT ?) probed", append(c.args, maxProbed)...).Scan(&n); err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

// sourcesOf returns those of the sources with these ids that have records, in the
// order of their creation; of all sources, where none is given.
func (l *recordLister) sourcesOf(ids []any) ([]recordSource, error) {
	c := clause{sql: ofClass("SELECT seq, @records FROM sources WHERE @records > 0", l.class)}
	if ids != nil {
		only := compare("id", ids)
		c = clause{c.sql + " AND " + only.sql, only.args}
	}
	found := []recordSource{}
	err := l.each(func(row rowScanner) error {
		var src recordSource
		err := row.Scan(&src.seq, &src.n)
		found = append(found, src)
		return err
	}, c.sql+" ORDER BY seq", c.args...)
	return found, err
}

// stored returns how many records there are.
func (l *recordLister) stored(of *recordPlan) (int64, error) {
	if of != nil {
		return l.estimate(of)
	}
	var n int64
	err := l.queryRow("SELECT coalesce(sum(" + l.class.String() + "), 0)::bigint FROM sources").Scan(&n)
	return n, err
}

// count returns how many records the filter selects.
func (l *recordLister) count(p *recordPlan) (n int64, err error) {
	if l.filter == nil || p != nil && p.exact && p.sources != nil {
		return l.stored(p)
	}
	if p == nil {
		// Each of them is looked at: the server knows best in what order.
		if err := l.scans(true); err != nil {
			return 0, err
		}
		c := l.branchSQL("count(*)", &recordPlan{}, recordBranch{})
		if err := l.queryRow(c.sql, c.args...).Scan(&n); err != nil {
			return 0, err
		}
		return n, l.scans(false)
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
		c.sql = "SELECT count(*) FROM (" + strings.Join(parts, " UNION ") + ") found"
	}
	err = l.queryRow(c.sql, c.args...).Scan(&n)
	return n, err
}

// pageSQL selects the records of a page, with what they are ordered by. Where there
// are several branches, each is read no further than the page needs; the union
// drops what stands in two. A branch in another order is sorted, without what need
// not be: the server is kept from walking in the order of the list instead, which
// planPage decides about.
func (l *recordLister) pageSQL(p *recordPlan, page query.Page) clause {
	order := l.orderOf(page.Sort)
	first := page.Sort[0].Field
	if len(p.branches) == 1 && p.branches[0].order == first {
		c := l.branchSQL(recordColumns+", r.body, "+order.columns(), p, p.branches[0])
		return clause{c.sql + " ORDER BY " + order.outer() + " LIMIT ? OFFSET ?", append(c.args, page.Limit, page.Offset)}
	}
	var parts []string
	var args []any
	for _, b := range p.branches {
		c := l.branchSQL("r.seq, "+order.columns(), p, b)
		if b.order != first {
			c.sql = "SELECT * FROM (" + c.sql + l.own(b) + " OFFSET 0) unordered"
		}
		parts = append(parts, "("+c.sql+" ORDER BY "+order.outer()+" LIMIT ?)")
		args = append(append(args, c.args...), int64(page.Limit)+int64(page.Offset))
	}
	return clause{
		"SELECT " + recordColumns + ", r.body, " + order.columns() + " FROM " + l.class.String() + " r JOIN sources s ON s.seq = r.source" +
			" WHERE r.seq = ANY (ARRAY(SELECT seq FROM (" + strings.Join(parts, " UNION ") + ") found ORDER BY " + order.outer() + " LIMIT ? OFFSET ?)) OFFSET 0",
		append(args, page.Limit, page.Offset),
	}
}

// own orders a branch as its index does, so that the server reads it there.
func (l *recordLister) own(b recordBranch) string {
	if b.order == "" {
		return ""
	}
	return " ORDER BY " + strings.Join(l.orderOf([]query.Sorter{{Field: b.order}}).terms, ", ")
}

// recordOrder is the order of a list: expressions and their directions.
type recordOrder struct{ terms, directions []string }

// orderOf returns the order of a list; ties are broken by id. Texts are in the order
// of as much of them as an index holds.
func (l *recordLister) orderOf(sorters []query.Sorter) recordOrder {
	var o recordOrder
	direction := ""
	add := func(terms ...string) {
		for _, term := range terms {
			o.terms, o.directions = append(o.terms, term), append(o.directions, direction)
		}
	}
	for _, s := range sorters {
		if direction = ""; s.Desc {
			direction = " DESC"
		}
		if s.Field == query.FieldKey {
			add("r.source", "left(r.key, 600)", "r.key")
			continue
		}
		add(l.head(s.Field))
	}
	if sorters[len(sorters)-1].Field != query.FieldKey {
		add("r.id")
	}
	return o
}

// columns selects what is ordered by, as k0, k1 and so on.
func (o recordOrder) columns() string {
	named := make([]string, len(o.terms))
	for i, term := range o.terms {
		named[i] = fmt.Sprintf("%s AS k%d", term, i)
	}
	return strings.Join(named, ", ")
}

// outer orders by what columns has selected.
func (o recordOrder) outer() string {
	named := make([]string, len(o.terms))
	for i, direction := range o.directions {
		named[i] = fmt.Sprintf("k%d%s", i, direction)
	}
	return strings.Join(named, ", ")
}

// branchSQL selects the records of one branch that the filter accepts.
func (l *recordLister) branchSQL(what string, p *recordPlan, b recordBranch) clause {
	conditions := b.conditions
	if !p.exact {
		conditions = append(slices.Clone(conditions), l.compile(l.filter))
	}
	var c clause
	separator := " WHERE "
	for _, own := range conditions {
		c.sql += separator + own.sql
		c.args = append(c.args, own.args...)
		separator = " AND "
	}
	from := " FROM " + l.class.String() + " r JOIN sources s ON s.seq = r.source"
	if strings.Contains(c.sql, attributes) {
		from += " CROSS JOIN LATERAL (SELECT convert_from(r.body, 'UTF8')::jsonb AS attributes OFFSET 0) b"
	}
	c.sql = "SELECT " + what + from + c.sql
	return c
}

// compile turns a filter into a condition that selects the records that
// query.MatchLists accepts.
func (l *recordLister) compile(e query.Expr) clause { return compileWith(l.leaf, e) }

// attributes is the body of a record, read once however many terms ask for it.
const attributes = "b.attributes"

const (
	// An attribute lists texts: one, or those of an array, where a null is "". What
	// holds anything else lists nothing.
	listsSQL = `jsonb_path_query_array(` + attributes + ` -> ?::text, '$[*].type()') <@ '["string", "null"]'`
	// Lower case of the whole text is that of all texts in it: the server's own
	// escapes have no capitals.
	listsAnySQL  = `jsonb_exists_any(lower((` + attributes + ` -> ?::text)::text COLLATE "C")::jsonb, ?::text[])`
	listsNullSQL = attributes + ` -> ?::text @> '[null]'`
	emptySQL     = attributes + ` -> ?::text IN ('null', '[]')`
)

func (l *recordLister) leaf(e query.Expr) clause {
	switch e := e.(type) {
	case query.Compare:
		if name, ok := e.Field.Attribute(); ok {
			return listsAny(name, recordParameters(e))
		}
		return compare(l.column(e.Field), recordParameters(e))
	case query.Null:
		if name, ok := e.Field.Attribute(); ok {
			if !storable(name) {
				return clause{sql: "true"}
			}
			return clause{"NOT coalesce(" + listsSQL + " AND NOT " + emptySQL + ", false)", []any{name, name}}
		}
	}
	return onColumn(l.column)(e)
}

// listsAny selects the records of which an attribute lists one of some texts.
func listsAny(name string, values []any) clause {
	if !storable(name) || len(values) == 0 {
		return nothing()
	}
	c := clause{"(" + listsSQL + " AND " + listsAnySQL + ")", []any{name, name, array(values)}}
	if slices.Contains(values, any("")) {
		c = clause{"(" + listsSQL + " AND (" + listsAnySQL + " OR " + listsNullSQL + "))", append(c.args, name)}
	}
	return c
}

// recordParameters is parameters for records, whose ids are all bytes.
func recordParameters(e query.Compare) []any {
	if e.Field == query.FieldSource || e.Field == query.FieldLastTask {
		e.Field = query.FieldID
	}
	return parameters(e)
}

// column returns what a field is compared with.
func (l *recordLister) column(f query.Field) string {
	switch f {
	case query.FieldID:
		return "r.id"
	case query.FieldSource:
		return "s.id"
	case query.FieldLastTask:
		return "r.task_id"
	case query.FieldLastChange:
		return "r.change"
	case query.FieldAttribute:
		return "lower(split_part(r.key, chr(31), 1))"
	}
	return "lower(" + l.text(f) + ")"
}

// head returns what the index of a field holds.
func (l *recordLister) head(f query.Field) string { return "lower(left(" + l.text(f) + ", 600))" }

func (l *recordLister) text(f query.Field) string {
	switch {
	case f == query.FieldName:
		return "r.name"
	case f == query.FieldNativeIdentity && l.class == account.Accounts:
		return "r.key"
	case f == query.FieldNativeIdentity:
		return "substr(r.key, strpos(r.key, chr(31)) + 1)"
	}
	panic("postgres: no column for the field " + string(f) + " of " + l.class.String())
}
