package apptest_test

import (
	"strings"
	"testing"

	"stint/internal/apptest"
)

const (
	taskBody = `{"id":"00eebcf881994e419d72e757fd30dc0e","type":"QUEUED_TASK","uniqueName":"N","description":"",
"parentName":null,"launcher":"sweep","created":"2026-11-24T23:40:50.123Z","modified":"2026-11-24T23:52:04.001Z",
"launched":"2026-11-24T23:40:51.000Z","completed":"2026-11-24T23:52:04.001Z","completionStatus":"WARNING",
"messages":[{"type":"WARN","key":"k","localizedText":{"locale":"en","message":"m"},"parameters":["p",{"a":1}]},
{"type":"INFO","key":"","localizedText":{"locale":"en","message":""},"parameters":null}],
"returns":[{"name":"R","attributeName":"total"}],"attributes":{"total":250,"deep":[{"x":null}]},"progress":null,
"percentComplete":97,"target":{"id":"t","type":"APPLICATION","name":"T"},
"taskDefinitionSummary":{"id":"d","uniqueName":"D","description":"","parentName":"","executor":"external","arguments":{}}}`
	stintTail = `,"kind":"IDENTITY_REFRESH","sourceId":null,"state":"completed","attempt":1,
"lastHeartbeat":"2026-11-24T23:52:04.001Z","heartbeatLimitSeconds":60,"cancelRequested":null,"waiting":null,"durationMs":673001`
	historyTail = `,"history":[{"at":"2026-11-24T23:40:50.123Z","event":"launched","attempt":1,"actor":"sweep","text":"","count":1},
{"at":"2026-11-24T23:52:04.001Z","event":"completed","attempt":1,"actor":"","text":"done","count":1}]`
	errorBody = `{"detailCode":"400.1.3 Illegal value","trackingId":"7f3c1b9a5d2e4860b1c2d3e4f5a60718",
"messages":[{"locale":"en-US","localeOrigin":"DEFAULT","text":"generic"}],
"causes":[{"locale":"en-US","localeOrigin":"DEFAULT","text":"specific"}]}`
)

func withTail(body string, tails ...string) string {
	return strings.TrimSuffix(body, "}") + strings.Join(tails, "") + "}"
}

// altered replaces what is there; a typing error in a table must not pass for a
// body without a breach.
func altered(t *testing.T, body, from, to string) []byte {
	t.Helper()
	if strings.Count(body, from) < 1 {
		t.Fatalf("%q is not in the body", from)
	}
	return []byte(strings.Replace(body, from, to, 1))
}

func TestDecodersTakeWhatTheContractAllows(t *testing.T) {
	t.Parallel()
	inProgress := strings.NewReplacer(
		`"completed":"2026-11-24T23:52:04.001Z"`, `"completed":null`,
		`"completionStatus":"WARNING"`, `"completionStatus":null`,
		`"launched":"2026-11-24T23:40:51.000Z"`, `"launched":null`).Replace(taskBody)
	plain := withTail(taskBody, stintTail)
	for name, err := range map[string]error{
		"a task":              apptest.DecodeTaskStatus([]byte(taskBody)),
		"a task in progress":  apptest.DecodeTaskStatus([]byte(inProgress)),
		"a target of no type": apptest.DecodeTaskStatus(altered(t, taskBody, `"APPLICATION"`, "null")),
		"no target":           apptest.DecodeTaskStatus(altered(t, taskBody, `{"id":"t","type":"APPLICATION","name":"T"}`, "null")),
		"another order of keys": apptest.DecodeTaskStatus(altered(t,
			strings.Replace(taskBody, `"description":"",`, "", 1), `"uniqueName":"N",`, `"description":"","uniqueName":"N",`)),
		"text beyond ASCII": apptest.DecodeTaskStatus(altered(t, taskBody, `"sweep"`, `"Zoë 😀 \ud83d\ude00"`)),
		"an empty list":     apptest.DecodeList([]byte("[]\n")),
		"a list":            apptest.DecodeList([]byte("[" + taskBody + "]")),
		"a Stint task":      apptest.DecodeStintTask([]byte(plain), apptest.Plain),
		"a Stint list":      apptest.DecodeStintList([]byte("[" + plain + "]")),
		"with history":      apptest.DecodeStintTask([]byte(withTail(plain, historyTail)), apptest.WithHistory),
		"launched":          apptest.DecodeStintTask([]byte(withTail(plain, `,"reportToken":"x"`)), apptest.Launched),
		"an error":          apptest.DecodeError([]byte(errorBody), 400, false),
		"a lost one's report": apptest.DecodeError(altered(t, withTail(strings.ReplaceAll(errorBody, `"specific"`,
			`"the task ended as TEMPERROR at 2026-11-24T23:40:50.123Z"`), `,"refused":"late"`),
			"400.1.3 Illegal value", "409.0 Conflict"), 409, true),
		"a refused report": apptest.DecodeError(altered(t, withTail(errorBody, `,"refused":"late","stop":true`),
			"400.1.3 Illegal value", "409.0 Conflict"), 409, true),
		"unauthorized": apptest.DecodeError([]byte(`{"error":"JWT validation failed: JWT is expired"}`), 401, false),
		"too many":     apptest.DecodeError([]byte(`{"message":" Rate Limit Exceeded "}`), 429, false),
		"an answer to a report": apptest.DecodeReportAnswer([]byte(`{"id":"00eebcf881994e419d72e757fd30dc0e","attempt":1,
"state":"running","stop":true,"reason":"asked to","completionStatus":null}`)),
		"definitions": apptest.DecodeDefinitions([]byte(`[{"name":"K","displayName":"D","description":"","executor":"external"}]`)),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type breach struct{ name, from, to, says string }

func taskBreaches() []breach {
	breaches := []breach{
		{"id in upper case", "00eebcf881994e419d72e757fd30dc0e", "00EEBCF881994E419D72E757FD30DC0E", "/id"},
		{"id with dashes", "00eebcf881994e419d72e757fd30dc0e", "00eebcf8-8199-4e41-9d72-e757fd30dc0e", "/id"},
		{"id too short", "00eebcf881994e419d72e757fd30dc0e", "00eebcf8", "/id"},
		{"unknown type", "QUEUED_TASK", "IDENTITY_REFRESH", "/type"},
		{"type in lower case", "QUEUED_TASK", "queued_task", "/type"},
		{"date of six decimals", "51.000Z", "51.000000Z", "/launched"},
		{"date without decimals", "51.000Z", "51Z", "/launched"},
		{"date with an offset", "51.000Z", "51.000+00:00", "/launched"},
		{"date with a comma", "51.000Z", "51,000Z", "/launched"},
		{"no such day", `"launched":"2026-11-24`, `"launched":"2026-11-31`, "/launched"},
		{"no such hour", "T23:40:51.000Z", "T24:40:51.000Z", "/launched"},
		{"date as a number", `"2026-11-24T23:40:51.000Z"`, "1764027651000", "/launched"},
		{"modified before created", `"modified":"2026`, `"modified":"2025`, "/modified"},
		{"completed without a status", `"WARNING"`, "null", "/completionStatus"},
		{"status without completed", `"completed":"2026-11-24T23:52:04.001Z"`, `"completed":null`, "/completed"},
		{"status in mixed case", `"WARNING"`, `"Warning"`, "/completionStatus"},
		{"unknown status", `"WARNING"`, `"TEMP_ERROR"`, "/completionStatus"},
		{"percent over", ":97", ":101", "/percentComplete"},
		{"percent below", ":97", ":-1", "/percentComplete"},
		{"percent with a fraction", ":97", ":97.0", "/percentComplete"},
		{"percent with an exponent", ":97", ":9e1", "/percentComplete"},
		{"percent as text", ":97", `:"97"`, "/percentComplete"},
		{"unknown message type", `"type":"WARN"`, `"type":"WARNING"`, "/messages/0/type"},
		{"message without a key", `"key":"k",`, "", "/messages/0/key is missing"},
		{"message without parameters", `,"parameters":null`, "", "/messages/1/parameters is missing"},
		{"message text as text", `{"locale":"en","message":"m"}`, `"m"`, "/messages/0/localizedText"},
		{"message text null", `{"locale":"en","message":"m"}`, `null`, "/messages/0/localizedText"},
		{"message without a locale", `"locale":"en","message":"m"`, `"message":"m"`, "/messages/0/localizedText/locale"},
		{"parameter a number", `["p",`, `[7,`, "/messages/0/parameters/0"},
		{"parameter null", `["p",`, `[null,`, "/messages/0/parameters/0"},
		{"parameter an empty object", `{"a":1}`, `{}`, "/messages/0/parameters/1"},
		{"return without a name", `"name":"R",`, "", "/returns/0/name is missing"},
		{"return of the older shape", `"name":"R"`, `"displayLabel":"R"`, "/returns/0/displayLabel"},
		{"target of another type", `"APPLICATION"`, `"SOURCE"`, "/target/type"},
		{"target without a name", `,"name":"T"`, "", "/target/name is missing"},
		{"target with more", `,"name":"T"`, `,"name":"T","more":1`, "/target/more"},
		{"summary without arguments", `,"arguments":{}`, "", "/taskDefinitionSummary/arguments is missing"},
		{"summary with null arguments", `"arguments":{}`, `"arguments":null`, "/taskDefinitionSummary/arguments"},
		{"summary with null parentName", `"parentName":"",`, `"parentName":null,`, "/taskDefinitionSummary/parentName"},
		{
			"summary null", `{"id":"d","uniqueName":"D","description":"","parentName":"","executor":"external","arguments":{}}`,
			"null", "/taskDefinitionSummary",
		},
		{"attributes an array", `{"total":250,"deep":[{"x":null}]}`, `[]`, "/attributes"},
		{"one key more", `"launcher":`, `"kind":"X","launcher":`, "/kind does not belong"},
		{"a key in another case", `"launcher":`, `"Launcher":`, "/launcher is missing"},
		{"a key twice", `"launcher":`, `"launcher":"other","launcher":`, "duplicate"},
		{"a key twice, deep", `{"x":null}`, `{"x":null,"x":1}`, "duplicate"},
		{"a key twice, escaped", `"launcher":`, `"l\u0061uncher":"other","launcher":`, "duplicate"},
		{"invalid UTF-8", `"sweep"`, "\"\xff\"", "UTF-8"},
		{"a lone surrogate", `"sweep"`, `"\ud83d"`, "surrogate"},
		{"U+0000", `"sweep"`, `"a\u0000"`, "U+0000"},
		{"U+0000 in a deep name", `{"x":null}`, `{"\u0000":null}`, "U+0000"},
		{"something after it", `"arguments":{}}}`, `"arguments":{}}} {}`, "follows"},
		{"a comma too many", `"arguments":{}}}`, `"arguments":{}},}`, "read"},
		{"cut off", `"arguments":{}}}`, `"arguments":{`, "read"},
	}
	for _, key := range []string{
		`"id":"00eebcf881994e419d72e757fd30dc0e"`, `"type":"QUEUED_TASK"`, `"uniqueName":"N"`, `"description":""`,
		`"parentName":null`, `"launcher":"sweep"`, `"created":"2026-11-24T23:40:50.123Z"`, `"modified":"2026-11-24T23:52:04.001Z"`,
		`"launched":"2026-11-24T23:40:51.000Z"`, `"completed":"2026-11-24T23:52:04.001Z"`, `"completionStatus":"WARNING"`,
		`"returns":[{"name":"R","attributeName":"total"}]`, `"attributes":{"total":250,"deep":[{"x":null}]}`, `"progress":null`, `"percentComplete":97`,
	} {
		name, _, _ := strings.Cut(key, ":")
		name = strings.Trim(name, `"`)
		from := key + ","
		if !strings.Contains(taskBody, from) {
			from = key + ",\n"
		}
		breaches = append(breaches, breach{"without " + name, from, "", "/" + name + " is missing"})
		switch name {
		case "parentName", "progress":
			breaches = append(breaches, breach{name + " a number", key, `"` + name + `":7`, "/" + name})
		case "launched", "completed", "completionStatus":
		default:
			breaches = append(breaches, breach{name + " null", key, `"` + name + `":null`, "/" + name})
		}
	}
	return breaches
}

func TestDecodeTaskStatusCatchesEachBreach(t *testing.T) {
	t.Parallel()
	for _, b := range taskBreaches() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			broken := altered(t, taskBody, b.from, b.to)
			mustSay(t, apptest.DecodeTaskStatus(broken), b.says)
			// The same breach in one element breaks a whole list.
			list := append(append([]byte("["), broken...), ']')
			if err := apptest.DecodeList(list); err == nil {
				t.Errorf("DecodeList takes %s", list)
			}
		})
	}
}

func TestDecodersCatchBreachesOfOtherBodies(t *testing.T) {
	t.Parallel()
	plain := withTail(taskBody, stintTail)
	full := withTail(plain, historyTail)
	launched := withTail(plain, `,"reportToken":"x"`)
	refused := strings.Replace(withTail(errorBody, `,"refused":"late","stop":true`), "400.1.3 Illegal value", "409.0 Conflict", 1)
	answer := `{"id":"00eebcf881994e419d72e757fd30dc0e","attempt":1,"state":"running","stop":false,"reason":null,"completionStatus":null}`
	asTask := func(form apptest.Form) func([]byte) error {
		return func(data []byte) error { return apptest.DecodeStintTask(data, form) }
	}
	asError := func(status int, report bool) func([]byte) error {
		return func(data []byte) error { return apptest.DecodeError(data, status, report) }
	}
	for _, b := range []struct {
		breach
		body   string
		decode func([]byte) error
	}{
		{breach{"list an object", "{", "{", "an array"}, taskBody, apptest.DecodeList},
		{breach{"list null", "[]", "null", "an array"}, "[]", apptest.DecodeList},
		{breach{"id twice in a list", "[", "[", "twice"}, "[" + taskBody + "," + taskBody + "]", apptest.DecodeList},
		{breach{"kind null", `"IDENTITY_REFRESH"`, "null", "/kind"}, plain, asTask(apptest.Plain)},
		{breach{"sourceId empty", `"sourceId":null`, `"sourceId":""`, "/sourceId"}, plain, asTask(apptest.Plain)},
		{breach{"state unknown", `"state":"completed"`, `"state":"done"`, "/state"}, plain, asTask(apptest.Plain)},
		{breach{"state running at the end", `"state":"completed"`, `"state":"running"`, "/state"}, plain, asTask(apptest.Plain)},
		{breach{"attempt 0", `"attempt":1`, `"attempt":0`, "/attempt"}, plain, asTask(apptest.Plain)},
		{breach{"heartbeat limit 0", `Seconds":60`, `Seconds":0`, "/heartbeatLimitSeconds"}, plain, asTask(apptest.Plain)},
		{breach{"heartbeat as a number", `"lastHeartbeat":"2026-11-24T23:52:04.001Z"`, `"lastHeartbeat":5`, "/lastHeartbeat"}, plain, asTask(apptest.Plain)},
		{breach{"waiting at the end", `"waiting":null`, `"waiting":"for a worker"`, "/waiting"}, plain, asTask(apptest.Plain)},
		{breach{"another duration", `673001`, `673000`, "/durationMs"}, plain, asTask(apptest.Plain)},
		{breach{"no duration at the end", `673001`, `null`, "/durationMs"}, plain, asTask(apptest.Plain)},
		{breach{"without cancelRequested", `"cancelRequested":null,`, "", "/cancelRequested is missing"}, plain, asTask(apptest.Plain)},
		{breach{"history in a list", `{`, `{`, "/history does not belong"}, full, asTask(apptest.Plain)},
		{breach{"token of a launch elsewhere", `{`, `{`, "/reportToken does not belong"}, launched, asTask(apptest.WithHistory)},
		{breach{"launch without a token", `{`, `{`, "/reportToken is missing"}, plain, asTask(apptest.Launched)},
		{breach{"a token where nobody reports", `QUEUED_TASK`, `QUARTZ`, "/reportToken does not belong"}, launched, asTask(apptest.Launched)},
		{breach{"without a history", `{`, `{`, "/history is missing"}, plain, asTask(apptest.WithHistory)},
		{breach{"unknown event", `"event":"launched"`, `"event":"began"`, "/history/0/event"}, full, asTask(apptest.WithHistory)},
		{breach{"event of no time", `"actor":"",`, ``, "/history/1/actor is missing"}, full, asTask(apptest.WithHistory)},
		{breach{"history backwards", `"at":"2026-11-24T23:52`, `"at":"2025-11-24T23:52`, "oldest first"}, full, asTask(apptest.WithHistory)},
		{breach{"count 0", `"count":1`, `"count":0`, "/history/0/count"}, full, asTask(apptest.WithHistory)},
		{breach{"code of another status", `{`, `{`, "/detailCode"}, errorBody, asError(404, false)},
		{breach{"unknown code", "400.1.3 Illegal value", "400.1.3 Illegal Value", "/detailCode"}, errorBody, asError(400, false)},
		{breach{"tracking id of a UUID", "7f3c1b9a5d2e4860b1c2d3e4f5a60718", "7f3c1b9a-5d2e-4860-b1c2-d3e4f5a60718", "/trackingId"}, errorBody, asError(400, false)},
		{breach{"no generic text", `[{"locale":"en-US","localeOrigin":"DEFAULT","text":"generic"}]`, "[]", "/messages"}, errorBody, asError(400, false)},
		{breach{"no cause", `[{"locale":"en-US","localeOrigin":"DEFAULT","text":"specific"}]`, "[]", "/causes"}, errorBody, asError(400, false)},
		{breach{"causes null", `[{"locale":"en-US","localeOrigin":"DEFAULT","text":"specific"}]`, "null", "/causes"}, errorBody, asError(400, false)},
		{breach{"another locale", `"en-US"`, `"und"`, "/messages/0/locale"}, errorBody, asError(400, false)},
		{breach{"text empty", `"specific"`, `""`, "/causes/0/text"}, errorBody, asError(400, false)},
		{breach{"refused elsewhere", `{`, `{`, "/refused does not belong"}, refused, asError(409, false)},
		{breach{"refused without why", `"refused":"late",`, ``, "/refused is missing"}, refused, asError(409, true)},
		{breach{"late without stop", `,"stop":true`, ``, "/stop"}, refused, asError(409, true)},
		{breach{"error of another status as 401", `{`, `{`, "/error is missing"}, errorBody, asError(401, false)},
		{breach{"answer without stop", `"stop":false,`, ``, "/stop is missing"}, answer, apptest.DecodeReportAnswer},
		{breach{"answer that disagrees", `"running"`, `"completed"`, "/state"}, answer, apptest.DecodeReportAnswer},
		{
			breach{"definition without a name", `"name":"K",`, ``, "/0/name is missing"},
			`[{"name":"K","displayName":"D","description":"","executor":"external"}]`, apptest.DecodeDefinitions,
		},
	} {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			mustSay(t, b.decode(altered(t, b.body, b.from, b.to)), b.says)
		})
	}
}

func mustSay(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want one that says %q", err, says)
	}
}
