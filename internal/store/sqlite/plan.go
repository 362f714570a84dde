package sqlite

import (
	"math"
	"slices"
	"strings"

	"stint/internal/query"
	"stint/internal/store/tally"
	"stint/internal/task"
)

// maxBranches is how many index ranges a list is merged from; above it, one
// range over the many values is sorted instead.
const maxBranches = 16

// maxConsidered is how many terms of an "and" are looked at for the best plan.
const maxConsidered = 32

// branch is a range of one index that holds its rows in the order of creation
// (or, for many values at once, in no order).
type branch struct {
	index string
	// column equals one of the values, if it is named; and the rest holds.
	column string
	values []any
	rest   []clause
}

// condition is what the branch's rows have in common.
func (b branch) condition() clause {
	parts := b.rest
	if b.column != "" {
		parts = append([]clause{compare(b.column, b.values)}, parts...)
	}
	var c clause
	for i, part := range parts {
		if i > 0 {
			c.sql += " AND "
		}
		c.sql += part.sql
		c.args = append(c.args, part.args...)
	}
	return c
}

// isStretch reports whether only its rest says which rows of its index it holds.
func (b branch) isStretch() bool {
	return b.column == "" && !strings.HasPrefix(b.index, "tasks_in_progress") && b.index != "tasks_created"
}

func isPending() []clause { return []clause{{sql: "status IS NULL"}} }

// plan says which branches together hold every row that a filter selects.
// Nothing about the plan can change what is selected: where exact is false the
// filter itself is applied to each branch too.
type plan struct {
	branches []branch
	exact    bool // the branches hold what the filter selects and nothing else
	// tallied says that the branches are dimension's counts of values.
	tallied   bool
	dimension tally.Dimension
	values    []string
	estimate  int64 // how many rows the branches hold, roughly
}

// planner chooses plans by the stored counts.
type planner struct{ reading }

// plan chooses the branches for a filter: those that hold the fewest rows. A
// filter without a selective part walks all tasks in order.
func (p *planner) plan(filter query.Expr) (plan, error) {
	everything := plan{
		branches: []branch{{index: "tasks_created"}}, exact: filter == nil,
		tallied: filter == nil, dimension: tally.All, values: []string{""}, estimate: math.MaxInt64,
	}
	if filter == nil {
		return everything, nil
	}
	found, err := p.of(filter)
	if err != nil {
		return plan{}, err
	}
	if found == nil || !found.exact && tooLong(compile(filter), len(found.branches)) {
		return everything, nil
	}
	return *found, nil
}

// tooLong reports whether a filter, applied to each of the branches, would be
// more than SQLite takes as one statement (a million bytes, 32,766 parameters).
func tooLong(c clause, branches int) bool {
	const maxBytes, maxParameters = 400_000, 16_000
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
	n, err := p.estimate(tally.InProgress, []string{""})
	return &plan{
		branches: []branch{{index: "tasks_in_progress", rest: isPending()}}, exact: true,
		tallied: true, dimension: tally.InProgress, values: []string{""}, estimate: n,
	}, err
}

// indexes maps a field to the index in whose order its rows can be read, and to
// the dimension that counts them.
func indexes(f query.Field) (string, tally.Dimension, bool) {
	switch f {
	case query.FieldSource:
		return "tasks_source", tally.Source, true
	case query.FieldStatus:
		return "tasks_status", tally.Status, true
	case query.FieldKind:
		return "tasks_kind", tally.Kind, true
	case query.FieldType:
		return "tasks_type", tally.Type, true
	case query.FieldLauncher:
		return "tasks_launcher", tally.Launcher, true
	}
	return "", 0, false
}

func (p *planner) compare(e query.Compare) (*plan, error) {
	values := parameters(e)
	if len(values) == 0 {
		return &plan{branches: []branch{{index: "tasks_created", rest: []clause{nothing()}}}, exact: true}, nil
	}
	if e.Field == query.FieldID {
		return &plan{
			branches: []branch{{index: "tasks_id", column: "id", values: values}}, exact: true, estimate: int64(len(values)),
		}, nil
	}
	index, dimension, ok := indexes(e.Field)
	if !ok {
		return p.uncounted(e, values)
	}
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = task.LowerASCII(v.(string))
	}
	n, err := p.estimate(dimension, names)
	return &plan{
		branches: branches(index, column(e.Field), values, nil), exact: true,
		tallied: true, dimension: dimension, values: names, estimate: n,
	}, err
}

// uncountedIndex returns the index of a field whose values are not counted.
func uncountedIndex(f query.Field) string {
	switch f {
	case query.FieldUniqueName:
		return "tasks_unique_name"
	case query.FieldTargetID:
		return "tasks_target_id"
	case query.FieldTargetName:
		return "tasks_target_name"
	case query.FieldCompleted:
		return "tasks_completed"
	case query.FieldDuration:
		return "tasks_duration"
	}
	return ""
}

// uncounted plans a comparison with values that are not counted.
func (p *planner) uncounted(e query.Compare, values []any) (*plan, error) {
	index := uncountedIndex(e.Field)
	if index == "" {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	found := &plan{branches: branches(index, column(e.Field), values, nil), exact: true}
	return found, p.probe(found)
}

// stretch plans what is a stretch of an index in an order that is not that of
// creation: worth it where it is short.
func (p *planner) stretch(e query.Expr) (*plan, error) {
	index := ""
	switch e := e.(type) {
	case query.Prefix:
		if index, _, _ = indexes(e.Field); index == "" {
			index = uncountedIndex(e.Field)
		}
	case query.Range:
		index = uncountedIndex(e.Field)
	case query.And:
		field, _ := e.RangeField()
		index = uncountedIndex(field)
	}
	if index == "" {
		return nil, nil //nolint:nilnil // "no plan" is an answer here, not a failure
	}
	found := &plan{branches: []branch{{index: index, rest: []clause{compile(e)}}}, exact: true}
	if err := p.probe(found); err != nil || found.estimate >= maxProbed {
		return nil, err
	}
	return found, nil
}

// probe counts the rows of branches, up to maxProbed.
func (p *planner) probe(found *plan) error {
	for _, b := range found.branches {
		own := b.condition()
		var n int64
		err := p.queryRow("SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY "+b.index+" WHERE "+own.sql+" LIMIT ?)",
			append(own.args, maxProbed)...).Scan(&n)
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

// unprobed is the estimate of what holds more rows than were looked at.
const unprobed = math.MaxInt64 / 4

// branches makes one branch a value, or one for all where they are many.
func branches(index, column string, values []any, rest []clause) []branch {
	if len(values) > maxBranches {
		return []branch{{index, column, values, rest}}
	}
	made := make([]branch, len(values))
	for i, v := range values {
		made[i] = branch{index, column, []any{v}, rest}
	}
	return made
}

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
		best.branches = branches("tasks_in_progress_kind", "kind", parameters(*kind), isPending())
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
				b.rest = append(append([]clause(nil), b.rest...), compile(term))
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
			if b.index == "tasks_in_progress" || b.index == "tasks_in_progress_kind" {
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

// estimate sums the longest spans: a few dozen rows however many tasks there
// are.
func (p *planner) estimate(d tally.Dimension, values []string) (int64, error) {
	var n int64
	args := []any{d, tally.Levels - 1}
	for _, v := range values {
		args = append(args, v)
	}
	err := p.queryRow("SELECT coalesce(sum(n), 0) FROM tallies WHERE dimension = ? AND level = ? AND value IN (?"+
		strings.Repeat(", ?", len(values)-1)+")", args...).Scan(&n)
	return n, err
}
