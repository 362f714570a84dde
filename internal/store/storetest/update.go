package storetest

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/audit"
	"stint/internal/task"
)

func testUpdateWritesTogether(t trial) {
	s := t.store
	before := launch(t, s, 1)
	now := start().Add(time.Minute)
	entry := audit.Entry{
		At: now, Action: audit.Clear, Object: string(before.ID), Origin: audit.Origin{Actor: "p"},
		Before: json.RawMessage(`{}`), After: json.RawMessage(`[1]`), Words: "w", Reason: "r",
	}
	var want task.Change
	stored, err := s.Update(t.Context(), before.ID, everything(), func(tk task.Task) (audit.Change, error) {
		if diff := sameTask(before, tk); diff != "" {
			t.Errorf("what the update sees (-want +got):\n%s", diff)
		}
		var err error
		want, err = tk.ApplyClear(task.Clear{Status: task.Failure, Actor: "p", Reason: "stuck"}, now)
		return audit.Change{Change: want, Entry: &entry}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := sameTask(want.Task, stored); diff != "" {
		t.Errorf("answer of update (-want +got):\n%s", diff)
	}
	wantStored(t, s, want.Task)
	events := history(t, s, before.ID)
	if diff := cmp.Diff(want.Events, events[1:], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]audit.Entry{entry}, entries(t, s, string(before.ID))[1:], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

// testUpdateKeepsEveryField changes what an update may change, one field at a
// time and all together.
func testUpdateKeepsEveryField(t trial) {
	s := t.store
	full := fullTask()
	now := start().Add(time.Hour)
	changes := map[string]func(*task.Task){
		"messages":   func(tk *task.Task) { tk.Messages = full.Messages },
		"returns":    func(tk *task.Task) { tk.Returns = full.Returns },
		"attributes": func(tk *task.Task) { tk.Attributes = full.Attributes },
		"progress":   func(tk *task.Task) { tk.Progress = full.Progress },
		"percent":    func(tk *task.Task) { tk.PercentComplete = 99 },
		"attempt":    func(tk *task.Task) { tk.Attempt++ },
		"sequence":   func(tk *task.Task) { tk.Sequence = 1 << 50 },
		"report":     func(tk *task.Task) { tk.LastReport = now },
		"limit":      func(tk *task.Task) { tk.HeartbeatLimit = 17 * time.Second },
		"cancel":     func(tk *task.Task) { tk.CancelRequested, tk.CancelReason = now.Add(time.Millisecond), "r" },
		"reported":   func(tk *task.Task) { tk.Reported = task.Success },
		"modified":   func(tk *task.Task) { tk.Modified = now },
		"launched":   func(tk *task.Task) { tk.Launched = now },
		"completed":  func(tk *task.Task) { tk.Completed, tk.Status = now, task.TempError },
	}
	n := 0
	for name, set := range changes {
		n++
		want := launch(t, s, n)
		set(&want)
		update(t, s, want.ID, func(tk task.Task) task.Change {
			set(&tk)
			return task.Change{Task: tk, Changed: true}
		})
		if wantStored(t, s, want); t.Failed() {
			t.Fatalf("after a change of %s", name)
		}
	}
	want := launch(t, s, n+1)
	for _, set := range changes {
		set(&want)
	}
	update(t, s, want.ID, func(task.Task) task.Change { return task.Change{Task: want, Changed: true} })
	wantStored(t, s, want)
}

func testUpdateRefused(t trial) {
	s := t.store
	before := launch(t, s, 1)
	refusal := task.Errorf(task.Conflict, "", "no")
	refusal.Refused = task.RefusedStale
	stored, err := s.Update(t.Context(), before.ID, everything(), func(tk task.Task) (audit.Change, error) {
		next := tk
		next.UniqueName = "never"
		return audit.Change{Change: task.Change{
			Task: next, Changed: true, Err: refusal,
			Events: []task.Event{{At: start().Add(time.Second), Name: task.EventRefused, Attempt: 9, Text: "why", Key: "k", Count: 1}},
		}}, nil
	})
	if got := wantKind(t, err, task.Conflict); got.Refused != task.RefusedStale {
		t.Errorf("the refusal is %q", got.Refused)
	}
	if diff := sameTask(before, stored); diff != "" {
		t.Errorf("the answer must be the task as it is (-want +got):\n%s", diff)
	}
	wantStored(t, s, before)
	if got := names(history(t, s, before.ID)); got != "launched refused" {
		t.Errorf("the history is %q", got)
	}
	if got := actions(entries(t, s, string(before.ID))); got != "task.launch" {
		t.Errorf("the audit is %q", got)
	}
}

func testUpdateFails(t trial) {
	s := t.store
	before := launch(t, s, 1)
	mistake := errors.New("mistake")
	for _, failure := range []error{task.Errorf(task.IllegalUpdate, "/x", "no"), mistake} {
		_, err := s.Update(t.Context(), before.ID, everything(), func(tk task.Task) (audit.Change, error) {
			c, err := tk.ApplyClear(task.Clear{Status: task.Failure}, start())
			if err != nil {
				t.Errorf("clear: %v", err)
			}
			return audit.Change{Change: c, Entry: &audit.Entry{Object: string(tk.ID)}}, failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
	}
	// A mistake in the caller's function is that caller's alone.
	_, err := s.Update(t.Context(), before.ID, everything(), func(task.Task) (audit.Change, error) { panic("mistake") })
	_ = wantKind(t, err, task.Internal)
	wantStored(t, s, before)
	if got := names(history(t, s, before.ID)); got != "launched" {
		t.Errorf("the history is %q", got)
	}
	if got := actions(entries(t, s, string(before.ID))); got != "task.launch" {
		t.Errorf("the audit is %q", got)
	}
}

func testUpdateUnchanged(t trial) {
	s := t.store
	before := launch(t, s, 1)
	stored := update(t, s, before.ID, func(tk task.Task) task.Change { return task.Change{Task: tk} })
	if diff := sameTask(before, stored); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	wantStored(t, s, before)
	if got := names(history(t, s, before.ID)); got != "launched" {
		t.Errorf("the history is %q", got)
	}
}

func testUpdateNotFound(t trial) {
	s := t.store
	known := launch(t, s, 1)
	called := func(tk task.Task) (audit.Change, error) {
		t.Errorf("called for %s", tk.ID)
		return audit.Change{Change: task.Change{Task: tk}}, nil
	}
	for _, id := range []task.ID{idOf(2), "", "abc", "zz000000000000000000000000000000"} {
		_, err := s.Update(t.Context(), id, everything(), called)
		_ = wantKind(t, err, task.NotFound)
		_, err = s.Get(t.Context(), id, everything())
		_ = wantKind(t, err, task.NotFound)
	}
	_, err := s.Update(t.Context(), known.ID, known.Created, called)
	_ = wantKind(t, err, task.NotFound)
	if _, err := s.Update(t.Context(), known.ID, known.Created.Add(-time.Millisecond), change(func(tk task.Task) task.Change {
		return task.Change{Task: tk}
	})); err != nil {
		t.Errorf("a millisecond inside: %v", err)
	}
}
