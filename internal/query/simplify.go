package query

// Simplify returns an expression that is true of the same elements and easier
// to plan: not stands only before comparisons, an And holds no And and an Or no
// Or, and an Or compares each field at most once. Two-valued logic makes all of
// that exact. Nil stays nil.
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
	if or {
		flat = mergeComparisons(flat)
	}
	switch {
	case len(flat) == 1:
		return flat[0]
	case or:
		return Or{flat}
	}
	return And{flat}
}

// mergeComparisons makes one comparison of all those of a field.
func mergeComparisons(terms []Expr) []Expr {
	var merged []Expr
	at := map[Field]int{}
	for _, term := range terms {
		c, ok := term.(Compare)
		if !ok {
			merged = append(merged, term)
			continue
		}
		i, seen := at[c.Field]
		if !seen {
			at[c.Field] = len(merged)
			merged = append(merged, c)
			continue
		}
		first := merged[i].(Compare)
		merged[i] = Compare{Field: c.Field, Values: append(append([]string(nil), first.Values...), c.Values...)}
	}
	return merged
}
