package task_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stint/internal/apptest"
	"stint/internal/task"
)

// texts are any texts a task can hold.
func texts() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "é", "日本", "😀", "<&>\u2028\u2029", "\"\\/\b\f\n\r\t", "\x01\x1f\x7f", "\ufeff\ufffd"}),
		rapid.Map(rapid.StringN(0, 10, -1), func(s string) string { return strings.ReplaceAll(s, "\x00", "0") }),
	)
}

// values are JSON values as they come in, compact.
func values() *rapid.Generator[json.RawMessage] {
	return rapid.Map(rapid.SampledFrom([]string{
		"null", "true", "0", "-0", "12345678901234567890123", "1.10", "1E+5", `""`, `"\u00e9<\/>"`, "[]", "{}", `[1,[2,{"b":null,"a":""}]]`,
	}), func(s string) json.RawMessage { return json.RawMessage(s) })
}

func times(t *rapid.T, name string, from time.Time) time.Time {
	const last = 253402300799999 // of the year 9999
	ms := rapid.OneOf(rapid.Int64Range(from.UnixMilli(), last), rapid.SampledFrom([]int64{from.UnixMilli(), last})).Draw(t, name)
	return time.UnixMilli(ms).UTC()
}

func optional[V any](t *rapid.T, name string, g *rapid.Generator[V]) *V {
	if !rapid.Bool().Draw(t, "has "+name) {
		return nil
	}
	v := g.Draw(t, name)
	return &v
}

func drawWire(t *rapid.T) task.Task {
	created := times(t, "created", time.UnixMilli(0))
	tk := task.Task{
		ID: task.ID(fmt.Sprintf("%016x%016x", rapid.Uint64().Draw(t, "id"), 1)), Type: rapid.SampledFrom(task.Types()).Draw(t, "type"),
		UniqueName: texts().Draw(t, "name") + "n", Description: texts().Draw(t, "description"), ParentName: optional(t, "parent", texts()),
		Launcher: texts().Draw(t, "launcher") + "l", Created: created, Modified: times(t, "modified", created),
		Progress: optional(t, "progress", texts()), PercentComplete: rapid.IntRange(0, 100).Draw(t, "percent"),
		Attributes: rapid.MapOfN(texts(), values(), 0, 3).Draw(t, "attributes"),
	}
	if rapid.Bool().Draw(t, "launched") {
		tk.Launched = times(t, "launched at", created)
	}
	if rapid.Bool().Draw(t, "completed") {
		tk.Completed, tk.Status = times(t, "completed at", time.UnixMilli(-62135596799999)), rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status")
	}
	for range rapid.IntRange(0, 2).Draw(t, "messages") {
		tk.Messages = append(tk.Messages, task.Message{
			Type: rapid.SampledFrom([]task.MessageType{task.MessageInfo, task.MessageWarn, task.MessageError}).Draw(t, "severity"),
			Key:  texts().Draw(t, "key"), Locale: texts().Draw(t, "locale"), Text: texts().Draw(t, "text"),
			Parameters: rapid.SampledFrom([][]json.RawMessage{nil, {json.RawMessage(`"p"`)}, {json.RawMessage(`{"a":1.0}`), json.RawMessage(`""`)}}).Draw(t, "parameters"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "returns") {
		tk.Returns = append(tk.Returns, task.Return{Name: texts().Draw(t, "return") + "r", AttributeName: texts().Draw(t, "attribute") + "a"})
	}
	if rapid.Bool().Draw(t, "has a target") {
		tk.Target = &task.Target{
			ID: texts().Draw(t, "target id") + "t", Name: texts().Draw(t, "target name"),
			Type: rapid.SampledFrom([]string{"", task.TargetApplication, task.TargetIdentity}).Draw(t, "target type"),
		}
	}
	if rapid.Bool().Draw(t, "has a definition") {
		tk.Definition = &task.Summary{
			ID: "d" + texts().Draw(t, "definition"), UniqueName: "n", Description: texts().Draw(t, "of it"), ParentName: texts().Draw(t, "its parent"),
			Executor: "external", Arguments: json.RawMessage(`{"a":` + string(values().Draw(t, "argument")) + `}`),
		}
	}
	return tk
}

// TestWireRoundTrip renders any task, has the strict decoder look at it, and
// reads it back.
func TestWireRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := drawWire(t)
		wire := wireOf(t, &want)
		if err := apptest.DecodeTaskStatus([]byte(wire)); err != nil {
			t.Fatalf("%v\n%s", err, wire)
		}
		got := task.Task{Progress: new(string), Target: &task.Target{ID: "old"}, Completed: start(), Status: task.Failure, Messages: []task.Message{{}}}
		if err := got.UnmarshalWire([]byte(wire)); err != nil {
			t.Fatalf("%v\n%s", err, wire)
		}
		if diff := same(want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s\n%s", diff, wire)
		}
		if again := wireOf(t, &got); again != wire {
			t.Fatalf("rendered again:\n%s\nwas\n%s", again, wire)
		}
	})
}

func TestUnmarshalWireKeepsTheRest(t *testing.T) {
	t.Parallel()
	tk := running(t)
	wire, err := tk.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	got := task.Task{Kind: tk.Kind, Attempt: 1, LastReport: tk.LastReport, HeartbeatLimit: tk.HeartbeatLimit}
	if err := got.UnmarshalWire(wire); err != nil {
		t.Fatal(err)
	}
	if diff := same(tk, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "{", `{"created":"yesterday","modified":"2026-11-24T23:40:50.123Z"}`, `[]`} {
		if err := got.UnmarshalWire([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// TestWireText is the form to the letter: member order, null and escapes.
func TestWireText(t *testing.T) {
	t.Parallel()
	tk := queued(t)
	tk.Definition = nil
	tk.Description = "<é>"
	wire, err := tk.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":"00000000000000000000000000000001","type":"QUEUED_TASK","uniqueName":"Identity Refresh","description":"<é>",` +
		`"parentName":null,"launcher":"System","created":"2026-11-24T23:40:50.123Z","modified":"2026-11-24T23:40:50.123Z",` +
		`"launched":null,"completed":null,"completionStatus":null,"messages":[],"returns":[],"attributes":{},"progress":null,"percentComplete":0}`
	if string(wire) != want {
		t.Errorf("got  %s\nwant %s", wire, want)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2026-11-24T23:40:50.123Z":            "2026-11-24T23:40:50.123Z",
		"2026-11-24T23:40:50Z":                "2026-11-24T23:40:50.000Z",
		"2026-11-24t23:40:50z":                "2026-11-24T23:40:50.000Z",
		"2026-11-24 23:40:50":                 "2026-11-24T23:40:50.000Z",
		"2026-11-24T23:40:50":                 "2026-11-24T23:40:50.000Z",
		"2026-11-24T23:40:50.1":               "2026-11-24T23:40:50.100Z",
		"2026-11-24T23:40:50.123999999Z":      "2026-11-24T23:40:50.123Z",
		"2026-11-24T23:40:50.1234567+00:00":   "2026-11-24T23:40:50.123Z",
		"2026-11-25T01:40:50+02:00":           "2026-11-24T23:40:50.000Z",
		"2026-11-25T01:40:50+0200":            "2026-11-24T23:40:50.000Z",
		"2026-11-25 01:40:50.5+02":            "2026-11-24T23:40:50.500Z",
		"2026-11-24T18:10:50-05:30":           "2026-11-24T23:40:50.000Z",
		"2028-02-29T00:00:00Z":                "2028-02-29T00:00:00.000Z",
		"1969-12-31T23:59:59.999Z":            "1969-12-31T23:59:59.999Z",
		"0001-01-01T00:00:00.001Z":            "0001-01-01T00:00:00.001Z",
		"9999-12-31T23:59:59.999Z":            "9999-12-31T23:59:59.999Z",
		"2026-11-24T23:40:50.123-00:00":       "2026-11-24T23:40:50.123Z",
		"2026-11-24T23:40:50.0000000000001Z":  "2026-11-24T23:40:50.000Z",
		"2026-11-24T00:00:00.000000000+14:00": "2026-11-23T10:00:00.000Z",
	} {
		got, ok := task.ParseTime(in)
		if !ok || task.FormatTime(got) != want || got.Location() != time.UTC {
			t.Errorf("%q: got %v, %v; want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "now", "2026-11-24", "23:40:50", "2026-11-24T23:40Z", "2026-02-30T00:00:00Z", "2027-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
		"2026-11-24T24:00:00Z", "2026-11-24T23:40:60Z", "2026-11-24T23:40:50ZZ", "2026-11-24T23:40:50 Z", " 2026-11-24T23:40:50Z",
		"2026-11-24T23:40:50+25:00", "2026-11-24T23:40:50.Z", "1764027650123", "26-11-24T23:40:50Z", "2026/11/24 23:40:50",
		"2026-11-24T23:40:50Europe/Berlin", "Tue, 24 Nov 2026 23:40:50 GMT", "10000-01-01T00:00:00Z",
		// What four digits of year in UTC cannot say.
		"0000-01-01T00:00:00+14:00", "0000-06-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00Z", "0001-01-01T02:00:00+02:00",
	} {
		if got, ok := task.ParseTime(in); ok {
			t.Errorf("%q is taken for %v", in, got)
		}
	}
}
