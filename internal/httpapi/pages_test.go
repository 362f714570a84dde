package httpapi_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

// TestPagesByCursor follows the links from page to page, in every order: they hold each
// task once, whatever is launched meanwhile.
func TestPagesByCursor(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 23 {
		lines.WriteString(importLine(fmt.Sprintf("%032x", (i*7919)%104729), startOfTests.Add(-time.Hour)))
	}
	server := apptest.Start(t, apptest.Options{Import: []byte(lines.String())})
	for _, sorters := range []string{
		"", "created", "-created", "completed", "-completed", "durationMs", "-durationMs", "uniqueName", "-uniqueName", "target.name",
		"-target.name", "launcher", "-launcher", "type", "-type", "completionStatus", "-completionStatus",
	} {
		list := "/stint/v1/tasks?filters=" + url.QueryEscape(`created lt "`+startOfTests.Add(-time.Minute).Format(time.RFC3339)+`"`) + "&sorters=" + sorters
		whole := get(t, server, list)
		if whole.Header.Get("Link") != "" {
			t.Errorf("%s: a link behind the last page: %s", sorters, whole.Header.Get("Link"))
		}
		want := ids(decoded(t, whole))
		if len(want) != 23 {
			t.Fatalf("%s: %d tasks", sorters, len(want))
		}
		var got []string
		for next := list + "&limit=5&count=true&offset=2"; next != ""; {
			answer := get(t, server, next)
			wantStatus(t, answer, 200)
			if total := answer.Header.Get("X-Total-Count"); total != "" && (total != "23" || len(got) > 0) {
				t.Errorf("%s: %s are counted", sorters, total)
			}
			got = append(got, ids(decoded(t, answer))...)
			launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
			next = linkOf(t, answer)
		}
		if diff := cmp.Diff(want[2:], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sorters, diff)
		}
	}
	if link := get(t, server, "/stint/v1/tasks?limit=0").Header.Get("Link"); link != "" {
		t.Errorf("no page has the next page %s", link)
	}
	if link := get(t, server, "/task-status/v1?limit=5").Header.Get("Link"); link != "" {
		t.Errorf("the original's list has the link %s", link)
	}
	wantError(t, get(t, server, "/stint/v1/tasks?cursor=nonsense"), 400, "", "cursor", "nonsense")
}

// linkOf returns where the next page is.
func linkOf(t *testing.T, answer apptest.Answer) string {
	t.Helper()
	link := answer.Header.Get("Link")
	if link == "" {
		return ""
	}
	target, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	if !ok {
		t.Fatalf("the link is %s", link)
	}
	return target
}

// TestFindsTasks finds tasks by what the original cannot be asked for.
func TestFindsTasks(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, token := launch(t, server, `{"type":"CLOUD_ACCOUNT_AGGREGATION","uniqueName":"HR nightly","description":"Reads 100% of HR_",
"target":{"id":"s1","type":"APPLICATION","name":"HR [source]"}}`)
	launch(t, server, `{"type":"IDENTITY_REFRESH","uniqueName":"refresh"}`)
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"percentComplete":40}`), 200)
	find := func(filter string, want int) {
		t.Helper()
		answer := get(t, server, "/stint/v1/tasks?count=true&filters="+url.QueryEscape(filter))
		wantStatus(t, answer, 200)
		if got := answer.Header.Get("X-Total-Count"); got != strconv.Itoa(want) || len(ids(decoded(t, answer))) != want {
			t.Errorf("%s: %s are found, want %d", filter, got, want)
		}
	}
	find(`uniqueName eq "hr NIGHTLY"`, 1)
	find(`description co "100% of hr_"`, 1)
	find(`description co "100_"`, 0)
	find(`target.name sw "hr ["`, 1)
	find(`target.id isnull`, 1)
	find(`percentComplete ge 40 and durationMs isnull`, 1)
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 200)
	find(`durationMs ge 0 and completed le "`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"`, 1)
	wantSubset(t, get(t, server, `/stint/v1/tasks?filters=target.id+eq+S1`), 200, `[{"id":"`+id+`","state":"completed"}]`)
}
