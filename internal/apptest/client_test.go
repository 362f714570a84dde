package apptest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"stint/internal/apptest"
)

// recorder takes what a check reports instead of failing the test.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

type exchange struct {
	method, target string
	request        map[string]string
	status         int
	header         map[string]string
	body           string
}

// play answers one request with what is given and returns what the check says.
func play(t *testing.T, e exchange) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Request-Id", "7f3c1b9a5d2e4860b1c2d3e4f5a60718")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Date", "Tue, 24 Nov 2026 23:40:50 GMT")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("Cache-Control", "no-store")
		for name, value := range e.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(e.status)
		_, _ = w.Write([]byte(e.body))
	}))
	defer server.Close()
	rec := &recorder{TB: t}
	answer := apptest.Send(rec, server.Listener.Addr().String(), apptest.Request{Method: e.method, Target: e.target, Header: e.request})
	if answer.Status != e.status {
		t.Errorf("status %d, want %d", answer.Status, e.status)
	}
	return strings.Join(rec.said, "\n")
}

func zipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const (
	one   = "/task-status/v1/00eebcf881994e419d72e757fd30dc0e"
	list  = "/task-status/v1"
	stint = "/stint/v1/tasks"
)

func errorOf(code string) string { return strings.Replace(errorBody, "400.1.3 Illegal value", code, 1) }

func TestCheckedAnswersThatAreRight(t *testing.T) {
	t.Parallel()
	tag := map[string]string{"ETag": `"a"`}
	for name, e := range map[string]exchange{
		"list":            {method: "GET", target: list, status: 200, body: "[" + taskBody + "]"},
		"list, counted":   {method: "GET", target: list + "?count=True", status: 200, body: "[]", header: map[string]string{"X-Total-Count": "0"}},
		"doubled slash":   {method: "GET", target: "//beta/task-status", status: 200, body: "[]"},
		"trailing slash":  {method: "GET", target: list + "/", status: 200, body: "[]"},
		"raw quotes":      {method: "GET", target: list + `?filters=launcher%20eq%20"a"`, status: 200, body: "[]"},
		"head":            {method: "HEAD", target: list + "?count=true", status: 200, header: map[string]string{"X-Total-Count": "74"}},
		"one":             {method: "GET", target: one, status: 200, body: taskBody, header: tag},
		"not modified":    {method: "GET", target: one, status: 304, header: tag},
		"cleared":         {method: "PATCH", target: one, status: 200, body: taskBody, header: tag},
		"escaped slash":   {method: "GET", target: list + "/a%2Fb", status: 404, body: errorOf("404.0 Not Found")},
		"unknown path":    {method: "GET", target: "/v3/task-status", status: 404, body: errorOf("404.0 Not Found")},
		"unknown version": {method: "GET", target: "/v2026/task-status/pending-tasks", status: 404, body: errorOf("404.0 Not Found")},
		"method": {
			method: "DELETE", target: one, status: 405, body: errorOf("405.0 Method Not Allowed"),
			header: map[string]string{"Allow": "GET, HEAD, PATCH"},
		},
		"compressed": {
			method: "GET", target: one, request: map[string]string{"Accept-Encoding": "gzip"}, status: 200, body: zipped(t, taskBody),
			header: map[string]string{"ETag": `"a-gzip"`, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"},
		},
		"pending": {
			method: "GET", target: "/beta/task-status/pending-tasks", status: 200, body: "[]",
			header: map[string]string{"Deprecation": "true", "Link": `</task-status/v1>; rel="successor-version"`},
		},
		"launch": {
			method: "POST", target: stint, status: 202, body: withTail(taskBody, stintTail, `,"reportToken":"x"`),
			header: map[string]string{"Location": "/stint/v1/tasks/00eebcf881994e419d72e757fd30dc0e"},
		},
		"stint one": {method: "GET", target: stint + "/00eebcf881994e419d72e757fd30dc0e", status: 200, body: withTail(taskBody, stintTail, historyTail)},
		"wait":      {method: "GET", target: stint + "/00eebcf881994e419d72e757fd30dc0e/wait", status: 200, body: withTail(taskBody, stintTail)},
		"refused": {
			method: "POST", target: stint + "/00eebcf881994e419d72e757fd30dc0e/report", status: 403,
			body: withTail(errorOf("403.0 Forbidden"), `,"refused":"token"`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if said := play(t, e); said != "" {
				t.Error(said)
			}
		})
	}
}

func TestCheckedAnswersThatAreWrong(t *testing.T) {
	t.Parallel()
	tag := map[string]string{"ETag": `"a"`}
	for name, test := range map[string]struct {
		exchange
		says string
	}{
		"redirect":           {exchange{method: "GET", target: list + "/", status: 301, header: map[string]string{"Location": list}}, "redirect"},
		"undocumented":       {exchange{method: "GET", target: "/v3/task-status", status: 200, body: "[]"}, "does not know this"},
		"status":             {exchange{method: "GET", target: list, status: 409, body: errorOf("409.0 Conflict")}, "status is not supported"},
		"body of the schema": {exchange{method: "GET", target: list, status: 200, body: `[{"id":"x"}]`}, "openapi.yaml"},
		"body of the decoder": {exchange{
			method: "GET", target: one, status: 200, header: tag,
			body: strings.Replace(taskBody, `"WARNING"`, "null", 1),
		}, "/completionStatus is null"},
		"content type": {exchange{method: "GET", target: list, status: 200, body: "[]", header: map[string]string{"Content-Type": "text/plain"}}, "Content-Type"},
		"frames":       {exchange{method: "GET", target: list, status: 200, body: "[]", header: map[string]string{"Content-Security-Policy": "default-src 'none'"}}, "Content-Security-Policy"},
		"cached":       {exchange{method: "GET", target: list, status: 200, body: "[]", header: map[string]string{"Cache-Control": "public"}}, "Cache-Control"},
		"request id":   {exchange{method: "GET", target: list, status: 200, body: "[]", header: map[string]string{"X-Request-Id": "1"}}, "X-Request-Id"},
		"request id, other": {exchange{
			method: "GET", target: list, status: 200, body: "[]",
			request: map[string]string{"X-Request-Id": "00000000000000000000000000000001"},
		}, "asked was"},
		"tracking id": {exchange{
			method: "GET", target: one, status: 404, body: errorOf("404.0 Not Found"),
			header: map[string]string{"X-Request-Id": "00000000000000000000000000000001"},
		}, "trackingId"},
		"no tag":              {exchange{method: "GET", target: one, status: 200, body: taskBody}, "ETag"},
		"no tag, head":        {exchange{method: "HEAD", target: one, status: 200}, "ETag"},
		"weak tag":            {exchange{method: "GET", target: one, status: 200, body: taskBody, header: map[string]string{"ETag": `W/"a"`}}, "ETag"},
		"no tag, unmodified":  {exchange{method: "GET", target: one, status: 304}, "304 without ETag"},
		"count not asked":     {exchange{method: "GET", target: list, status: 200, body: "[]", header: map[string]string{"X-Total-Count": "0"}}, "X-Total-Count"},
		"count missing":       {exchange{method: "HEAD", target: list + "?count=true", status: 200}, "X-Total-Count"},
		"count no number":     {exchange{method: "HEAD", target: list + "?count=true", status: 200, header: map[string]string{"X-Total-Count": "many"}}, "X-Total-Count"},
		"no deprecation":      {exchange{method: "GET", target: "/beta/task-status/pending-tasks", status: 200, body: "[]"}, "Deprecation"},
		"no location":         {exchange{method: "POST", target: stint, status: 202, body: withTail(taskBody, stintTail, `,"reportToken":"x"`)}, "Location"},
		"no allow":            {exchange{method: "DELETE", target: one, status: 405, body: errorOf("405.0 Method Not Allowed")}, "Allow"},
		"plain text":          {exchange{method: "GET", target: one, status: 404, body: "404 page not found\n", header: map[string]string{"Content-Type": "text/plain"}}, "follows the value"},
		"no retry":            {exchange{method: "GET", target: one, status: 503, body: errorOf("503.0 Service Unavailable")}, "Retry-After"},
		"compressed unasked":  {exchange{method: "GET", target: list, status: 200, body: zipped(t, "[]"), header: map[string]string{"Content-Encoding": "gzip"}}, "did not ask"},
		"compressed, no vary": {exchange{method: "GET", target: list, status: 200, body: zipped(t, "[]"), request: map[string]string{"Accept-Encoding": "gzip"}, header: map[string]string{"Content-Encoding": "gzip"}}, "Vary"},
		"history in a wait":   {exchange{method: "GET", target: stint + "/00eebcf881994e419d72e757fd30dc0e/wait", status: 200, body: withTail(taskBody, stintTail, historyTail)}, "/history"},
		"not refused":         {exchange{method: "POST", target: stint + "/00eebcf881994e419d72e757fd30dc0e/report", status: 409, body: errorOf("409.0 Conflict")}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if said := play(t, test.exchange); !strings.Contains(said, test.says) {
				t.Errorf("the check says %q, want %q in it", said, test.says)
			}
		})
	}
}

func TestClientChecksAndPassesOn(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	rec := &recorder{TB: t}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+list, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := apptest.NewClient(rec).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil || body.String() != "{}" {
		t.Errorf("body %q, error %v", body.String(), err)
	}
	if len(rec.said) != 1 {
		t.Errorf("the check says %q, want one breach", rec.said)
	}
}
