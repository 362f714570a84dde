package postgres

import (
	"math"
	"slices"
	"strings"

	"stint/internal/query"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// maxBranches is how many index ranges of different sorts a list is merged from;
// above it, those of one index are taken together.
const maxBranches = 16

// maxConsidered is how many terms of an "and" are looked at for the best plan.
const maxConsidered = 32

// maxIndexed is how many characters of a text an index holds.
const maxIndexed = 600

// branch is a range of one index that holds its rows in the order of creation,
// for each of its values.
type branch struct {
	index string
	// column equals one of the values, if it is named; and the rest holds.
	column string
	values []any
	rest   []clause
}

// created is what the branch's index holds of the time of creation.
func (b branch) created() string {
	if b.index == "tasks_created" {
		return "created + 0" // as migrations/001_tasks.sql says
	}
	return "created"
}

func isPending() []clause { return []clause{{sql: "status IS NULL"}} }

// isStretch reports whether only its rest says which rows of its index it holds.
func (b branch) isStretch() bool {
	return b.column == "" && !strings.HasPrefix(b.index, "tasks_in_progress") && b.index != "tasks_created"
}

// What the indexes of texts hold that may be longer than an entry.
const (
	indexedSource     = "lower(left(source_id, 600))"
	indexedUniqueName = "lower(left(unique_name, 600))"
	indexedTargetID   = "lower(left(target_id, 600))"
	indexedTargetName = "lower(left(target_name, 600))"
)

// whole returns the whole text of what an index holds the beginning of.
func whole(indexed string) (string, bool) {
	name, ok := strings.CutPrefix(indexed, "lower(left(")
	if !ok {
		return indexed, false
	}
	return "lower(" + strings.TrimSuffix(name, ", 600))") + ")", true
}

// is compares a branch's column with one value, whose type the server must be
// told.
func (b branch) is(value any) clause {
	c := clause{b.column + " = ?", []any{value}}
	all, cut := whole(b.column)
	if v, ok := value.(string); ok && cut {
		if first := firstOf(v); first != v {
			return clause{b.column + " = ? AND " + all + " = ?", []any{first, v}}
		}
	}
	return c
}

// firstOf returns what an index holds of a text.
func firstOf(v string) string {
	n := 0
	for i := range v {
		if n == maxIndexed {
			return v[:i]
		}
		n++
	}
	return v
}

// isAny compares a branch's column with v.value, one of many.
func (b branch) isAny() string {
	if all, cut := whole(b.column); cut {
		return b.column + " = left(v.value, 600) AND " + all + " = v.value"
	}
	return b.column + " = v.value"
}

// plan says which branches together hold every row that a filter selects.
// Nothing about the plan can change what is selected: where exact is false the
// filter itself is applied to each branch too.
type plan struct {
	branches []branch
	exact    bool // the branches hold what the filter selects and nothing else
	// tallied says that the branches are dimension's counts of values.
	tallied   bool
	dimension tally.Dimension
	values    [][]byte
	estimate  int64 // how many rows the branches hold, roughly
}

// planner chooses plans by the stored counts: they are exact at every moment,
// which the server's own statistics are not.
type planner struct{ reading }

// everything is the plan that walks all tasks in order.
func everything() plan {
	return plan{
		branches: []branch{{index: "tasks_created"}}, exact: true, tallied: true, dimension: tally.All, values: [][]byte{{}},
		estimate: math.MaxInt64,
	}
}

// plan chooses the branches for a filter: those that hold the fewest rows. A
// filter without a selective part walks all tasks in order.
func (p *planner) plan(filter query.Expr) (plan, error) {
	if filter == nil {
		return everything(), nil
	}
	found, err := p.of(filter)
	if err != nil {
		return plan{}, err
	}
	if found == nil || !found.exact && tooLong(compile(filter), len(found.branches)) {
		return plan{branches: everything().branches, estimate: math.MaxInt64}, nil
	}
	return *found, nil
}

// tooLong reports whether a filter, applied to each of the branches, would be
// more than the server takes as one statement (65,535 parameters).
func tooLong(c clause, branches int) bool {
	const maxBytes, maxParameters = 400_000, 30_000
	return branches > 1 && (len(c.sql)*branches > maxBytes || len(c.args)*branches > maxParameters)
}

// of returns the best plan for e, or nil where e has no selective part.
func (p *planner) of(e query.Expr) (*plan, error) {
	switch e := e.(type) {
	case query.Null:
		if e.Field == query.FieldStatus {
			return p.inProgress()
		}
	case query.Compare:
		return p.compare(e)
	case query.Prefix, query.Range:
		return p.stretch(e)
	case query.And:
		if _, ok := e.RangeField(); ok {
			return p.stretch(e)
		}
		return p.and(e)
	case query.Or:
		return p.or(e)
	}
	return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
}

func (p *planner) inProgress() (*plan, error) {
	found := &plan{
		branches: []branch{{index: "tasks_in_progress", rest: isPending()}}, exact: true,
		tallied: true, dimension: tally.InProgress, values: [][]byte{{}},
	}
	return found, p.estimate(found)
}

// indexes maps a field to the index in whose order its rows can be read, to what
// that index begins with, and to the dimension that counts them.
func indexes(f query.Field) (index, column string, d tally.Dimension) {
	switch f {
	case query.FieldSource:
		return "tasks_source", indexedSource, tally.Source
	case query.FieldStatus:
		return "tasks_status", "status", tally.Status
	case query.FieldKind:
		return "tasks_kind", "kind", tally.Kind
	case query.FieldType:
		return "tasks_type", "type", tally.Type
	case query.FieldLauncher:
		return "tasks_launcher", "lower(launcher)", tally.Launcher
	}
	return "", "", 0
}

func (p *planner) compare(e query.Compare) (*plan, error) {
	values := parameters(e)
	if len(values) == 0 {
		return &plan{branches: []branch{{index: "tasks_created", rest: []clause{nothing()}}}, exact: true}, nil
	}
	if e.Field == query.FieldID {
		return &plan{
			branches: []branch{{index: "tasks_pkey", column: "id", values: values}}, exact: true, estimate: int64(len(values)),
		}, nil
	}
	index, column, dimension := indexes(e.Field)
	if index == "" {
		return p.uncounted(e, values)
	}
	found := &plan{
		branches: []branch{{index: index, column: column, values: values}}, exact: true, tallied: true, dimension: dimension,
	}
	for _, v := range values {
		found.values = append(found.values, tallyValue(task.LowerASCII(v.(string))))
	}
	return found, p.estimate(found)
}

// uncountedIndex returns the index of a field whose values are not counted, and what
// that begins with.
func uncountedIndex(f query.Field) (index, column string) {
	switch f {
	case query.FieldUniqueName:
		return "tasks_unique_name", indexedUniqueName
	case query.FieldTargetID:
		return "tasks_target_id", indexedTargetID
	case query.FieldTargetName:
		return "tasks_target_name", indexedTargetName
	case query.FieldCompleted:
		return "tasks_completed", "completed"
	case query.FieldDuration:
		return "tasks_duration", "(completed - launched)"
	}
	return "", ""
}

// uncounted plans a comparison with values that are not counted.
func (p *planner) uncounted(e query.Compare, values []any) (*plan, error) {
	index, column := uncountedIndex(e.Field)
	if index == "" {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	found := &plan{branches: []branch{{index: index, column: column, values: values}}, exact: true}
	return found, p.probe(found)
}

// stretch plans what is a stretch of an index in an order that is not that of
// creation: worth it where it is short.
func (p *planner) stretch(e query.Expr) (*plan, error) {
	b := branch{}
	switch e := e.(type) {
	case query.Prefix:
		b = beginning(e)
	case query.Range:
		b.index, _ = uncountedIndex(e.Field)
		b.rest = []clause{compile(e)}
	case query.And:
		field, _ := e.RangeField()
		b.index, _ = uncountedIndex(field)
		b.rest = []clause{compile(e)}
	}
	if b.index == "" {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	found := &plan{branches: []branch{b}, exact: true}
	if err := p.probe(found); err != nil || found.estimate >= maxProbed {
		return nil, err
	}
	return found, nil
}

// beginning is the stretch of texts that begin alike.
func beginning(e query.Prefix) branch {
	index, column, _ := indexes(e.Field)
	if index == "" {
		index, column = uncountedIndex(e.Field)
	}
	b := branch{index: index}
	if index == "" {
		return b
	}
	b.rest = []clause{startsWith(column, firstOf(e.Value))}
	if all, cut := whole(column); cut && firstOf(e.Value) != e.Value {
		b.rest = append(b.rest, startsWith(all, e.Value))
	}
	return b
}

// probe counts the rows of branches, up to maxProbed.
func (p *planner) probe(found *plan) error {
	for _, b := range found.branches {
		c := clause{sql: "true"}
		switch len(b.values) {
		case 0:
		case 1:
			c = c.and(b.is(b.values[0]))
		default:
			c = c.and(clause{b.column + " = ANY (?)", []any{array(firsts(b.values))}})
		}
		for _, part := range b.rest {
			c = c.and(part)
		}
		var n int64
		err := p.queryRow("SELECT count(*) FROM (SELECT 1 FROM tasks WHERE "+c.sql+" LIMIT ?) found", append(c.args, maxProbed)...).Scan(&n)
		if err != nil {
			return err
		}
		if found.estimate += n; found.estimate >= maxProbed {
			// As many as there are, for all that is known: what was counted is better.
			found.estimate = unprobed
			return nil
		}
	}
	return nil
}

// firsts is what an index holds of texts.
func firsts(values []any) []any {
	cut := make([]any, len(values))
	for i, v := range values {
		cut[i] = v
		if text, ok := v.(string); ok {
			cut[i] = firstOf(text)
		}
	}
	return cut
}

// unprobed is the estimate of what holds more rows than were looked at.
const unprobed = math.MaxInt64 / 4

// and takes the term with the fewest rows; the others are left to the filter.
// Kind and in progress together have an index of their own.
func (p *planner) and(e query.And) (*plan, error) {
	var best *plan
	var kind *query.Compare
	pending := false
	terms := query.GroupRanges(e.Terms)
	for _, term := range terms[:min(len(terms), maxConsidered)] {
		switch term := term.(type) {
		case query.Compare:
			if term.Field == query.FieldKind {
				kind = &term
			}
		case query.Null:
			pending = pending || term.Field == query.FieldStatus
		}
		found, err := p.of(term)
		if err != nil {
			return nil, err
		}
		if found != nil && (best == nil || found.estimate < best.estimate) {
			best = found
		}
	}
	if best == nil {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	both := kind != nil && len(kind.Values) > 0 && pending
	if both && (best.dimension == tally.Kind || best.dimension == tally.InProgress) && best.tallied {
		best.branches = []branch{{index: "tasks_in_progress_kind", column: "kind", values: parameters(*kind), rest: isPending()}}
		best.exact = len(e.Terms) == 2
	} else {
		best.exact = false
	}
	best.tallied = false
	return best, nil
}

// or needs a plan for every term, and is their union.
func (p *planner) or(e query.Or) (*plan, error) {
	union := &plan{exact: true}
	for _, term := range e.Terms {
		found, err := p.of(term)
		if err != nil || found == nil {
			return nil, err
		}
		for _, b := range found.branches {
			if !found.exact {
				// The term's own filter keeps the union exact.
				b.rest = append(append([]clause(nil), b.rest...), opaque(compile(term)))
			}
			union.branches = append(union.branches, b)
		}
		union.estimate += found.estimate
	}
	if len(union.branches) > maxBranches {
		if slices.ContainsFunc(union.branches, branch.isStretch) {
			return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
		}
		union.branches, union.exact = mergeBranches(union.branches), false
	}
	return union, nil
}

// mergeBranches makes one branch of all those of an index. It holds all their
// rows, and more: the filter must be applied to it.
func mergeBranches(all []branch) []branch {
	var merged []branch
	at := map[string]int{}
	seen := map[string]map[any]bool{}
	for _, b := range all {
		if b.index == "tasks_created" {
			continue // a comparison that nothing equals
		}
		i, known := at[b.index]
		if !known {
			i = len(merged)
			at[b.index], seen[b.index] = i, map[any]bool{}
			m := branch{index: b.index, column: b.column}
			if strings.HasPrefix(b.index, "tasks_in_progress") {
				m.rest = isPending()
			}
			merged = append(merged, m)
		}
		for _, v := range b.values {
			key := v
			if id, ok := v.([]byte); ok {
				key = string(id)
			}
			if !seen[b.index][key] {
				seen[b.index][key] = true
				merged[i].values = append(merged[i].values, v)
			}
		}
	}
	if len(merged) == 0 {
		return all[:1]
	}
	return merged
}

const estimateSQL = `SELECT (coalesce((SELECT sum(n) FROM tallies WHERE dimension = $1 AND level = $2 AND value = ANY ($3)), 0) +
	coalesce((SELECT sum(n) FROM tally_changes WHERE dimension = $1 AND value = ANY ($3)), 0))::bigint`

// estimate sums the longest spans: a few dozen rows however many tasks there
// are.
func (p *planner) estimate(of *plan) error {
	return p.queryRow(estimateSQL, of.dimension, tally.Levels-1, of.values).Scan(&of.estimate)
}
