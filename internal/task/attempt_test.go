package task_test

import (
	"strings"
	"testing"
	"time"

	"stint/internal/task"
)

// builtIn is a queued task that Stint runs itself.
func builtIn(tb testing.TB) task.Task {
	tb.Helper()
	definition, ok := task.NewCatalog().Lookup(string(task.AccountAggregation))
	if !ok {
		tb.Fatal("no definition")
	}
	c, err := task.NewTask("00000000000000000000000000000001", task.Launch{Definition: definition, BuiltIn: true}, "tester", start())
	if err != nil {
		tb.Fatal(err)
	}
	return c.Task
}

// began is a task whose attempt has begun.
func began(tb testing.TB, t task.Task, now time.Time) task.Task {
	tb.Helper()
	c := t.ApplyStart(t.Attempt, now)
	if c.Err != nil || !c.Changed {
		tb.Fatalf("start: %v, changed %t", c.Err, c.Changed)
	}
	return c.Task
}

// interrupted is a task whose attempts were interrupted so many times.
func interrupted(tb testing.TB, t task.Task, times int) task.Task {
	tb.Helper()
	for range times {
		c := t.ApplyInterrupted(t.Attempt, "of a test", after(time.Minute))
		if !c.Changed || c.Task.Status != task.InProgress || c.Task.Attempt != t.Attempt+1 {
			tb.Fatalf("interruption %d: changed %t, attempt %d, status %q", t.Interruptions+1, c.Changed, c.Task.Attempt, c.Task.Status)
		}
		t = c.Task
	}
	return t
}

func advanced(tb testing.TB, t task.Task) task.Task {
	tb.Helper()
	return mustReport(tb, t, task.Report{Attempt: t.Attempt, Advanced: true}, after(time.Minute))
}

// TestNoHeartbeatIsAskedOfBuiltInWork: the process that runs it knows better.
func TestNoHeartbeatIsAskedOfBuiltInWork(t *testing.T) {
	t.Parallel()
	running := began(t, builtIn(t), after(time.Second))
	if deadline := running.HeartbeatDeadline(); !deadline.IsZero() {
		t.Errorf("it has a deadline: %s", deadline)
	}
	if running.Launched != after(time.Second) {
		t.Errorf("launched %s", running.Launched)
	}
}

func TestApplyStart(t *testing.T) {
	t.Parallel()
	cancelled := builtIn(t).ApplyCancel("somebody", "", after(time.Second)).Task
	for name, test := range map[string]struct {
		before  task.Task
		attempt int
		refused task.Refusal
		line    string // the last of the history
	}{
		"the first attempt":       {before: builtIn(t), attempt: 1, line: "started"},
		"the first one again":     {before: began(t, builtIn(t), after(0)), attempt: 1},
		"after an interruption":   {before: interrupted(t, began(t, builtIn(t), after(0)), 1), attempt: 2, line: "attempt 2 started"},
		"the one before":          {before: interrupted(t, builtIn(t), 1), attempt: 1, refused: task.RefusedStale},
		"one that is not yet":     {before: builtIn(t), attempt: 2, refused: task.RefusedStale},
		"of a task that is ended": {before: cancelled, attempt: 1, refused: task.RefusedLate},
	} {
		c := test.before.ApplyStart(test.attempt, after(time.Hour))
		if test.refused != "" {
			if e := refusalOf(t, c); e.Refused != test.refused || len(c.Events) != 1 || c.Events[0].Name != task.EventRefused {
				t.Errorf("%s: got %v and the lines %+v, want %s and one line", name, e, c.Events, test.refused)
			}
			continue
		}
		if c.Err != nil || !c.Changed || c.Task.Attempt != test.attempt || c.Task.LastReport != after(time.Hour) {
			t.Errorf("%s: %v, changed %t, attempt %d", name, c.Err, c.Changed, c.Task.Attempt)
		}
		last := ""
		for _, e := range c.Events {
			if last = e.Text; e.Name != task.EventStarted || e.Attempt != test.attempt {
				t.Errorf("%s: the line %+v", name, e)
			}
		}
		if last != test.line {
			t.Errorf("%s: the history says %q, want %q", name, last, test.line)
		}
	}
}

func TestApplyInterrupted(t *testing.T) {
	t.Parallel()
	cancelled := builtIn(t).ApplyCancel("somebody", "", after(time.Second)).Task
	running := mustReport(t, began(t, builtIn(t), after(0)), task.Report{Attempt: 1, Sequence: 7}, after(time.Second))
	for name, test := range map[string]struct {
		before  task.Task
		attempt int
		status  task.CompletionStatus
		next    int
		same    bool
	}{
		"a running one":           {before: running, attempt: 1, next: 2},
		"a queued one":            {before: builtIn(t), attempt: 1, next: 2},
		"nineteen before":         {before: interrupted(t, running, 18), attempt: 19, next: 20},
		"the twentieth":           {before: interrupted(t, running, 19), attempt: 20, status: task.TempError, next: 20},
		"progress, then nineteen": {before: interrupted(t, advanced(t, interrupted(t, running, 19)), 18), attempt: 38, next: 39},
		"progress, then twenty":   {before: interrupted(t, advanced(t, interrupted(t, running, 19)), 19), attempt: 39, status: task.TempError, next: 39},
		"the attempt before":      {before: interrupted(t, running, 1), attempt: 1, next: 2, same: true},
		"one that is not yet":     {before: running, attempt: 2, next: 1, same: true},
		"of an ended task":        {before: cancelled, attempt: 1, status: task.Terminated, next: 1, same: true},
	} {
		c := test.before.ApplyInterrupted(test.attempt, "the lights went out", after(time.Hour))
		if test.same {
			wantUnchanged(t, test.before, c)
			continue
		}
		if !c.Changed || c.Err != nil || c.Task.Status != test.status || c.Task.Attempt != test.next {
			t.Errorf("%s: changed %t, status %q, attempt %d, want %q and %d", name, c.Changed, c.Task.Status, c.Task.Attempt, test.status, test.next)
		}
		if len(c.Events) != 1 || !strings.Contains(c.Events[0].Text, "the lights went out") {
			t.Errorf("%s: the lines %+v", name, c.Events)
		}
		if test.status == task.InProgress && (c.Events[0].Name != task.EventInterrupted || c.Events[0].Attempt != test.attempt || c.Task.Sequence != 0) {
			t.Errorf("%s: the line %+v, sequence %d", name, c.Events[0], c.Task.Sequence)
		}
	}
}

// TestGivenUp: who reads of a task that was given up learns how often and why.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	before := interrupted(t, began(t, builtIn(t), after(0)), 19)
	c := before.ApplyInterrupted(20, "the lights went out", after(time.Hour))
	wantEnd(t, c, task.TempError, after(time.Hour), task.EventCompleted)
	messages := c.Task.Messages
	if len(messages) != 1 || messages[0].Type != task.MessageError || messages[0].Key != "interrupted_too_often" {
		t.Fatalf("messages: %+v", messages)
	}
	for _, part := range []string{"20 times", "the lights went out"} {
		if !strings.Contains(messages[0].Text, part) {
			t.Errorf("the message %q lacks %q", messages[0].Text, part)
		}
	}
	if e := refusalOf(t, c.Task.ApplyReport(task.Report{Attempt: 20, Completion: task.Success}, after(2*time.Hour))); e.Refused != task.RefusedLate {
		t.Errorf("a late success: %v", e)
	}
}

// TestAdvanced: only new progress starts the count of interruptions again.
func TestAdvanced(t *testing.T) {
	t.Parallel()
	before := interrupted(t, began(t, builtIn(t), after(0)), 5)
	if same := mustReport(t, before, task.Report{Attempt: 6}, after(time.Hour)); same.Interruptions != 5 {
		t.Errorf("a sign of life: %d interruptions, want 5", same.Interruptions)
	}
	if started := began(t, before, after(time.Hour)); started.Interruptions != 5 {
		t.Errorf("a start: %d interruptions, want 5", started.Interruptions)
	}
	if moved := advanced(t, before); moved.Interruptions != 0 {
		t.Errorf("progress: %d interruptions, want 0", moved.Interruptions)
	}
	if c := before.ApplyReport(task.Report{Attempt: 5, Advanced: true}, after(time.Hour)); c.Task.Interruptions != 5 {
		t.Errorf("progress of a stale attempt: %d interruptions, want 5", c.Task.Interruptions)
	}
}

// TestNotesAreLinesOfTheHistory: what a run wants kept.
func TestNotesAreLinesOfTheHistory(t *testing.T) {
	t.Parallel()
	c := began(t, builtIn(t), after(0)).ApplyReport(task.Report{Attempt: 1, Note: "compared"}, after(time.Second))
	if len(c.Events) != 1 || c.Events[0].Name != task.EventNoted || c.Events[0].Text != "compared" {
		t.Fatalf("the lines %+v", c.Events)
	}
}

func TestApplyBusy(t *testing.T) {
	t.Parallel()
	const other task.ID = "0000000000000000000000000000000a"
	c := builtIn(t).ApplyBusy(other, after(time.Second))
	wantEnd(t, c, task.Failure, after(time.Second), task.EventCompleted)
	if c.Task.Launched != c.Task.Completed {
		t.Errorf("launched %s, completed %s", c.Task.Launched, c.Task.Completed)
	}
	if n := len(c.Task.Messages); n != 1 {
		t.Fatalf("%d messages", n)
	}
	m := c.Task.Messages[0]
	if m.Type != task.MessageError || !strings.HasPrefix(m.Text, "The running aggregation must complete before the next one can start.") ||
		!strings.Contains(m.Text, string(other)) {
		t.Errorf("the message %+v", m)
	}
}

// TestCancelOfBuiltInWork: it ends at once, running or not: whoever runs it is
// stopped, not asked.
func TestCancelOfBuiltInWork(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]task.Task{
		"queued":      builtIn(t),
		"running":     began(t, builtIn(t), after(0)),
		"advanced":    advanced(t, began(t, builtIn(t), after(0))),
		"interrupted": interrupted(t, began(t, builtIn(t), after(0)), 3),
	} {
		c := before.ApplyCancel("somebody", "enough", after(time.Hour))
		if c.Task.Status != task.Terminated || c.Task.Completed != after(time.Hour) || c.Task.Attempt != before.Attempt {
			t.Errorf("%s: %q at %s, attempt %d", name, c.Task.Status, c.Task.Completed, c.Task.Attempt)
		}
		if len(c.Events) != 1 || c.Events[0].Name != task.EventCancelled || c.Events[0].Actor != "somebody" || c.Events[0].Text != "cancelled: enough" {
			t.Errorf("%s: the lines %+v", name, c.Events)
		}
		wantUnchanged(t, c.Task, c.Task.ApplyCancel("somebody else", "", after(2*time.Hour)))
		wantUnchanged(t, c.Task, c.Task.ApplyInterrupted(c.Task.Attempt, "of a test", after(2*time.Hour)))
		if e := refusalOf(t, c.Task.ApplyReport(task.Report{Attempt: before.Attempt, Completion: task.Success}, after(2*time.Hour))); e.Refused != task.RefusedLate {
			t.Errorf("%s: a late success: %v", name, e)
		}
	}
	done := mustReport(t, began(t, builtIn(t), after(0)), task.Report{Attempt: 1, Completion: task.Success}, after(time.Second))
	if e := refusalOf(t, done.ApplyCancel("somebody", "", after(time.Hour))); e.Kind != task.Conflict {
		t.Errorf("cancel of a completed task: %v", e)
	}
}
