package task_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/task"
)

func start() time.Time { return time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC) }

func after(d time.Duration) time.Time { return start().Add(d) }

func queued(tb testing.TB) task.Task {
	tb.Helper()
	definition, ok := task.NewCatalog().Lookup("IDENTITY_REFRESH")
	if !ok {
		tb.Fatal("no definition")
	}
	c, err := task.NewTask("00000000000000000000000000000001", task.Launch{Definition: definition}, "tester", start())
	if err != nil {
		tb.Fatal(err)
	}
	return c.Task
}

func running(tb testing.TB) task.Task {
	tb.Helper()
	return mustReport(tb, queued(tb), task.Report{Attempt: 1}, after(time.Second))
}

func mustReport(tb testing.TB, t task.Task, r task.Report, now time.Time) task.Task {
	tb.Helper()
	if err := r.Validate(); err != nil {
		tb.Fatal(err)
	}
	c := t.ApplyReport(r, now)
	if c.Err != nil || !c.Changed {
		tb.Fatalf("report: %v, changed %v", c.Err, c.Changed)
	}
	return c.Task
}

func ended(tb testing.TB, status task.CompletionStatus) task.Task {
	tb.Helper()
	return mustReport(tb, running(tb), task.Report{Attempt: 1, Completion: status}, after(2*time.Second))
}

func same(a, b task.Task) string { return cmp.Diff(a, b, cmpopts.EquateEmpty()) }

// wantUnchanged fails unless a change leaves a task alone.
func wantUnchanged(tb testing.TB, before task.Task, c task.Change) {
	tb.Helper()
	if c.Changed || same(before, c.Task) != "" {
		tb.Fatalf("the task changed: %s", same(before, c.Task))
	}
}

// wantEnd fails unless a change ends a task so, with one event of a name.
func wantEnd(tb testing.TB, c task.Change, status task.CompletionStatus, at time.Time, event task.EventName) {
	tb.Helper()
	if c.Err != nil || !c.Changed || c.Task.Status != status || !c.Task.Completed.Equal(at) || c.Task.State() != task.Completed {
		tb.Fatalf("got %q at %v (%v), want %q at %v", c.Task.Status, c.Task.Completed, c.Err, status, at)
	}
	if last := c.Events[len(c.Events)-1]; last.Name != event || last.Count != 1 {
		tb.Fatalf("the last event is %+v, want %s", last, event)
	}
}

func refusalOf(tb testing.TB, c task.Change) *task.Error {
	tb.Helper()
	e, ok := errors.AsType[*task.Error](c.Err)
	if !ok || e.Kind != task.Conflict {
		tb.Fatalf("got %v, want a conflict", c.Err)
	}
	return e
}

func TestLaunchIsQueued(t *testing.T) {
	t.Parallel()
	tk := queued(t)
	if tk.State() != task.Queued || tk.Attempt != 1 || tk.Type != task.QueuedTask || tk.Launcher != "System" ||
		tk.UniqueName != "Identity Refresh" || !tk.Launched.IsZero() || !tk.Created.Equal(start()) || !tk.Modified.Equal(start()) ||
		tk.HeartbeatLimit != time.Minute || !tk.HeartbeatDeadline().IsZero() {
		t.Errorf("a launch makes %+v", tk)
	}
	if err := tk.Validate(); err != nil {
		t.Error(err)
	}
}

func TestFirstReportStarts(t *testing.T) {
	t.Parallel()
	c := queued(t).ApplyReport(task.Report{Attempt: 1}, after(1500*time.Microsecond))
	if c.Err != nil || c.Task.State() != task.Running || !c.Task.Launched.Equal(after(time.Millisecond)) || c.Events[0].Name != task.EventStarted {
		t.Errorf("got %+v", c)
	}
	// The worker's clock and ours may differ: it never starts before it was created.
	c = queued(t).ApplyReport(task.Report{Attempt: 1}, after(-time.Hour))
	if !c.Task.Launched.Equal(start()) || c.Task.Modified.Before(start()) {
		t.Errorf("a clock that went back: launched %v, modified %v", c.Task.Launched, c.Task.Modified)
	}
	again := c.Task.ApplyReport(task.Report{Attempt: 1}, after(time.Hour))
	if len(again.Events) != 0 || !again.Task.Launched.Equal(start()) {
		t.Errorf("the second report: %+v", again)
	}
}

func TestReportIsFenced(t *testing.T) {
	t.Parallel()
	last := mustReport(t, running(t), task.Report{Attempt: 1, Sequence: 7}, after(2*time.Second))
	for name, test := range map[string]struct {
		task   task.Task
		report task.Report
		want   task.Refusal
		stop   bool
	}{
		"a later attempt":         {running(t), task.Report{Attempt: 2}, task.RefusedStale, true},
		"stale though complete":   {ended(t, task.Success), task.Report{Attempt: 2, Completion: task.Success}, task.RefusedStale, true},
		"late":                    {ended(t, task.Success), task.Report{Attempt: 1}, task.RefusedLate, true},
		"late with another end":   {ended(t, task.Success), task.Report{Attempt: 1, Completion: task.Failure}, task.RefusedLate, true},
		"the same sequence":       {last, task.Report{Attempt: 1, Sequence: 7}, task.RefusedDuplicate, false},
		"a lower sequence":        {last, task.Report{Attempt: 1, Sequence: 6, Completion: task.Success}, task.RefusedDuplicate, false},
		"late before a duplicate": {ended(t, task.Success), task.Report{Attempt: 1, Sequence: 1}, task.RefusedLate, true},
	} {
		c := test.task.ApplyReport(test.report, after(time.Minute))
		wantUnchanged(t, test.task, c)
		if e := refusalOf(t, c); e.Refused != test.want || e.Stop != test.stop {
			t.Errorf("%s: refused as %q, stop %v", name, e.Refused, e.Stop)
		}
		if len(c.Events) != 1 || c.Events[0].Name != task.EventRefused || c.Events[0].Key == "" || c.Events[0].Attempt != test.report.Attempt {
			t.Errorf("%s: the events are %+v", name, c.Events)
		}
	}
	// Reports without a number are never duplicates; numbers may have gaps.
	mustReport(t, last, task.Report{Attempt: 1}, after(3*time.Second))
	if got := mustReport(t, last, task.Report{Attempt: 1, Sequence: 100}, after(3*time.Second)); got.Sequence != 100 {
		t.Errorf("the sequence is %d", got.Sequence)
	}
}

// TestRepeatOfACompletionIsHarmless has a worker that did not hear the answer.
func TestRepeatOfACompletionIsHarmless(t *testing.T) {
	t.Parallel()
	for _, status := range task.CompletionStatuses() {
		r := task.Report{Attempt: 1, Sequence: 4, Completion: status}
		tk := mustReport(t, running(t), r, after(2*time.Second))
		c := tk.ApplyReport(r, after(time.Hour))
		wantUnchanged(t, tk, c)
		if c.Err != nil || len(c.Events) != 0 {
			t.Errorf("%s: %v, %v", status, c.Err, c.Events)
		}
	}
	// A clear to the same status is no completion of the worker's.
	c, err := running(t).ApplyClear(task.Clear{Status: task.Success}, after(2*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if e := refusalOf(t, c.Task.ApplyReport(task.Report{Attempt: 1, Completion: task.Success}, after(time.Hour))); e.Refused != task.RefusedLate {
		t.Errorf("after a clear: %q", e.Refused)
	}
}

func TestReportMerges(t *testing.T) {
	t.Parallel()
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	text := func(s string) *string { return &s }
	number := func(n int) *int { return &n }
	tk := mustReport(t, running(t), task.Report{
		Attempt: 1, Progress: text("a"), PercentComplete: number(40), Attributes: map[string]json.RawMessage{"a": raw("1"), "b": raw(`{"x":1}`)},
		Returns: []task.Return{{Name: "n", AttributeName: "a"}}, Messages: []task.Message{{Type: task.MessageInfo, Text: "one"}},
	}, after(2*time.Second))
	before, err := tk.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	next := mustReport(t, tk, task.Report{
		Attempt: 1, PercentComplete: number(30), Attributes: map[string]json.RawMessage{"b": raw(`{"y":2}`), "c": raw("null")},
		Messages: []task.Message{{Type: task.MessageWarn, Text: "two"}},
	}, after(3*time.Second))
	if next.PercentComplete != 40 || *next.Progress != "a" || len(next.Returns) != 1 || len(next.Messages) != 2 || next.Messages[1].Text != "two" {
		t.Errorf("merged to %+v", next)
	}
	if diff := cmp.Diff(map[string]json.RawMessage{"a": raw("1"), "b": raw(`{"y":2}`), "c": raw("null")}, next.Attributes); diff != "" {
		t.Error(diff)
	}
	if got := mustReport(t, next, task.Report{Attempt: 1, Returns: []task.Return{}}, after(4*time.Second)); len(got.Returns) != 0 {
		t.Errorf("returns are %v", got.Returns)
	}
	if now, err := tk.MarshalWire(); err != nil || string(now) != string(before) {
		t.Errorf("a report changed the task it was applied to: %s, was %s", now, before)
	}
}

func TestPercentAtTheEnd(t *testing.T) {
	t.Parallel()
	forty := 40
	tk := mustReport(t, running(t), task.Report{Attempt: 1, PercentComplete: &forty}, after(2*time.Second))
	for _, status := range task.CompletionStatuses() {
		want := 40
		if status == task.Success {
			want = 100
		}
		c := tk.ApplyReport(task.Report{Attempt: 1, Completion: status}, after(time.Minute))
		wantEnd(t, c, status, after(time.Minute), task.EventCompleted)
		if c.Task.PercentComplete != want {
			t.Errorf("%s: %d %%, want %d", status, c.Task.PercentComplete, want)
		}
		cleared, err := tk.ApplyClear(task.Clear{Status: status}, after(time.Minute))
		if err != nil || cleared.Task.PercentComplete != 40 {
			t.Errorf("cleared as %s: %d %%, %v; a clear leaves it", status, cleared.Task.PercentComplete, err)
		}
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	now := after(time.Hour)
	for name, tk := range map[string]task.Task{"queued": queued(t), "running": running(t)} {
		for _, at := range []time.Time{{}, after(30 * time.Minute), after(-1000 * time.Hour), now.Add(24 * time.Hour)} {
			c, err := tk.ApplyClear(task.Clear{Status: task.Warning, Completed: at, Actor: "p", Reason: "stuck"}, now)
			if err != nil {
				t.Fatalf("%s at %v: %v", name, at, err)
			}
			want := at
			if at.IsZero() {
				want = now
			}
			wantEnd(t, c, task.Warning, want, task.EventCleared)
			if e := c.Events[0]; e.Actor != "p" || !strings.Contains(e.Text, "stuck") {
				t.Errorf("%s: the event is %+v", name, e)
			}
			if !c.Task.Modified.Equal(now) {
				t.Errorf("%s: modified %v, want %v", name, c.Task.Modified, now)
			}
			// No worker writes to it again.
			if e := refusalOf(t, c.Task.ApplyReport(task.Report{Attempt: 1}, now)); e.Refused != task.RefusedLate || !e.Stop {
				t.Errorf("%s: a report afterwards is refused as %q", name, e.Refused)
			}
		}
		c, err := tk.ApplyClear(task.Clear{Status: task.Warning, Completed: now.Add(24*time.Hour + time.Millisecond)}, now)
		if task.KindOf(err) != task.IllegalValue || c.Changed {
			t.Errorf("%s, too far ahead: %v", name, err)
		}
	}
}

func TestClearOfACompletedTask(t *testing.T) {
	t.Parallel()
	tk := ended(t, task.Failure)
	for name, test := range map[string]struct {
		clear task.Clear
		ok    bool
	}{
		"the same status":          {task.Clear{Status: task.Failure}, true},
		"the same status and time": {task.Clear{Status: task.Failure, Completed: tk.Completed.Add(999 * time.Microsecond)}, true},
		"another time":             {task.Clear{Status: task.Failure, Completed: tk.Completed.Add(time.Millisecond)}, false},
		"another status":           {task.Clear{Status: task.Success}, false},
		"another, the same time":   {task.Clear{Status: task.Success, Completed: tk.Completed}, false},
	} {
		c, err := tk.ApplyClear(test.clear, after(time.Hour))
		if test.ok {
			wantUnchanged(t, tk, c)
			if err != nil || len(c.Events) != 0 || !test.clear.Done(&tk) {
				t.Errorf("%s: %v, %v", name, err, c.Events)
			}
		} else if task.KindOf(err) != task.IllegalUpdate || !strings.Contains(err.Error(), "ERROR") || !strings.Contains(err.Error(), task.FormatTime(tk.Completed)) {
			t.Errorf("%s: %v, want when and how it ended", name, err)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	now := after(time.Hour)
	wantEnd(t, queued(t).ApplyCancel("p", "r", now), task.Terminated, now, task.EventCancelled)
	imported := queued(t)
	imported.Launched = start()
	wantEnd(t, imported.ApplyCancel("p", "", now), task.Terminated, now, task.EventCancelled)

	c := running(t).ApplyCancel("p", "r", now)
	if c.Err != nil || c.Task.Status != task.InProgress || !c.Task.CancelRequested.Equal(now) || c.Events[0].Name != task.EventCancelRequested {
		t.Fatalf("a running task: %+v", c)
	}
	asked := c.Task
	if stop, why := asked.ShouldStop(); !stop || !strings.Contains(why, "r") {
		t.Errorf("should stop: %v, %q", stop, why)
	}
	again := asked.ApplyCancel("q", "s", now.Add(time.Second))
	wantUnchanged(t, asked, again)
	if again.Err != nil || len(again.Events) != 0 {
		t.Errorf("the repeat: %+v", again)
	}
	told := asked.ApplyReport(task.Report{Attempt: 1}, now.Add(time.Second))
	if told.Events[0].Name != task.EventStopTold {
		t.Errorf("the next report: %v", told.Events)
	}
	if twice := told.Task.ApplyReport(task.Report{Attempt: 1}, now.Add(2*time.Second)); len(twice.Events) != 0 {
		t.Errorf("it was told twice: %v", twice.Events)
	}
	for _, status := range task.CompletionStatuses() {
		end := told.Task.ApplyReport(task.Report{Attempt: 1, Completion: status}, now.Add(3*time.Second))
		wantEnd(t, end, task.Terminated, now.Add(3*time.Second), task.EventCompleted)
		if !strings.Contains(end.Events[len(end.Events)-1].Text, string(status)) {
			t.Errorf("the history forgets that it said %s: %v", status, end.Events)
		}
		if end.Task.PercentComplete == 100 {
			t.Errorf("%s: a cancelled task is at 100 %%", status)
		}
		wantUnchanged(t, end.Task, end.Task.ApplyReport(task.Report{Attempt: 1, Completion: status}, now.Add(time.Hour)))
	}
	terminated := ended(t, task.Terminated)
	done := terminated.ApplyCancel("p", "", now)
	wantUnchanged(t, terminated, done)
	if done.Err != nil {
		t.Errorf("a task that ended TERMINATED: %v", done.Err)
	}
	successful := ended(t, task.Success)
	late := successful.ApplyCancel("p", "", now)
	wantUnchanged(t, successful, late)
	if e := refusalOf(t, late); e.Refused != "" {
		t.Errorf("refused as %q: only reports are", e.Refused)
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	tk := running(t) // heard of a second after start, limit a minute
	deadline := after(61 * time.Second)
	if got := tk.HeartbeatDeadline(); !got.Equal(deadline) {
		t.Fatalf("the deadline is %v, want %v", got, deadline)
	}
	wantUnchanged(t, tk, tk.Lost(deadline.Add(-time.Millisecond)))
	c := tk.Lost(deadline)
	wantEnd(t, c, task.TempError, deadline, task.EventLost)
	if m := c.Task.Messages; len(m) != 1 || m[0].Type != task.MessageError || m[0].Text == "" {
		t.Errorf("the messages are %+v", m)
	}
	for name, safe := range map[string]task.Task{"queued": queued(t), "ended": ended(t, task.Success)} {
		wantUnchanged(t, safe, safe.Lost(after(10000*time.Hour)))
		if !safe.HeartbeatDeadline().IsZero() {
			t.Errorf("%s: it has the deadline %v", name, safe.HeartbeatDeadline())
		}
	}
	// A cancel sets a time of its own: a worker that never stops does not go on
	// for ever by reporting.
	asked := tk.ApplyCancel("p", "", after(2*time.Second)).Task
	for i := range 10 {
		asked = mustReport(t, asked, task.Report{Attempt: 1}, after(time.Duration(5*(i+1))*time.Second))
	}
	if got := asked.HeartbeatDeadline(); !got.Equal(after(62 * time.Second)) {
		t.Errorf("the deadline after a cancel is %v, want %v", got, after(62*time.Second))
	}
	wantEnd(t, asked.Lost(after(62*time.Second)), task.Terminated, after(62*time.Second), task.EventLost)
}

// TestImportedInProgress belongs to whoever ran it: no liveness is asked until
// it first reports.
func TestImportedInProgress(t *testing.T) {
	t.Parallel()
	imported := queued(t)
	imported.Launched, imported.HeartbeatLimit = start(), 0
	wantUnchanged(t, imported, imported.Lost(after(10000*time.Hour)))
	heard := mustReport(t, imported, task.Report{Attempt: 1}, after(time.Hour))
	if got := heard.HeartbeatDeadline(); !got.Equal(after(time.Hour+task.DefaultHeartbeatLimit)) || !heard.Launched.Equal(start()) {
		t.Errorf("once it has reported: deadline %v, launched %v", got, heard.Launched)
	}
}

func TestExpire(t *testing.T) {
	t.Parallel()
	now := after(90 * 24 * time.Hour)
	for _, tk := range []task.Task{queued(t), running(t)} {
		wantEnd(t, tk.Expire(now), task.Terminated, now, task.EventExpired)
	}
	wantUnchanged(t, ended(t, task.Success), ended(t, task.Success).Expire(now))
}
