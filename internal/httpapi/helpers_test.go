package httpapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"stint/internal/apptest"
)

const (
	// inProgress is a task of testdata/cases that is in progress and that no
	// test of a shared server changes.
	inProgress = "034039a400723b4e35e45d4704c3a0a7"
	unknownID  = "00000000000000000000000000000000"
	jsonPatch  = "application/json-patch+json"

	syntax        = "400.0 Bad Request Syntax"
	content       = "400.1 Bad Request Content"
	missing       = "400.1.0 Required data missing or empty"
	illegalUpdate = "400.1.1 Illegal update attempt"
	illegalValue  = "400.1.3 Illegal value"
)

// spellings returns the paths of the task list, all of which behave alike.
func spellings() []string {
	return []string{"/task-status/v1", "/beta/task-status", "/v2024/task-status", "/v2025/task-status", "/v2026/task-status"}
}

func pendingSpellings() []string {
	return []string{"/beta/task-status/pending-tasks", "/v2024/task-status/pending-tasks", "/v2025/task-status/pending-tasks"}
}

// stintTask returns the path of one of Stint's own resources of a task.
func stintTask(id string, more ...string) string {
	return strings.Join(append([]string{"/stint/v1/tasks/" + id}, more...), "/")
}

func header(pairs ...string) map[string]string {
	h := map[string]string{}
	for pair := range slices.Chunk(pairs, 2) {
		h[pair[0]] = pair[1]
	}
	return h
}

func get(t *testing.T, server *apptest.Server, target string, pairs ...string) apptest.Answer {
	t.Helper()
	return server.Send(t, apptest.Request{Method: "GET", Target: target, Header: header(pairs...)})
}

func head(t *testing.T, server *apptest.Server, target string, pairs ...string) apptest.Answer {
	t.Helper()
	return server.Send(t, apptest.Request{Method: "HEAD", Target: target, Header: header(pairs...)})
}

// patch sends a JSON Patch; a Content-Type among the pairs goes instead of the
// usual one.
func patch(t *testing.T, server *apptest.Server, id, body string, pairs ...string) apptest.Answer {
	t.Helper()
	h := header("Content-Type", jsonPatch)
	maps.Copy(h, header(pairs...))
	return server.Send(t, apptest.Request{Method: "PATCH", Target: "/task-status/v1/" + id, Header: h, Body: body})
}

func post(t *testing.T, server *apptest.Server, target, body string, pairs ...string) apptest.Answer {
	t.Helper()
	h := header("Content-Type", "application/json")
	maps.Copy(h, header(pairs...))
	return server.Send(t, apptest.Request{Method: "POST", Target: target, Header: h, Body: body})
}

// clearAs is a patch that clears a task.
func clearAs(status string) string {
	return `[{"op":"replace","path":"/completionStatus","value":"` + status + `"}]`
}

func wantStatus(t *testing.T, answer apptest.Answer, status int) {
	t.Helper()
	if answer.Status != status {
		t.Fatalf("status %d, want %d: %.500s", answer.Status, status, answer.Text(t))
	}
}

// wantError checks an error: its status, its detailCode unless empty, and texts
// that its causes must hold.
func wantError(t *testing.T, answer apptest.Answer, status int, detailCode string, says ...string) {
	t.Helper()
	wantStatus(t, answer, status)
	body := decoded(t, answer)
	if got := member(body, "detailCode"); detailCode != "" && got != detailCode {
		t.Errorf("detailCode %q, want %q: %s", got, detailCode, causes(body))
	}
	for _, want := range says {
		if !strings.Contains(causes(body), want) {
			t.Errorf("the causes do not say %q: %s", want, causes(body))
		}
	}
}

func decoded(t *testing.T, answer apptest.Answer) any {
	t.Helper()
	var body any
	if err := json.Unmarshal([]byte(answer.Text(t)), &body); err != nil {
		t.Fatalf("no JSON: %v: %.300s", err, answer.Text(t))
	}
	return body
}

func wantSubset(t *testing.T, answer apptest.Answer, status int, want string) any {
	t.Helper()
	wantStatus(t, answer, status)
	var expected any
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	body := decoded(t, answer)
	for _, wrong := range subset("", expected, body) {
		t.Error(wrong)
	}
	return body
}

// wantInProgress checks that a task was left as it was.
func wantInProgress(t *testing.T, server *apptest.Server, id string) {
	t.Helper()
	wantSubset(t, get(t, server, "/task-status/v1/"+id), 200, `{"completed":null,"completionStatus":null,"launcher":"patcher","percentComplete":40}`)
}
