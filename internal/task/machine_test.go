package task_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stint/internal/apptest"
	"stint/internal/task"
)

// TestLife does to a task what can be done to one, in any order and with a
// clock that jumps, and holds the invariants of the package after each step.
func TestLife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{task: queued(t), now: start()}
		if rapid.Bool().Draw(rt, "imported") {
			m.task.HeartbeatLimit = 0
			m.task.Launched = start()
		}
		rt.Repeat(map[string]func(*rapid.T){
			"report": m.report, "clear": m.clear, "cancel": m.cancel, "lost": m.lost, "expire": m.expire, "time": m.time, "": m.check,
		})
	})
}

type machine struct {
	task task.Task
	now  time.Time
}

func (m *machine) time(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(-int64(time.Minute), int64(3*time.Minute)).Draw(t, "passes")))
}

func (m *machine) report(t *rapid.T) {
	r := task.Report{
		Attempt: rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "attempt"), Sequence: rapid.Int64Range(0, 10).Draw(t, "sequence"),
		Completion: rapid.SampledFrom(append([]task.CompletionStatus{"", "", "", "", ""}, task.CompletionStatuses()...)).Draw(t, "completion"),
	}
	if rapid.Bool().Draw(t, "has percent") {
		percent := rapid.IntRange(0, 100).Draw(t, "percent")
		r.PercentComplete = &percent
	}
	for i := range rapid.SampledFrom([]int{0, 0, 1, 100, 250}).Draw(t, "messages") {
		r.Messages = append(r.Messages, task.Message{Type: task.MessageInfo, Key: strconv.Itoa(i), Locale: "en", Text: "t"})
	}
	if rapid.Bool().Draw(t, "has attributes") {
		r.Attributes = map[string]json.RawMessage{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "name"): json.RawMessage("[1]")}
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	c := m.step(t, func(tk task.Task) (task.Change, error) { return tk.ApplyReport(r, m.now), nil })
	if c.Changed && r.Attempt != c.Task.Attempt {
		t.Fatalf("attempt %d wrote to attempt %d", r.Attempt, c.Task.Attempt)
	}
	if c.Changed && !c.Task.CancelRequested.IsZero() && c.Task.Status != task.InProgress && c.Task.Status != task.Terminated {
		t.Fatalf("a cancelled task ended as %s", c.Task.Status)
	}
}

func (m *machine) clear(t *rapid.T) {
	cl := task.Clear{Status: rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status")}
	if rapid.Bool().Draw(t, "has a time") {
		cl.Completed = m.now.Add(time.Duration(rapid.Int64Range(-int64(48*time.Hour), int64(48*time.Hour)).Draw(t, "from now")))
	}
	m.step(t, func(tk task.Task) (task.Change, error) { return tk.ApplyClear(cl, m.now) })
}

func (m *machine) cancel(t *rapid.T) {
	m.step(t, func(tk task.Task) (task.Change, error) { return tk.ApplyCancel("p", "r", m.now), nil })
}

func (m *machine) lost(t *rapid.T) {
	m.step(t, func(tk task.Task) (task.Change, error) { return tk.Lost(m.now), nil })
}

func (m *machine) expire(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
		t.Skip("most tasks end before")
	}
	m.step(t, func(tk task.Task) (task.Change, error) { return tk.Expire(m.now), nil })
}

// step applies an operation and checks what it made against what was before.
func (m *machine) step(t *rapid.T, op func(task.Task) (task.Change, error)) task.Change {
	before := m.task
	wire := wireOf(t, &before)
	c, err := op(m.task)
	if got := wireOf(t, &before); got != wire {
		t.Fatalf("the operation changed the task that it was given:\n%s\nwas\n%s", got, wire)
	}
	if err != nil {
		return task.Change{Task: before}
	}
	switch {
	case c.Err != nil && c.Changed:
		t.Fatal("refused and changed")
	case c.Changed && before.Status != task.InProgress:
		t.Fatalf("a task that had ended as %s changed", before.Status)
	case !c.Changed && same(before, c.Task) != "":
		t.Fatalf("not changed, but another task: %s", same(before, c.Task))
	case c.Changed && c.Task.PercentComplete < before.PercentComplete:
		t.Fatalf("percentComplete fell from %d to %d", before.PercentComplete, c.Task.PercentComplete)
	case c.Changed && c.Task.Modified.Before(before.Modified):
		t.Fatalf("modified went back from %v to %v", before.Modified, c.Task.Modified)
	case c.Task.Attempt != before.Attempt || c.Task.ID != before.ID || !c.Task.Created.Equal(before.Created):
		t.Fatal("the task is another one")
	case c.Task.Status != before.Status && len(c.Events) == 0:
		t.Fatal("it ended without an event")
	}
	for _, e := range c.Events {
		if e.Count != 1 || e.Name == "" || e.Text == "" || e.At.Nanosecond()%1e6 != 0 {
			t.Fatalf("the event %+v", e)
		}
	}
	if c.Changed {
		m.task = c.Task
	}
	return c
}

// check holds what is always true.
func (m *machine) check(t *rapid.T) {
	tk := &m.task
	switch {
	case tk.Completed.IsZero() != (tk.Status == task.InProgress):
		t.Fatalf("completed %v, status %q", tk.Completed, tk.Status)
	case !tk.Launched.IsZero() && tk.Launched.Before(tk.Created), tk.Modified.Before(tk.Created):
		t.Fatalf("created %v, launched %v, modified %v", tk.Created, tk.Launched, tk.Modified)
	case tk.PercentComplete < 0 || tk.PercentComplete > 100:
		t.Fatalf("%d %%", tk.PercentComplete)
	case len(tk.Messages) > 251:
		t.Fatalf("%d messages", len(tk.Messages))
	case (tk.State() == task.Completed) == (tk.Status == task.InProgress):
		t.Fatalf("state %s, status %q", tk.State(), tk.Status)
	}
	for _, at := range []time.Time{tk.Created, tk.Modified, tk.Launched, tk.Completed, tk.LastReport, tk.CancelRequested} {
		if at.Location() != time.UTC || at.Nanosecond()%1e6 != 0 {
			t.Fatalf("the time %v is not of whole milliseconds in UTC", at)
		}
	}
	if stop, _ := tk.ShouldStop(); stop && tk.Status != task.InProgress {
		t.Fatal("a completed task is told to stop")
	}
	if d := tk.HeartbeatDeadline(); !d.IsZero() && tk.State() != task.Running {
		t.Fatalf("a task that is %s has the deadline %v", tk.State(), d)
	}
	if err := tk.Validate(); err != nil {
		t.Fatalf("it could not be imported again: %v", err)
	}
	if err := apptest.DecodeTaskStatus([]byte(wireOf(t, tk))); err != nil {
		t.Fatal(err)
	}
}

func wireOf(t *rapid.T, tk *task.Task) string {
	wire, err := tk.MarshalWire()
	if err != nil {
		t.Fatal(err)
	}
	return string(wire)
}
