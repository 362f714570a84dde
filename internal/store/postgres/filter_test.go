package postgres

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"stint/internal/query"
)

func TestAfterAll(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]string{
		"": "", "a": "b", "ab": "ac", "\x7f": "\u0080", "é": "ê", "\U0010ffff": "", "a\U0010ffff": "b", "\ud7ff": "\ue000",
	} {
		if got, ok := afterAll(prefix); got != want || ok != (want != "") {
			t.Errorf("after %q: %q, %v; want %q", prefix, got, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		prefix, other := rapid.String().Draw(t, "prefix"), rapid.String().Draw(t, "other")
		if rapid.Bool().Draw(t, "longer") {
			other = prefix + other
		}
		after, ok := afterAll(prefix)
		if in := other >= prefix && (!ok || other < after); in != strings.HasPrefix(other, prefix) || !utf8.ValidString(after) {
			t.Fatalf("%q begins with %q: the range up to %q says %v", other, prefix, after, in)
		}
	})
}

// TestUnstorable asks for what no row can hold: nothing is found, and nothing
// fails.
func TestUnstorable(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	load(t, s, busy(3))
	for _, value := range []string{"a\x00b", "\xff", "\x00"} {
		for _, field := range []query.Field{query.FieldSource, query.FieldLauncher, query.FieldKind} {
			c := query.Compare{Field: field, Values: []string{value}}
			for filter, want := range map[*query.Expr]int64{ptr(query.Expr(c)): 0, ptr(query.Expr(query.Not{Term: c})): 3} {
				page := query.Page{Limit: 9, Count: true, Filter: *filter, Sort: []query.Sorter{{Field: query.FieldCreated}}}
				if rows, n, err := s.List(t.Context(), page, time.Time{}); err != nil || n != want || int64(len(rows)) != want {
					t.Errorf("%s %q: %d rows, %d counted, %v; want %d", field, value, len(rows), n, err, want)
				}
			}
		}
		if found, err := s.Audit(t.Context(), value); err != nil || len(found) > 0 {
			t.Errorf("the audit of %q: %v, %v", value, found, err)
		}
		page := query.Page{Limit: 9, Filter: query.Compare{Field: query.FieldName, Values: []string{value}}, Sort: []query.Sorter{{Field: query.FieldName}}}
		if found, _, err := s.ListSources(t.Context(), page); err != nil || len(found) > 0 {
			t.Errorf("sources called %q: %v, %v", value, found, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestNumber(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{"": "", "?": "$1", "a = ? AND b = ANY (?)": "a = $1 AND b = ANY ($2)", "$2 = $1": "$2 = $1"} {
		if got := number(query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
