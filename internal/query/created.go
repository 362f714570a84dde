package query

import "math"

// Created takes what a simplified expression demands of the time of creation out of
// it: all that it selects was created after one moment and before another, both in
// milliseconds since 1970, and is selected by the rest.
func Created(e Expr) (rest Expr, after, before int64) {
	after, before = math.MinInt64, math.MaxInt64
	terms := []Expr{e}
	if and, ok := e.(And); ok {
		terms = and.Terms
	}
	var left []Expr
	for _, term := range terms {
		r, ok := term.(Range)
		if !ok || r.Field != FieldCreated {
			if term != nil {
				left = append(left, term)
			}
			continue
		}
		ms := r.Number()
		switch r.Order {
		case After:
			after = max(after, ms)
		case NotLess:
			after = max(after, ms-1)
		case Before:
			before = min(before, ms)
		case NotAfter:
			before = min(before, ms+1)
		}
	}
	switch len(left) {
	case 0:
		return nil, after, before
	case 1:
		return left[0], after, before
	}
	return And{left}, after, before
}
