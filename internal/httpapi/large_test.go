package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"stint/internal/apptest"
)

// A page of large tasks is written as it is read; nothing of it may be missing
// or stand twice.
func TestListOfLargeTasksIsWhole(t *testing.T) {
	t.Parallel()
	const tasks = 30
	now := startOfTests.UTC().Format("2006-01-02T15:04:05.000Z")
	var lines strings.Builder
	for i := range tasks {
		fmt.Fprintf(&lines, `{"id":"%032x","kind":"IDENTITY_REFRESH","sourceId":null,"type":"QUARTZ","uniqueName":"Large %d","description":"","parentName":null,`+
			`"launcher":"patcher","created":"%s","modified":"%s","launched":null,"completed":null,"completionStatus":null,`+
			`"messages":[{"type":"INFO","key":"k","localizedText":{"locale":"en","message":"%s"},"parameters":null}],"returns":[],"attributes":{},`+
			`"progress":null,"percentComplete":0}`+"\n", i, i, now, now, strings.Repeat("x", 100_000))
	}
	server := apptest.Start(t, apptest.Options{Import: []byte(lines.String())})
	for _, target := range []string{"/task-status/v1?sorters=created", "/stint/v1/tasks?sorters=created"} {
		for _, coding := range []string{"identity", "gzip"} {
			answer := get(t, server, target, "Accept-Encoding", coding)
			wantStatus(t, answer, 200)
			var listed []struct {
				ID string `json:"id"`
			}
			if err := json.Unmarshal([]byte(answer.Text(t)), &listed); err != nil {
				t.Fatalf("%s (%s): %v", target, coding, err)
			}
			if len(listed) != tasks {
				t.Fatalf("%s (%s): %d tasks, want %d", target, coding, len(listed), tasks)
			}
			for i, task := range listed {
				if want := fmt.Sprintf("%032x", i); task.ID != want {
					t.Errorf("%s (%s): task %d is %s, want %s", target, coding, i, task.ID, want)
				}
			}
		}
	}
}
