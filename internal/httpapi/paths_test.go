package httpapi_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"stint/api"
	"stint/internal/apptest"
)

func TestUnknownPathIsNotFound(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, target := range []string{
		"/", "/task-status", "/task-status/", "/task-status/v2", "/task-status/v1/" + inProgress + "/more", "/TASK-STATUS/v1",
		"/v2023/task-status", "/v1/task-status", "/v2026/task-status/pending-tasks", "/task-status/v1/pending-tasks",
		"/beta/task-status/pending-tasks/more", "/stint", "/stint/v1", "/stint/v1/nothing", "/stint/v2/tasks",
		stintTask(inProgress, "history"), "/stint/v1/definitions/IDENTITY_REFRESH", "/favicon.ico",
		"/task-status//v1", "/beta/../task-status/v1", "/./task-status/v1", "/task-status/v1/../v1", "/task-status/v1%2F" + inProgress,
	} {
		for _, method := range []string{"GET", "HEAD", "PATCH", "POST"} {
			t.Run(method+" "+target, func(t *testing.T) {
				t.Parallel()
				answer := server.Send(t, apptest.Request{Method: method, Target: target})
				if method == "HEAD" {
					wantStatus(t, answer, 404)
					return
				}
				// A known pattern of another method answers 405: an id may be anything.
				if answer.Status == 405 && strings.HasSuffix(target, "/pending-tasks") {
					return
				}
				wantError(t, answer, 404, "404.0 Not Found")
			})
		}
	}
}

func TestPathThatScriptsTypeNamesTheRightOne(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, target := range []string{
		"/v3/task-status", "/latest/task-status", "/v3/task-status/", "//v3/task-status", "/v3/task-status/" + inProgress,
		"/latest/task-status/" + inProgress, "/v3/task-status?limit=5", "/v3/task-status/pending-tasks",
	} {
		wantError(t, get(t, server, target), 404, "404.0 Not Found", "/task-status/v1")
	}
}

func TestOtherMethodIsNotAllowed(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		target := strings.Replace(path, "{id}", inProgress, 1)
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "get"} {
			if item.Operations()[method] != nil {
				continue
			}
			t.Run(method+" "+path, func(t *testing.T) {
				t.Parallel()
				// What Allow holds is checked with every answer.
				answer := server.Send(t, apptest.Request{Method: method, Target: target})
				if method == "HEAD" {
					wantStatus(t, answer, 405)
					return
				}
				wantError(t, answer, 405, "405.0 Method Not Allowed")
			})
		}
	}
}

// A redirect would turn a PATCH into a GET.
func TestSlashesTooManyAreNoMatter(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	forms := func(path string) []string { return []string{"/" + path, path + "/", "/" + path + "/", "//" + path} }
	want := ids(decoded(t, get(t, server, "/task-status/v1?limit=5")))
	for _, path := range append(spellings(), "/stint/v1/tasks") {
		for _, target := range forms(path) {
			answer := get(t, server, target+"?limit=5")
			wantStatus(t, answer, 200)
			if diff := cmp.Diff(want, ids(decoded(t, answer))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", target, diff)
			}
		}
	}
	for _, path := range pendingSpellings() {
		for _, target := range forms(path) {
			wantStatus(t, get(t, server, target+"?limit=5"), 200)
		}
	}
	for _, target := range slices.Concat(forms(stintTask(inProgress)), forms("/beta/task-status/"+inProgress)) {
		wantSubset(t, get(t, server, target), 200, `{"id":"`+inProgress+`"}`)
	}
	for _, target := range slices.Concat(forms("/stint/v1/definitions"), forms(stintTask(inProgress, "wait"))) {
		wantStatus(t, get(t, server, target+"?timeout=0"), 200)
	}
	wantStatus(t, get(t, server, "/%74ask-status/v%31?limit=5"), 200)
	for i, id := range patchable(t)[:4] {
		answer := server.Send(t, apptest.Request{
			Method: "PATCH", Target: forms("/v2024/task-status/" + id)[i], Header: header("Content-Type", jsonPatch), Body: clearAs("ERROR"),
		})
		wantSubset(t, answer, 200, `{"id":"`+id+`","completionStatus":"ERROR"}`)
	}
}

func TestIDIsLookedUpLoosely(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	dashed := strings.Join([]string{inProgress[:8], inProgress[8:12], inProgress[12:16], inProgress[16:20], inProgress[20:]}, "-")
	for _, id := range []string{inProgress, strings.ToUpper(inProgress), dashed, strings.ToUpper(dashed), strings.Replace(inProgress, "0", "%30", 1)} {
		for _, path := range append(spellings(), "/stint/v1/tasks") {
			if strings.Contains(id, "%") && path != "/task-status/v1" {
				continue
			}
			wantSubset(t, get(t, server, path+"/"+id), 200, `{"id":"`+inProgress+`"}`)
		}
	}
}

func TestWhatCannotBeAnIDIsNotFound(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for name, id := range map[string]string{
		"unknown": unknownID, "escaped slash": "a%2Fb", "escaped slash at the end": inProgress + "%2F", "escaped NUL": "%00",
		"NUL after an id": inProgress + "%00", "dot": ".", "two dots": "..", "escaped dots": "%2e%2e", "dots and slashes": "..%2F..%2Fetc%2Fpasswd",
		"backslash": "%5C", "space": "%20", "space around an id": "%20" + inProgress, "31 digits": inProgress[1:], "33 digits": inProgress + "0",
		"no hex digit": "g" + inProgress[1:], "braces": "%7B" + inProgress + "%7D", "a name": "no-such-task", "plus": "+", "star": "*",
		"invalid UTF-8": "%ff%fe", "32 letters of two bytes": strings.Repeat("%C3%A9", 32), "wide digits": strings.Repeat("%EF%BC%90", 32),
		"a percent sign": "%25", "long": strings.Repeat("a", 20000), "quote": "%22%20or%201=1", "semicolon": inProgress + ";v=1",
		"number": "1", "undefined": "undefined", "null": "null", "object": "[object%20Object]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, get(t, server, "/task-status/v1/"+id), 404, "404.0 Not Found")
			wantError(t, patch(t, server, id, clearAs("ERROR")), 404, "404.0 Not Found")
			wantError(t, get(t, server, stintTask(id)), 404, "404.0 Not Found")
			wantError(t, get(t, server, stintTask(id, "wait")), 404, "404.0 Not Found")
			wantError(t, post(t, server, stintTask(id, "cancel"), ""), 404, "404.0 Not Found")
			wantStatus(t, head(t, server, "/v2026/task-status/"+id), 404)
		})
	}
}
