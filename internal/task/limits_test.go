package task_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/task"
)

func messages(n int, severity task.MessageType, text string) []task.Message {
	all := make([]task.Message, n)
	for i := range all {
		all[i] = task.Message{Type: severity, Key: strconv.Itoa(i), Locale: "en", Text: text}
	}
	return all
}

// TestMessagesAreBounded reports far too many: the last and the worst stay, and
// one message counts the others.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	tk := running(t)
	sent := 0
	send := func(all []task.Message) {
		t.Helper()
		sent += len(all)
		tk = mustReport(t, tk, task.Report{Attempt: 1, Messages: all}, after(time.Minute))
	}
	send(messages(3, task.MessageError, "error"))
	send(messages(240, task.MessageInfo, "info"))
	if len(tk.Messages) != 243 {
		t.Fatalf("%d messages are fewer than fit", len(tk.Messages))
	}
	for range 5 {
		send(messages(100, task.MessageInfo, "info"))
	}
	send(messages(2, task.MessageWarn, "warning"))
	counts := map[string]int{}
	for _, m := range tk.Messages {
		counts[m.Text]++
	}
	last := tk.Messages[len(tk.Messages)-1]
	if counts["error"] != 3 || counts["warning"] != 2 || counts["info"] != 245 || last.Key != task.DroppedKey {
		t.Errorf("kept %v, the last is %+v", counts, last)
	}
	if want := strconv.Itoa(sent - 250); string(last.Parameters[0]) != `"`+want+`"` || !strings.HasPrefix(last.Text, want) {
		t.Errorf("the last says %+v, want %s", last, want)
	}
	if newest := tk.Messages[len(tk.Messages)-4]; newest.Key != "99" {
		t.Errorf("the newest of the least severe is %+v, want the last sent", newest)
	}
	// Size counts too.
	tk = running(t)
	for range 20 {
		send(messages(1, task.MessageWarn, strings.Repeat("é", 60<<10)))
	}
	send(messages(1, task.MessageError, "the end"))
	size := 0
	for _, m := range tk.Messages {
		size += len(m.Text)
	}
	if size > 1<<20 || size < 900<<10 {
		t.Errorf("%d bytes of messages were kept", size)
	}
	if m := tk.Messages[len(tk.Messages)-2]; m.Text != "the end" {
		t.Errorf("the last message is %.20q", m.Text)
	}
}

func TestReportValidate(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	number := func(n int) *int { return &n }
	message := func(change func(*task.Message)) task.Report {
		m := task.Message{Type: task.MessageInfo, Key: "k", Locale: "en", Text: "t"}
		change(&m)
		return task.Report{Attempt: 1, Messages: []task.Message{{Type: task.MessageInfo}, m}}
	}
	raw := func(s string) []json.RawMessage { return []json.RawMessage{json.RawMessage(`"a"`), json.RawMessage(s)} }
	for name, test := range map[string]struct {
		report task.Report
		field  string // empty: it is valid
	}{
		"heartbeat":        {task.Report{Attempt: 1}, ""},
		"no attempt":       {task.Report{}, "attempt"},
		"sequence":         {task.Report{Attempt: 1, Sequence: -1}, "sequence"},
		"percent 0":        {task.Report{Attempt: 1, PercentComplete: number(0)}, ""},
		"percent 100":      {task.Report{Attempt: 1, PercentComplete: number(100)}, ""},
		"percent 101":      {task.Report{Attempt: 1, PercentComplete: number(101)}, "percentComplete"},
		"percent -1":       {task.Report{Attempt: 1, PercentComplete: number(-1)}, "percentComplete"},
		"progress":         {task.Report{Attempt: 1, Progress: text(strings.Repeat("é", 1024))}, ""},
		"progress, long":   {task.Report{Attempt: 1, Progress: text(strings.Repeat("é", 1025))}, "progress"},
		"progress, U+0000": {task.Report{Attempt: 1, Progress: text("a\x00")}, "progress"},
		"progress, bytes":  {task.Report{Attempt: 1, Progress: text("\xff")}, "progress"},
		"messages":         {task.Report{Attempt: 1, Messages: messages(250, task.MessageInfo, "")}, ""},
		"messages, many":   {task.Report{Attempt: 1, Messages: messages(251, task.MessageInfo, "")}, "messages"},
		"message type":     {message(func(m *task.Message) { m.Type = "DEBUG" }), "messages/1/type"},
		"message key":      {message(func(m *task.Message) { m.Key = strings.Repeat("k", 1025) }), "messages/1/key"},
		"message locale":   {message(func(m *task.Message) { m.Locale = strings.Repeat("k", 65) }), "messages/1/localizedText/locale"},
		"message text":     {message(func(m *task.Message) { m.Text = strings.Repeat("k", 128<<10+1) }), "messages/1/localizedText/message"},
		"parameter object": {message(func(m *task.Message) { m.Parameters = raw(`{"a":1}`) }), ""},
		"parameter empty":  {message(func(m *task.Message) { m.Parameters = raw(`{}`) }), "messages/1/parameters/1"},
		"parameter number": {message(func(m *task.Message) { m.Parameters = raw(`1`) }), "messages/1/parameters/1"},
		"parameter null":   {message(func(m *task.Message) { m.Parameters = raw(`null`) }), "messages/1/parameters/1"},
		"parameter array":  {message(func(m *task.Message) { m.Parameters = raw(`["a"]`) }), "messages/1/parameters/1"},
		"parameters, many": {message(func(m *task.Message) {
			for range 101 {
				m.Parameters = append(m.Parameters, json.RawMessage(`"p"`))
			}
		}), "messages/1/parameters"},
		"return":       {task.Report{Attempt: 1, Returns: []task.Return{{Name: "n"}}}, "returns/0"},
		"return name":  {task.Report{Attempt: 1, Returns: []task.Return{{Name: "n", AttributeName: "a"}, {AttributeName: "a"}}}, "returns/1"},
		"returns, all": {task.Report{Attempt: 1, Returns: make([]task.Return, 201)}, "returns"},
		"attributes": {task.Report{Attempt: 1, Attributes: map[string]json.RawMessage{
			"a": json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`),
		}}, "attributes"},
	} {
		wantField(t, name, test.report.Validate(), test.field)
	}
}

func wantField(tb testing.TB, name string, err error, field string) {
	tb.Helper()
	if field == "" {
		if err != nil {
			tb.Errorf("%s: %v", name, err)
		}
		return
	}
	e, ok := err.(*task.Error) //nolint:errorlint // Validate returns it as it is
	if !ok || e.Field != field || e.Kind != task.IllegalValue && e.Kind != task.Missing {
		tb.Errorf("%s: got %v, want an error of %s", name, err, field)
	}
}

func TestLaunchValidate(t *testing.T) {
	t.Parallel()
	definition := task.NewCatalog().Definitions()[0]
	long := func(n int) string { return strings.Repeat("é", n) }
	parent, bad := long(1024), long(1025)
	for name, test := range map[string]struct {
		launch task.Launch
		field  string
	}{
		"nothing": {task.Launch{}, ""},
		"as long as can be": {task.Launch{
			UniqueName: long(1024), Description: long(4096), ParentName: &parent, Launcher: long(256), SourceID: long(1024),
			HeartbeatLimit: 24 * time.Hour, Target: &task.Target{ID: long(1024), Name: long(1024)},
		}, ""},
		"name":            {task.Launch{UniqueName: long(1025)}, "uniqueName"},
		"name, U+0000":    {task.Launch{UniqueName: "\x00"}, "uniqueName"},
		"description":     {task.Launch{Description: long(4097)}, "description"},
		"parent":          {task.Launch{ParentName: &bad}, "parentName"},
		"launcher":        {task.Launch{Launcher: long(257)}, "launcher"},
		"source":          {task.Launch{SourceID: long(1025)}, "sourceId"},
		"target id":       {task.Launch{Target: &task.Target{Name: "n"}}, "target.id"},
		"target type":     {task.Launch{Target: &task.Target{ID: "i", Type: "SOURCE"}}, "target.type"},
		"target name":     {task.Launch{Target: &task.Target{ID: "i", Name: bad}}, "target.name"},
		"limit":           {task.Launch{HeartbeatLimit: 24*time.Hour + time.Second}, "heartbeatLimitSeconds"},
		"limit, negative": {task.Launch{HeartbeatLimit: -time.Second}, "heartbeatLimitSeconds"},
		"arguments":       {task.Launch{Arguments: json.RawMessage(`{"a":"` + long(256<<10) + `"}`)}, "arguments"},
		"attributes":      {task.Launch{Attributes: map[string]json.RawMessage{long(256 << 10): json.RawMessage("1")}}, "attributes"},
	} {
		test.launch.Definition = definition
		c, err := task.NewTask("00000000000000000000000000000001", test.launch, "a", start())
		wantField(t, name, err, test.field)
		if err != nil {
			continue
		}
		if err := c.Task.Validate(); err != nil {
			t.Errorf("%s: launched, but not to be imported: %v", name, err)
		}
	}
}

// TestLaunchSource takes the target for the source where it is one.
func TestLaunchSource(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		source string
		target *task.Target
		want   string
	}{
		{"", nil, ""},
		{"s", nil, "s"},
		{"", &task.Target{ID: "a", Type: task.TargetApplication}, "a"},
		{"s", &task.Target{ID: "a", Type: task.TargetApplication}, "s"},
		{"", &task.Target{ID: "a", Type: task.TargetIdentity}, ""},
		{"", &task.Target{ID: "a"}, ""},
	} {
		c, err := task.NewTask("00000000000000000000000000000001", task.Launch{SourceID: test.source, Target: test.target}, "a", start())
		if err != nil || c.Task.SourceID != test.want {
			t.Errorf("%q, %+v: got %q, %v; want %q", test.source, test.target, c.Task.SourceID, err, test.want)
		}
	}
}

func TestTaskValidate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*task.Task)
		field  string
	}{
		"as it is":            {func(*task.Task) {}, ""},
		"type":                {func(tk *task.Task) { tk.Type = "OTHER" }, "type"},
		"name":                {func(tk *task.Task) { tk.UniqueName = "" }, "uniqueName"},
		"launcher":            {func(tk *task.Task) { tk.Launcher = "" }, "launcher"},
		"created":             {func(tk *task.Task) { tk.Created = time.Time{} }, "created"},
		"created before 1970": {func(tk *task.Task) { tk.Created = time.UnixMilli(-1).UTC() }, "created"},
		"status alone":        {func(tk *task.Task) { tk.Status = task.Success }, "completed"},
		"completed alone":     {func(tk *task.Task) { tk.Completed = start() }, "completed"},
		"cleared to long ago": {func(tk *task.Task) {
			tk.Status, tk.Completed = task.Success, time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
		}, ""},
		"launched too early": {func(tk *task.Task) { tk.Launched = start().Add(-time.Millisecond) }, "launched"},
		"percent":            {func(tk *task.Task) { tk.PercentComplete = 101 }, "percentComplete"},
		"percent, negative":  {func(tk *task.Task) { tk.PercentComplete = -1 }, "percentComplete"},
		"returns":            {func(tk *task.Task) { tk.Returns = make([]task.Return, 201) }, "returns"},
		"return":             {func(tk *task.Task) { tk.Returns = make([]task.Return, 1) }, "returns/0"},
		"target":             {func(tk *task.Task) { tk.Target = &task.Target{} }, "target.id"},
		"definition":         {func(tk *task.Task) { tk.Definition = &task.Summary{} }, "taskDefinitionSummary"},
		"definition arguments": {func(tk *task.Task) {
			tk.Definition = &task.Summary{ID: "i", UniqueName: "n", Arguments: json.RawMessage("[]")}
		}, "taskDefinitionSummary.arguments"},
		"message":     {func(tk *task.Task) { tk.Messages = []task.Message{{Type: "X"}} }, "messages/0/type"},
		"description": {func(tk *task.Task) { tk.Description = "\x00" }, "description"},
	} {
		tk := queued(t)
		test.change(&tk)
		wantField(t, name, tk.Validate(), test.field)
	}
}
