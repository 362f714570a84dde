package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

// launch launches a task and returns its id and report token.
func launch(t *testing.T, server *apptest.Server, body string, pairs ...string) (id, token string) {
	t.Helper()
	answer := post(t, server, "/stint/v1/tasks", body, pairs...)
	wantStatus(t, answer, 202)
	task := decoded(t, answer)
	id, _ = member(task, "id").(string)
	token, _ = member(task, "reportToken").(string)
	if location := answer.Header.Get("Location"); location != stintTask(id) {
		t.Errorf("Location is %q, want %q", location, stintTask(id))
	}
	return id, token
}

func report(t *testing.T, server *apptest.Server, id, token, body string) apptest.Answer {
	t.Helper()
	return post(t, server, stintTask(id, "report"), body, "Stint-Report-Token", token)
}

// events returns the names of a task's history, oldest first.
func events(t *testing.T, server *apptest.Server, id string) []string {
	t.Helper()
	history, _ := member(decoded(t, get(t, server, stintTask(id))), "history").([]any)
	var names []string
	for _, event := range history {
		name, _ := member(event, "event").(string)
		names = append(names, name)
	}
	return names
}

func TestTaskFromLaunchToCompletion(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, token := launch(t, server, `{"type":"cloud account aggregation","uniqueName":"HR","description":"reads HR","parentName":"Nightly",
"launcher":"ana.lopez","target":{"id":"s1","type":"APPLICATION","name":"HR [source]"},"arguments":{"full":true},"attributes":{"a":1},"heartbeatLimitSeconds":120}`)

	queued := `{"id":"` + id + `","type":"QUEUED_TASK","uniqueName":"HR","description":"reads HR","parentName":"Nightly","launcher":"ana.lopez",
"launched":null,"completed":null,"completionStatus":null,"percentComplete":0,"attributes":{"a":1},"progress":null,
"target":{"id":"s1","type":"APPLICATION","name":"HR [source]"},
"taskDefinitionSummary":{"uniqueName":"Cloud Account Aggregation","arguments":{"full":true}}`
	// Known at once, everywhere.
	for _, path := range spellings() {
		wantSubset(t, get(t, server, path+"/"+id), 200, queued+"}")
	}
	wantSubset(t, get(t, server, stintTask(id)), 200, queued+`,"kind":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"s1","state":"queued","attempt":1,
"lastHeartbeat":null,"heartbeatLimitSeconds":120,"cancelRequested":null}`)
	wantSubset(t, get(t, server, `/stint/v1/tasks?filters=sourceId+eq+"S1"`), 200, `[{"id":"`+id+`","state":"queued"}]`)
	wantSubset(t, get(t, server, stintTask(id, "wait")+"?timeout=0"), 200, `{"state":"queued"}`)

	wantSubset(t, report(t, server, id, token, `{"attempt":1,"sequence":1,"progress":"half","percentComplete":50,
"messages":[{"type":"WARN","key":"k","text":"careful","parameters":["p",{"n":1}]},{"type":"INFO","localizedText":{"locale":"fr","message":"bonjour"}}],
"attributes":{"b":[1,2],"a":2},"returns":[{"name":"B","attributeName":"b"}]}`), 200,
		`{"id":"`+id+`","attempt":1,"state":"running","stop":false,"reason":null,"completionStatus":null}`)
	wantSubset(t, report(t, server, id, token, `{"attempt":1}`), 200, `{"state":"running"}`)
	wantSubset(t, report(t, server, id, token, `{"attempt":1,"sequence":2,"percentComplete":30}`), 200, `{"state":"running"}`)
	wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, `{"progress":"half","percentComplete":50,"attributes":{"a":2,"b":[1,2]},
"returns":[{"name":"B","attributeName":"b"}],"messages":[
{"type":"WARN","key":"k","localizedText":{"locale":"en","message":"careful"},"parameters":["p",{"n":1}]},
{"type":"INFO","localizedText":{"locale":"fr","message":"bonjour"}}]}`)

	wantSubset(t, report(t, server, id, token, `{"attempt":1,"sequence":3,"completionStatus":"SUCCESS"}`), 200,
		`{"state":"completed","completionStatus":"SUCCESS"}`)
	done := wantSubset(t, get(t, server, stintTask(id, "wait")+"?timeout=300"), 200, `{"state":"completed","completionStatus":"SUCCESS","percentComplete":100}`)
	if member(done, "launched") == nil || member(done, "lastHeartbeat") == nil {
		t.Errorf("launched %v, lastHeartbeat %v", member(done, "launched"), member(done, "lastHeartbeat"))
	}
	if diff := cmp.Diff([]string{"launched", "started", "completed"}, events(t, server, id)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

func TestRefusedReports(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	_, other := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	refused := func(answer apptest.Answer, status int, why string) {
		t.Helper()
		body := wantSubset(t, answer, status, `{"refused":"`+why+`"}`)
		if causes(body) == "" {
			t.Errorf("no cause says why it is %s", why)
		}
	}
	for _, wrong := range []string{"", "x", token + "x", token[1:], other, strings.Repeat("a", 10000)} {
		refused(report(t, server, id, wrong, `{"attempt":1}`), 403, "token")
	}
	wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"queued"}`)

	wantStatus(t, report(t, server, id, token, `{"attempt":1,"sequence":7}`), 200)
	for _, duplicate := range []string{`{"attempt":1,"sequence":7}`, `{"attempt":1,"sequence":6,"completionStatus":"ERROR"}`} {
		refused(report(t, server, id, token, duplicate), 409, "duplicate")
	}
	refused(report(t, server, id, token, `{"attempt":2,"sequence":8}`), 409, "stale")
	refused(report(t, server, id, token, `{"attempt":2147483647,"completionStatus":"SUCCESS"}`), 409, "stale")
	wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"running","completionStatus":null}`)

	wantSubset(t, patch(t, server, id, clearAs("ERROR")), 200, `{"completionStatus":"ERROR"}`)
	for _, late := range []string{`{"attempt":1}`, `{"attempt":1,"sequence":8}`, `{"attempt":1,"sequence":9,"completionStatus":"SUCCESS"}`} {
		refused(report(t, server, id, token, late), 409, "late")
	}
	wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"completed","completionStatus":"ERROR"}`)
	history := get(t, server, stintTask(id)).Text(t)
	for _, want := range []string{`"refused"`, "late", "SUCCESS", "stale"} {
		if !strings.Contains(history, want) {
			t.Errorf("the history does not keep %q: %s", want, history)
		}
	}
	// A token says nothing about other ids, not even whether they are known.
	refused(report(t, server, unknownID, token, `{"attempt":1}`), 403, "token")
}

func TestCompletionReportedAgainIsHarmless(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	const completion = `{"attempt":1,"sequence":1,"completionStatus":"WARNING","messages":[{"type":"INFO","key":"k","text":"once"}]}`
	wantSubset(t, report(t, server, id, token, completion), 200, `{"completionStatus":"WARNING"}`)
	before := get(t, server, stintTask(id))
	for _, again := range []string{completion, `{"attempt":1,"completionStatus":"WARNING"}`, completion} {
		wantSubset(t, report(t, server, id, token, again), 200, `{"state":"completed","completionStatus":"WARNING","stop":false}`)
	}
	if after := get(t, server, stintTask(id)); string(after.Body) != string(before.Body) {
		t.Errorf("the repeat changed the task:\n%s\n%s", before.Body, after.Body)
	}
	wantSubset(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 409, `{"refused":"late","stop":true}`)
}

func TestCancel(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})

	t.Run("a queued task ends at once", func(t *testing.T) {
		t.Parallel()
		id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		for range 2 {
			wantSubset(t, post(t, server, stintTask(id, "cancel"), `{"reason":"not today"}`), 202, `{"state":"completed","completionStatus":"TERMINATED"}`)
		}
		wantSubset(t, report(t, server, id, token, `{"attempt":1}`), 409, `{"refused":"late","stop":true}`)
		if diff := cmp.Diff([]string{"launched", "cancelled", "refused"}, events(t, server, id)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
	t.Run("a running task is told", func(t *testing.T) {
		t.Parallel()
		id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		wantStatus(t, report(t, server, id, token, `{"attempt":1}`), 200)
		for range 2 {
			body := wantSubset(t, post(t, server, stintTask(id, "cancel"), ""), 202, `{"state":"running","completionStatus":null}`)
			if member(body, "cancelRequested") == nil {
				t.Error("cancelRequested is null")
			}
		}
		told := wantSubset(t, report(t, server, id, token, `{"attempt":1}`), 200, `{"stop":true,"state":"running"}`)
		if member(told, "reason") == nil {
			t.Error("reason is null")
		}
		wantSubset(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 200, `{"completionStatus":"TERMINATED"}`)
		wantSubset(t, get(t, server, stintTask(id)), 200, `{"completionStatus":"TERMINATED"}`)
		// Cancelled already: the repeat has no second effect.
		wantSubset(t, post(t, server, stintTask(id, "cancel"), ""), 202, `{"completionStatus":"TERMINATED"}`)
		if diff := cmp.Diff([]string{"launched", "started", "cancelRequested", "stopTold", "completed"}, events(t, server, id)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	})
	t.Run("a task that ended otherwise refuses", func(t *testing.T) {
		t.Parallel()
		id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		wantStatus(t, report(t, server, id, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 200)
		wantError(t, post(t, server, stintTask(id, "cancel"), `{}`), 409, "409.0 Conflict", "SUCCESS")
	})
	t.Run("bad bodies", func(t *testing.T) {
		t.Parallel()
		id, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
		for body, says := range map[string]string{
			"{": "early", "[]": "body", `{"reason":7}`: "reason", `{"why":"x"}`: "why", `{"reason":"a","reason":"b"}`: "reason", `{"reason":"\u0000"}`: "reason",
		} {
			wantError(t, post(t, server, stintTask(id, "cancel"), body), 400, "", says)
		}
		wantStatus(t, post(t, server, stintTask(id, "cancel"), "reason=x", "Content-Type", "application/x-www-form-urlencoded"), 415)
		wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"queued"}`)
	})
}

func TestIdempotentLaunch(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	const body = `{"type":"IDENTITY_REFRESH","uniqueName":"once"}`
	id, token := launch(t, server, body, "Idempotency-Key", "k 1")
	wantStatus(t, report(t, server, id, token, `{"attempt":1}`), 200)
	again := post(t, server, "/stint/v1/tasks", body, "Idempotency-Key", "k 1")
	wantSubset(t, again, 202, `{"id":"`+id+`","reportToken":"`+token+`","state":"running"}`)
	if got := again.Header.Get("Idempotency-Replayed"); got != "true" {
		t.Errorf("Idempotency-Replayed is %q", got)
	}
	wantError(t, post(t, server, "/stint/v1/tasks", `{"type":"ACCOUNT_DELETION"}`, "Idempotency-Key", "k 1"), 409, "409.0 Conflict", "Idempotency-Key")
	if other, _ := launch(t, server, body, "Idempotency-Key", "k 2"); other == id {
		t.Error("another key answers the same task")
	}
	if other, _ := launch(t, server, body); other == id {
		t.Error("no key answers the same task")
	}
	for _, key := range []string{strings.Repeat("k", 256), "ké", "\xff"} {
		answer := post(t, server, "/stint/v1/tasks", body, "Idempotency-Key", key)
		wantError(t, answer, 400, "", "Idempotency-Key")
	}
	launch(t, server, body, "Idempotency-Key", strings.Repeat("k", 255))
}

func TestLaunchBodies(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for name, test := range map[string]struct {
		body, detailCode string
		says             []string
	}{
		"empty":                   {"", "", nil},
		"no JSON":                 {"type=IDENTITY_REFRESH", syntax, []string{"position"}},
		"cut off":                 {`{"type":"IDENTITY_REFRESH"`, syntax, []string{"early"}},
		"array":                   {`[]`, "", nil},
		"null":                    {`null`, "", nil},
		"text":                    {`"IDENTITY_REFRESH"`, "", nil},
		"two values":              {`{"type":"IDENTITY_REFRESH"}{}`, syntax, []string{"position"}},
		"member twice":            {`{"type":"IDENTITY_REFRESH","type":"ACCOUNT_DELETION"}`, "", []string{"type"}},
		"member twice, deep":      {`{"type":"IDENTITY_REFRESH","attributes":{"a":1,"a":2}}`, "", []string{"a"}},
		"unknown member":          {`{"type":"IDENTITY_REFRESH","kind":"x"}`, "", []string{"kind"}},
		"member of another case":  {`{"Type":"IDENTITY_REFRESH"}`, "", []string{"Type"}},
		"unknown member, deep":    {`{"type":"IDENTITY_REFRESH","target":{"id":"a","name":"b","x":1}}`, "", []string{"target/x"}},
		"invalid UTF-8":           {"{\"type\":\"IDENTITY_REFRESH\",\"launcher\":\"\xff\"}", "", []string{"position"}},
		"lone surrogate":          {`{"type":"IDENTITY_REFRESH","launcher":"\udc00"}`, "", []string{"position"}},
		"U+0000":                  {`{"type":"IDENTITY_REFRESH","uniqueName":"a\u0000"}`, "", []string{"uniqueName", "U+0000"}},
		"U+0000, deep":            {`{"type":"IDENTITY_REFRESH","attributes":{"a":["\u0000"]}}`, "", []string{"attributes", "U+0000"}},
		"U+0000 in a name":        {`{"type":"IDENTITY_REFRESH","attributes":{"a\u0000":1}}`, "", []string{"U+0000"}},
		"no type":                 {`{}`, missing, []string{"type", "IDENTITY_REFRESH"}},
		"type empty":              {`{"type":""}`, "", []string{"type", "IDENTITY_REFRESH"}},
		"type null":               {`{"type":null}`, "", []string{"type"}},
		"type a number":           {`{"type":7}`, "", []string{"type"}},
		"type unknown":            {`{"type":"NO_SUCH_KIND"}`, illegalValue, []string{"type", "NO_SUCH_KIND", "IDENTITY_REFRESH"}},
		"type of the body":        {`{"type":"QUARTZ"}`, illegalValue, []string{"type", "QUARTZ", "IDENTITY_REFRESH"}},
		"name a number":           {`{"type":"IDENTITY_REFRESH","uniqueName":7}`, "", []string{"uniqueName"}},
		"launcher too long":       {`{"type":"IDENTITY_REFRESH","launcher":"` + strings.Repeat("a", 257) + `"}`, illegalValue, []string{"launcher", "256"}},
		"name too long":           {`{"type":"IDENTITY_REFRESH","uniqueName":"` + strings.Repeat("a", 100000) + `"}`, illegalValue, []string{"uniqueName"}},
		"target a text":           {`{"type":"IDENTITY_REFRESH","target":"x"}`, "", []string{"target"}},
		"target without an id":    {`{"type":"IDENTITY_REFRESH","target":{"type":"IDENTITY","name":"x"}}`, "", []string{"target", "id"}},
		"another source":          {`{"type":"IDENTITY_REFRESH","sourceId":"a","target":{"id":"b","type":"APPLICATION","name":"x"}}`, illegalValue, []string{"target.id", `"b"`, `"a"`}},
		"target of another type":  {`{"type":"IDENTITY_REFRESH","target":{"id":"a","type":"SOURCE","name":"x"}}`, illegalValue, []string{"target", "SOURCE", "APPLICATION"}},
		"arguments an array":      {`{"type":"IDENTITY_REFRESH","arguments":[]}`, "", []string{"arguments"}},
		"arguments a text":        {`{"type":"IDENTITY_REFRESH","arguments":"{}"}`, "", []string{"arguments"}},
		"attributes an array":     {`{"type":"IDENTITY_REFRESH","attributes":[1]}`, "", []string{"attributes"}},
		"limit 0":                 {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":0}`, illegalValue, []string{"heartbeatLimitSeconds", "86400"}},
		"limit over a day":        {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":86401}`, illegalValue, []string{"heartbeatLimitSeconds", "86400"}},
		"limit below 0":           {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":-5}`, illegalValue, []string{"heartbeatLimitSeconds"}},
		"limit with a fraction":   {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":1.5}`, "", []string{"heartbeatLimitSeconds"}},
		"limit beyond 64 bits":    {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":99999999999999999999}`, "", []string{"heartbeatLimitSeconds"}},
		"limit a text":            {`{"type":"IDENTITY_REFRESH","heartbeatLimitSeconds":"60"}`, "", []string{"heartbeatLimitSeconds"}},
		"attributes of 2 MiB":     {`{"type":"IDENTITY_REFRESH","attributes":{"a":"` + strings.Repeat("a", 900<<10) + `"}}`, "", []string{"attributes"}},
		"10,000 arrays deep":      {`{"type":"IDENTITY_REFRESH","attributes":{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}}`, "", nil},
		"a percentage, not known": {`{"type":"IDENTITY_REFRESH","percentComplete":10}`, "", []string{"percentComplete"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, post(t, server, "/stint/v1/tasks", test.body), 400, test.detailCode, test.says...)
		})
	}
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		body := `{"type":"IDENTITY_REFRESH",` + strings.Repeat(" ", 1<<20) + `"uniqueName":"x"}`
		wantError(t, post(t, server, "/stint/v1/tasks", body), 413, "413.0 Content Too Large", "1048576")
	})
	t.Run("another type", func(t *testing.T) {
		t.Parallel()
		for _, contentType := range []string{"text/plain", jsonPatch, "application/x-www-form-urlencoded", "text/csv"} {
			answer := post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, "Content-Type", contentType)
			wantError(t, answer, 415, "415.0 Unsupported Media Type", "application/json")
		}
	})
	t.Cleanup(func() { wantSubset(t, get(t, server, "/stint/v1/tasks"), 200, `[]`) })
}

func TestLaunchDefaults(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for body, want := range map[string]string{
		`{"type":"IDENTITY_REFRESH"}`: `{"uniqueName":"Identity Refresh","launcher":"System","parentName":null,"kind":"IDENTITY_REFRESH",
"sourceId":null,"attributes":{},"messages":[],"returns":[],"heartbeatLimitSeconds":60,"taskDefinitionSummary":{"uniqueName":"Identity Refresh","arguments":{}}}`,
		`{"type":"Identity Refresh"}`: `{"kind":"IDENTITY_REFRESH"}`,
		`{"type":"identity_refresh"}`: `{"kind":"IDENTITY_REFRESH"}`,
		`{"type":"ACCOUNT_DELETION","target":{"id":"s","type":"APPLICATION","name":"S"}}`:                                    `{"sourceId":"s"}`,
		`{"type":"ACCOUNT_DELETION","target":{"id":"S","type":"APPLICATION","name":"S"},"sourceId":"s"}`:                     `{"sourceId":"s"}`,
		`{"type":"ACCOUNT_DELETION","target":{"id":"s","type":"IDENTITY","name":"S"}}`:                                       `{"sourceId":null}`,
		`{"type":"ACCOUNT_DELETION","target":{"id":"s","type":null,"name":"S"}}`:                                             `{"target":{"id":"s","type":null,"name":"S"}}`,
		`{"type":"ACCOUNT_DELETION","launcher":"` + strings.Repeat("é", 256) + `"}`:                                          `{"launcher":"` + strings.Repeat("é", 256) + `"}`,
		`{"type":"ACCOUNT_DELETION","attributes":{"n":12345678901234567890,"f":1.50,"u":"\ud83d\ude00<&>","z":null,"d":{}}}`: `{"attributes":{"u":"😀<&>","z":null,"d":{}}}`,
		`{"type":"ACCOUNT_DELETION","heartbeatLimitSeconds":86400,"description":"x"}`:                                        `{"heartbeatLimitSeconds":86400,"description":"x"}`,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			answer := post(t, server, "/stint/v1/tasks", body)
			wantSubset(t, answer, 202, want)
			if strings.Contains(body, "12345678901234567890") && !strings.Contains(answer.Text(t), "12345678901234567890") {
				t.Errorf("a large number was changed: %s", answer.Text(t))
			}
		})
	}
}

func TestReportBodies(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, token := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	for body, says := range map[string]string{
		``: "body", `{`: "early", `[]`: "body", `null`: "", `{}`: "attempt", `{"attempt":null}`: "attempt", `{"attempt":0}`: "attempt", `{"attempt":-1}`: "attempt",
		`{"attempt":"1"}`: "attempt", `{"attempt":1.5}`: "attempt", `{"attempt":99999999999999999999}`: "attempt", `{"attempt":1,"attempt":2}`: "attempt",
		`{"attempt":1,"status":"SUCCESS"}`: "status", `{"attempt":1,"Sequence":1}`: "Sequence",
		`{"attempt":1,"sequence":0}`: "sequence", `{"attempt":1,"sequence":-1}`: "sequence", `{"attempt":1,"sequence":"7"}`: "sequence",
		`{"attempt":1,"percentComplete":101}`: "percentComplete", `{"attempt":1,"percentComplete":-1}`: "percentComplete", `{"attempt":1,"percentComplete":50.5}`: "percentComplete",
		`{"attempt":1,"progress":7}`: "progress", `{"attempt":1,"progress":"\u0000"}`: "progress", `{"attempt":1,"progress":"` + strings.Repeat("p", 100000) + `"}`: "progress",
		`{"attempt":1,"messages":{}}`: "messages", `{"attempt":1,"messages":[7]}`: "messages/0", `{"attempt":1,"messages":[{"type":"INFO","key":"k"}]}`: "messages/0",
		`{"attempt":1,"messages":[{"key":"k","text":"t"}]}`: "messages/0", `{"attempt":1,"messages":[{"type":"FATAL","key":"k","text":"t"}]}`: "FATAL",
		`{"attempt":1,"messages":[{"type":"INFO","text":"t","localizedText":{"locale":"en","message":"m"}}]}`: "messages/0",
		`{"attempt":1,"messages":[{"type":"INFO","text":"t","parameters":[7]}]}`:                              "messages/0/parameters/0",
		`{"attempt":1,"messages":[{"type":"INFO","text":"t","parameters":[{}]}]}`:                             "messages/0/parameters/0",
		`{"attempt":1,"messages":[{"type":"INFO","text":"t","parameters":[null]}]}`:                           "messages/0/parameters/0",
		`{"attempt":1,"messages":[{"type":"INFO","text":"t","parameters":[["a"]]}]}`:                          "messages/0/parameters/0",
		`{"attempt":1,"attributes":[]}`: "attributes", `{"attempt":1,"attributes":{"a":"\u0000"}}`: "attributes",
		`{"attempt":1,"returns":[{"name":"x"}]}`: "returns/0", `{"attempt":1,"returns":[{"attributeName":"x"}]}`: "returns/0", `{"attempt":1,"returns":{}}`: "returns",
		`{"attempt":1,"completionStatus":"DONE"}`: "DONE", `{"attempt":1,"completionStatus":""}`: "completionStatus", `{"attempt":1,"completionStatus":7}`: "completionStatus",
	} {
		t.Run(body[:min(len(body), 80)], func(t *testing.T) {
			t.Parallel()
			wantError(t, report(t, server, id, token, body), 400, "", says)
		})
	}
	t.Run("too large", func(t *testing.T) {
		t.Parallel()
		wantError(t, report(t, server, id, token, `{"attempt":1`+strings.Repeat(" ", 1<<20)+`}`), 413, "413.0 Content Too Large")
	})
	t.Run("another type", func(t *testing.T) {
		t.Parallel()
		answer := post(t, server, stintTask(id, "report"), `{"attempt":1}`, "Stint-Report-Token", token, "Content-Type", "text/plain")
		wantError(t, answer, 415, "415.0 Unsupported Media Type", "application/json")
	})
	t.Cleanup(func() {
		wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"queued","lastHeartbeat":null,"messages":[],"attributes":{}}`)
	})
}

func TestDefinitionsAreTheKinds(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	answer := get(t, server, "/stint/v1/definitions")
	wantStatus(t, answer, 200)
	var names []string
	definitions, _ := decoded(t, answer).([]any)
	for _, d := range definitions {
		name, _ := member(d, "name").(string)
		names = append(names, name)
	}
	want := []string{
		"CLOUD_ACCOUNT_AGGREGATION", "CLOUD_GROUP_AGGREGATION", "CLOUD_PROCESS_UNCORRELATED_ACCOUNTS", "CLOUD_REFRESH_ROLE",
		"SOURCE_APPLICATION_DISCOVERY", "AI_AGENT_AGGREGATION", "CLOUD_ENTITLEMENT_IMPORT", "CLOUD_UNCORRELATED_REFRESH",
		"CLOUD_IDENTITY_AGGREGATION", "CLOUD_ATTRIBUTE_SYNCHRONIZATION", "IDENTITY_REFRESH", "APPLICATION_DISCOVERY",
		"MACHINE_IDENTITY_AGGREGATION", "MACHINE_IDENTITY_DELETION", "ACCOUNT_DELETION",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	for _, name := range names {
		wantStatus(t, get(t, server, `/task-status/v1?filters=type+eq+"`+name+`"`), 200)
	}
}
