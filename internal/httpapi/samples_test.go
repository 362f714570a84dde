package httpapi_test

import (
	"testing"
)

// The bodies are those of public scripts and of the original's documentation.
func TestSampleClears(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"angular-fixed-past-date": `{"completionStatus":"ERROR","completed":"2024-01-01T01:00:01.166Z"}`,
		"beta-spec-example":       `{"completionStatus":"ERROR","completed":"2024-05-17T19:33:16.470Z"}`,
		"iscUtils-completed":      `{"completionStatus":"SUCCESS","completed":"2026-06-24T10:15:30.123Z"}`,
		"python-microseconds":     `{"completionStatus":"SUCCESS","completed":"2025-01-30T12:34:56.123Z"}`,
		"v1-spec-example":         `{"completionStatus":"ERROR","completed":"2024-05-17T19:33:16.470Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startWithTasks(t)
			body := string(readFile(t, "testdata/samples/patch-clear."+name+".json"))
			wantInProgress(t, server, inProgress)
			cleared := patch(t, server, inProgress, body)
			wantSubset(t, cleared, 200, want)
			// A clear leaves the percentage and everything else where it was.
			wantSubset(t, cleared, 200, `{"percentComplete":40,"progress":"Aggregating","launcher":"patcher"}`)
			wantSubset(t, get(t, server, "/task-status/v1/"+inProgress), 200, want)
			// Clients repeat a PATCH when a connection breaks.
			for range 3 {
				wantSubset(t, patch(t, server, inProgress, body), 200, want)
			}
		})
	}
}
