package httpapi_test

import (
	"strings"
	"testing"

	"stint/internal/apptest"
)

const tasksPath = "/stint/v1/tasks"

// launchField is the field of a form that holds a launch of an aggregation.
func launchField(source, more string) part {
	return field("launch", `{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"`+source+`"`+more+`}`)
}

func TestLaunchAnAggregation(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	body := form(launchField(strings.ToUpper(hr), `,"executor":"builtin","uniqueName":"Nightly","description":"d","launcher":"cron","parentName":"p",
"arguments":{"disableOptimization":true,"allowDeletions":5},"attributes":{"ticket":"T-1"}`), filePart(people))
	answer := sendForm(t, server, tasksPath, body, "Idempotency-Key", "k")
	wantSubset(t, answer, 202, `{"type":"QUARTZ","kind":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"`+hr+`","uniqueName":"Nightly","description":"d",
"launcher":"cron","parentName":"p","heartbeatLimitSeconds":null,"attributes":{"ticket":"T-1","appId":"`+hr+`","optimizedAggregation":"disabled"},
"target":{"id":"`+hr+`","type":"APPLICATION","name":"HR"},
"taskDefinitionSummary":{"executor":"builtin","arguments":{"disableOptimization":true,"allowDeletions":5}}}`)
	id := launchedID(t, server, answer)
	endsWith(t, server, id, `{"completionStatus":"SUCCESS","attributes":{"created":2,"ticket":"T-1"}}`)
	again := sendForm(t, server, tasksPath, strings.ReplaceAll(body, "XxX", "Yy"), "Idempotency-Key", "k", "Content-Type", "multipart/form-data; boundary=Yy")
	if launchedID(t, server, again) != id || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("launched again: %s", again.Body)
	}
	wantError(t, sendForm(t, server, tasksPath, strings.Replace(body, "Ann", "Anne", 1), "Idempotency-Key", "k"), 409, "")
	// The target says which source as well as its id does, and entitlements need no file.
	target := `{"type":"Cloud Group Aggregation","target":{"id":"` + hr + `","type":"APPLICATION","name":"HR"}}`
	endsWith(t, server, launchedID(t, server, post(t, server, tasksPath, target)), entitlementsDone)
	endsWith(t, server, launchedID(t, server, sendForm(t, server, tasksPath, form(field("launch", target)))), entitlementsDone)
	openDatabase(t, server).becomesEmpty()
}

// Who runs a task follows from what it is, unless the launch says so.
func TestLaunchExecutor(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	for body, runs := range map[string]string{
		`{"type":"IDENTITY_REFRESH"}`:                                                                      "external",
		`{"type":"IDENTITY_REFRESH","executor":"external"}`:                                                "external",
		`{"type":"CLOUD_ACCOUNT_AGGREGATION"}`:                                                             "external",
		`{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"elsewhere"}`:                                      "external",
		`{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"` + hr + `","executor":"external"}`:               "external",
		`{"type":"IDENTITY_REFRESH","sourceId":"` + hr + `"}`:                                              "external",
		`{"type":"CLOUD_GROUP_AGGREGATION","sourceId":"` + hr + `"}`:                                       "builtin",
		`{"type":"CLOUD_GROUP_AGGREGATION","sourceId":"` + hr + `","executor":"builtin","arguments":null}`: "builtin",
	} {
		t.Run(body, func(t *testing.T) {
			answer := post(t, server, tasksPath, body)
			wantSubset(t, answer, 202, `{"taskDefinitionSummary":{"executor":"`+runs+`"}}`)
			if token := member(decoded(t, answer), "reportToken"); (token != nil) != (runs == "external") {
				t.Errorf("reportToken is %v", token)
			}
			if runs == "builtin" {
				ended(t, server, launchedID(t, server, answer))
			}
		})
	}
}

func TestLaunchAggregationRefusals(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	hr, _ := createSource(t, server, hrSource)
	db := openDatabase(t, server)
	held := func(more string) part {
		return field("launch", `{"type":"CLOUD_GROUP_AGGREGATION","sourceId":"`+hr+`"`+more+`}`)
	}
	for name, test := range map[string]refusal{
		"no file":                     {form(launchField(hr, "")), 400, illegalValue, []string{"file"}},
		"an empty file":               {form(launchField(hr, ""), filePart("")), 400, illegalValue, []string{"file"}},
		"the file first":              {form(filePart(people), launchField(hr, "")), 400, missing, []string{"launch", "before the file"}},
		"no launch":                   {form(field("x", "")), 400, missing, []string{"launch"}},
		"an empty form":               {form(), 400, missing, []string{"launch"}},
		"two launches":                {form(launchField(hr, ""), launchField(hr, "")), 400, content, []string{"launch", "more than once"}},
		"two launches around a file":  {form(launchField(hr, ""), filePart(people), launchField(hr, "")), 400, content, []string{"launch"}},
		"two files":                   {form(launchField(hr, ""), filePart(people), filePart(people)), 400, content, []string{"file"}},
		"a launch that is no JSON":    {form(field("launch", "type=x"), filePart(people)), 400, syntax, nil},
		"an unknown type":             {form(field("launch", `{"type":"x"}`), filePart(people)), 400, illegalValue, []string{"type"}},
		"a file that others read":     {form(launchField("elsewhere", ""), filePart(people)), 400, illegalValue, []string{"file", "others"}},
		"a file for no aggregation":   {form(field("launch", `{"type":"IDENTITY_REFRESH"}`), filePart(people)), 400, illegalValue, []string{"file"}},
		"a file for external":         {form(launchField(hr, `,"executor":"external"`), filePart(people)), 400, illegalValue, []string{"file"}},
		"builtin without a source":    {form(launchField("", `,"executor":"builtin"`), filePart(people)), 400, illegalValue, []string{"sourceId"}},
		"builtin elsewhere":           {form(launchField(unknownID, `,"executor":"builtin"`), filePart(people)), 400, illegalValue, []string{"sourceId", unknownID}},
		"builtin for another type":    {form(field("launch", `{"type":"IDENTITY_REFRESH","executor":"builtin"}`)), 400, illegalValue, []string{"executor", "IDENTITY_REFRESH"}},
		"another executor":            {form(launchField(hr, `,"executor":"cloud"`), filePart(people)), 400, illegalValue, []string{"executor", `"cloud"`, "builtin", "external"}},
		"a heartbeat limit":           {form(launchField(hr, `,"heartbeatLimitSeconds":60`), filePart(people)), 400, illegalValue, []string{"heartbeatLimitSeconds"}},
		"an unknown argument":         {form(launchField(hr, `,"arguments":{"full":true}`), filePart(people)), 400, "", []string{"full"}},
		"deletions below 0":           {form(launchField(hr, `,"arguments":{"allowDeletions":-1}`), filePart(people)), 400, illegalValue, []string{"allowDeletions"}},
		"optimization in words":       {form(launchField(hr, `,"arguments":{"disableOptimization":"yes"}`), filePart(people)), 400, "", []string{"disableOptimization"}},
		"deletions as text":           {form(held(`,"arguments":{"allowDeletions":"1"}`)), 400, "", []string{"allowDeletions"}},
		"arguments that are none":     {form(held(`,"arguments":[]`)), 400, illegalValue, []string{"arguments"}},
		"a name that is too long":     {form(launchField(hr, `,"uniqueName":"`+strings.Repeat("x", 100_000)+`"`), filePart(people)), 400, illegalValue, []string{"uniqueName"}},
		"a launcher that is too long": {form(launchField(hr, `,"launcher":"`+strings.Repeat("x", 257)+`"`), filePart(people)), 400, illegalValue, []string{"launcher"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, sendForm(t, server, tasksPath, test.body), test.status, test.code, test.says...)
			db.holds(0)
		})
	}
	wantError(t, sendForm(t, server, tasksPath, form(launchField(hr, ""), filePart(people)), "Content-Type", "multipart/form-data"), 400, syntax, "boundary")
	wantError(t, post(t, server, tasksPath, `{"type":"CLOUD_ACCOUNT_AGGREGATION","sourceId":"`+hr+`"}`), 400, illegalValue, "file")
	db.holds(0)
	db.becomesEmpty()
}
