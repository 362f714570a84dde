package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
)

func TestPatchBodyThatIsNoPatch(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	good := clearAs("ERROR")
	for name, test := range map[string]struct {
		body, detailCode string
		says             []string
	}{
		"empty":                   {"", "", []string{"body"}},
		"spaces":                  {"  \n", "", []string{"body"}},
		"no JSON":                 {"{not json", syntax, []string{"position"}},
		"XML":                     {"<patch/>", syntax, []string{"position"}},
		"form":                    {"completionStatus=ERROR", syntax, []string{"position"}},
		"cut off":                 {good[:len(good)-1], syntax, []string{"too early"}},
		"cut off in a text":       {good[:len(good)-4], syntax, []string{"too early"}},
		"comma too many":          {strings.Replace(good, "}]", "},]", 1), syntax, []string{"position"}},
		"single quotes":           {strings.ReplaceAll(good, `"`, "'"), syntax, []string{"position"}},
		"comment":                 {"/* clear */" + good, syntax, []string{"position"}},
		"byte order mark":         {"\ufeff" + good, syntax, []string{"position"}},
		"two values":              {good + good, syntax, []string{"position"}},
		"member twice":            {`[{"op":"test","op":"replace","path":"/completionStatus","value":"ERROR"}]`, syntax, []string{"op", "twice"}},
		"member twice, deep":      {`[{"op":"replace","path":"/completionStatus","value":{"a":1,"a":2}}]`, syntax, []string{"twice"}},
		"invalid UTF-8":           {strings.Replace(good, "ERROR", "\xff", 1), syntax, []string{"position"}},
		"lone surrogate":          {strings.Replace(good, "ERROR", `\ud800`, 1), syntax, []string{"position"}},
		"U+0000":                  {strings.Replace(good, "ERROR", `ERROR\u0000`, 1), "", []string{"U+0000"}},
		"raw NUL":                 {strings.Replace(good, "ERROR", "ERROR\x00", 1), syntax, []string{"position"}},
		"10,000 arrays":           {strings.Repeat("[", 10000), syntax, nil},
		"10,000 arrays, closed":   {strings.Repeat("[", 10000) + strings.Repeat("]", 10000), "", nil},
		"object":                  {good[1 : len(good)-1], "", []string{"array"}},
		"null":                    {"null", "", []string{"array"}},
		"text":                    {`"ERROR"`, "", []string{"array"}},
		"number":                  {"7", "", []string{"array"}},
		"no operations":           {"[]", "", []string{"100"}},
		"101 operations":          {"[" + strings.Repeat(`{"op":"test","path":"/progress","value":"Aggregating"},`, 100) + good[1:], "", []string{"100"}},
		"operation a text":        {`["replace"]`, "", nil},
		"operation null":          {`[null]`, "", nil},
		"operation empty":         {`[{}]`, missing, []string{"op"}},
		"op null":                 {`[{"op":null,"path":"/completionStatus","value":"ERROR"}]`, "", []string{"op"}},
		"op a number":             {`[{"op":1,"path":"/completionStatus","value":"ERROR"}]`, "", []string{"op"}},
		"op in upper case":        {strings.Replace(good, "replace", "REPLACE", 1), "", []string{"REPLACE"}},
		"op unknown":              {strings.Replace(good, "replace", "frobnicate", 1), "", []string{"frobnicate", "replace"}},
		"path missing":            {`[{"op":"replace","value":"ERROR"}]`, missing, []string{"path"}},
		"path without a slash":    {`[{"op":"replace","path":"completionStatus","value":"ERROR"}]`, "", []string{"completionStatus"}},
		"path a number":           {`[{"op":"replace","path":7,"value":"ERROR"}]`, "", nil},
		"path in another case":    {`[{"op":"replace","path":"/completionstatus","value":"ERROR"}]`, "", []string{"/completionstatus"}},
		"path of a bad escape":    {`[{"op":"replace","path":"/~2","value":"ERROR"}]`, "", nil},
		"value missing":           {`[{"op":"replace","path":"/completionStatus"}]`, missing, []string{"value"}},
		"from missing":            {`[{"op":"move","path":"/completionStatus"}]`, missing, []string{"from"}},
		"document replaced":       {`[{"op":"replace","path":"","value":{}}]`, illegalUpdate, nil},
		"document removed":        {`[{"op":"remove","path":""}]`, "", nil},
		"document null":           {`[{"op":"replace","path":"","value":null}]`, "", nil},
		"status removed":          {`[{"op":"remove","path":"/completionStatus"}]`, "", []string{"completionStatus"}},
		"status moved away":       {`[{"op":"move","from":"/completionStatus","path":"/completed"}]`, "", nil},
		"launcher as a status":    {`[{"op":"copy","from":"/launcher","path":"/completionStatus"}]`, "", []string{"patcher", "TEMPERROR"}},
		"launcher moved":          {`[{"op":"move","from":"/launcher","path":"/completionStatus"}]`, illegalUpdate, []string{"/launcher"}},
		"other member":            {`[{"op":"add","path":"/percentComplete","value":100}]`, illegalUpdate, []string{"/percentComplete"}},
		"other member, deep":      {`[{"op":"replace","path":"/target/name","value":"x"}]`, illegalUpdate, []string{"/target/name"}},
		"other member, new":       {`[{"op":"add","path":"/attributes/x","value":1}]`, illegalUpdate, []string{"/attributes"}},
		"other member, unknown":   {`[{"op":"add","path":"/nope","value":1}]`, illegalUpdate, []string{"/nope"}},
		"other member, beyond":    {`[{"op":"replace","path":"/nope/deep","value":1}]`, "", []string{"/nope"}},
		"other member, escaped":   {`[{"op":"add","path":"/a~1b~0c","value":1}]`, illegalUpdate, []string{"/a~1b~0c"}},
		"element appended":        {`[{"op":"add","path":"/messages/-","value":{}}]`, illegalUpdate, []string{"/messages"}},
		"other member beside":     {`[{"op":"replace","path":"/completionStatus","value":"ERROR"},{"op":"replace","path":"/launcher","value":"me"}]`, illegalUpdate, []string{"/launcher"}},
		"test fails":              {`[{"op":"test","path":"/completionStatus","value":"SUCCESS"},{"op":"replace","path":"/completionStatus","value":"ERROR"}]`, "", []string{"/completionStatus"}},
		"test fails at the end":   {`[{"op":"replace","path":"/completionStatus","value":"ERROR"},{"op":"test","path":"/launcher","value":"you"}]`, "", []string{"/launcher"}},
		"test fails, deep":        {`[{"op":"test","path":"/target/name","value":"x"},{"op":"replace","path":"/completionStatus","value":"ERROR"}]`, "", []string{"/target/name"}},
		"test of nothing":         {`[{"op":"test","path":"/nope","value":1},{"op":"replace","path":"/completionStatus","value":"ERROR"}]`, "", []string{"/nope"}},
		"test of nothing as null": {`[{"op":"test","path":"/nope","value":null},{"op":"replace","path":"/completionStatus","value":"ERROR"}]`, "", []string{"/nope"}},
		"test of another type":    {`[{"op":"test","path":"/percentComplete","value":"40"},{"op":"replace","path":"/completionStatus","value":"ERROR"}]`, "", []string{"/percentComplete"}},
		"completed alone":         {`[{"op":"replace","path":"/completed","value":"2026-06-24T10:15:30Z"}]`, missing, []string{"completionStatus"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, patch(t, server, inProgress, test.body), 400, test.detailCode, test.says...)
		})
	}
	t.Cleanup(func() { wantInProgress(t, server, inProgress) })
}

func TestStatusThatIsNone(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, value := range []string{
		`null`, `""`, `"DONE"`, `"IN_PROGRESS"`, `"SUCCESS "`, `"TEMP-ERROR"`, `"TEMP ERROR"`, `"ſuccess"`, `"null"`, `"Cancelled"`,
		`true`, `0`, `1.5`, `[]`, `["ERROR"]`, `{}`, `{"value":"ERROR"}`,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			body := `[{"op":"replace","path":"/completionStatus","value":` + value + `}]`
			wantError(t, patch(t, server, inProgress, body), 400, "",
				"completionStatus", "SUCCESS", "WARNING", "ERROR", "TERMINATED", "TEMPERROR")
		})
	}
	t.Cleanup(func() { wantInProgress(t, server, inProgress) })
}

func TestCompletedThatIsNoTime(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	soon := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(`"2006-01-02T15:04:05Z"`) }
	for _, value := range []string{
		`"yesterday"`, `""`, `" "`, `"2026-13-01T00:00:00Z"`, `"2026-02-30T00:00:00Z"`, `"2026-06-24T25:00:00Z"`, `"2026-06-24"`,
		`"2026-06-24T10:15:30+99:99"`, `"24.06.2026 10:15"`, `"1750000000000"`, `"2026-06-24T10:15:30Z junk"`, `"2026-06-24T10:15"`,
		`1.5`, `1e400`, `true`, `{}`, `[]`, `["2026-06-24T10:15:30Z"]`, `99999999999999999999`,
		`"0000-01-01T00:00:00+23:59"`, `-99999999999999`, `"99999-01-01T00:00:00Z"`, soon(25 * time.Hour), `4102444800000`,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			body := `[{"op":"replace","path":"/completionStatus","value":"ERROR"},{"op":"replace","path":"/completed","value":` + value + `}]`
			wantError(t, patch(t, server, inProgress, body), 400, "", "completed")
		})
	}
	t.Cleanup(func() { wantInProgress(t, server, inProgress) })
}

func TestCompletedAsScriptsWriteIt(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`"2024-05-17T19:33:16Z"`:                "2024-05-17T19:33:16.000Z",
		`"2024-05-17T19:33:16.4Z"`:              "2024-05-17T19:33:16.400Z",
		`"2024-05-17T19:33:16.470999999Z"`:      "2024-05-17T19:33:16.470Z",
		`"2024-05-17T19:33:16.47+02:00"`:        "2024-05-17T17:33:16.470Z",
		`"2024-05-17T19:33:16.470-0330"`:        "2024-05-17T23:03:16.470Z",
		`"2024-05-17 19:33:16.470000+00:00"`:    "2024-05-17T19:33:16.470Z",
		`"2024-05-17 19:33:16"`:                 "2024-05-17T19:33:16.000Z",
		`"2024-05-17T19:33:16.123456"`:          "2024-05-17T19:33:16.123Z",
		`"2024-05-17t19:33:16z"`:                "2024-05-17T19:33:16.000Z",
		`1750000000000`:                         "2025-06-15T15:06:40.000Z",
		`1750000000001`:                         "2025-06-15T15:06:40.001Z",
		`"1999-12-31T23:59:59.999Z"`:            "1999-12-31T23:59:59.999Z",
		`"2024-02-29T00:00:00.000Z"`:            "2024-02-29T00:00:00.000Z",
		`"2024-05-17T19:33:16.9999999999999Z"`:  "2024-05-17T19:33:16.999Z",
		`"2024-05-17T00:15:00.000000000+05:45"`: "2024-05-16T18:30:00.000Z",
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			server := startWithTasks(t)
			body := `[{"op":"add","path":"/completed","value":` + value + `},{"op":"add","path":"/completionStatus","value":"Error"}]`
			for range 2 {
				wantSubset(t, patch(t, server, inProgress, body), 200, `{"completionStatus":"ERROR","completed":"`+want+`"}`)
			}
		})
	}
}

// What a script sends with a zero time must not end up as another time.
func TestCompletedLongAgoIsKeptOrRefused(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	tasks := patchable(t)
	for i, value := range []string{`"0001-01-01T00:00:00Z"`, `"1970-01-01T00:00:00Z"`, `0`, `-1`, `-62135596800000`} {
		body := `[{"op":"replace","path":"/completionStatus","value":"ERROR"},{"op":"replace","path":"/completed","value":` + value + `}]`
		answer := patch(t, server, tasks[i], body)
		if answer.Status == 400 {
			wantError(t, answer, 400, "", "completed")
			continue
		}
		wantStatus(t, answer, 200)
		var want time.Time
		if json.Unmarshal([]byte(value), &want) != nil {
			var ms int64
			if err := json.Unmarshal([]byte(value), &ms); err != nil {
				t.Fatal(err)
			}
			want = time.UnixMilli(ms)
		}
		wantSubset(t, answer, 200, `{"completed":"`+want.UTC().Format("2006-01-02T15:04:05.000Z")+`"}`)
	}
}

func TestStatusAsScriptsWriteIt(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	tasks := patchable(t)
	for i, test := range []struct{ value, want string }{
		{"success", "SUCCESS"},
		{"Warning", "WARNING"},
		{"ERROR", "ERROR"},
		{"tErMiNaTeD", "TERMINATED"},
		{"TempError", "TEMPERROR"},
		{"Temp_Error", "TEMPERROR"},
		{"TEMP_ERROR", "TEMPERROR"},
		{"Completed", "SUCCESS"},
		{"COMPLETED", "SUCCESS"},
	} {
		before := time.Now().Add(-time.Second).UTC().Format("2006-01-02T15:04:05.000Z")
		body := wantSubset(t, patch(t, server, tasks[i], clearAs(test.value)), 200, `{"completionStatus":"`+test.want+`"}`)
		if completed, _ := member(body, "completed").(string); completed < before {
			t.Errorf("%s: completed is %q, want now", test.value, completed)
		}
		if completed, modified := member(body, "completed"), member(body, "modified"); completed != modified {
			t.Errorf("%s: completed is %s, modified %s: want one write", test.value, completed, modified)
		}
	}
}

func TestPatchThatAsksForWhatIsThere(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	const replaceBoth = `[{"op":"replace","path":"/completionStatus","value":"Error"},{"op":"replace","path":"/completed","value":"2025-01-01T00:00:00Z"}]`
	first := patch(t, server, inProgress, replaceBoth)
	wantSubset(t, first, 200, `{"completionStatus":"ERROR","completed":"2025-01-01T00:00:00.000Z"}`)
	for name, body := range map[string]string{
		"both":                  replaceBoth,
		"status alone":          clearAs("ERROR"),
		"add instead":           strings.ReplaceAll(replaceBoth, "replace", "add"),
		"another form of it":    strings.Replace(replaceBoth, `"2025-01-01T00:00:00Z"`, `1735689600000`, 1),
		"completed alone":       `[{"op":"replace","path":"/completed","value":"2025-01-01T01:00:00+01:00"}]`,
		"a test that now fails": `[{"op":"test","path":"/completionStatus","value":null},` + replaceBoth[1:],
		"a test of nonsense":    `[{"op":"test","path":"/nope/deep","value":7},` + replaceBoth[1:],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			again := patch(t, server, inProgress, body)
			wantStatus(t, again, 200)
			if string(again.Body) != string(first.Body) {
				t.Errorf("the repeat changed the task:\n%s\n%s", first.Body, again.Body)
			}
		})
	}
	for name, body := range map[string]string{
		"another status":          clearAs("SUCCESS"),
		"another time":            strings.Replace(replaceBoth, "2025-01-01", "2025-01-02", 1),
		"another time alone":      `[{"op":"replace","path":"/completed","value":"2025-01-02T00:00:00Z"}]`,
		"a time that is removed":  `[{"op":"remove","path":"/completed"}]`,
		"a time that becomes nil": `[{"op":"replace","path":"/completed","value":null}]`,
		"another member":          `[{"op":"replace","path":"/launcher","value":"me"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, patch(t, server, inProgress, body), 400, illegalUpdate)
		})
	}
	t.Run("says when and how it ended", func(t *testing.T) {
		t.Parallel()
		wantError(t, patch(t, server, inProgress, clearAs("SUCCESS")), 400, illegalUpdate, "ERROR", "2025-01-01T00:00:00.000Z")
	})
	t.Cleanup(func() {
		after := get(t, server, "/task-status/v1/"+inProgress)
		if string(after.Body) != string(first.Body) {
			t.Errorf("the task changed:\n%s\n%s", first.Body, after.Body)
		}
	})
}

func TestPatchTestsLookAtAnyMember(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	tests := `{"op":"test","path":"/launcher","value":"patcher"},{"op":"test","path":"/percentComplete","value":40},
{"op":"test","path":"/target","value":{"name":"Patch source","type":"APPLICATION","id":"b51ee092e2cbeb9d6522771827ed97b3"}},
{"op":"test","path":"/messages","value":[]},{"op":"test","path":"/completed","value":null},`
	// Tests alone ask for nothing.
	wantSubset(t, patch(t, server, inProgress, "["+strings.TrimSuffix(tests, ",")+"]"), 200, `{"completionStatus":null}`)
	hundred := "[" + tests + strings.Repeat(`{"op":"test","path":"/parentName","value":null},`, 94) + clearAs("ERROR")[1:]
	wantSubset(t, patch(t, server, inProgress, hundred), 200, `{"completionStatus":"ERROR"}`)
}

func TestPatchContentTypes(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, contentType := range []string{
		"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x",
		"application/merge-patch+json", "application/", "json", "*/*", "application/json-patch", "application/json-patch+json2", "text/json", ";",
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Content-Type", contentType), 415, "", "Content-Type", jsonPatch)
		})
	}
	t.Run("compressed", func(t *testing.T) {
		t.Parallel()
		wantStatus(t, patch(t, server, inProgress, "\x1f\x8b\x08\x00", "Content-Encoding", "gzip"), 415)
	})
	tasks := patchable(t)
	for i, contentType := range []string{
		"", jsonPatch, "application/json", jsonPatch + "; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON-Patch+JSON",
		jsonPatch + " ; charset=utf-8",
	} {
		if tasks[i] == inProgress {
			tasks[i] = tasks[len(tasks)-1]
		}
		request := apptest.Request{Method: "PATCH", Target: "/task-status/v1/" + tasks[i], Body: clearAs("ERROR"), Header: header("Content-Type", contentType)}
		if contentType == "" {
			request.Header = nil
		}
		wantSubset(t, server.Send(t, request), 200, `{"completionStatus":"ERROR"}`)
	}
	t.Cleanup(func() { wantInProgress(t, server, inProgress) })
}

func TestPatchBodySize(t *testing.T) {
	t.Parallel()
	const most = 64 << 10
	server := startWithTasks(t)
	padded := func(n int) string { return "[" + strings.Repeat(" ", n-len(clearAs("ERROR"))) + clearAs("ERROR")[1:] }
	for name, body := range map[string]string{
		"one byte over": padded(most + 1), "twice": padded(2 * most), "2 MiB": padded(2 << 20), "no JSON": strings.Repeat("x", most+1),
	} {
		wantError(t, patch(t, server, inProgress, body), 413, "413.0 Content Too Large", "65536")
		chunked := fmtHex(len(body)) + "\r\n" + body + "\r\n0\r\n\r\n"
		wantError(t, patch(t, server, inProgress, chunked, "Transfer-Encoding", "chunked"), 413, "413.0 Content Too Large")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	wantInProgress(t, server, inProgress)
	wantSubset(t, patch(t, server, inProgress, padded(most)), 200, `{"completionStatus":"ERROR"}`)
}

// Copies can double the document each; a hundred of them would be 2^100 bytes.
func TestPatchCannotGrowWithoutBounds(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, op := range []string{
		`{"op":"copy","from":"/attributes","path":"/attributes/a"}`, `{"op":"copy","from":"","path":"/attributes/a"}`,
		`{"op":"copy","from":"/target","path":"/target/name"}`,
	} {
		body := "[" + strings.Repeat(op+",", 99) + clearAs("ERROR")[1:]
		wantError(t, patch(t, server, inProgress, body), 400, "")
	}
	wantInProgress(t, server, inProgress)
}

func TestReasonOfAClear(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Stint-Reason", strings.Repeat("x", 5000)), 400, "", "Stint-Reason")
	wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Stint-Reason", "\xff"), 400, "", "Stint-Reason")
	wantInProgress(t, server, inProgress)
	wantStatus(t, patch(t, server, inProgress, clearAs("ERROR"), "Stint-Reason", "the host is gone"), 200)
	history := get(t, server, stintTask(inProgress)).Text(t)
	if !strings.Contains(history, `"event":"cleared"`) || !strings.Contains(history, "the host is gone") {
		t.Errorf("the history does not say why it was cleared: %s", history)
	}
}

// Documents that make the JSON Patch library panic are bad patches, not faults
// of the server.
func TestPatchThatTheLibraryCannotApply(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, body := range []string{
		`[{"op":"add","path":"/completed","value":null},{"op":"test","path":"/completed","value":[]}]`,
		`[{"op":"replace","path":"","value":null},{"op":"move","from":"/","path":"/completionStatus"}]`,
		`[{"op":"replace","path":"","value":null},{"op":"copy","from":"/0","path":"/completionStatus"}]`,
		`[{"op":"add","path":"/attributes/q","value":[null]},{"op":"test","path":"/attributes/q","value":[[]]}]`,
	} {
		wantError(t, patch(t, server, inProgress, body), 400, "")
	}
	wantInProgress(t, server, inProgress)
}
