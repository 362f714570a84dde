package transfer_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/query/querytest"
	"stint/internal/task"
	"stint/internal/transfer"
)

// readAll returns the tasks of a file up to the first error.
func readAll(r io.Reader) ([]task.Task, error) {
	var tasks []task.Task
	for t, err := range transfer.Read(r, task.NewCatalog()) {
		if err != nil {
			return tasks, err
		}
		tasks = append(tasks, t)
	}
	return tasks, nil
}

// line is a task in progress as another service answers it, changed: a nil value
// takes a member away.
func line(tb testing.TB, changes map[string]any) string {
	tb.Helper()
	members := map[string]any{
		"id": "20f9290025cb3783768c9c8c4686078c", "type": "QUARTZ", "uniqueName": "Cloud Account Aggregation", "description": "",
		"parentName": nil, "launcher": "sweep", "created": "2026-11-24T23:40:50.123Z", "modified": "2026-11-24T23:40:51Z", "launched": nil,
		"completed": nil, "completionStatus": nil, "messages": []any{}, "returns": []any{}, "attributes": map[string]any{}, "progress": nil,
		"percentComplete": 0,
	}
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
	text, err := json.Marshal(members)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func one(tb testing.TB, changes map[string]any) (task.Task, error) {
	tb.Helper()
	tasks, err := readAll(strings.NewReader(line(tb, changes)))
	if err != nil {
		return task.Task{}, err
	}
	if len(tasks) != 1 {
		tb.Fatalf("%d tasks of one line", len(tasks))
	}
	return tasks[0], nil
}

// TestRoundTrip writes any tasks and reads them back.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := querytest.Tasks(0, 10).Draw(t, "tasks")
		var file bytes.Buffer
		for i := range want {
			row, err := task.NewRow(&want[i])
			if err != nil {
				t.Fatal(err)
			}
			wire := string(row.Wire)
			if err := transfer.Write(&file, row); err != nil {
				t.Fatal(err)
			}
			if string(row.Wire) != wire {
				t.Fatal("writing changed the row")
			}
		}
		if lines := bytes.Count(file.Bytes(), []byte("\n")); lines != len(want) {
			t.Fatalf("%d lines of %d tasks", lines, len(want))
		}
		got, err := readAll(bytes.NewReader(file.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, file.Bytes())
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// TestFileForms has what editors and other systems make of a file of lines.
func TestFileForms(t *testing.T) {
	t.Parallel()
	a, b := line(t, nil), line(t, map[string]any{"id": "00000000000000000000000000000002"})
	for name, test := range map[string]struct {
		file string
		want int
	}{
		"nothing":          {"", 0},
		"empty lines":      {"\n \r\n\t\n", 0},
		"lines":            {a + "\n" + b + "\n", 2},
		"no end of line":   {a + "\n" + b, 2},
		"carriage returns": {a + "\r\n\r\n" + b + "\r\n", 2},
		"byte order mark":  {"\ufeff" + a + "\n", 1},
		"blanks":           {"  " + a + "  \n", 1},
	} {
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(test.file), "byte by byte": iotest.OneByteReader(strings.NewReader(test.file)),
		} {
			tasks, err := readAll(r)
			if err != nil || len(tasks) != test.want {
				t.Errorf("%s, %s: %d tasks, %v; want %d", name, how, len(tasks), err, test.want)
			}
		}
	}
}

func TestRefusedLines(t *testing.T) {
	t.Parallel()
	good := line(t, nil)
	for name, test := range map[string]struct {
		bad  string
		kind task.ErrorKind
		says string
	}{
		"no JSON":             {"hello", task.Syntax, "line 3"},
		"half":                {good[:100], task.Syntax, "line 3"},
		"two on a line":       {good + good, task.Syntax, "line 3"},
		"an array":            {"[" + good + "]", task.Content, "jq -c '.[]'"},
		"a text":              {`"x"`, task.IllegalValue, "line 3"},
		"null":                {"null", task.IllegalValue, "line 3"},
		"unknown member":      {line(t, map[string]any{"colour": "red"}), task.IllegalValue, "colour"},
		"member twice":        {strings.Replace(good, "{", `{"id":"x",`, 1), task.Syntax, "id"},
		"another case":        {strings.Replace(good, `"launcher"`, `"Launcher"`, 1), task.IllegalValue, "Launcher"},
		"U+0000":              {line(t, map[string]any{"description": "a\x00"}), task.IllegalValue, "description"},
		"no UTF-8":            {strings.Replace(good, "sweep", "\xff", 1), task.Syntax, "line 3"},
		"lone surrogate":      {strings.Replace(good, "sweep", `\ud800`, 1), task.Syntax, "line 3"},
		"no id":               {line(t, map[string]any{"id": nil}), task.IllegalValue, "id"},
		"id":                  {line(t, map[string]any{"id": "42"}), task.IllegalValue, "id"},
		"type":                {line(t, map[string]any{"type": "CLOUD_ACCOUNT_AGGREGATION"}), task.IllegalValue, "type"},
		"created":             {line(t, map[string]any{"created": nil}), task.Missing, "created"},
		"created, a word":     {line(t, map[string]any{"created": "yesterday"}), task.IllegalValue, "created"},
		"created, a fraction": {line(t, map[string]any{"created": 1.5}), task.IllegalValue, "created"},
		"created, too late":   {line(t, map[string]any{"created": 253402300800000}), task.IllegalValue, "9999"},
		"completed alone":     {line(t, map[string]any{"completed": "2026-11-24T23:40:50Z"}), task.Missing, "completed"},
		"status alone":        {line(t, map[string]any{"completionStatus": "SUCCESS"}), task.Missing, "completed"},
		"status":              {line(t, map[string]any{"completionStatus": "DONE", "completed": 1}), task.IllegalValue, "DONE"},
		"percent":             {line(t, map[string]any{"percentComplete": 101}), task.IllegalValue, "percentComplete"},
		"percent, a fraction": {line(t, map[string]any{"percentComplete": 1.5}), task.IllegalValue, "percentComplete"},
		"kind":                {line(t, map[string]any{"kind": "NOTHING"}), task.IllegalValue, "NOTHING"},
		"no kind":             {line(t, map[string]any{"uniqueName": "Nightly"}), task.Missing, "kind"},
		"source":              {line(t, map[string]any{"sourceId": 7}), task.IllegalValue, "sourceId"},
		"target":              {line(t, map[string]any{"target": map[string]any{"id": "i", "type": "SOURCE", "name": "n"}}), task.IllegalValue, "target"},
		"message parameter":   {line(t, map[string]any{"messages": []any{map[string]any{"type": "INFO", "key": "k", "parameters": []any{1}}}}), task.IllegalValue, "parameters"},
		"arguments":           {line(t, map[string]any{"taskDefinitionSummary": map[string]any{"id": "d", "uniqueName": "n", "arguments": []any{}}}), task.IllegalValue, "arguments"},
		"too long":            {line(t, map[string]any{"description": strings.Repeat("x", 9<<20)}), task.TooLarge, "line 3"},
		"description":         {line(t, map[string]any{"description": strings.Repeat("x", 4097)}), task.IllegalValue, "description"},
	} {
		tasks, err := readAll(strings.NewReader(good + "\n\n" + test.bad + "\n" + good))
		e, ok := errors.AsType[*task.Error](err)
		if !ok || e.Kind != test.kind || !strings.Contains(e.Text(), "line 3") || !strings.Contains(e.Text(), test.says) || len(tasks) != 1 {
			t.Errorf("%s: %d tasks, then %.300v; want kind %d that says line 3 and %q", name, len(tasks), err, test.kind, test.says)
		}
	}
	mistake := errors.New("mistake")
	if _, err := readAll(io.MultiReader(strings.NewReader(good+"\n"), iotest.ErrReader(mistake))); !errors.Is(err, mistake) {
		t.Errorf("a file that cannot be read: %v", err)
	}
}

// TestWhatOthersWrite reads what other services and older versions answer.
func TestWhatOthersWrite(t *testing.T) {
	t.Parallel()
	application := map[string]any{"id": "app", "type": "APPLICATION", "name": "n"}
	identity := map[string]any{"id": "who", "type": "IDENTITY", "name": "n"}
	at := time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC)
	for name, test := range map[string]struct {
		changes map[string]any
		check   func(task.Task) bool
	}{
		"id of a UUID":       {map[string]any{"id": "20F92900-25CB-3783-768C-9C8C4686078C"}, func(tk task.Task) bool { return tk.ID == "20f9290025cb3783768c9c8c4686078c" }},
		"epoch milliseconds": {map[string]any{"created": at.UnixMilli()}, func(tk task.Task) bool { return tk.Created.Equal(at) }},
		"no modified":        {map[string]any{"modified": nil}, func(tk task.Task) bool { return tk.Modified.Equal(tk.Created) }},
		"modified too early": {map[string]any{"modified": "2020-01-01T00:00:00Z"}, func(tk task.Task) bool { return tk.Modified.Equal(tk.Created) }},
		"status in any case": {map[string]any{"completionStatus": "tempError", "completed": "2026-11-25T01:00:00+01:00"}, func(tk task.Task) bool {
			return tk.Status == task.TempError && tk.Completed.Equal(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
		}},
		"kind of the name": {nil, func(tk task.Task) bool { return tk.Kind == task.AccountAggregation }},
		"kind of the definition": {map[string]any{"uniqueName": "x", "taskDefinitionSummary": map[string]any{"id": "d", "uniqueName": "Identity Refresh"}}, func(tk task.Task) bool {
			return tk.Kind == task.IdentityRefresh && string(tk.Definition.Arguments) == "{}"
		}},
		"kind as given":            {map[string]any{"kind": "identity_refresh"}, func(tk task.Task) bool { return tk.Kind == task.IdentityRefresh }},
		"source of the target":     {map[string]any{"target": application}, func(tk task.Task) bool { return tk.SourceID == "app" }},
		"source as given":          {map[string]any{"target": application, "sourceId": "s"}, func(tk task.Task) bool { return tk.SourceID == "s" }},
		"source, none":             {map[string]any{"target": application, "sourceId": json.RawMessage("null")}, func(tk task.Task) bool { return tk.SourceID == "" }},
		"no source of an identity": {map[string]any{"target": identity}, func(tk task.Task) bool { return tk.SourceID == "" && tk.Target.Type == task.TargetIdentity }},
		"target type null":         {map[string]any{"target": map[string]any{"id": "i", "type": json.RawMessage("null"), "name": "n"}}, func(tk task.Task) bool { return tk.Target.Type == "" && tk.SourceID == "" }},
		"message without text": {map[string]any{"messages": []any{map[string]any{"type": "WARN", "key": "k"}}}, func(tk task.Task) bool {
			return len(tk.Messages) == 1 && tk.Messages[0].Text == "k" && tk.Messages[0].Locale == "en"
		}},
		"numbers as written": {map[string]any{"attributes": json.RawMessage(`{"n":1.10}`)}, func(tk task.Task) bool { return string(tk.Attributes["n"]) == "1.10" }},
		"no lists":           {map[string]any{"messages": nil, "returns": nil, "attributes": nil}, func(tk task.Task) bool { return len(tk.Messages)+len(tk.Returns)+len(tk.Attributes) == 0 }},
		"attempt and no liveness": {nil, func(tk task.Task) bool {
			return tk.Attempt == 1 && tk.HeartbeatDeadline().IsZero() && tk.HeartbeatLimit == 0
		}},
		"success of less than 100 %": {map[string]any{"completionStatus": "SUCCESS", "completed": 0, "percentComplete": 7}, func(tk task.Task) bool {
			return tk.PercentComplete == 7 && tk.Completed.UnixMilli() == 0
		}},
	} {
		tk, err := one(t, test.changes)
		if err != nil || !test.check(tk) {
			t.Errorf("%s: %v, %+v", name, err, tk)
		}
	}
}

func TestWriteFails(t *testing.T) {
	t.Parallel()
	mistake := errors.New("mistake")
	tk, err := one(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	row, err := task.NewRow(&tk)
	if err != nil {
		t.Fatal(err)
	}
	if err := transfer.Write(failing{mistake}, row); !errors.Is(err, mistake) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
