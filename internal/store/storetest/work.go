package storetest

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/task"
)

func record(key, name, body string) account.Record {
	return account.Record{Key: key, Name: name, Body: []byte(body)}
}

// testWorkFenced has attempts without the fence: nothing of theirs is called,
// and the history has a line for all of one sort.
func testWorkFenced(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	for n, test := range []struct {
		lose    func(id task.ID)
		attempt int
		refused task.Refusal
		stop    bool
	}{
		{func(task.ID) {}, 2, task.RefusedStale, true},
		{func(id task.ID) {
			update(t, s, id, func(tk task.Task) task.Change { return tk.ApplyInterrupted(1, "of a test", at(50)) })
		}, 1, task.RefusedStale, true},
		{func(id task.ID) { end(t, s, id) }, 1, task.RefusedLate, true},
		{func(id task.ID) {
			update(t, s, id, func(tk task.Task) task.Change { return tk.ApplyCancel("p", "", at(50)) })
		}, 1, task.RefusedLate, true},
	} {
		run := begin(t, s, 10+n, account.Accounts, src)
		stage(t, s, run.TaskID, record("a", "A", "{}"))
		test.lose(run.TaskID)
		before, line := read(t, s, run.TaskID), len(history(t, s, run.TaskID))
		state := readRun(t, s, run.TaskID).State
		for range 3 {
			_, err := s.Work(t.Context(), run.TaskID, test.attempt, at(60), func(account.Work) (task.Report, error) {
				t.Errorf("%d: it was called", n)
				return task.Report{}, nil
			})
			e := wantKind(t, err, task.Conflict)
			if e.Refused != test.refused || e.Stop != test.stop {
				t.Errorf("%d: refused as %q, stop %v", n, e.Refused, e.Stop)
			}
		}
		wantStored(t, s, before)
		if diff := gocmp.Diff(state, readRun(t, s, run.TaskID).State); diff != "" {
			t.Errorf("%d: the state (-want +got):\n%s", n, diff)
		}
		all := history(t, s, run.TaskID)
		events := all[line:]
		// What overtook it came first: no line is before the one above it.
		if len(events) != 1 || events[0].Name != task.EventRefused || events[0].Count != 3 ||
			events[0].At.Before(all[line-1].At) || events[0].At.Before(at(60)) {
			t.Errorf("%d: the history has %+v", n, events)
		}
		if before.Status == task.InProgress {
			update(t, s, run.TaskID, func(tk task.Task) task.Change { return tk.ApplyCancel("p", "", at(70)) })
		}
	}
	for _, id := range []task.ID{idOf(99), ""} {
		_, err := s.Work(t.Context(), id, 1, at(60), nil)
		_ = wantKind(t, err, task.NotFound)
	}
}

// testWorkUndone has transactions that write all there is and then fail.
func testWorkUndone(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	aggregate(t, s, 2, account.Accounts, src, []account.Recorded{createdRecord(100, "a", "A", "{}"), createdRecord(101, "b", "B", "{}")})
	run := begin(t, s, 10, account.Accounts, src)
	stage(t, s, run.TaskID, record("a", "A", "{}"))
	mistake := errors.New("mistake")
	large := task.Report{Completion: task.Success, Attributes: map[string]json.RawMessage{
		"a": json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`),
	}}
	before, state := read(t, s, run.TaskID), readRun(t, s, run.TaskID)
	for name, test := range map[string]struct {
		end  func() (task.Report, error)
		want func(error) bool
	}{
		"an error":       {func() (task.Report, error) { return task.Report{}, mistake }, func(err error) bool { return errors.Is(err, mistake) }},
		"a typed error":  {func() (task.Report, error) { return task.Report{}, task.Errorf(task.Missing, "x", "no") }, func(err error) bool { return task.KindOf(err) == task.Missing }},
		"a panic":        {func() (task.Report, error) { panic("of a test") }, func(err error) bool { return task.KindOf(err) == task.Internal }},
		"a great report": {func() (task.Report, error) { return large, nil }, func(err error) bool { return err != nil }},
	} {
		_, err := s.Work(t.Context(), run.TaskID, 1, at(60), func(w account.Work) (task.Report, error) {
			_, err := w.Stage([]account.Record{record("new", "N", "{}"), {Key: "b", Keep: true}})
			err = errors.Join(err,
				w.Restage(record("a", "other", "{}")),
				w.Record([]account.Recorded{createdRecord(102, "c", "C", "{}"), {Record: record("a", "other", "{}"), Change: account.Updated}}),
				w.Delete([]account.Gone{{Key: "b", Name: "B"}}),
				w.SetState(&account.State{Phase: account.Deleting, After: "never"}))
			if err != nil {
				return task.Report{}, err
			}
			return test.end()
		})
		if !test.want(err) {
			t.Errorf("%s: got %v", name, err)
		}
		wantStored(t, s, before)
		if diff := gocmp.Diff(state, readRun(t, s, run.TaskID)); diff != "" {
			t.Errorf("%s: the run (-want +got):\n%s", name, diff)
		}
		counts, err := s.Compare(t.Context(), &run, "", 100)
		if diff := gocmp.Diff(account.Counts{Last: "a", Rows: 1}, counts); err != nil || diff != "" {
			t.Errorf("%s: staged, %v (-want +got):\n%s", name, err, diff)
		}
		wantRecords(t, s, src.ID, 2, 0)
		_, total, err := s.ListChanges(t.Context(), run.TaskID, query.Page{Count: true, Sort: byKey()})
		if err != nil || total != 0 {
			t.Errorf("%s: %d changes, %v", name, total, err)
		}
	}
	if got := names(history(t, s, run.TaskID)); got != "launched started" {
		t.Errorf("the history is %q", got)
	}
	// The store goes on, and so does the run.
	stage(t, s, run.TaskID, record("new", "N", "{}"))
}

// wantRecords fails unless a source has so many records, however it is asked.
func wantRecords(tb testing.TB, s Store, id task.ID, accounts, entitlements int64) {
	tb.Helper()
	src, err := s.Source(tb.Context(), id)
	if err != nil || src.Accounts != accounts || src.Entitlements != entitlements {
		tb.Errorf("source %s has %d accounts and %d entitlements, %v; want %d and %d", id, src.Accounts, src.Entitlements, err, accounts, entitlements)
	}
	page := query.Page{
		Limit: 250, Count: true, Sort: byKey(), Filter: query.Compare{Field: query.FieldSource, Values: []string{string(id)}},
	}
	for class, want := range map[account.Class]int64{account.Accounts: accounts, account.Entitlements: entitlements} {
		listed, total, err := listRecords(tb.Context(), s, class, page)
		if err != nil || total != want || int64(len(listed)) != want {
			tb.Errorf("source %s: %d %s are listed, %d in all, %v; want %d", id, len(listed), class, total, err, want)
		}
	}
}

// testWorkReports takes a report together with what was written.
func testWorkReports(t trial) {
	s := t.store
	src := createSource(t, s, sourceOf(1))
	run := begin(t, s, 10, account.Accounts, src)
	text, percent := "half way", 50
	state := account.State{Phase: account.Applying, After: "k\"é", Rows: 3, Total: 2, Created: 1, Why: "w", Columns: []string{"x"}}
	report := task.Report{
		Progress: &text, PercentComplete: &percent, Advanced: true, Note: "a note",
		Messages: []task.Message{{Type: task.MessageWarn, Key: "k", Locale: "en", Text: "m"}}, Attributes: map[string]json.RawMessage{"total": json.RawMessage("2")},
	}
	update(t, s, run.TaskID, func(tk task.Task) task.Change {
		c := tk.ApplyInterrupted(1, "of a test", at(20))
		c.Task.Attempt = 1
		return c
	})
	want := read(t, s, run.TaskID)
	report.Attempt = 1
	want = want.ApplyReport(report, at(1000)).Task
	report.Attempt = 77 // whatever it says, it is the attempt's
	stored := work(t, s, run.TaskID, func(w account.Work) (task.Report, error) { return report, w.SetState(&state) })
	if diff := sameTask(want, stored); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	wantStored(t, s, want)
	if want.Interruptions != 0 || !strings.HasSuffix(names(history(t, s, run.TaskID)), "started noted") {
		t.Errorf("%d interruptions, history %s", want.Interruptions, names(history(t, s, run.TaskID)))
	}
	if diff := gocmp.Diff(state, readRun(t, s, run.TaskID).State, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

// wantStaged fails unless a run has staged a record so.
func wantStaged(tb testing.TB, s Store, id task.ID, want account.Record) {
	tb.Helper()
	work(tb, s, id, func(w account.Work) (task.Report, error) {
		got, err := w.Staged(want.Key)
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			tb.Errorf("staged %q (-want +got):\n%s", want.Key, diff)
		}
		return task.Report{}, err
	})
}

func testStage(t trial) {
	s := t.store
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	const rich = `{"description":"d"}`
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		n := 100 * (i + 1)
		aggregate(t, s, n, class, src, []account.Recorded{
			createdRecord(n, "same", "Same", `{"x":"1"}`), createdRecord(n+1, "changed", "Old", "{}"), createdRecord(n+2, "rich", "Rich", rich),
		})
		run := begin(t, s, n+10, class, src)
		beside := begin(t, s, n+11, class, other)
		clashes := stage(t, s, run.TaskID,
			record("same", "Same", `{"x":"1"}`), record("changed", "New", `{"x":"2"}`), record("new", "N", rich),
			account.Record{Key: "rich", Name: "r", Body: []byte("{}"), Known: true},
			account.Record{Key: "known", Name: "k", Body: []byte("{}"), Known: true},
			record("same", "again", "{}"), account.Record{Key: "kept", Keep: true}, record("SAME", "case", "{}"), record("new", "N", rich))
		if want := []int{5, 8}; !slices.Equal(clashes, want) {
			t.Errorf("%s: the clashes are %v, want %v", class, clashes, want)
		}
		if clashes := stage(t, s, run.TaskID, record("x", "X", "{}"), record("new", "2", "{}"), account.Record{Key: "kept", Keep: true}); !slices.Equal(clashes, []int{1, 2}) {
			t.Errorf("%s: the clashes of the next transaction are %v", class, clashes)
		}
		if clashes := stage(t, s, beside.TaskID, record("same", "of another", "{}")); len(clashes) != 0 {
			t.Errorf("%s: the clashes of another run are %v", class, clashes)
		}
		for _, want := range []account.Record{
			record("same", "Same", `{"x":"1"}`), record("changed", "New", `{"x":"2"}`), record("new", "N", rich), record("rich", "Rich", rich),
			record("known", "k", "{}"),
			{Key: "kept", Keep: true},
			record("SAME", "case", "{}"),
		} {
			wantStaged(t, s, run.TaskID, want)
		}
		wantStaged(t, s, beside.TaskID, record("same", "of another", "{}"))
		for _, again := range []account.Record{record("kept", "K", rich), record("same", "Same", `{"x":"3"}`), record("new", "M", "{}")} {
			work(t, s, run.TaskID, func(w account.Work) (task.Report, error) { return task.Report{}, w.Restage(again) })
			wantStaged(t, s, run.TaskID, again)
		}
		wantStaged(t, s, beside.TaskID, record("same", "of another", "{}"))
		_, err := s.Work(t.Context(), run.TaskID, 1, at(60), func(w account.Work) (task.Report, error) {
			_, err := w.Staged("unknown")
			return task.Report{}, err
		})
		if err == nil {
			t.Errorf("%s: what was not staged was found", class)
		}
	}
	wantRecords(t, s, src.ID, 3, 3)
	wantRecords(t, s, other.ID, 0, 0)
}

func testRecord(t trial) {
	s := t.store
	src, other := createSource(t, s, sourceOf(1)), createSource(t, s, sourceOf(2))
	for i, class := range []account.Class{account.Accounts, account.Entitlements} {
		n := 100 * (i + 1)
		aggregate(t, s, n, class, other, []account.Recorded{createdRecord(n+50, "a", "Other", "{}")})
		run := begin(t, s, n+10, class, src)
		work(t, s, run.TaskID, func(w account.Work) (task.Report, error) {
			return task.Report{}, w.Record([]account.Recorded{
				createdRecord(n, "a", "Ann", "{}"), createdRecord(n+1, "A", "Ann", "{}"), createdRecord(n+2, "é\x01\"'", "Bob", "{}"),
			})
		})
		wantRecords(t, s, src.ID, int64(3-i), int64(3*i))
		work(t, s, run.TaskID, func(w account.Work) (task.Report, error) {
			return task.Report{}, errors.Join(
				w.Record([]account.Recorded{
					createdRecord(n+3, "d", "Dee", "{}"),
					{Record: record("A", "Ann", `{"x":"1"}`), ID: idOf(999), Change: account.Updated, Attributes: []string{"x"}},
				}),
				w.Delete([]account.Gone{{Key: "a", Name: "Ann"}, {Key: "é\x01\"'", Name: "Bob"}}))
		})
		_, err := s.Work(t.Context(), run.TaskID, 1, at(60), func(w account.Work) (task.Report, error) {
			return task.Report{}, w.Record([]account.Recorded{createdRecord(n+5, "e", "E", "{}"), createdRecord(n+4, "d", "again", "{}")})
		})
		if err == nil {
			t.Errorf("%s: a record was created twice", class)
		}
		got, _, err := listRecords(t.Context(), s, class, query.Page{Limit: 250, Sort: byKey()})
		if err != nil {
			t.Fatal(err)
		}
		modified := at(1000)
		want := []account.Stored{
			{Record: record("A", "Ann", `{"x":"1"}`), ID: idOf(n + 1), LastChange: account.Updated},
			{Record: record("d", "Dee", "{}"), ID: idOf(n + 3), LastChange: account.Created},
		}
		for i := range want {
			want[i].SourceID, want[i].SourceName, want[i].LastTaskID = src.ID, src.Name, run.TaskID
			want[i].Created, want[i].Modified = modified, modified
		}
		if diff := gocmp.Diff(want, slices.DeleteFunc(got, func(r account.Stored) bool { return r.SourceID == other.ID })); diff != "" {
			t.Errorf("%s (-want +got):\n%s", class, diff)
		}
		changes, _, err := s.ListChanges(t.Context(), run.TaskID, query.Page{Limit: 250, Sort: byKey()})
		counts := map[account.Change]int{}
		for _, c := range changes {
			counts[c.Change]++
		}
		if diff := gocmp.Diff(map[account.Change]int{account.Created: 4, account.Updated: 1, account.Deleted: 2}, counts); err != nil || diff != "" {
			t.Errorf("%s: changes, %v (-want +got):\n%s", class, err, diff)
		}
		wantRecords(t, s, src.ID, 2, int64(2*i))
		end(t, s, run.TaskID)
		if next := begin(t, s, n+20, class, src); readRun(t, s, next.TaskID).State.Stored != 2 {
			t.Errorf("%s: the next run does not find 2 stored", class)
		}
	}
	wantRecords(t, s, other.ID, 1, 1)
}
