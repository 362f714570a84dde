package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"stint/internal/apptest"
)

// finished is a task in a file of import.
func finished(n int, kind, source, status, launched, completed string) string {
	target := "null"
	if source != "" {
		target = fmt.Sprintf(`{"id":%q,"type":"APPLICATION","name":"Name of %s"}`, source, source)
	}
	quoted := func(s string) string {
		if s == "" {
			return "null"
		}
		return `"` + s + `"`
	}
	created := launched
	if created == "" {
		created = "2026-10-24T20:00:00.000Z"
	}
	modified := completed
	if modified == "" {
		modified = created
	}
	return fmt.Sprintf(`{"id":"%032x","type":"QUEUED_TASK","uniqueName":"Task %d","description":"","parentName":null,"launcher":"ann","created":"%s",`+
		`"modified":"%s","launched":%s,"completed":%s,"completionStatus":%s,"messages":[],"returns":[],"attributes":{},"progress":null,`+
		`"percentComplete":0,"target":%s,"taskDefinitionSummary":{"id":"%032x","uniqueName":"%s","description":"","parentName":"","executor":"","arguments":{}}}`,
		n, n, created, modified, quoted(launched), quoted(completed), quoted(status), target, n, kind)
}

func statisticsServer(t *testing.T, postgres bool) *apptest.Server {
	t.Helper()
	return apptest.Start(t, apptest.Options{Postgres: postgres, Import: []byte(strings.Join([]string{
		// Around the end of summer time in Vienna: the 25th has 25 hours.
		finished(1, "Cloud Account Aggregation", "hr", "SUCCESS", "2026-10-24T21:00:00.000Z", "2026-10-24T21:59:59.999Z"),
		finished(2, "Cloud Account Aggregation", "HR", "ERROR", "2026-10-24T22:00:00.000Z", "2026-10-24T22:00:10.000Z"),
		finished(3, "Cloud Account Aggregation", "hr", "WARNING", "2026-10-25T22:00:00.000Z", "2026-10-25T22:59:59.999Z"),
		finished(4, "Cloud Account Aggregation", "hr", "TERMINATED", "", "2026-10-25T23:00:00.000Z"),
		finished(5, "Cloud Account Aggregation", "hr", "", "2026-10-26T00:00:00.000Z", ""),
		finished(6, "Cloud Account Aggregation", "erp", "TEMPERROR", "2026-10-24T20:00:00.000Z", "2026-10-24T21:00:00.000Z"),
		finished(7, "Identity Refresh", "", "SUCCESS", "2026-10-24T20:00:00.000Z", "2026-10-24T21:00:00.001Z"),
	}, "\n"))})
}

func TestStatistics(t *testing.T) {
	t.Parallel()
	for _, postgres := range []bool{false, true} {
		t.Run(fmt.Sprintf("postgres %v", postgres), func(t *testing.T) {
			t.Parallel()
			server := statisticsServer(t, postgres)
			const when = "?from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z"
			ask := func(more, want string) {
				t.Helper()
				wantSubset(t, get(t, server, "/stint/v1/statistics"+when+more), 200, want)
			}
			ask("", `{"from":"2026-10-01T00:00:00.000Z","to":"2026-11-01T00:00:00.000Z","timeZone":"UTC","groupBy":["type","source"],"groups":[
{"type":"CLOUD_ACCOUNT_AGGREGATION","typeName":"Cloud Account Aggregation","sourceId":"erp","sourceName":"Name of erp","completionStatus":null,"day":null,
"runs":1,"failures":1,"warnings":0,"terminated":0,"lastGoodRun":null,"durationMs":{"p50":3600000,"max":3600000,"mean":3600000}},
{"sourceId":"hr","sourceName":"Name of hr","runs":4,"failures":1,"warnings":1,"terminated":1,
"durationMs":{"p50":3599999,"p90":3599999,"p95":3599999,"p99":3599999,"max":3599999,"mean":2403332},
"lastGoodRun":{"id":"`+fmt.Sprintf("%032x", 3)+`","completionStatus":"WARNING"},"lastRun":{"id":"`+fmt.Sprintf("%032x", 4)+`","launched":null,"durationMs":null}},
{"type":"IDENTITY_REFRESH","sourceId":null,"sourceName":null,"runs":1,"durationMs":{"p50":3600001}}]}`)
			ask("&groupBy=day&timeZone=Europe/Vienna", `{"timeZone":"Europe/Vienna","groupBy":["day"],"groups":[
{"day":"2026-10-24","type":null,"sourceId":null,"runs":3},{"day":"2026-10-25","runs":2},{"day":"2026-10-26","runs":1,"durationMs":null}]}`)
			ask("&groupBy=day", `{"groups":[{"day":"2026-10-24","runs":4},{"day":"2026-10-25","runs":2}]}`)
			ask("&groupBy=status,type", `{"groups":[{"completionStatus":"ERROR","runs":1},{"completionStatus":"SUCCESS","type":"CLOUD_ACCOUNT_AGGREGATION"},
{"completionStatus":"SUCCESS","type":"IDENTITY_REFRESH"},{"completionStatus":"TEMPERROR"},{"completionStatus":"TERMINATED"},{"completionStatus":"WARNING"}]}`)
			ask("&groupBy=type&filters="+url.QueryEscape(`sourceId eq "hr" and not completionStatus eq "SUCCESS"`), `{"groups":[{"runs":3,"failures":1}]}`)
			ask("&filters="+url.QueryEscape(`launcher eq "nobody"`), `{"groups":[]}`)
			// The edges: from is in, to is not.
			wantSubset(t, get(t, server, "/stint/v1/statistics?groupBy=type&from=2026-10-24T21:00:00Z&to=2026-10-24T21:00:00.001Z"), 200, `{"groups":[{"runs":1,"failures":1}]}`)
			wantSubset(t, get(t, server, "/stint/v1/statistics"), 200, `{"groups":[]}`)

			wantSubset(t, get(t, server, "/stint/v1/statistics/runs?last=3"), 200, `{"last":3,"more":false,"groups":[
{"type":"CLOUD_ACCOUNT_AGGREGATION","typeName":"Cloud Account Aggregation","sourceId":"erp","sourceName":"Name of erp","inProgress":0,"usualDurationMs":null,
"lastGoodRun":null,"lastRun":{"completionStatus":"TEMPERROR","uniqueName":"Task 6"},"runs":[{"state":"completed"}]},
{"sourceId":"hr","inProgress":1,"usualDurationMs":3599999,"lastRun":{"id":"`+fmt.Sprintf("%032x", 5)+`","state":"running","completionStatus":null,"durationMs":null},
"lastGoodRun":{"completionStatus":"WARNING"},"runs":[{"state":"running"},{"completionStatus":"WARNING"},{"completionStatus":"ERROR"}]},
{"type":"IDENTITY_REFRESH","sourceId":null,"runs":[{"durationMs":3600001}],"usualDurationMs":3600001}]}`)
		})
	}
}

func TestStatisticsRefuse(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for query, says := range map[string]string{
		"from=yesterday":                       "from",
		"to=2026-13-01T00:00:00Z":              "to",
		"from=2026-11-02T00:00:00+01:00":       "%2B",
		"from=2100-01-01T00:00:00Z":            "earlier",
		"from=5&to=5":                          "earlier",
		"groupBy=kind":                         "type, source, status, day",
		"groupBy=type,":                        "type, source, status, day",
		"groupBy=day,day":                      "twice",
		"timeZone=Vienna":                      "IANA",
		"timeZone=Local":                       "IANA",
		"timeZone=../../../../etc/passwd":      "IANA",
		"timeZone=Europe%2FVienna%00":          "timeZone",
		"timeZone=" + strings.Repeat("x", 500): "IANA",
	} {
		answer := get(t, server, "/stint/v1/statistics?"+query)
		if wantStatus(t, answer, 400); !strings.Contains(answer.Text(t), says) {
			t.Errorf("%s is refused without a word of %q: %s", query, says, answer.Text(t))
		}
	}
	wantError(t, get(t, server, "/stint/v1/statistics?from=1&from=2"), 400, content)
	wantError(t, get(t, server, "/stint/v1/statistics?filters=x"), 400, syntax)
	for _, last := range []string{"0", "101", "-1", "x", "1.0"} {
		wantError(t, get(t, server, "/stint/v1/statistics/runs?last="+last), 400, illegalValue)
	}
	wantSubset(t, get(t, server, "/stint/v1/statistics/runs"), 200, `{"last":30,"groups":[]}`)
	wantStatus(t, head(t, server, "/stint/v1/statistics"), 200)
	wantStatus(t, post(t, server, "/stint/v1/statistics", "{}"), 405)
}

// TestSourcesOfStintHaveTheirNames: whatever tasks call them.
func TestSourcesOfStintHaveTheirNames(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	source, _ := createSource(t, server, leastSource)
	id, token := launch(t, server, `{"type":"IDENTITY_REFRESH","executor":"external","target":{"id":"`+source+`","type":"APPLICATION","name":"Another"}}`)
	wantStatus(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 200)
	name := fmt.Sprint(member(decoded(t, get(t, server, "/stint/v1/sources/"+source)), "name"))
	for _, path := range []string{"/stint/v1/statistics", "/stint/v1/statistics/runs"} {
		wantSubset(t, get(t, server, path), 200, `{"groups":[{"sourceId":"`+source+`","sourceName":"`+name+`"}]}`)
	}
}
