package crash

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/client"
)

// verifyOutcome holds a task that nobody ended by hand against what it had to do.
func verifyOutcome(t *testing.T, task *launched, done *client.Task, want outcome) {
	t.Helper()
	status := client.Success
	if len(want.bad) > 0 || want.withheld > 0 {
		status = client.Warning
	}
	if done.CompletionStatus != status || done.PercentComplete != map[bool]int{true: 100, false: 99}[status == client.Success] {
		t.Errorf("task %s is %s at %d %%, want %s: %+v", task.id, done.CompletionStatus, done.PercentComplete, status, done.Messages)
	}
	numbers := map[string]int{"total": want.total, "groupsCreated": want.created, "groupsUpdated": want.updated, "groupsDeleted": want.deleted}
	if task.class == "accounts" {
		numbers = map[string]int{
			"total": want.total, "created": want.created, "updated": want.updated, "deleted": want.deleted,
			"optimized": want.unchanged, "ignored": len(want.bad),
		}
	}
	for name, n := range numbers {
		if got := fmt.Sprint(done.Attributes[name]); got != strconv.Itoa(n) {
			t.Errorf("task %s of %s: %s is %s, want %d", task.id, task.class, name, got, n)
		}
	}
	verifyMessages(t, task, done, want)
}

// verifyMessages: every bad row has one message, up to a hundred of them.
func verifyMessages(t *testing.T, task *launched, done *client.Task, want outcome) {
	t.Helper()
	more, withheld, listed := 0, 0, map[int64]bool{}
	for i := range done.Messages {
		m := &done.Messages[i]
		var n int64
		if len(m.Parameters) > 0 {
			var err error
			if n, err = strconv.ParseInt(fmt.Sprint(m.Parameters[0]), 10, 64); err != nil {
				t.Errorf("task %s: the message %+v", task.id, m)
			}
		}
		switch m.Key {
		case "aggregated":
			if i != len(done.Messages)-1 {
				t.Errorf("task %s: the summary is message %d of %d", task.id, i+1, len(done.Messages))
			}
		case "more_rows":
			more += int(n)
		case "deletions_withheld":
			withheld += int(n)
		default:
			if listed[n] || !want.bad[n] {
				t.Errorf("task %s: a message about line %d (listed before: %t, bad: %t): %s", task.id, n, listed[n], want.bad[n], m.Key)
			}
			listed[n] = true
		}
	}
	if len(listed) != min(100, len(want.bad)) || more != len(want.bad)-len(listed) || withheld != want.withheld {
		t.Errorf("task %s: %d lines are listed and %d more counted, want %d in all; %d deletions withheld, want %d",
			task.id, len(listed), more, len(want.bad), withheld, want.withheld)
	}
}

// verifyChanges holds what a task says it has changed against what it had to.
func (k *keeper) verifyChanges(t *testing.T, task *launched, want map[string]change) {
	t.Helper()
	got := map[string]change{}
	k.each(t, "/stint/v1/tasks/"+task.id+"/changes", "", func(element json.RawMessage) {
		var c client.Change
		if err := json.Unmarshal(element, &c); err != nil {
			t.Error(err)
		}
		key := c.NativeIdentity
		if task.class == "entitlements" {
			key = c.Attribute + "\x1f" + key
		}
		if _, twice := got[key]; twice {
			t.Errorf("task %s: %q changed twice", task.id, key)
		}
		got[key] = change{c.Change, strings.Join(c.ChangedAttributes, " ")}
	})
	verifySame(t, "task "+task.id+": the changes", got, want)
}

// verifySame compares two maps and tells of a few differences.
func verifySame[V comparable](t *testing.T, what string, got, want map[string]V) {
	t.Helper()
	told := 0
	tell := func(key string) {
		if told++; told <= 5 {
			t.Errorf("%s of %q: got %v, want %v", what, key, got[key], want[key])
		}
	}
	for key, g := range got {
		if w, ok := want[key]; !ok || g != w {
			tell(key)
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			tell(key)
		}
	}
	if told > 5 {
		t.Errorf("%s: %d differ in all, of %d", what, told, len(want))
	}
}

// text is a record as one text, to be compared byte for byte.
func (s said) text() string {
	var b strings.Builder
	b.WriteString(s.name)
	for _, name := range slices.Sorted(maps.Keys(s.members)) {
		fmt.Fprintf(&b, "\n%s: %s", name, s.members[name])
	}
	return b.String()
}

func texts(s state) map[string]string {
	all := make(map[string]string, len(s))
	for key, one := range s {
		all[key] = one.text()
	}
	return all
}

// verifyStored holds what the API shows of a source against what must be there.
func (k *keeper) verifyStored(t *testing.T, class string) {
	t.Helper()
	verifySame(t, class, texts(k.read(t, class)), texts(k.stored[class]))
}

// read reads all accounts or entitlements of the source.
func (k *keeper) read(t *testing.T, class string) state {
	t.Helper()
	got := state{}
	k.each(t, "/stint/v1/"+class, fmt.Sprintf("sourceId eq %q", k.id), func(element json.RawMessage) {
		var r struct {
			Attribute, NativeIdentity, Name string
			DisplayName, Description        json.RawMessage
			Attributes                      map[string]json.RawMessage
		}
		if err := json.Unmarshal(element, &r); err != nil {
			t.Error(err)
		}
		s, key := said{name: r.Name, members: map[string]string{}}, r.NativeIdentity
		for name, value := range r.Attributes {
			s.members[name] = string(value)
		}
		if class == "entitlements" {
			key = r.Attribute + "\x1f" + key
			if r.DisplayName != nil {
				s.members["displayName"] = string(r.DisplayName)
			}
			if string(r.Description) != `""` {
				s.members["description"] = string(r.Description)
			}
		}
		if _, twice := got[key]; twice {
			t.Errorf("%q is listed twice", key)
		}
		got[key] = s
	})
	return got
}

// each goes through a list, page by page, over as many kills as it takes.
func (k *keeper) each(t *testing.T, path, filter string, fn func(json.RawMessage)) {
	t.Helper()
	const limit = 250
	for offset := 0; ; {
		var page []json.RawMessage
		k.untilAnswered(t, path, func() (err error) {
			page, err = k.page(t.Context(), path, url.Values{
				"filters": {filter}, "limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
			})
			return err
		})
		for _, element := range page {
			fn(element)
		}
		if offset += len(page); len(page) < limit {
			return
		}
	}
}

func (k *keeper) page(ctx context.Context, path string, query url.Values) (page []json.RawMessage, err error) {
	if query.Get("filters") == "" {
		query.Del("filters")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+k.addr+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, &client.Error{Op: path, Status: answer.StatusCode}
	}
	return page, json.NewDecoder(answer.Body).Decode(&page)
}

// verifyHalf: a task that a person ended has left every record as it was or as it
// had to be, and says which. What is there now is what the next run begins with.
func (k *keeper) verifyHalf(t *testing.T, task *launched, done *client.Task, want outcome) {
	t.Helper()
	if done.CompletionStatus != task.ended {
		t.Errorf("task %s is %s, %s was answered", task.id, done.CompletionStatus, task.ended)
	}
	before, now := k.stored[task.class], k.read(t, task.class)
	changes, counted := map[string]change{}, map[string]int{}
	for key, c := range want.changes {
		old, was := before[key]
		made, is := now[key]
		if was == is && (!is || old.equal(made)) {
			continue // not done
		}
		changes[key] = c
		counted[c.change]++
		if next, shall := want.next[key]; shall != is || is && !next.equal(made) {
			t.Errorf("task %s left %q neither as it was nor as it had to be: %v", task.id, key, made)
		}
	}
	for key := range now {
		if _, touched := want.changes[key]; !touched && !now[key].equal(before[key]) {
			t.Errorf("task %s touched %q", task.id, key)
		}
	}
	for key := range before {
		if _, is := now[key]; !is && changes[key].change != "DELETED" {
			t.Errorf("task %s lost %q", task.id, key)
		}
	}
	k.verifyChanges(t, task, changes)
	for change, names := range map[string][2]string{
		"CREATED": {"created", "groupsCreated"}, "UPDATED": {"updated", "groupsUpdated"}, "DELETED": {"deleted", "groupsDeleted"},
	} {
		name := names[0]
		if task.class == "entitlements" {
			name = names[1]
		}
		if got := fmt.Sprint(done.Attributes[name]); got != strconv.Itoa(counted[change]) {
			t.Errorf("task %s: %s is %s, it did so with %d", task.id, name, got, counted[change])
		}
	}
	k.stored[task.class] = now
	if len(changes) > 0 && len(changes) < len(want.changes) {
		k.halves++
	}
}

// verifyAll looks at everything once more when nothing runs any more.
func (k *keeper) verifyAll(t *testing.T, killer *killer) {
	t.Helper()
	for class := range k.stored {
		k.verifyStored(t, class)
	}
	for _, task := range k.tasks {
		now, err := k.c.GetTask(t.Context(), task.id)
		if err != nil {
			t.Errorf("task %s: %v", task.id, err)
			continue
		}
		if err := checkBody(now.Raw()); err != nil {
			t.Errorf("task %s: %v: %+v", task.id, err, now.History)
		}
		verifyHistory(t, task, now, len(killer.deaths[task.id]))
	}
}

// verifyHistory: launched, started, interrupted once for every death, and ended
// once.
func verifyHistory(t *testing.T, task *launched, now *client.Task, deaths int) {
	t.Helper()
	count := map[string]int{}
	attempt := 1
	for i := range now.History {
		h := &now.History[i]
		count[h.Event]++
		if h.Event != "refused" && h.Attempt != attempt {
			t.Errorf("task %s: attempt %d in line %d, want %d: %+v", task.id, h.Attempt, i, attempt, h)
		}
		if h.Event == "interrupted" {
			attempt++
			if !strings.Contains(h.Text, "the process that ran it has ended") {
				t.Errorf("task %s: %+v", task.id, h)
			}
		}
		person := h.Event == "launched" || h.Event == "cancelled" || h.Event == "cleared"
		if person != (h.Actor == "anonymous") {
			t.Errorf("task %s: the actor of %+v", task.id, h)
		}
	}
	if now.Attempt != attempt || count["interrupted"] != deaths {
		t.Errorf("task %s: attempt %d after %d interruptions, of which %d deaths are known", task.id, now.Attempt, count["interrupted"], deaths)
	}
	end, noted := "completed", 1
	if task.ended != "" {
		end, noted = task.event, count["noted"]
	} else if count["started"] < 1 {
		t.Errorf("task %s never started", task.id)
	}
	if count["launched"] != 1 || now.History[0].Event != "launched" || count[end] != 1 || count["completed"]+count["cancelled"]+count["cleared"] != 1 ||
		count["noted"] != noted || noted > 1 || count["started"] > attempt+1 || task.ended == "" && count["refused"] > 0 || count["refused"] > 1 {
		t.Errorf("task %s, ended %q by hand: the history %+v", task.id, task.ended, now.History)
	}
}

// look looks into the file: which jobs run, and whether they should. A dead
// process has left what it ran; a living one runs nothing but its own.
func (k *killer) look(t *testing.T, alive bool) {
	t.Helper()
	db := openFile(t, k.s.db)
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), `SELECT j.id, json_extract(j.args, '$.taskId'), json_extract(j.args, '$.attempt'),
		json_extract(j.attempted_by, '$[#-1]'), coalesce(t.job = j.id AND t.status IS NULL AND t.attempt = json_extract(j.args, '$.attempt'), 0)
		FROM river_job j LEFT JOIN tasks t ON lower(hex(t.id)) = json_extract(j.args, '$.taskId') WHERE j.state = 'running'`)
	if err != nil {
		t.Errorf("look into the file: %v", err)
		return
	}
	defer rows.Close()
	for rows.Next() {
		var job, attempt int64
		var id, process string
		var current bool
		if err := rows.Scan(&job, &id, &attempt, &process, &current); err != nil {
			t.Error(err)
			return
		}
		if !current {
			t.Errorf("job %d runs attempt %d of task %s, which is not its current one", job, attempt, id)
		}
		switch {
		case alive && k.dead[process]:
			t.Errorf("job %d of task %s is still of a dead process", job, id)
		case !alive:
			if k.deaths[id] == nil {
				k.deaths[id] = map[int64]bool{}
			}
			if !k.deaths[id][job] {
				k.hits++
			}
			k.deaths[id][job] = true
			k.dead[process] = true
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
	wantNone(t, db, "SELECT count(*) FROM runs JOIN tasks ON id = task_id WHERE (active IS NULL) != (status IS NOT NULL)")
	wantNone(t, db, "SELECT count(*) FROM tasks WHERE job > 0 AND status IS NULL AND job NOT IN (SELECT id FROM river_job WHERE state IN ('available', 'running'))")
}

// openFile opens the database as nobody's server: it writes nothing.
func openFile(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func wantNone(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	var n int
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 0 {
		t.Errorf("%s: got %d, %v, want none", query, n, err)
	}
}

// verifyTheEnd: nothing is left of what ended.
func verifyTheEnd(t *testing.T, s *server, k *killer) {
	t.Helper()
	// An upload that broke off is kept for an hour, in which nothing tells it from
	// one that goes on.
	k.kill(t)
	db, err := sql.Open("sqlite", s.db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE uploads SET touched = touched - 2 * 3600000 WHERE task_id IS NULL"); err != nil {
		t.Error(err)
	}
	_ = db.Close()
	s.start(t)
	awaitSweep(t, s)
	k.kill(t)
	checkFile(t, s.db)
	db = openFile(t, s.db)
	defer db.Close()
	for _, query := range []string{
		"SELECT count(*) FROM staged", "SELECT count(*) FROM uploads", "SELECT count(*) FROM upload_chunks", "SELECT count(*) FROM garbage",
		"SELECT count(*) FROM tasks WHERE status IS NULL",
		"SELECT count(*) FROM river_job WHERE state NOT IN ('completed', 'cancelled', 'discarded') OR finalized_at IS NULL",
		"SELECT count(*) FROM runs WHERE active IS NOT NULL OR upload IS NOT NULL AND upload <> x''",
		`SELECT count(*) FROM sources s WHERE accounts <> (SELECT count(*) FROM accounts WHERE source = s.seq)
			OR entitlements <> (SELECT count(*) FROM entitlements WHERE source = s.seq)`,
		"SELECT count(*) FROM accounts WHERE source NOT IN (SELECT seq FROM sources)",
		"SELECT count(*) FROM changes WHERE task_id NOT IN (SELECT id FROM tasks)",
	} {
		wantNone(t, db, query)
	}
}

// awaitSweep waits until everything is swept that nothing needs.
func awaitSweep(t *testing.T, s *server) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		db := openFile(t, s.db)
		var left int
		err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM uploads)
			+ EXISTS (SELECT 1 FROM staged)`).Scan(&left)
		_ = db.Close()
		if err == nil && left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d pieces are left unswept, %v", left, err)
			return
		}
		pause(50 * time.Millisecond)
	}
}
