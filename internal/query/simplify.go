package query

import "stint/internal/task"

// Simplify returns an expression that is true of the same elements and easier
// to plan and to run: not stands only before comparisons, an And holds no And and
// an Or no Or, and neither compares a field twice (so that a Compare may be left
// without values, and equals nothing), except where that would change what it
// means: a field of several values can equal one thing and another. Two-valued
// logic makes all of that exact. Nil stays nil.
func Simplify(e Expr) Expr {
	if e == nil {
		return nil
	}
	return simplify(e, false)
}

// simplify simplifies e, or its negation.
func simplify(e Expr, negated bool) Expr {
	switch e := e.(type) {
	case Not:
		return simplify(e.Term, !negated)
	case And:
		return connect(e.Terms, negated, negated)
	case Or:
		return connect(e.Terms, !negated, negated)
	}
	return maybeNot(e, negated)
}

func maybeNot(e Expr, negated bool) Expr {
	if negated {
		return Not{e}
	}
	return e
}

// connect simplifies terms, each negated or not, and connects them.
func connect(terms []Expr, or, negated bool) Expr {
	var flat []Expr
	for _, term := range terms {
		term = simplify(term, negated)
		switch inner := term.(type) {
		case And:
			if !or {
				flat = append(flat, inner.Terms...)
				continue
			}
		case Or:
			if or {
				flat = append(flat, inner.Terms...)
				continue
			}
		}
		flat = append(flat, term)
	}
	flat = mergeSame(flat, or)
	switch {
	case len(flat) == 1:
		return flat[0]
	case or:
		return Or{flat}
	}
	return And{flat}
}

// mergeSame makes one term of all that compare a field, one of all that negate
// such a comparison, and one of each that asks for null or its negation.
func mergeSame(terms []Expr, or bool) []Expr {
	var merged []Expr
	type key struct {
		field   Field
		null    bool
		negated bool
	}
	at := map[key]int{}
	values := map[key]*valueSet{}
	for _, term := range terms {
		not, negated := term.(Not)
		if negated {
			term = not.Term
		}
		k := key{negated: negated}
		var more []string
		switch inner := term.(type) {
		case Compare:
			if _, several := inner.Field.Attribute(); several && or == negated {
				merged = append(merged, maybeNot(inner, negated))
				continue
			}
			k.field, more = inner.Field, inner.Values
		case Null:
			k.field, k.null = inner.Field, true
		default: // a prefix, or a connective of the other sort
			merged = append(merged, maybeNot(inner, negated))
			continue
		}
		if _, seen := at[k]; !seen {
			at[k] = len(merged)
			values[k] = newValueSet(more)
			merged = append(merged, nil)
			continue
		}
		// "not" turns a union into an intersection.
		if or != negated {
			values[k].add(more)
		} else {
			values[k].keep(more)
		}
	}
	for k, i := range at {
		var e Expr = Compare{Field: k.field, Values: values[k].list()}
		if k.null {
			e = Null{k.field}
		}
		merged[i] = maybeNot(e, k.negated)
	}
	return merged
}

// valueSet is a set of values, ASCII case ignored, in the order they came in.
type valueSet struct {
	order []string
	in    map[string]bool // by lower case
}

func newValueSet(values []string) *valueSet {
	s := &valueSet{in: map[string]bool{}}
	s.add(values)
	return s
}

func (s *valueSet) add(values []string) {
	for _, v := range values {
		if folded := task.LowerASCII(v); !s.in[folded] {
			s.in[folded] = true
			s.order = append(s.order, v)
		}
	}
}

// keep drops what is not among values.
func (s *valueSet) keep(values []string) {
	other := newValueSet(values)
	for folded := range s.in {
		if !other.in[folded] {
			delete(s.in, folded)
		}
	}
}

func (s *valueSet) list() []string {
	var left []string
	for _, v := range s.order {
		if s.in[task.LowerASCII(v)] {
			left = append(left, v)
		}
	}
	return left
}
