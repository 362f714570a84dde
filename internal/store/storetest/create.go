package storetest

import (
	"encoding/json"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/audit"
	"stint/internal/task"
)

// fullTask has a value in every field.
func fullTask() task.Task {
	parent, progress := "Ober\u200bmeister", "3 of 7 \"chunks\" \\ done\n"
	at := func(ms int) time.Time { return start().Add(time.Duration(ms) * time.Millisecond) }
	return task.Task{
		ID: "00ff00ff00ff00ff00ff00ff00ff00ff", Type: task.QPOC, Kind: task.AccountAggregation, SourceID: "Quelle É",
		UniqueName: "Zoë's 日本語 😀 task", Description: "a\tb <&> \u2028 é", ParentName: &parent, Launcher: "Zoë O'Neil",
		Created: at(0), Modified: at(5), Launched: at(1), Completed: at(4), Status: task.Warning,
		Messages: []task.Message{
			{Type: task.MessageWarn, Key: "k", Locale: "de", Text: "größer <als>", Parameters: []json.RawMessage{
				json.RawMessage(`"a"`), json.RawMessage(`{"n":12345678901234567890.10}`),
			}},
			{Type: task.MessageError, Key: "", Locale: "en", Text: ""},
		},
		Returns:    []task.Return{{Name: "T_OUT", AttributeName: "total"}},
		Attributes: map[string]json.RawMessage{"total": json.RawMessage("7"), "é": json.RawMessage("null")},
		Progress:   &progress, PercentComplete: 42,
		Target: &task.Target{ID: "t", Type: task.TargetIdentity, Name: "Ziel"},
		Definition: &task.Summary{
			ID: "d", UniqueName: "Def", Description: "of", ParentName: "p", Executor: "external", Arguments: json.RawMessage(`{"a":1}`),
		},
		Attempt: 3, Sequence: 1 << 40, LastReport: at(3), HeartbeatLimit: 90 * time.Second, CancelRequested: at(2), CancelReason: "genügt",
		Reported: task.Success,
	}
}

// emptyTask has no value where none is needed.
func emptyTask() task.Task {
	return task.Task{
		ID: "ffffffffffffffffffffffffffffffff", Type: task.Quartz, Kind: task.IdentityRefresh, UniqueName: "n", Launcher: "l",
		Created: start(), Modified: start(), Attempt: 1,
	}
}

func testCreateKeepsEveryField(t trial) {
	s := t.store
	events := []task.Event{
		{At: start().Add(time.Millisecond), Name: task.EventLaunched, Attempt: 3, Actor: "Zoë", Text: "é", Key: "k/1", Count: 1},
		{At: start(), Name: task.EventStarted, Attempt: 1, Count: 1},
	}
	entry := audit.Entry{
		At: start().Add(7 * time.Millisecond), Action: audit.Launch, Object: string(fullTask().ID),
		Origin: audit.Origin{Actor: "Zoë", Address: "[::1]:1", Agent: "agent/1", RequestID: "0f"},
		Before: json.RawMessage(`{"a": 1}`), Words: "the  very words", Reason: "é",
	}
	for _, want := range []task.Task{fullTask(), emptyTask()} {
		stored, created, err := s.Create(t.Context(), task.Change{Task: want, Changed: true, Events: events}, task.IdempotencyKey{}, entry)
		if err != nil || !created {
			t.Fatalf("create: %v, %v", created, err)
		}
		if diff := sameTask(want, stored); diff != "" {
			t.Errorf("answer of create (-want +got):\n%s", diff)
		}
		wantStored(t, s, want)
		if diff := cmp.Diff(events, history(t, s, want.ID)); diff != "" {
			t.Errorf("history (-want +got):\n%s", diff)
		}
	}
	got := entries(t, s, string(fullTask().ID))
	if diff := cmp.Diff([]audit.Entry{entry, entry}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if got[0].After != nil {
		t.Errorf("no After was given, got %q", got[0].After)
	}
	if unknown := history(t, s, idOf(404)); len(unknown) != 0 {
		t.Errorf("the history of an unknown task is %v", unknown)
	}
	if unknown := entries(t, s, "unknown"); len(unknown) != 0 {
		t.Errorf("the audit of an unknown object is %v", unknown)
	}
}

// testCreateKeepsValues has what a detour through numbers or another encoding
// would change.
func testCreateKeepsValues(t trial) {
	s := t.store
	for name, value := range map[string]string{
		"large": "123456789012345678901234567890", "precise": "0.1000", "exponent": "1E+2", "negative zero": "-0", "long": "3.14159265358979323846",
		"escaped": `"\u00e9\/<&>"`, "nested": `[1,{"b":2,"a":[null,true]}]`, "surrogates": `"\ud83d\ude00"`,
	} {
		c := launched(t, len(name)*1000+len(value))
		c.Task.Attributes = map[string]json.RawMessage{name: json.RawMessage(value)}
		c.Task.Definition.Arguments = json.RawMessage(`{"x":` + value + `}`)
		create(t, s, c)
		wantStored(t, s, c.Task)
		got := read(t, s, c.Task.ID)
		if string(got.Attributes[name]) != value || string(got.Definition.Arguments) != `{"x":`+value+`}` {
			t.Errorf("%s: got %s and %s, want %s", name, got.Attributes[name], got.Definition.Arguments, value)
		}
	}
	for ms := range 3 {
		c := launched(t, 100+ms)
		create(t, s, c)
		if got := read(t, s, c.Task.ID).Created; !got.Equal(start().Add(time.Duration(100+ms) * time.Millisecond)) {
			t.Errorf("created %v, want the millisecond kept", got)
		}
	}
	early := emptyTask()
	early.Created, early.Modified = time.UnixMilli(0).UTC(), time.UnixMilli(1).UTC()
	create(t, s, task.Change{Task: early, Changed: true})
	wantStored(t, s, early)
}

func testCreateTakenID(t trial) {
	s := t.store
	first := launch(t, s, 1)
	again := launched(t, 1)
	again.Task.UniqueName = "another"
	if _, _, err := s.Create(t.Context(), again, task.IdempotencyKey{Key: "k", Fingerprint: []byte("f")}, launchEntry(again)); err == nil {
		t.Error("an id was given out twice")
	}
	wantStored(t, s, first)
	if got := names(history(t, s, first.ID)); got != "launched" {
		t.Errorf("the history is %q", got)
	}
	if got := actions(entries(t, s, string(first.ID))); got != "task.launch" {
		t.Errorf("the audit is %q", got)
	}
	// The key of the launch that failed names nothing.
	other := launched(t, 2)
	if stored, created, err := s.Create(t.Context(), other, task.IdempotencyKey{Key: "k", Fingerprint: []byte("f")}, launchEntry(other)); err != nil || !created || stored.ID != other.Task.ID {
		t.Errorf("the key is taken: %s, %v, %v", stored.ID, created, err)
	}
}
