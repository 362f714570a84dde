package query

// RangeField returns the field whose order all terms compare with, where all do so with
// that of one field.
func (e And) RangeField() (Field, bool) {
	var field Field
	for i, term := range e.Terms {
		r, ok := term.(Range)
		if !ok || i > 0 && r.Field != field {
			return "", false
		}
		field = r.Field
	}
	return field, len(e.Terms) > 0
}

// GroupRanges puts the terms of an And that compare with one field's order together, in
// an And of their own: they are one stretch of that order. The others stay alone.
func GroupRanges(terms []Expr) []Expr {
	var grouped []Expr
	stretches := map[Field][]Expr{}
	places := map[Field]int{}
	for _, term := range terms {
		r, ok := term.(Range)
		if !ok {
			grouped = append(grouped, term)
			continue
		}
		if _, known := places[r.Field]; !known {
			places[r.Field] = len(grouped)
			grouped = append(grouped, nil)
		}
		stretches[r.Field] = append(stretches[r.Field], r)
		grouped[places[r.Field]] = And{Terms: stretches[r.Field]}
	}
	return grouped
}
