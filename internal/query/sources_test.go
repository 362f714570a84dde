package query_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/task"
)

func TestSourcesPage(t *testing.T) {
	t.Parallel()
	page, err := query.Sources().ParsePage(`sorters=-created,name&limit=5&filters=name+eq+"HR"+and+not+type+eq+delimitedfile`)
	if err != nil {
		t.Fatal(err)
	}
	want := query.Page{
		Limit: 5, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}, {Field: query.FieldName}},
		Filter: query.And{Terms: []query.Expr{
			query.Compare{Field: query.FieldName, Values: []string{"HR"}},
			query.Not{Term: query.Compare{Field: query.FieldType, Values: []string{"DelimitedFile"}}},
		}},
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if page, err := query.Sources().ParsePage(""); err != nil || page.Sort[0] != (query.Sorter{Field: query.FieldName}) {
		t.Errorf("the default order is %v, %v", page.Sort, err)
	}
}

func TestSourcesRefuse(t *testing.T) {
	t.Parallel()
	for rawQuery, says := range map[string]string{
		"filters=name+isnull":             "eq, in",
		"filters=type+in+(DelimitedFile)": "eq",
		"filters=type+eq+LDAP":            "DelimitedFile",
		"filters=launcher+eq+x":           "id, name, type",
		"filters=sourceId+eq+x":           "write: id",
		"filters=created+eq+x":            "sorted",
		"sorters=id":                      "name or -name, created or -created",
		"sorters=name,-name":              "more than once",
	} {
		_, err := query.Sources().ParsePage(rawQuery)
		if e, ok := errors.AsType[*task.Error](err); !ok || !strings.Contains(e.Text(), says) {
			t.Errorf("%s: %v, want one that says %q", rawQuery, err, says)
		}
	}
}

func TestSourceMatch(t *testing.T) {
	t.Parallel()
	s := &source.Source{ID: someID, Name: "Personal É", Type: source.DelimitedFile, Created: time.UnixMilli(0)}
	for filter, want := range map[string]bool{
		``: true, `id eq "` + strings.ToUpper(someID) + `"`: true, `id eq "x"`: false, `name eq "pERSONAL É"`: true,
		`name eq "personal é"`: false, `name in ("x", "Personal É")`: true, `type eq delimitedFile`: true, `not name eq "x"`: true,
	} {
		e, err := query.Sources().ParseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got := e == nil || query.Match(e, query.SourceValues(s)); got != want {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
}
