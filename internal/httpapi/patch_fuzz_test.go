package httpapi

import (
	"errors"
	"testing"
	"time"

	"stint/internal/task"
)

// FuzzPatch: whatever arrives as a patch is an error that a client may see, or
// asks for nothing, or for one of the five statuses.
func FuzzPatch(f *testing.F) {
	for _, body := range []string{
		`[{"op":"replace","path":"/completionStatus","value":"Error"},{"op":"replace","path":"/completed","value":"2024-05-17 19:33:16.470000+00:00"}]`,
		`[{"op":"test","path":"/completionStatus","value":null},{"op":"add","path":"/completionStatus","value":"temp_error"}]`,
		`[{"op":"copy","from":"/launcher","path":"/completionStatus"},{"op":"move","from":"/progress","path":"/completed"}]`,
		`[{"op":"replace","path":"","value":null},{"op":"remove","path":"/messages/0"}]`,
		`[{"op":"replace","path":"/completed","value":1750000000000}]`,
		`{`, `[]`, `[null]`, `[{"op":7}]`,
	} {
		f.Add([]byte(body), false)
		f.Add([]byte(body), true)
	}
	created := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte, complete bool) {
		tk := task.Task{
			ID: "034039a400723b4e35e45d4704c3a0a7", Type: task.Quartz, UniqueName: "fuzz", Launcher: "fuzz", Created: created, Modified: created,
			Messages: []task.Message{{Type: task.MessageInfo, Key: "k"}},
		}
		if complete {
			tk.Status, tk.Completed = task.Failure, created.Add(time.Hour)
		}
		wire, err := tk.MarshalWire()
		if err != nil {
			t.Fatal(err)
		}
		var clearing *task.Clear
		p, err := parsePatch(body)
		if err == nil {
			clearing, err = p.clear(&tk, wire)
		}
		var typed *task.Error
		switch {
		case err != nil && !errors.As(err, &typed):
			t.Fatalf("got %v, want a typed error", err)
		case err != nil && typed.Kind == task.Internal:
			t.Fatalf("an internal error: %v", err)
		case err == nil && clearing != nil:
			if _, ok := task.ParseCompletionStatus(string(clearing.Status)); !ok {
				t.Fatalf("got the status %q", clearing.Status)
			}
			if clearing.Completed.Year() > 9999 {
				t.Fatalf("got the time %s", clearing.Completed)
			}
		}
	})
}
