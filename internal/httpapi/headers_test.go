package httpapi_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

func fmtHex(n int) string { return strconv.FormatInt(int64(n), 16) }

func TestAccept(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for accept, fine := range map[string]bool{
		"*/*": true, "application/json": true, "application/*": true, "text/plain, */*": true, "APPLICATION/JSON": true, "": true,
		"application/json, text/plain, */*": true, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
		"application/json;charset=utf-8": true, "application/json; q=0.1": true, "text/csv, application/json": true, "text/csv;q=1,application/*;q=0.1": true,
		"*/*;q=0, application/json": true, "text/csv": false, "application/xml": false, "text/*": false, "application/json;q=0": false,
		"*/*;q=0": false, "application/json;q=0, */*": false, "application/json; q=0.000, text/csv": false, "text/html, text/plain;q=0.5": false,
		"application/json;q=0,application/*": false, "image/png": false,
	} {
		for _, target := range []string{
			"/task-status/v1?limit=1", "/v2026/task-status/" + inProgress, "/beta/task-status/pending-tasks", "/stint/v1/tasks?limit=1",
			stintTask(inProgress), "/stint/v1/definitions", stintTask(inProgress, "wait") + "?timeout=0",
		} {
			t.Run(accept+" "+target, func(t *testing.T) {
				t.Parallel()
				answer := get(t, server, target, "Accept", accept)
				if fine {
					wantStatus(t, answer, 200)
					return
				}
				wantError(t, answer, 406, "406.0 Not Acceptable", "Accept")
			})
		}
	}
	t.Run("is looked at before anything changes", func(t *testing.T) {
		t.Parallel()
		wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Accept", "text/csv"), 406, "406.0 Not Acceptable")
		wantError(t, post(t, server, stintTask(inProgress, "cancel"), "", "Accept", "text/csv"), 406, "406.0 Not Acceptable")
		wantInProgress(t, server, inProgress)
	})
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	const good = "0123456789abcdef0123456789ABCDEF"
	targets := map[string]int{
		"/task-status/v1?limit=1": 200, "/task-status/v1?limit=x": 400, "/nowhere": 404, "/task-status/v1/" + unknownID: 404,
		"/task-status/v1/" + inProgress: 200, "/stint/v1/definitions": 200,
	}
	for target, status := range targets {
		answer := get(t, server, target, "X-Request-Id", good)
		wantStatus(t, answer, status)
		if got := answer.Header.Get("X-Request-Id"); got != good {
			t.Errorf("%s: X-Request-Id is %q, want the caller's", target, got)
		}
		seen := map[string]bool{}
		for _, bad := range []string{
			"", "1", good[1:], good + "0", "g" + good[1:], "01234567-89ab-cdef-0123-456789abcdef", strings.Repeat("a", 5000), "é", " " + strings.Repeat(" ", 31),
			good + ", " + good, "<script>", `"` + good + `"`,
		} {
			answer := get(t, server, target, "X-Request-Id", bad)
			wantStatus(t, answer, status)
			id := answer.Header.Get("X-Request-Id")
			if id == bad || seen[id] {
				t.Errorf("%s: X-Request-Id %q for %q is not new", target, id, bad)
			}
			seen[id] = true
			if len(answer.Header.Values("X-Request-Id")) != 1 {
				t.Errorf("%s: X-Request-Id is %q", target, answer.Header.Values("X-Request-Id"))
			}
		}
	}
}

// large is the id of a task that is worth compressing.
const large = "01936f2b8c4d7e21a1b2c3d4e5f60718"

func startWithLargeTask(t *testing.T) *apptest.Server {
	t.Helper()
	now := startOfTests.UTC().Format("2006-01-02T15:04:05.000Z")
	line := `{"id":"` + large + `","kind":"IDENTITY_REFRESH","sourceId":null,"type":"QUARTZ","uniqueName":"Large","description":"` +
		strings.Repeat("a long text ", 300) + `","parentName":null,"launcher":"patcher","target":null,"created":"` + now + `","modified":"` + now +
		`","launched":"` + now + `","completed":null,"completionStatus":null,"messages":[],"returns":[],"attributes":{},"progress":null,"percentComplete":40}`
	return apptest.Start(t, apptest.Options{Import: append(caseTasks(t), line+"\n"...)})
}

func TestCompression(t *testing.T) {
	t.Parallel()
	server := startWithLargeTask(t)
	for coding, compressed := range map[string]bool{
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip;q=0, *;q=0": false, "identity;q=1, gzip;q=0": false,
		"zstd": false, "gzip, deflate, br, zstd": true,
		"gzip": true, "gzip, compress, deflate, br": true, "gzip;q=0.5": true,
	} {
		for _, target := range []string{"/task-status/v1", "/task-status/v1/" + large, "/stint/v1/tasks", stintTask(large)} {
			plain := get(t, server, target)
			wantStatus(t, plain, 200)
			answer := get(t, server, target, "Accept-Encoding", coding)
			wantStatus(t, answer, 200)
			if got := answer.Header.Get("Content-Encoding") == "gzip"; got != compressed {
				t.Errorf("%s for %q: compressed is %v, want %v", target, coding, got, compressed)
			}
			if answer.Text(t) != plain.Text(t) {
				t.Errorf("%s for %q: another text than without it", target, coding)
			}
			if compressed && len(answer.Body) >= len(plain.Body) {
				t.Errorf("%s for %q: %d bytes, %d without", target, coding, len(answer.Body), len(plain.Body))
			}
			if !strings.Contains(strings.Join(plain.Header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s: Vary does not name Accept-Encoding, so that a cache may mix both forms up", target)
			}
		}
	}
	wantError(t, get(t, server, "/task-status/v1/"+unknownID, "Accept-Encoding", "gzip"), 404, "404.0 Not Found")
	wantError(t, get(t, server, "/task-status/v1?filters=type+eq+%22X%22", "Accept-Encoding", "gzip"), 400, "")
}

func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	server := startWithLargeTask(t)
	target := "/task-status/v1/" + large
	plain := get(t, server, target).Header.Get("ETag")
	zipped := get(t, server, target, "Accept-Encoding", "gzip").Header.Get("ETag")
	if plain == "" || zipped == "" || plain == zipped || !strings.HasPrefix(zipped, strings.TrimSuffix(plain, `"`)) {
		t.Fatalf("tags are %s and, compressed, %s: want the same with a suffix", plain, zipped)
	}
	if again := get(t, server, target).Header.Get("ETag"); again != plain {
		t.Errorf("the tag was %s and is %s, and nothing changed", plain, again)
	}
	for _, spelling := range spellings() {
		if tag := get(t, server, spelling+"/"+large).Header.Get("ETag"); tag != plain {
			t.Errorf("the tag under %s is %s, elsewhere %s", spelling, tag, plain)
		}
	}
	for given, status := range map[string]int{
		plain: 304, zipped: 304, "*": 304, "W/" + plain: 304, `"other", ` + plain: 304, `"other",` + zipped + `,"more"`: 304, " " + plain + " ": 304,
		`"other"`: 200, strings.Trim(plain, `"`): 200, `""`: 200, strings.ToUpper(plain): 200, `"`: 200, "": 200, `W/"other"`: 200,
	} {
		for _, coding := range []string{"identity", "gzip"} {
			for _, method := range []string{"GET", "HEAD"} {
				answer := server.Send(t, apptest.Request{
					Method: method, Target: target, Header: header("If-None-Match", given, "Accept-Encoding", coding),
				})
				if answer.Status != status {
					t.Errorf("%s, If-None-Match %q, %s: status %d, want %d", method, given, coding, answer.Status, status)
				}
			}
		}
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	server := startWithLargeTask(t)
	target := "/task-status/v1/" + large
	plain := get(t, server, target).Header.Get("ETag")
	zipped := get(t, server, target, "Accept-Encoding", "gzip").Header.Get("ETag")
	for _, given := range []string{
		`"other"`, `""`, strings.Trim(plain, `"`), "W/" + plain, `"other", "another"`, strings.Replace(plain, `"`, `"x`, 1),
	} {
		wantError(t, patch(t, server, large, clearAs("ERROR"), "If-Match", given), 412, "412.0 Precondition Failed", "If-Match")
	}
	wantInProgress(t, server, large)

	cleared := patch(t, server, large, clearAs("ERROR"), "If-Match", `"other", `+zipped)
	wantSubset(t, cleared, 200, `{"completionStatus":"ERROR"}`)
	after := get(t, server, target)
	if tag := after.Header.Get("ETag"); tag == plain || tag != cleared.Header.Get("ETag") {
		t.Errorf("the tag was %s, the PATCH answered %s, and now it is %s", plain, cleared.Header.Get("ETag"), tag)
	}
	wantStatus(t, get(t, server, target, "If-None-Match", plain+", "+zipped), 200)
	wantStatus(t, get(t, server, target, "If-None-Match", cleared.Header.Get("ETag")), 304)

	for i, id := range patchable(t)[:2] {
		tag := get(t, server, "/beta/task-status/"+id).Header.Get("ETag")
		wantStatus(t, patch(t, server, id, clearAs("ERROR"), "If-Match", []string{tag, "*"}[i]), 200)
	}
	wantError(t, patch(t, server, unknownID, clearAs("ERROR"), "If-Match", "*"), 404, "404.0 Not Found")
}

func TestHeadEqualsGetInHeaders(t *testing.T) {
	t.Parallel()
	server := startWithLargeTask(t)
	targets := []string{
		"/", "/v3/task-status", "/task-status/v1?limit=x", "/task-status/v1?limit=0&count=true", "/task-status/v1/" + inProgress,
		"/task-status/v1/" + large, "/task-status/v1/" + unknownID, "/stint/v1/definitions", "/stint/v1/tasks?limit=3&count=true", stintTask(inProgress),
		stintTask(inProgress, "wait") + "?timeout=0", "/task-status/v1/", stintTask(inProgress, "cancel"),
	}
	for _, path := range append(spellings(), pendingSpellings()...) {
		targets = append(targets, path, "/"+path+"?count=true&limit=7&offset=3", path+"?count=TRUE&filters=launcher+eq+%22patcher%22")
	}
	for _, target := range targets {
		for _, coding := range []string{"identity", "gzip"} {
			t.Run(target+" "+coding, func(t *testing.T) {
				t.Parallel()
				full, bare := get(t, server, target, "Accept-Encoding", coding), head(t, server, target, "Accept-Encoding", coding)
				if full.Status != bare.Status {
					t.Fatalf("HEAD answers %d, GET %d", bare.Status, full.Status)
				}
				if diff := cmp.Diff(comparableHeaders(full), comparableHeaders(bare)); diff != "" {
					t.Errorf("headers (-GET +HEAD):\n%s", diff)
				}
			})
		}
	}
}

// comparableHeaders leaves out what differs between any two answers, and how the end
// of a body is marked, which an answer without one need not say.
func comparableHeaders(answer apptest.Answer) map[string][]string {
	h := maps.Clone(answer.Header)
	maps.DeleteFunc(h, func(name string, _ []string) bool {
		return slices.Contains([]string{"Date", "X-Request-Id", "Content-Length"}, name)
	})
	return h
}

func TestContentLengthOfHead(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, target := range []string{"/task-status/v1/" + inProgress, "/task-status/v1?limit=2", "/stint/v1/definitions"} {
		full, bare := get(t, server, target), head(t, server, target)
		if length := bare.Header.Get("Content-Length"); length != "" && length != strconv.Itoa(len(full.Body)) {
			t.Errorf("%s: HEAD says %s bytes, GET has %d", target, length, len(full.Body))
		}
	}
}

func TestSailPointExperimentalIsNeverRequired(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	for _, path := range append(spellings(), pendingSpellings()...) {
		for _, value := range []string{"true", "false", "nonsense"} {
			wantStatus(t, get(t, server, path+"?limit=1", "X-SailPoint-Experimental", value), 200)
		}
		wantStatus(t, get(t, server, path+"?limit=1"), 200)
	}
}

// The repeat of a clear whose answer was lost carries the tag of before.
func TestRepeatedClearWithTheOldTagIsHarmless(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	id := patchable(t)[0]
	old := get(t, server, "/task-status/v1/"+id).Header.Get("ETag")
	for range 3 {
		wantSubset(t, patch(t, server, id, clearAs("ERROR"), "If-Match", old), 200, `{"completionStatus":"ERROR"}`)
	}
	wantError(t, patch(t, server, id, clearAs("SUCCESS"), "If-Match", old), 412, "412.0 Precondition Failed", "If-Match")
}
