package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"

	"stint/client"
	"stint/internal/apptest"
	"stint/test/harness"
)

// heal ends every fault and returns once all nodes are ready.
func (c *cluster) heal() {
	for _, n := range c.nodes {
		n.proxy.set(open, false)
		c.cont(n)
		n.mu.Lock()
		away := n.away
		n.mu.Unlock()
		if away {
			c.start(n)
		}
	}
	for _, n := range c.nodes {
		if err := n.process.AwaitReady(context.Background(), time.Minute); err != nil {
			c.tb.Errorf("node %d, a minute after all was healed: %v", n.number, err)
		}
	}
	c.journal.note("", "all is healed, and every node is ready")
}

// quiet is how long it may take, on a machine that has much else to do, until nothing
// is left to do after the last fault was healed.
const quiet = 4 * time.Minute

// awaitNone waits until a count is 0, and returns how long that took.
func (c *cluster) awaitNone(what, query string) time.Duration {
	began := time.Now()
	for {
		n, err := c.number(query)
		if err == nil && n == 0 {
			return time.Since(began)
		}
		if time.Since(began) > quiet {
			c.tb.Errorf("%s after %s: %d are left, %v: %s", what, quiet, n, err, query)
			return quiet
		}
		harness.Pause(100 * time.Millisecond)
	}
}

func (c *cluster) number(query string, args ...any) (n int64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return n, c.db.QueryRow(ctx, query, args...).Scan(&n)
}

// awaitQuiet waits until all that was to end has ended, and is swept up.
func (c *cluster) awaitQuiet() time.Duration {
	took := c.awaitNone("tasks that Stint runs", "SELECT count(*) FROM tasks WHERE status IS NULL AND job IS NOT NULL")
	took += c.awaitNone("silent tasks", "SELECT count(*) FROM deadlines WHERE deadline < extract(epoch FROM now()) * 1000 - 1000")
	// An upload that broke off is kept for an hour, in which nothing tells it from one
	// that goes on.
	_, err := c.db.Exec(context.Background(), "UPDATE uploads SET touched = touched - 2 * 3600000 WHERE task_id IS NULL")
	if err != nil {
		c.tb.Error(err)
	}
	return took + c.awaitNone("what is to be swept", `SELECT (SELECT count(*) FROM garbage) + (SELECT count(*) FROM uploads)
		+ (SELECT count(*) FROM upload_chunks) + (SELECT count(*) FROM staged)`)
}

// model is all that the clients know.
type model struct {
	plan     *plan
	keepers  []*keeper
	imported []map[string]any
}

// verify holds everything against the model, once all is quiet.
func (c *cluster) verify(m *model) {
	c.verifyTables()
	c.verifyAudit()
	all := c.list()
	c.verifyCounts(all)
	full := map[string]*client.Task{}
	for id := range all {
		t, err := c.nodes[len(full)%len(c.nodes)].client.GetTask(c.tb.Context(), id)
		if err != nil {
			c.tb.Errorf("task %s is listed: %v", id, err)
			continue
		}
		full[id] = t
		if err := apptest.DecodeStintTask(t.Raw(), apptest.WithHistory); err != nil {
			c.tb.Errorf("task %s: %v", id, err)
		}
	}
	known := map[string]bool{}
	c.verifyExternals(m.plan.all, full, known)
	for _, k := range m.keepers {
		for class := range k.Stored {
			k.VerifyStored(c.tb, class)
		}
		for _, task := range k.Tasks {
			known[task.ID] = true
			if t := full[task.ID]; t == nil {
				c.tb.Errorf("the task %s, whose launch was answered, is not there", task.ID)
			} else {
				verifyBuiltIn(c.tb, task, t)
			}
		}
	}
	c.verifyImports(m.imported, full, known)
	for id, t := range full {
		if !known[id] {
			c.tb.Errorf("the task %s (%s) is nobody's", id, t.UniqueName)
		}
		c.verifyEntries(t)
	}
	c.journal.add("tasks at the end", len(full))
	c.verifySeen(full)
}

// list lists all tasks.
func (c *cluster) list() map[string]*client.Task {
	all := map[string]*client.Task{}
	for t, err := range c.nodes[0].client.Tasks(c.tb.Context(), client.ListOptions{Sorters: "created"}) {
		if err != nil {
			c.tb.Errorf("list all tasks: %v", err)
			return all
		}
		if all[t.ID] != nil {
			c.tb.Errorf("the task %s is listed twice", t.ID)
		}
		all[t.ID] = t
	}
	return all
}

// verifyCounts: what is counted is what is there, on every node.
func (c *cluster) verifyCounts(all map[string]*client.Task) {
	want := map[string]int{"": len(all), "completionStatus isnull": 0}
	for _, t := range all {
		if t.CompletionStatus == "" {
			want["completionStatus isnull"]++
		} else {
			want[fmt.Sprintf("completionStatus eq %q", t.CompletionStatus)]++
		}
		want[fmt.Sprintf("launcher eq %q", t.Launcher)]++
		want[fmt.Sprintf("type eq %q", t.Kind)]++
		if t.SourceID != nil {
			want[fmt.Sprintf("sourceId eq %q", *t.SourceID)]++
		}
	}
	for filter, n := range want {
		for _, node := range c.nodes {
			if got, err := node.client.CountTasks(c.tb.Context(), filter); err != nil || got != n {
				c.tb.Errorf("the count of %q on node %d is %d (%v), %d are there", filter, node.number, got, err, n)
			}
		}
	}
}

// verifyExternals: each launch has made its task, once.
func (c *cluster) verifyExternals(all []*external, full map[string]*client.Task, known map[string]bool) {
	byName := map[string][]string{}
	for id, t := range full {
		byName[t.UniqueName] = append(byName[t.UniqueName], id)
	}
	for _, e := range all {
		ids := byName[e.name]
		for _, id := range ids {
			known[id] = true
		}
		if len(ids) > 1 || e.id != "" && (len(ids) == 0 || ids[0] != e.id) {
			c.tb.Errorf("the launch of %s (key %q, sent %d times) was answered with the task %q; the tasks %q are there", e.name, e.key, e.launches, e.id, ids)
			continue
		}
		if e.id != "" {
			e.verify(c.tb, full[e.id])
		} else if len(ids) == 1 {
			c.journal.add("launches done and not answered", 1)
		}
	}
}

// verifyBuiltIn: launched, run by one attempt after the other, and ended once.
func verifyBuiltIn(tb *judge, task *harness.Launched, t *client.Task) {
	count, started := map[string]int{}, map[int]int{}
	attempt, ended := 1, false
	for i := range t.History {
		h := &t.History[i]
		count[h.Event]++
		if h.Event == "refused" {
			tb.c.journal.add("lines of refused writes", 1)
			if h.Attempt >= attempt && !ended {
				tb.Errorf("task %s: attempt %d was refused while %d was the current one: %+v", t.ID, h.Attempt, attempt, h)
			}
			continue
		}
		if ended {
			tb.Errorf("task %s: %q in its history after its end", t.ID, h.Event)
		}
		if h.Attempt != attempt {
			tb.Errorf("task %s: %q of attempt %d in line %d of its history, while %d was the current one", t.ID, h.Event, h.Attempt, i, attempt)
		}
		switch {
		case h.Event == "interrupted":
			attempt++
		case h.Event == "started":
			if started[h.Attempt]++; started[h.Attempt] == 2 {
				tb.c.journal.add("attempts whose start is told twice", 1)
			}
		case slices.Contains(ends(), h.Event):
			ended = true
			count["end"]++
		}
	}
	want := "completed"
	if task.Ended != "" {
		want = task.Event
	}
	if !t.Done() || count["end"] != 1 || count[want] != 1 || count["launched"] != 1 || t.History[0].Event != "launched" || count["noted"] > 1 || t.Attempt != attempt {
		tb.Errorf("task %s (%q, attempt %d), to end as %s: its history has %v", t.ID, t.CompletionStatus, t.Attempt, want, count)
	}
	tb.c.journal.add("takeovers", attempt-1)
}

func (c *cluster) verifyImports(lines []map[string]any, full map[string]*client.Task, known map[string]bool) {
	for _, line := range lines {
		id := fmt.Sprint(line["id"])
		known[id] = true
		t := full[id]
		if t == nil {
			c.tb.Errorf("the imported task %s is not there", id)
			continue
		}
		var members map[string]any
		if err := json.Unmarshal(t.Raw(), &members); err != nil {
			c.tb.Error(err)
		}
		for name, want := range line {
			if got := members[name]; fmt.Sprint(got) != fmt.Sprint(want) {
				c.tb.Errorf("the imported task %s: its %s is %v, %v was imported", id, name, got, want)
			}
		}
	}
}

// verifyEntries: each change that somebody made has its entry in the audit, once.
func (c *cluster) verifyEntries(t *client.Task) {
	history := map[string]int{}
	for i := range t.History {
		switch h := &t.History[i]; h.Event {
		case "launched":
			history["task.launch"]++
		case "cleared":
			history["task.clear"]++
		case "cancelled", "cancelRequested":
			history["task.cancel"]++
		}
	}
	rows, err := c.db.Query(context.Background(), "SELECT action, count(*) FROM audit WHERE lower(left(object, 600)) = $1 AND action <> 'task.import' GROUP BY action", t.ID)
	if err != nil {
		c.tb.Error(err)
		return
	}
	defer rows.Close()
	entries := map[string]int{}
	for rows.Next() {
		var action string
		var n int
		if err := rows.Scan(&action, &n); err != nil {
			c.tb.Error(err)
			return
		}
		entries[action] = n
	}
	if err := rows.Err(); err != nil || !maps.Equal(history, entries) {
		c.tb.Errorf("task %s: its history tells of %v, the audit has %v (%v)", t.ID, history, entries, err)
	}
}

// verifyAudit: the chain is whole.
func (c *cluster) verifyAudit() {
	cmd := exec.CommandContext(c.tb.Context(), binary, "audit", "verify", "--db", c.url, "--key-file", c.keyFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.tb.Errorf("the audit is not whole: %v\n%s", err, out)
	}
}

// verifySeen: what was seen complete first is there unchanged.
func (c *cluster) verifySeen(full map[string]*client.Task) {
	c.witness.mu.Lock()
	defer c.witness.mu.Unlock()
	for key := range c.witness.seen {
		_, id, _ := strings.Cut(key, " ")
		if full[id] == nil {
			c.tb.Errorf("task %s was seen complete, and is not there", id)
		}
	}
	c.journal.add("tasks seen complete", len(c.witness.seen))
}

// verifyTables looks at the tables: what stands twice says the same, nothing is left
// of what has ended.
func (c *cluster) verifyTables() {
	for _, query := range []string{
		`SELECT count(*) FROM (SELECT id, status, convert_from(wire, 'UTF8')::jsonb AS w FROM tasks) t
			WHERE status IS DISTINCT FROM w->>'completionStatus' OR replace(id::text, '-', '') <> w->>'id'`,
		"SELECT count(*) FROM tasks WHERE NOT EXISTS (SELECT 1 FROM history WHERE task_id = id)",
		"SELECT count(*) FROM history WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE task_id = id)",
		"SELECT count(*) FROM river_job WHERE state NOT IN ('completed', 'cancelled', 'discarded') OR finalized_at IS NULL",
		"SELECT count(*) FROM (SELECT 1 FROM river_job GROUP BY args->>'taskId', args->>'attempt' HAVING count(*) > 1) twice",
		"SELECT count(*) FROM runs WHERE active IS NOT NULL OR upload IS NOT NULL AND upload <> '00000000-0000-0000-0000-000000000000'",
		`SELECT count(*) FROM sources s WHERE accounts <> (SELECT count(*) FROM accounts WHERE source = s.seq)
			OR entitlements <> (SELECT count(*) FROM entitlements WHERE source = s.seq)`,
		"SELECT count(*) FROM accounts WHERE source NOT IN (SELECT seq FROM sources)",
		"SELECT count(*) FROM changes WHERE task_id NOT IN (SELECT id FROM tasks)",
		"SELECT count(*) FROM deadlines WHERE id NOT IN (SELECT id FROM tasks WHERE status IS NULL)",
		countsThatDiffer,
	} {
		if n, err := c.number(query); err != nil || n != 0 {
			c.tb.Errorf("%s: got %d, %v, want none", query, n, err)
		}
	}
}

// countsThatDiffer works all stored counts out anew and counts those that differ.
const countsThatDiffer = `WITH
	levels (level) AS (VALUES (0), (1), (2)),
	per (dimension, value, created) AS (
		SELECT 0, '', created FROM tasks
		UNION ALL SELECT 1, '', created FROM tasks WHERE status IS NULL
		UNION ALL SELECT 2, lower(status), created FROM tasks WHERE status IS NOT NULL
		UNION ALL SELECT 3, lower(kind), created FROM tasks
		UNION ALL SELECT 4, lower(type), created FROM tasks
		UNION ALL SELECT 5, lower(source_id), created FROM tasks WHERE source_id IS NOT NULL
		UNION ALL SELECT 6, lower(launcher), created FROM tasks),
	counted AS (SELECT dimension, convert_to(value, 'UTF8') AS value, level, created >> (19 + 6 * level) AS bucket, count(*)::numeric AS n
		FROM per, levels GROUP BY 1, 2, 3, 4),
	stored AS (SELECT dimension, value, level, bucket, sum(n) AS n FROM (
			SELECT dimension, value, level, bucket, n FROM tallies
			UNION ALL SELECT dimension, value, level, bucket >> (6 * level), n FROM tally_changes, levels) s
		GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0)
	SELECT count(*) FROM (
		SELECT * FROM (SELECT * FROM counted EXCEPT SELECT * FROM stored) a
		UNION ALL SELECT * FROM (SELECT * FROM stored EXCEPT SELECT * FROM counted) b) d`

// takeover is how long it took until a task went on.
type takeover struct {
	after time.Duration
	from  attempted
}

// takeovers returns how long it took until another node went on with what ran on a
// node that was hurt, by the sort of fault; the greatest of each.
func (h *hurt) takeovers() map[sort]takeover {
	greatest := map[sort]takeover{}
	for _, a := range h.attempts {
		t, err := h.c.nodes[0].client.GetTask(h.c.tb.Context(), a.Task)
		if err != nil {
			if !errors.Is(err, client.ErrNotFound) {
				h.c.tb.Errorf("task %s: %v", a.Task, err)
			}
			continue
		}
		for i := range t.History {
			if e := &t.History[i]; e.Event == "interrupted" && e.Attempt == a.Attempt {
				if took := (takeover{e.At.Sub(a.at), a}); took.after > greatest[a.sort].after {
					greatest[a.sort] = took
				}
				h.c.journal.note(a.Task, "attempt %d, on node %d when that was hurt (%s), was taken over after %s", a.Attempt, a.node, a.sort, e.At.Sub(a.at))
				h.c.journal.add("takeovers after a "+string(a.sort), 1)
			}
		}
	}
	return greatest
}
