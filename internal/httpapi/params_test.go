package httpapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMalformedParameter(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	type malformed struct {
		query string
		says  []string
	}
	var tests []malformed
	for name, test := range map[string]struct {
		values []string
		allows string
	}{
		"limit": {[]string{
			"251", "-1", "abc", "1.5", "1e2", "0x10", "99999999999", "99999999999999999999", "5 ", " 5", "5\n", "٣", "5,6", "null", "NaN", `"5"`,
		}, "250"},
		"offset": {[]string{
			"-1", "abc", "1.5", "2147483648", "4294967296", "18446744073709551616", "1 ", "undefined", "-9223372036854775809",
		}, "2147483647"},
		"count": {[]string{"yes", "1", "0", "TRUE ", "t", "null", "truefalse", "on", "[object Object]"}, "true"},
	} {
		for _, value := range test.values {
			tests = append(tests, malformed{name + "=" + url.QueryEscape(value), []string{name, strings.TrimSpace(value), test.allows}})
		}
	}
	for _, target := range append(append(spellings(), pendingSpellings()...), "/stint/v1/tasks") {
		for _, test := range tests {
			t.Run(target+"?"+test.query, func(t *testing.T) {
				t.Parallel()
				wantError(t, get(t, server, target+"?"+test.query), 400, illegalValue, test.says...)
				wantStatus(t, head(t, server, target+"?"+test.query), 400)
			})
		}
	}
}

func TestSortersOtherThanCreated(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, value := range []string{
		"launched", "-uniqueName", "created,-created", "created,created", "-created,-created", "created,", ",created", ",", "-", "--created",
		"+created", "Created", "created desc", "created;id", "created,id", "createdx", "-created -", "id",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			wantError(t, get(t, server, "/task-status/v1?sorters="+url.QueryEscape(value)), 400, "", "sorters", "created")
		})
	}
}

func TestParameterGivenTwice(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for query, name := range map[string]string{
		"limit=5&limit=6": "limit", "limit=5&limit=5": "limit", "offset=0&limit=5&offset=0": "offset", "count=true&count=false": "count",
		"sorters=created&sorters=-created": "sorters", "filters=id+eq+%22a%22&filters=id+eq+%22b%22": "filters", "limit=5&l%69mit=6": "limit",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			wantError(t, get(t, server, "/task-status/v1?"+query), 400, "", name)
			wantError(t, get(t, server, "/stint/v1/tasks?"+query), 400, "", name)
		})
	}
	t.Run("timeout", func(t *testing.T) {
		t.Parallel()
		wantError(t, get(t, server, stintTask(inProgress, "wait")+"?timeout=0&timeout=0"), 400, "", "timeout")
	})
}

// Go's own parser would drop these silently, and the caller would get a list
// that was not asked for.
func TestQueryThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, query := range []string{
		"filters=%zz", "%", "limit=%4", "foo=%zz", "%zz=1", "limit=5;offset=3", "foo=a;b", ";", "limit=5&%f", "sorters=created%",
		"filters=launcher+eq+%22%ff%22", "filters=launcher+eq+%22%c3%22", "filters=launcher+eq+%22%ed%a0%80%22",
		"filters=launcher+eq+%22a%00%22", "filters=%00",
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			for _, target := range []string{"/task-status/v1?", "/beta/task-status/pending-tasks?", "/stint/v1/tasks?"} {
				wantError(t, get(t, server, target+query), 400, "")
			}
		})
	}
}

func TestParameterThatIsFine(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	want := ids(decoded(t, get(t, server, "/task-status/v1?limit=5")))
	for _, query := range []string{
		"limit=5&", "&&limit=5", "limit=5&offset=", "limit=5&offset=0&count=False", "limit=5&sorters=-created", "limit=5&foo", "limit=5&=",
		"limit=5&foo=bar&foo=baz", "limit=5&Limit=6", "limit=5&filter=nonsense", "limit=5&filters=", "%6Cimit=5", "limit=%35",
		"limit=5&filters=" + url.QueryEscape(`not launcher eq "a;b&c=d#%"`),
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			answer := get(t, server, "/task-status/v1?"+query)
			wantStatus(t, answer, 200)
			if diff := cmp.Diff(want, ids(decoded(t, answer))); diff != "" {
				t.Errorf("ids (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimeoutOfWait(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, value := range []string{"-1", "301", "abc", "1.5", "30s", "1e1", "99999999999999999999"} {
		wantError(t, get(t, server, stintTask(inProgress, "wait")+"?timeout="+value), 400, illegalValue, "timeout", value, "300")
	}
	for _, query := range []string{"timeout=0", "timeout=0&foo=1"} {
		wantSubset(t, get(t, server, stintTask(inProgress, "wait")+"?"+query), 200, `{"id":"`+inProgress+`","state":"running"}`)
	}
}

func TestFilterBounds(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	list := func(n int) string { return `id in ("` + strings.Repeat(unknownID+`","`, n-1) + unknownID + `")` }
	nested := func(n int) string { return strings.Repeat("(", n) + `launcher eq "a"` + strings.Repeat(")", n) }
	const most = 32 << 10
	padded := func(n int) string { return `launcher eq "a"` + strings.Repeat(" ", n-len(`launcher eq "a"`)) }
	for name, test := range map[string]struct {
		filter string
		says   string // empty: is fine
	}{
		"500 values":             {list(500), ""},
		"501 values":             {list(501), "500"},
		"64 levels":              {nested(64), ""},
		"65 levels":              {nested(65), "64"},
		"32 KiB":                 {padded(most), ""},
		"32 KiB and one":         {padded(most + 1), "32"},
		"32 KiB of parentheses":  {strings.Repeat("(", most), "64"},
		"32 KiB of both":         {strings.Repeat("()", most/2), "filters"},
		"32 KiB of closing ones": {strings.Repeat(")", most), "filters"},
		"32 KiB of not":          {strings.Repeat("not ", most/4), "64"},
		"32 KiB of quotes":       {strings.Repeat(`"`, most), "filters"},
		"32 KiB of backslashes":  {`launcher eq "` + strings.Repeat(`\`, most-14) + `"`, ""},
		"32 KiB of commas":       {strings.Repeat(",", most), "filters"},
		"32 KiB of a letter":     {strings.Repeat("a", most), "filters"},
		"32 KiB of and":          {strings.Repeat(`id eq "" and `, most/13-1) + `id eq "x"`, ""},
		"32 KiB of or":           {strings.Repeat(`not id eq "a" or `, most/17-2) + `id eq "x"`, ""},
		"32 KiB of lists in a union": {
			`sourceId in ("` + strings.Join(strings.Split("abcdefghijklmnop", ""), `","`) + `") and not (` +
				strings.Repeat(`launcher in (a,b,c,d,e,f,g,h,i,j,k,l,m) or `, most/44-6) + `launcher eq "x")`, "",
		},
		"63 levels of not around lists": {
			strings.Repeat(`not (launcher eq "a" or sourceId in ("b","c") and not `, 21) + `id eq "x"` + strings.Repeat(")", 21), "",
		},
		"a line of nearly 128 KiB": {strings.Repeat("(", 42<<10), "filters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := get(t, server, "/task-status/v1?limit=1&count=true&filters="+url.QueryEscape(test.filter))
			if test.says == "" {
				wantStatus(t, answer, 200)
				return
			}
			wantError(t, answer, 400, "", "filters", test.says)
		})
	}
}
