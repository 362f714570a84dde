package query_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/query"
	"stint/internal/task"
)

func TestPage(t *testing.T) {
	t.Parallel()
	const kind, newest = "CLOUD_ACCOUNT_AGGREGATION", true
	sorted := func(desc bool) []query.Sorter { return []query.Sorter{{Field: query.FieldCreated, Desc: desc}} }
	usual := func(change func(*query.Page)) query.Page {
		p := query.Page{Limit: 250, Sort: sorted(newest)}
		change(&p)
		return p
	}
	same := usual(func(*query.Page) {})
	for name, test := range map[string]struct {
		rawQuery string
		want     query.Page
	}{
		"none":                {"", same},
		"empty ones":          {"limit=&offset=&filters=&sorters=&count=", same},
		"names only":          {"limit&offset&filters&sorters&count", same},
		"separators only":     {"&&&", same},
		"unknown ones":        {"foo=bar&foo=baz&=&=x&Limit=6&LIMIT=7&filter=nonsense", same},
		"unknown, not text":   {"foo=%00&%ff=%ff", same},
		"limit 0":             {"limit=0", usual(func(p *query.Page) { p.Limit = 0 })},
		"limit 250":           {"limit=250", same},
		"leading zeros":       {"limit=007&offset=00", usual(func(p *query.Page) { p.Limit = 7 })},
		"encoded":             {"%6Cimit=%35", usual(func(p *query.Page) { p.Limit = 5 })},
		"the most":            {"offset=2147483647", usual(func(p *query.Page) { p.Offset = 2147483647 })},
		"empty, then not":     {"limit=&limit=5&limit=", usual(func(p *query.Page) { p.Limit = 5 })},
		"count":               {"count=True", usual(func(p *query.Page) { p.Count = true })},
		"no count":            {"count=FALSE", same},
		"newest first":        {"sorters=-created", same},
		"oldest first":        {"sorters=created", usual(func(p *query.Page) { p.Sort = sorted(!newest) })},
		"sorters with a plus": {"sorters=+created", usual(func(p *query.Page) { p.Sort = sorted(!newest) })},
		"white space":         {"filters=+%20", same},
		"all, as clients encode them": {
			"limit=250&offset=3&count=true&filters=type+eq+%22" + kind + "%22+and+completionStatus+isnull&sorters=-created",
			query.Page{
				Limit: 250, Offset: 3, Count: true, Sort: sorted(newest),
				Filter: query.And{Terms: []query.Expr{
					query.Compare{Field: query.FieldKind, Values: []string{kind}}, query.Null{Field: query.FieldStatus},
				}},
			},
		},
		"raw": {`filters=launcher in ("a=b","` + "é" + `%26","c")`, usual(func(p *query.Page) {
			p.Filter = query.Compare{Field: query.FieldLauncher, Values: []string{"a=b", "é&", "c"}}
		})},
		"encoded semicolon": {`filters=launcher+eq+"a%3Bb"`, usual(func(p *query.Page) {
			p.Filter = query.Compare{Field: query.FieldLauncher, Values: []string{"a;b"}}
		})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tasksTable().ParsePage(test.rawQuery)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestPageError(t *testing.T) {
	t.Parallel()
	const (
		zero   = " is not allowed: a whole number from 0 to "
		either = " is not allowed: true or false"
		sorts  = " is not allowed: created or -created"
		semi   = `";" does not separate parameters: & does; inside a value it is written %3B`
		escape = " is not a percent escape; a percent sign itself is written %25"
		twice  = "is given more than once"
	)
	type want struct {
		field string
		kind  task.ErrorKind
		msg   string
	}
	tests := map[string]want{
		"limit=5&limit=6":                 {"limit", task.Content, twice},
		"limit=5&offset=1&l%69mit=5":      {"limit", task.Content, twice},
		"filters=id+eq+a&filters=id+eq+a": {"filters", task.Content, twice},
		"sorters=created%2C-created":      {"sorters", task.IllegalValue, `"created" is given more than once: at most one of created or -created`},
		"filters=%zz":                     {"filters", task.Syntax, `cannot be decoded: "%zz"` + escape},
		"filters=a%":                      {"filters", task.Syntax, `cannot be decoded: "%"` + escape},
		"limit=%4":                        {"limit", task.Syntax, `cannot be decoded: "%4"` + escape},
		"foo=%zz":                         {"foo", task.Syntax, `cannot be decoded: "%zz"` + escape},
		"%zz=1":                           {"%zz", task.Syntax, `cannot be decoded: "%zz"` + escape},
		"=%zz":                            {"query string", task.Syntax, `cannot be decoded: "%zz"` + escape},
		"limit=%\xff\xff":                 {"limit", task.Syntax, "cannot be decoded: \"%\uFFFD\"" + escape},
		"limit=5;offset=3":                {"limit", task.Syntax, semi},
		"foo=a;b":                         {"foo", task.Syntax, semi},
		";":                               {";", task.Syntax, semi},
		"filters=launcher+eq+%22a%00%22":  {"filters", task.IllegalValue, "the character U+0000 at position 15 is not allowed"},
		"filters=%c3%a9%ff":               {"filters", task.Syntax, "the text at position 2 is not valid UTF-8"},
		"limit=%ff":                       {"limit", task.Syntax, "the text at position 1 is not valid UTF-8"},
		"sorters=%00created":              {"sorters", task.IllegalValue, "the character U+0000 at position 1 is not allowed"},
		"filters=launcher+eq+":            {"filters", task.Syntax, "the end at position 13 comes where a value is expected"},
		"limit=" + strings.Repeat("9", 99): {
			"limit", task.IllegalValue, `"` + strings.Repeat("9", 64) + `…"` + zero + "250",
		},
	}
	refused := func(name, allowed string, values ...string) {
		for _, v := range values {
			tests[name+"="+url.QueryEscape(v)] = want{name, task.IllegalValue, `"` + v + `"` + allowed}
		}
	}
	refused("limit", zero+"250", "251", "-1", "+5", "-0", "abc", "1.5", "1e2", "0x10", "1_0", "99999999999", "5 ", " 5", "5\n", "٣", "5,6", "null", `"5"`)
	refused("offset", zero+"2147483647", "-1", "x", "2147483648", "4294967296", "18446744073709551616", "1 ")
	refused("count", either, "yes", "1", "0", "t", "TRUE ", "truefalse", "[object Object]", "truE\u0301")
	refused("sorters", sorts, "launched", "-uniqueName", "-", "--created", "+created", "Created", "created desc", "- created", "id", " ")
	for value, item := range map[string]string{"created,": "", ",created": "", ",": "", "created,id": "id", "-created, ": " "} {
		tests["sorters="+url.QueryEscape(value)] = want{"sorters", task.IllegalValue, `"` + item + `"` + sorts}
	}
	for rawQuery, want := range tests {
		t.Run(rawQuery, func(t *testing.T) {
			t.Parallel()
			_, err := tasksTable().ParsePage(rawQuery)
			wantError(t, err, want.kind, want.field, want.msg)
		})
	}
}
