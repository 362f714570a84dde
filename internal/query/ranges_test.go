package query_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
)

func TestGroupRanges(t *testing.T) {
	t.Parallel()
	r := func(f query.Field, o query.Order) query.Expr { return query.Range{Field: f, Order: o, Value: "1"} }
	and := func(terms ...query.Expr) query.Expr { return query.And{Terms: terms} }
	from, to := r(query.FieldCompleted, query.NotLess), r(query.FieldCompleted, query.Before)
	long, open := r(query.FieldDuration, query.After), query.Null{Field: query.FieldStatus}
	got := query.GroupRanges([]query.Expr{from, open, long, to})
	if diff := cmp.Diff([]query.Expr{and(from, to), open, and(long)}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRangeField(t *testing.T) {
	t.Parallel()
	r := func(f query.Field) query.Expr { return query.Range{Field: f, Order: query.After, Value: "1"} }
	for name, test := range map[string]struct {
		terms []query.Expr
		want  query.Field
	}{
		"none":          {nil, ""},
		"one":           {[]query.Expr{r(query.FieldDuration)}, query.FieldDuration},
		"two":           {[]query.Expr{r(query.FieldDuration), r(query.FieldDuration)}, query.FieldDuration},
		"of two fields": {[]query.Expr{r(query.FieldDuration), r(query.FieldCompleted)}, ""},
		"no order":      {[]query.Expr{r(query.FieldDuration), query.Null{Field: query.FieldDuration}}, ""},
		"another first": {[]query.Expr{query.Null{Field: query.FieldDuration}, r(query.FieldDuration)}, ""},
	} {
		if got, ok := (query.And{Terms: test.terms}).RangeField(); got != test.want || ok != (test.want != "") {
			t.Errorf("%s: got %q, %v, want %q", name, got, ok, test.want)
		}
	}
}
