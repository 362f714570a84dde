package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/store/dump"
	"stint/internal/task"
)

// Dumps is how all that a store holds moves into another.
type Dumps interface {
	// Dump calls fn for every row of every table of package dump, in their order, as
	// of one moment.
	Dump(ctx context.Context, fn func(dump.Row) error) error
	// Restore makes such rows the content of an empty store, all or none, and adds the
	// entry. Conflict where the store is not empty, or the rows come from one with
	// another key.
	Restore(ctx context.Context, rows iter.Seq2[dump.Row, error], entry func(dump.Counts) audit.Entry) (dump.Counts, error)
}

// Everything is what Fill stores, as far as it can be asked for.
type Everything struct {
	Tasks   []task.Task
	Sources []source.Source
	// Half is a run that is half done; its upload has Upload as its content.
	Half, HalfEntitlements account.Run
	Upload                 string
}

// anything is text that is not valid UTF-8 and holds U+0000.
const anything = "a\x00b\xff\xfe é \"\\"

// Fill stores something in every table, in every shape that a store may hold it in.
// signer signs the checkpoints of its audit.
func Fill(t *testing.T, s Store, signer *audit.Signer) Everything {
	t.Helper()
	var all Everything
	all.Tasks = append(crowd(300, 11), fullTask(), emptyTask())
	load(t, s, all.Tasks)
	all.Tasks = append(all.Tasks, fillTasks(t, s)...)
	fillClients(t, s)
	fillWebhooks(t, s)
	for n := range 3 {
		all.Sources = append(all.Sources, createSource(t, s, sourceOf(20+n)))
	}
	fillRecords(t, s, &all)
	fillRuns(t, s, &all)
	// The last source that was made is gone, and its number with it.
	last := createSource(t, s, sourceOf(29))
	aggregate(t, s, 290, account.Accounts, last, []account.Recorded{createdRecord(2900, "left behind", "", "{}")})
	deleteSource(t, s, last.ID)
	if _, err := s.Setting(t.Context(), "another", []byte{}); err != nil {
		t.Fatal(err)
	}
	fillAudit(t, s, signer)
	all.Tasks = nil
	everyTask(t, s, func(tk task.Task) { all.Tasks = append(all.Tasks, tk) })
	return all
}

// everyTask reads every task as a write sees it.
func everyTask(t *testing.T, s Store, fn func(task.Task)) {
	t.Helper()
	var ids []task.ID
	if err := s.Export(t.Context(), func(r task.Row) error { ids = append(ids, r.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		fn(read(t, s, id))
	}
}

// fillTasks stores tasks in progress, with deadlines, keys and a history.
func fillTasks(t *testing.T, s Store) []task.Task {
	t.Helper()
	var tasks []task.Task
	for n := range 4 {
		c := launched(t, 10+n)
		key := task.IdempotencyKey{Key: fmt.Sprint("key ", n), Fingerprint: []byte{0, byte(n)}, Client: anything}
		if n == 3 {
			key.Fingerprint = []byte{}
		}
		stored, _, err := s.Create(t.Context(), c, key, launchEntry(c))
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, stored)
	}
	update(t, s, tasks[0].ID, func(tk task.Task) task.Change {
		return tk.ApplyReport(task.Report{Attempt: 1, Sequence: 9, Note: "n"}, at(50))
	})
	update(t, s, tasks[1].ID, func(tk task.Task) task.Change {
		tk = tk.ApplyReport(task.Report{Attempt: 1, Sequence: 9}, at(40)).Task
		return tk.ApplyCancel("p", anything, at(50))
	})
	_, err := s.Update(t.Context(), tasks[2].ID, everything(), func(tk task.Task) (audit.Change, error) {
		c := tk.ApplyReport(task.Report{Attempt: 7}, at(60))
		return audit.Change{Change: c}, nil
	})
	_ = wantKind(t, err, task.Conflict)
	return tasks
}

func fillClients(t *testing.T, s Store) {
	t.Helper()
	for n := range 2 {
		createClient(t, s, clientOf(40+n))
	}
	createClient(t, s, principal.Client{
		ID: idOf(49), Sort: principal.Application, Name: "a", Scopes: []principal.Scope{principal.TasksRead}, Digest: []byte{},
		Created: start(), Modified: start(),
	})
	if _, err := s.UpdateClient(t.Context(), idOf(40), func(c principal.Client) (principal.Client, *audit.Entry, error) {
		c.Revoked = at(1)
		e := clientEntry(c, audit.ClientRevoke)
		return c, &e, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.SignedIn(t.Context(), idOf(41), at(2), clientEntry(clientOf(41), audit.TokenIssue)); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3, 2, 4} { // the last one deletes those from before
		if err := s.AddSigningKey(t.Context(), keyOf(n), false, keyOf(3).Created, keyEntry(keyOf(n))); err != nil {
			t.Fatal(err)
		}
	}
}

// long is longer than an index of any store may hold; two of them differ at the end.
func long(end string) string { return strings.Repeat("é", 700) + end }

func fillRecords(t *testing.T, s Store, all *Everything) {
	t.Helper()
	for i, src := range all.Sources[:2] {
		n := 1000 * (i + 1)
		aggregate(t, s, n, account.Accounts, src, []account.Recorded{
			createdRecord(n, "a", "Ann", `{"x":"1"}`), createdRecord(n+1, "A", "", "{}"), createdRecord(n+2, long("b"), long("n"), "{}"),
			createdRecord(n+3, long("a"), "é\x01", "{}"), createdRecord(n+4, "gone", "Gone", "{}"),
		})
		aggregate(t, s, n+1, account.Accounts, src, []account.Recorded{
			{Record: record("a", "Bea", `{"x":"2"}`), ID: idOf(n), Change: account.Updated, Attributes: []string{"x"}},
		}, account.Gone{Key: "gone", Name: "Gone"})
		aggregate(t, s, n+2, account.Entitlements, src, []account.Recorded{
			createdRecord(n, account.EntitlementKey("groups", "cn=Ä"), "Admins", `{"description":"d"}`),
			createdRecord(n+1, account.EntitlementKey("groups", long("")), long(""), "{}"),
		})
	}
}

// fillRuns leaves runs half done, others that have ended, and uploads.
func fillRuns(t *testing.T, s Store, all *Everything) {
	t.Helper()
	all.Upload = strings.Repeat("id,name\n", 1000) + "x"
	upload(t, s, idOf(60), all.Upload[:100], all.Upload[100:5000], all.Upload[5000:])
	run, c := runOf(t, 61, account.Accounts, all.Sources[0])
	run.Upload = idOf(60)
	all.Half = beginRun(t, s, run, c)
	stage(t, s, run.TaskID, record("a", "Bea", `{"x":"2"}`), record("new", "", "{}"), record(long("b"), long("n"), "{}"),
		account.Record{Key: "kept", Keep: true})
	state := account.State{Phase: account.Comparing, After: "a", Columns: all.Sources[0].File.Columns, File: all.Sources[0].File}
	work(t, s, run.TaskID, func(w account.Work) (task.Report, error) { return task.Report{Advanced: true}, w.SetState(&state) })
	all.HalfEntitlements = begin(t, s, 62, account.Entitlements, all.Sources[0])
	stage(t, s, idOf(62), record(account.EntitlementKey("groups", "x"), "x", "{}"))
	update(t, s, idOf(62), func(tk task.Task) task.Change { return tk.ApplyInterrupted(1, anything, at(70)) })
	// One has ended, and what it staged is to be swept.
	ended := begin(t, s, 63, account.Accounts, all.Sources[1])
	stage(t, s, ended.TaskID, record("s", "S", "{}"))
	end(t, s, ended.TaskID)
	// One upload arrives, one was dropped.
	upload(t, s, idOf(64), "ab", "c")
	upload(t, s, idOf(65), "dropped")
	if err := s.DropUpload(t.Context(), idOf(65)); err != nil {
		t.Fatal(err)
	}
}

// fillAudit has retention delete the beginnings of the shards.
func fillAudit(t *testing.T, s Store, signer *audit.Signer) {
	t.Helper()
	e := entryOf(0, long("object"))
	e.Origin.Agent, e.Words, e.Reason, e.Before, e.After = anything, anything, anything, json.RawMessage{}, nil
	old := e
	old.At = start().Add(-1000 * time.Hour)
	all := []audit.Entry{e}
	for n := range 40 {
		old.Object = fmt.Sprint("old ", n)
		all = append(all, old)
	}
	if err := s.AddAudit(t.Context(), all[1:]); err != nil {
		t.Fatal(err)
	}
	_, err := s.PurgeAudit(t.Context(), start().Add(-time.Hour), 1000, func(deployment task.ID, c *audit.Checkpoint) {
		c.Made = start()
		signer.SignCheckpoint(deployment, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddAudit(t.Context(), all[:1]); err != nil {
		t.Fatal(err)
	}
}

// DumpOf returns all that a store holds.
func DumpOf(tb testing.TB, s Dumps) []dump.Row {
	tb.Helper()
	var rows []dump.Row
	if err := s.Dump(tb.Context(), func(r dump.Row) error { rows = append(rows, r); return nil }); err != nil {
		tb.Fatalf("dump: %v", err)
	}
	return rows
}

// WantFull fails unless rows have something in every table, and, in every column
// that may be null, both a null and a value.
func WantFull(tb testing.TB, rows []dump.Row) {
	tb.Helper()
	for _, table := range dump.Tables() {
		nulls, values, n := make([]bool, len(table.Columns)), make([]bool, len(table.Columns)), 0
		for _, r := range rows {
			if r.Table != table.Name {
				continue
			}
			n++
			for i, v := range r.Values {
				nulls[i], values[i] = nulls[i] || v == nil, values[i] || v != nil
			}
		}
		if n == 0 {
			tb.Errorf("the test stores nothing in %s", table.Name)
		}
		for i, c := range table.Columns {
			if !values[i] || c.Null != nulls[i] {
				tb.Errorf("%s.%s: nulls %v, values %v", table.Name, c.Name, nulls[i], values[i])
			}
		}
	}
}

// RowsOf yields rows as a dump that was read does.
func RowsOf(rows []dump.Row) iter.Seq2[dump.Row, error] {
	return func(yield func(dump.Row, error) bool) {
		for _, r := range rows {
			r.Values = slices.Clone(r.Values)
			if !yield(r, nil) {
				return
			}
		}
	}
}

// RestoreEntry is the entry of a restore.
func RestoreEntry(c dump.Counts) audit.Entry {
	after, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return audit.Entry{At: at(9999), Origin: audit.Origin{Actor: "tester"}, Action: audit.Import, Object: "a dump", After: after}
}

// WithoutEntry takes the entry of the restore out of rows, and the ends of the
// chains, one of which it moved.
func WithoutEntry(rows []dump.Row) []dump.Row {
	return slices.DeleteFunc(slices.Clone(rows), func(r dump.Row) bool {
		object, _ := r.Values[min(10, len(r.Values)-1)].(string)
		return r.Table == dump.AuditHeads || r.Table == "audit" && object == "a dump"
	})
}

// WantSame fails unless two dumps hold the same.
func WantSame(tb testing.TB, want, got []dump.Row) {
	tb.Helper()
	if len(want) != len(got) {
		tb.Errorf("the dump has %d rows, want %d", len(got), len(want))
	}
	for i := range min(len(want), len(got)) {
		if diff := gocmp.Diff(want[i], got[i]); diff != "" {
			tb.Errorf("row %d of the dump (-want +got):\n%.3000s", i, diff)
			return
		}
	}
}

// testDump moves all there is into an empty store, which then is the first one in
// every respect.
func testDump(t trial) {
	s := t.store
	full := Fill(t.T, s, suiteSigner(t))
	rows := DumpOf(t, s)
	WantFull(t, rows)
	whole := verify(t, s, nil)
	head := headOf(t, &whole)

	other := t.another()
	counts, err := other.Restore(t.Context(), RowsOf(rows), RestoreEntry)
	if err != nil || counts.Total() != int64(len(rows)) {
		t.Fatalf("restore %d rows: %v, %v", len(rows), counts, err)
	}
	WantSame(t, WithoutEntry(rows), WithoutEntry(DumpOf(t, other)))
	WantEverything(t.T, other, full)
	got := entries(t, other, "a dump")
	if len(got) != 1 || !bytes.Contains(got[0].After, []byte(fmt.Sprintf(`"tasks":%d`, len(full.Tasks)))) {
		t.Errorf("the audit of it: %+v", got)
	}
	if v := wantWhole(t, other, head, int(whole.Entries)+1); v.SinceHead != 1 || v.Deployment != whole.Deployment {
		t.Errorf("%d entries since the head, of the deployment %s", v.SinceHead, v.Deployment)
	}
	wantGoesOn(t, other, full)
}

// WantEverything fails unless a store answers as the one that was filled does.
func WantEverything(t *testing.T, s Store, full Everything) {
	t.Helper()
	for _, page := range []query.Page{
		{Limit: 50, Count: true, Sort: newestFirst()},
		{Limit: 50, Offset: 250, Count: true, Sort: oldestFirst()},
		{Limit: 250, Count: true, Sort: newestFirst(), Filter: query.Null{Field: query.FieldStatus}},
		{Limit: 250, Count: true, Sort: newestFirst(), Filter: query.Compare{Field: query.FieldStatus, Values: []string{"SUCCESS"}}},
		{Limit: 250, Count: true, Sort: oldestFirst(), Filter: query.Compare{Field: query.FieldSource, Values: []string{"source-3", "SOURCE-4"}}},
		{Limit: 250, Count: true, Sort: oldestFirst(), Filter: query.Compare{Field: query.FieldLauncher, Values: []string{"zoë"}}},
		{Limit: 250, Count: true, Sort: oldestFirst(), Filter: query.Compare{Field: query.FieldType, Values: []string{"QUARTZ"}}},
		{Limit: 50, Sort: []query.Sorter{{Field: query.FieldUniqueName}}, Filter: query.Prefix{Field: query.FieldUniqueName, Value: "TASK 1"}},
		{Limit: 50, Sort: []query.Sorter{{Field: query.FieldTargetName}}, Filter: query.Compare{Field: query.FieldTargetID, Values: []string{"t6"}}},
		{Limit: 50, Sort: []query.Sorter{{Field: query.FieldDuration}}, Filter: query.Contains{Field: query.FieldDescription, Value: "s 9"}},
		{Limit: 50, Sort: oldestFirst(), Filter: query.Range{Field: query.FieldPercent, Order: query.After, Value: "20"}},
	} {
		for _, since := range []time.Time{{}, start(), start().Add(100 * time.Hour)} {
			if wrong := checkPage(t, s, full.Tasks, page, since); wrong != "" {
				t.Error(wrong)
			}
		}
	}
	for _, tk := range full.Tasks {
		tk.Job = 0 // it is none of this store's queue
		wantStored(t, s, tk)
	}
	for i, src := range full.Sources {
		wantRecords(t, s, src.ID, []int64{4, 4, 0}[i], []int64{2, 2, 0}[i])
	}
	overdue, err := s.Overdue(t.Context(), start().Add(1000*time.Hour), 1000)
	if err != nil || len(overdue) == 0 || len(overdue) != withDeadline(full.Tasks) {
		t.Errorf("%d are overdue, %v; want %d", len(overdue), err, withDeadline(full.Tasks))
	}
	// The jobs are of no queue here: whoever looks finds all of them.
	open, err := s.BuiltIn(t.Context(), -1, 10)
	ids := make([]task.ID, len(open))
	for i, a := range open {
		ids[i] = a.ID
	}
	slices.Sort(ids)
	if want := []task.ID{full.Half.TaskID, full.HalfEntitlements.TaskID}; err != nil || !slices.Equal(ids, want) || open[0].Job != 0 || open[1].Job != 0 {
		t.Errorf("the tasks that Stint runs: %+v, %v", open, err)
	}
	if got := contents(t, s, full.Half.Upload); got != full.Upload {
		t.Errorf("the upload has %d bytes, want %d", len(got), len(full.Upload))
	}
}

func withDeadline(tasks []task.Task) int {
	n := 0
	for i := range tasks {
		if !tasks[i].HeartbeatDeadline().IsZero() {
			n++
		}
	}
	return n
}

// wantGoesOn goes on with a store that another was moved into.
func wantGoesOn(t trial, s Store, full Everything) {
	t.Helper()
	// The counts follow what is written from now on.
	tasks := slices.Clone(full.Tasks)
	for i := range tasks {
		if tasks[i].Status == task.InProgress && !tasks[i].BuiltIn {
			tasks[i] = update(t, s, tasks[i].ID, func(tk task.Task) task.Change {
				return tk.ApplyReport(task.Report{Attempt: tk.Attempt, Sequence: tk.Sequence + 1, Completion: task.Success}, at(5000))
			})
		}
	}
	for _, filter := range []query.Expr{nil, query.Null{Field: query.FieldStatus}} {
		if wrong := checkPage(t, s, tasks, query.Page{Limit: 250, Count: true, Sort: oldestFirst(), Filter: filter}, everything()); wrong != "" {
			t.Error(wrong)
		}
	}
	// No number of a source is given twice: what the deleted one has left is its own.
	src := createSource(t, s, sourceOf(30))
	sweepAll(t, s, start(), 100)
	wantRecords(t, s, src.ID, 0, 0)
	aggregate(t, s, 300, account.Accounts, src, []account.Recorded{createdRecord(3000, "its own", "", "{}")})
	sweepAll(t, s, start(), 100)
	wantRecords(t, s, src.ID, 1, 0)
	// The newest key signs, as before.
	keys, err := s.SigningKeys(t.Context())
	if err != nil || len(keys) == 0 || keys[0].ID != keyOf(4).ID {
		t.Errorf("the signing keys: %+v, %v", keys, err)
	}
	// A launch that was made before is made once.
	c := launched(t, 10)
	c.Task.ID = idOf(999)
	if _, created, err := s.Create(t.Context(), c, task.IdempotencyKey{Key: "key 0", Fingerprint: []byte{0, 0}, Client: anything}, launchEntry(c)); created || err != nil {
		t.Errorf("a launch is repeated: %v, %v", created, err)
	}
	// What is half done is finished.
	work(t, s, full.Half.TaskID, func(w account.Work) (task.Report, error) {
		got, err := w.Staged("new")
		if diff := gocmp.Diff(record("new", "", "{}"), got); diff != "" {
			t.Errorf("staged (-want +got):\n%s", diff)
		}
		return task.Report{Completion: task.Success}, err
	})
	if v := verify(t, s, nil); !v.Whole() {
		t.Errorf("the audit: %v", v.Findings)
	}
}

// testRestoreRefuses restores what must not be restored: nothing is written.
func testRestoreRefuses(t trial) {
	s := t.store
	Fill(t.T, s, suiteSigner(t))
	rows := DumpOf(t, s)
	mistake := errors.New("mistake")
	change := func(table string, fn func(values []any)) []dump.Row {
		changed := slices.Clone(rows)
		i := slices.IndexFunc(changed, func(r dump.Row) bool {
			return r.Table == table && (table != dump.Settings || r.Values[0] == dump.SettingKeyCheck)
		})
		changed[i].Values = slices.Clone(changed[i].Values)
		fn(changed[i].Values)
		return changed
	}
	empty := t.another()
	before := DumpOf(t, empty)
	for name, test := range map[string]struct {
		rows iter.Seq2[dump.Row, error]
		want func(error) bool
	}{
		"an error at the end": {func(yield func(dump.Row, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
			yield(dump.Row{}, mistake)
		}, func(err error) bool { return errors.Is(err, mistake) }},
		"another key": {
			RowsOf(change(dump.Settings, func(v []any) { v[1] = slices.Repeat([]byte{1}, 32) })),
			func(err error) bool {
				return task.KindOf(err) == task.Conflict && strings.Contains(err.Error(), "--key-file")
			},
		},
		"no settings":          {RowsOf(slices.DeleteFunc(slices.Clone(rows), of(dump.Settings))), isContent},
		"no rows":              {RowsOf(nil), isContent},
		"no ends of the audit": {RowsOf(slices.DeleteFunc(slices.Clone(rows), of(dump.AuditHeads))), isContent},
		"a null where none may be": {
			RowsOf(change("history", func(v []any) { v[5] = nil })),
			func(err error) bool { return isContent(err) && strings.Contains(err.Error(), "history.actor") },
		},
		"a completed task in progress": {RowsOf(change(dump.Tasks, func(v []any) { v[4], v[5] = nil, "SUCCESS" })), isContent},
		"a job":                        {RowsOf(change(dump.Tasks, func(v []any) { v[17] = int64(7) })), isContent},
		"a sequence of another":        {RowsOf(change(dump.Sequences, func(v []any) { v[0] = "nothing" })), isContent},
		"two of one id": {RowsOf(change(dump.Tasks, func(v []any) {
			for _, r := range rows {
				if r.Table == dump.Tasks {
					v[1] = r.Values[1]
				}
			}
			v[0] = int64(1)
		})), isContent},
	} {
		counts, err := empty.Restore(t.Context(), test.rows, RestoreEntry)
		if err == nil || !test.want(err) || counts != nil {
			t.Errorf("%s: %v, %v", name, counts, err)
		}
		WantSame(t, before, DumpOf(t, empty))
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := empty.Restore(ctx, func(yield func(dump.Row, error) bool) {
		cancel()
		RowsOf(rows)(yield)
	}, RestoreEntry)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("of one who gives up: %v", err)
	}
	WantSame(t, before, DumpOf(t, empty))

	// Whatever it holds, a store that holds something stays as it is.
	for name, put := range map[string]func(Store){
		"a task":   func(s Store) { launch(t, s, 1) },
		"a source": func(s Store) { createSource(t, s, sourceOf(1)) },
		"a client": func(s Store) { createClient(t, s, clientOf(1)) },
		"an entry": func(s Store) { writeEntries(t, s, 1, entryOf(1, "a")) },
	} {
		other := t.another()
		put(other)
		before := DumpOf(t, other)
		_, err := other.Restore(t.Context(), RowsOf(rows), RestoreEntry)
		if e := wantKind(t, err, task.Conflict); !strings.Contains(e.Msg, "not empty") {
			t.Errorf("%s: %v", name, err)
		}
		WantSame(t, before, DumpOf(t, other))
		wantWhole(t, other, nil, 1)
	}
	// After all of that, it is as good as ever.
	if _, err := empty.Restore(t.Context(), RowsOf(rows), RestoreEntry); err != nil {
		t.Error(err)
	}
	WantSame(t, WithoutEntry(rows), WithoutEntry(DumpOf(t, empty)))
}

func of(table string) func(dump.Row) bool {
	return func(r dump.Row) bool { return r.Table == table }
}

func isContent(err error) bool { return task.KindOf(err) == task.Content }

// testDumpIsOfOneMoment dumps while others write.
func testDumpIsOfOneMoment(t trial) {
	s := t.store
	for n := range 5 {
		launch(t, s, 1+n)
	}
	before := DumpOf(t, s)
	var seen []dump.Row
	err := s.Dump(t.Context(), func(r dump.Row) error {
		if seen = append(seen, r); len(seen) == 1 {
			launch(t, s, 10)
			createSource(t, s, sourceOf(11))
		}
		return nil
	})
	// The numbers that were given are of now, and may be greater.
	if err != nil {
		t.Fatal(err)
	}
	WantSame(t, slices.DeleteFunc(before, of(dump.Sequences)), slices.DeleteFunc(seen, of(dump.Sequences)))
	mistake := errors.New("mistake")
	n := 0
	if err := s.Dump(t.Context(), func(dump.Row) error { n++; return mistake }); !errors.Is(err, mistake) && task.KindOf(err) != task.Internal || n != 1 {
		t.Errorf("a dump that cannot be written: %d rows, %v", n, err)
	}
}
