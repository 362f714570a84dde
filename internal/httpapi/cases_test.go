package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/apptest"
)

// testCase is one of testdata/cases/cases.json: requests with their right
// answers, worked out from tasks.ndjson and not from any program.
type testCase struct {
	Name  string
	Steps []struct {
		Request struct {
			Method, Path, Query string
			Headers             map[string]string
			Body                *string
		}
		Expect expectation
	}
}

type expectation struct {
	Status        int
	IDs           []string // exactly these, in this order; nil asks nothing
	Header        map[string]string
	HeaderAbsent  []string `json:"header_absent"`
	JSON          any      // a subset of the body
	NotNull       []string `json:"not_null"`
	DetailCode    string
	ErrorContains []string `json:"error_contains"`
}

func TestCases(t *testing.T) {
	t.Parallel()
	var cases []testCase
	if err := json.Unmarshal(readFile(t, "testdata/cases/cases.json"), &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 136 {
		t.Fatalf("%d cases, want 136", len(cases))
	}
	shared := startWithTasks(t)
	// Nothing is answered otherwise where tokens are asked for.
	secured := apptest.Start(t, apptest.Options{Import: caseTasks(t), Tokens: true})
	// Nor does it matter where the tasks are kept.
	elsewhere := apptest.Start(t, apptest.Options{Import: caseTasks(t), Postgres: true})
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if c.writes() {
				c.play(t, startWithTasks(t))
				return
			}
			c.play(t, shared)
			c.play(t, secured)
			c.play(t, elsewhere)
		})
	}
}

// writes tells the cases that change tasks: those must not see each other.
func (c testCase) writes() bool {
	for _, step := range c.Steps {
		if step.Request.Method == http.MethodPatch {
			return true
		}
	}
	return false
}

func (c testCase) play(t *testing.T, server *apptest.Server) {
	t.Helper()
	for i, step := range c.Steps {
		r := apptest.Request{Method: step.Request.Method, Target: step.Request.Path, Header: step.Request.Headers}
		if step.Request.Query != "" {
			r.Target += "?" + step.Request.Query
		}
		if step.Request.Body != nil {
			r.Body = *step.Request.Body
		}
		answer := server.Send(t, r)
		for _, wrong := range step.Expect.compare(t, r, answer) {
			t.Errorf("step %d, %s %.200s: %s\n%.300s", i, r.Method, r.Target, wrong, answer.Body)
		}
	}
}

// compare returns what is not as expected. That a body is well formed was
// checked when it was received.
func (e expectation) compare(t *testing.T, r apptest.Request, answer apptest.Answer) []string {
	t.Helper()
	if answer.Status != e.Status {
		return []string{fmt.Sprintf("status %d, want %d", answer.Status, e.Status)}
	}
	var wrong []string
	for name, value := range e.Header {
		if got := answer.Header.Get(name); got != value {
			wrong = append(wrong, fmt.Sprintf("header %s: %q, want %q", name, got, value))
		}
	}
	for _, name := range e.HeaderAbsent {
		if got, there := answer.Header[name]; there {
			wrong = append(wrong, fmt.Sprintf("header %s: %q, want none", name, got))
		}
	}
	if r.Method == http.MethodHead {
		return wrong
	}
	text := answer.Text(t)
	var body any
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		return append(wrong, err.Error())
	}
	if answer.Status < 300 {
		return append(wrong, e.compareTasks(body)...)
	}
	if got := member(body, "detailCode"); e.DetailCode != "" && got != e.DetailCode {
		wrong = append(wrong, fmt.Sprintf("detailCode %q, want %q", got, e.DetailCode))
	}
	said := causes(body)
	for _, want := range e.ErrorContains {
		if !strings.Contains(said, want) {
			wrong = append(wrong, fmt.Sprintf("the causes do not say %q", want))
		}
	}
	return wrong
}

func (e expectation) compareTasks(body any) []string {
	var wrong []string
	if e.IDs != nil {
		if diff := cmp.Diff(e.IDs, ids(body)); diff != "" {
			wrong = append(wrong, "ids (-want +got):\n"+diff)
		}
	}
	if e.JSON != nil {
		wrong = append(wrong, subset("", e.JSON, body)...)
	}
	for _, name := range e.NotNull {
		if member(body, name) == nil {
			wrong = append(wrong, "/"+name+" is null or missing")
		}
	}
	return wrong
}

// subset returns where got lacks what want has.
func subset(path string, want, got any) []string {
	switch want := want.(type) {
	case map[string]any:
		var wrong []string
		for name, value := range want {
			if object, ok := got.(map[string]any); !ok {
				return []string{fmt.Sprintf("%s is %v, want an object", path, got)}
			} else if _, there := object[name]; !there {
				wrong = append(wrong, path+"/"+name+" is missing")
			} else {
				wrong = append(wrong, subset(path+"/"+name, value, object[name])...)
			}
		}
		return wrong
	case []any:
		array, ok := got.([]any)
		if !ok || len(array) != len(want) {
			return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
		}
		var wrong []string
		for i := range want {
			wrong = append(wrong, subset(path+"/"+strconv.Itoa(i), want[i], array[i])...)
		}
		return wrong
	}
	if want != got {
		return []string{fmt.Sprintf("%s is %v, want %v", path, got, want)}
	}
	return nil
}

func member(body any, name string) any {
	object, _ := body.(map[string]any)
	return object[name]
}

func ids(body any) []string {
	array, _ := body.([]any)
	got := make([]string, len(array))
	for i, element := range array {
		got[i], _ = member(element, "id").(string)
	}
	return got
}

func causes(body any) string {
	var texts []string
	array, _ := member(body, "causes").([]any)
	for _, cause := range array {
		s, _ := member(cause, "text").(string)
		texts = append(texts, s)
	}
	return strings.Join(texts, "\n")
}

func TestSubsetFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	want := map[string]any{"a": []any{1.0, map[string]any{"b": nil}}}
	for name, test := range map[string]struct {
		got  string
		says []string
	}{
		"same, and more": {`{"a":[1,{"b":null,"c":2}],"d":3}`, nil},
		"other value":    {`{"a":[2,{"b":null}]}`, []string{"/a/0 is 2, want 1"}},
		"missing":        {`{"a":[1,{}]}`, []string{"/a/1/b is missing"}},
		"no object":      {`{"a":[1,7]}`, []string{"/a/1 is 7, want an object"}},
		"other length":   {`{"a":[]}`, []string{"/a is [], want [1 map[b:<nil>]]"}},
	} {
		var got any
		if err := json.Unmarshal([]byte(test.got), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.says, subset("", want, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// startWithTasks starts a server that holds the tasks of testdata/cases.
func startWithTasks(t *testing.T) *apptest.Server {
	t.Helper()
	return apptest.Start(t, apptest.Options{Import: caseTasks(t)})
}

// startOfTests is what "now" means in the tasks: one moment for all tests, an
// hour of which the tasks near the edge of the visibility period can bear.
var startOfTests = time.Now()

// caseTasks returns the 76 tasks with their times filled in.
func caseTasks(t *testing.T) []byte {
	t.Helper()
	data := readFile(t, "testdata/cases/tasks.ndjson")
	if n := bytes.Count(bytes.TrimSpace(data), []byte("\n")) + 1; n != 76 {
		t.Fatalf("%d tasks, want 76", n)
	}
	return regexp.MustCompile(`"now-[0-9]+"`).ReplaceAllFunc(data, func(s []byte) []byte {
		seconds, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(string(s), `"now-`), `"`))
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		at := startOfTests.Add(-time.Duration(seconds) * time.Second)
		return []byte(at.UTC().Format(`"2006-01-02T15:04:05.000Z"`))
	})
}

// patchable returns the ids of the tasks in progress that are there to be
// changed.
func patchable(t *testing.T) []string {
	t.Helper()
	var found []string
	for line := range bytes.Lines(readFile(t, "testdata/cases/tasks.ndjson")) {
		var task struct {
			ID, Launcher     string
			CompletionStatus *string
		}
		if err := json.Unmarshal(line, &task); err != nil {
			t.Fatal(err)
		}
		if task.Launcher == "patcher" && task.CompletionStatus == nil {
			found = append(found, task.ID)
		}
	}
	slices.Sort(found)
	if len(found) < 10 {
		t.Fatalf("%d tasks to patch", len(found))
	}
	return found
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
