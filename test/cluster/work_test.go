package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"stint/client"
	"stint/test/harness"
)

// bound is for a machine that has much else to do: what is meant to take a second.
const bound = 5 * time.Second

// begin launches a large aggregation on a node, and returns it once it is in a phase,
// with what it has to do.
func (c *cluster) begin(t *testing.T, n *node, rows int, phase string) (*harness.Keeper, *harness.Launched, harness.Outcome) {
	t.Helper()
	k := harness.NewKeeper(func() *client.Client { return n.client }, c.tb.seed, 0, rows)
	k.CreateSource(c.tb, "source of "+t.Name())
	text := harness.AccountsFile(c.tb, k.Random, k.Seed, rows, 0)
	want := harness.State{}.Work(harness.ReadFile(c.tb, text, harness.AccountOf), 0, false)
	task := k.Begin(c.tb, client.Aggregation{SourceID: k.ID}, text)
	if task == nil {
		t.FailNow()
	}
	harness.AwaitPhase(c.tb, k.Client, 5*time.Millisecond, fmt.Sprintf("id eq %q", task.ID), phase, time.Minute)
	return k, task, want
}

// runner returns the node that runs a task, once one does.
func (c *cluster) runner(t *testing.T, id string) *node {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); harness.Pause(10 * time.Millisecond) {
		var by string
		err := c.db.QueryRow(t.Context(), `SELECT attempted_by[array_length(attempted_by, 1)] FROM river_job
			WHERE state = 'running' AND args->>'taskId' = $1`, id).Scan(&by)
		if err != nil {
			continue
		}
		for _, n := range c.nodes {
			if n.nodeID() == by {
				return n
			}
		}
	}
	t.Fatalf("no node runs the task %s", id)
	return nil
}

// TestEndedFromAnotherNode: launched on one node, run on a second, cleared on a third.
func TestEndedFromAnotherNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, seedOf(t), []string{"--role", "api"}, []string{"--role", "worker"}, []string{"--role", "api"})
	c.startAll(t)
	first, worker, last := c.nodes[0], c.nodes[1], c.nodes[2]
	for i, end := range []func(id string) error{
		func(id string) error {
			_, err := last.client.Clear(t.Context(), id, client.ClearRequest{Status: client.Warning})
			return err
		},
		func(id string) error {
			_, err := last.client.Cancel(t.Context(), id, "a test")
			return err
		},
	} {
		k := harness.NewKeeper(func() *client.Client { return first.client }, c.tb.seed, uint64(i), 40_000)
		k.CreateSource(c.tb, fmt.Sprintf("source %d", i))
		task := k.Begin(c.tb, client.Aggregation{SourceID: k.ID}, harness.AccountsFile(c.tb, k.Random, k.Seed, k.Rows, 0))
		if task == nil {
			return
		}
		harness.AwaitPhase(c.tb, func() *client.Client { return last.client }, 5*time.Millisecond, fmt.Sprintf("id eq %q", task.ID), "Recorded", time.Minute)
		if n := c.runner(t, task.ID); n != worker {
			t.Errorf("task %s runs on node %d", task.ID, n.number)
		}
		asked := time.Now()
		if err := end(task.ID); err != nil {
			t.Fatalf("end %s: %v", task.ID, err)
		}
		answered := time.Since(asked)
		c.awaitLine(t, worker, task.ID, "stopped the work of a task that has ended", "had lost its task")
		stopped := time.Since(asked)
		t.Logf("ended from another node: answered after %s, its work stopped after %s", answered.Round(time.Millisecond), stopped.Round(time.Millisecond))
		if stopped > bound {
			t.Errorf("the work of %s stopped %s after its end was asked for on another node, want %s at most", task.ID, stopped, bound)
		}
		const query = "SELECT count(*) FROM changes WHERE task_id = $1::uuid"
		changed, err := c.number(query, task.ID)
		if err != nil {
			t.Fatal(err)
		}
		harness.Pause(500 * time.Millisecond)
		if later, err := c.number(query, task.ID); err != nil || later != changed {
			t.Errorf("task %s has changed %d accounts, and %d half a second later (%v)", task.ID, changed, later, err)
		}
	}
	c.awaitQuiet()
	c.verifyTables()
	c.verifyAudit()
}

// awaitLine waits until the log of a node has a line about a task with one of some
// texts.
func (c *cluster) awaitLine(t *testing.T, n *node, id string, texts ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); harness.Pause(20 * time.Millisecond) {
		for line := range strings.Lines(n.last()) {
			for _, text := range texts {
				if strings.Contains(line, id) && strings.Contains(line, text) {
					return
				}
			}
		}
	}
	t.Errorf("node %d says none of %q about task %s", n.number, texts, id)
}

// takeoverBound is what is promised, and takeoverMost what a machine that has much
// else to do is given.
const (
	takeoverBound = 30 * time.Second
	takeoverMost  = 60 * time.Second
)

// awaitTakeover waits until a task has its next attempt, and returns how long after a
// moment that was. What it does then must not be what was done before.
func (c *cluster) awaitTakeover(t *testing.T, n *node, id string, since time.Time) time.Duration {
	t.Helper()
	for time.Since(since) < takeoverMost {
		task, err := n.client.GetTask(t.Context(), id)
		if err == nil {
			for i := range task.History {
				if h := &task.History[i]; h.Event == "started" && h.Attempt > 1 {
					return h.At.Sub(since)
				}
			}
		}
		harness.Pause(50 * time.Millisecond)
	}
	t.Errorf("task %s has no other attempt after %s:\n%s\n%s", id, takeoverMost, c.tb.history(id), c.locks(t))
	return takeoverMost
}

// locks says who waits for whom in the database.
func (c *cluster) locks(t *testing.T) string {
	t.Helper()
	rows, err := c.db.Query(t.Context(), `SELECT format('%s %s %s since %s waits for %s %s: %s', pid, client_port, state, now() - state_change,
		pg_blocking_pids(pid), wait_event, left(query, 100)) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid()`)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var b strings.Builder
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err.Error()
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// recorded is how many changes a task's progress tells of: -1 before it has recorded
// any, and very many where it is past that.
func recorded(t *client.Task) (n int) {
	if t.Progress == nil || strings.HasPrefix(*t.Progress, "Scanned") || strings.HasPrefix(*t.Progress, "Comparing") {
		return -1
	}
	if _, err := fmt.Sscanf(strings.ReplaceAll(*t.Progress, ",", ""), "Recorded %d of", &n); err != nil {
		return 1 << 30
	}
	return n
}

// TestTakeover: a node that runs an aggregation is killed, and another goes on from
// where it was.
func TestTakeover(t *testing.T) {
	t.Parallel()
	c := newCluster(t, seedOf(t), nil, nil, nil)
	c.startAll(t)
	k, task, want := c.begin(t, c.nodes[0], 30_000, "Recorded")
	n := c.runner(t, task.ID)
	alive := c.nodes[(n.number+1)%len(c.nodes)]
	k.Client = func() *client.Client { return alive.client }
	before, err := alive.client.GetTask(t.Context(), task.ID)
	if err != nil {
		t.Fatal(err)
	}
	if recorded(before) < 0 {
		t.Fatalf("task %s: its progress is %v", task.ID, *before.Progress)
	}
	killed := time.Now()
	c.kill(n)
	stopLooking := make(chan struct{})
	least := make(chan int, 1)
	go func() { least <- c.leastAfter(alive, task.ID, stopLooking) }()
	took := c.awaitTakeover(t, alive, task.ID, killed)
	t.Logf("another node went on %s after the kill, at %q", took.Round(time.Millisecond), *before.Progress)
	if took > takeoverBound {
		t.Logf("that is longer than the %s that are promised", takeoverBound)
	}
	k.Finish(c.tb, task, want)
	close(stopLooking)
	if n := <-least; n < recorded(before) {
		t.Errorf("task %s had recorded %d changes when its node was killed; the next attempt was seen at %d (-1: in an earlier phase)", task.ID, recorded(before), n)
	}
	k.VerifyStored(c.tb, harness.Accounts)
	done, err := alive.client.GetTask(t.Context(), task.ID)
	if err != nil {
		t.Fatal(err)
	}
	verifyBuiltIn(c.tb, task, done)
	if done.Attempt != 2 {
		t.Errorf("task %s needed %d attempts, want 2", task.ID, done.Attempt)
	}
	c.start(n)
	c.awaitQuiet()
	c.verifyTables()
}

// leastAfter returns the least progress that is seen of any attempt but the first.
func (c *cluster) leastAfter(n *node, id string, over <-chan struct{}) int {
	least := 1 << 30
	for {
		select {
		case <-over:
			return least
		case <-time.After(5 * time.Millisecond):
		}
		page, err := n.client.ListTasks(context.Background(), client.ListOptions{Filter: fmt.Sprintf("id eq %q and completionStatus isnull", id)})
		if err == nil && len(page.Tasks) == 1 && page.Tasks[0].Attempt > 1 && page.Tasks[0].State == client.Running {
			least = min(least, recorded(&page.Tasks[0]))
		}
	}
}

// TestFencing: a node that runs an aggregation stands still, or hears nothing from the
// database, until another has taken over. What it writes afterwards is refused.
func TestFencing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]struct{ begin, end func(c *cluster, n *node) }{
		"stopped": {(*cluster).stop, (*cluster).cont},
		"cut off": {
			func(_ *cluster, n *node) { n.proxy.set(stall, false) },
			func(_ *cluster, n *node) { n.proxy.set(open, false) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, seedOf(t), nil, nil, nil)
			c.startAll(t)
			k, task, want := c.begin(t, c.nodes[0], 30_000, "Recorded")
			n := c.runner(t, task.ID)
			alive := c.nodes[(n.number+1)%len(c.nodes)]
			k.Client = func() *client.Client { return alive.client }
			hurt := time.Now()
			fault.begin(c, n)
			took := c.awaitTakeover(t, alive, task.ID, hurt)
			t.Logf("another node went on after %s", took.Round(time.Millisecond))
			fault.end(c, n)
			c.awaitLine(t, n, task.ID, "had lost its task")
			k.Finish(c.tb, task, want)
			k.VerifyStored(c.tb, harness.Accounts)
			done, err := alive.client.GetTask(t.Context(), task.ID)
			if err != nil {
				t.Fatal(err)
			}
			verifyBuiltIn(c.tb, task, done)
			if !slices.ContainsFunc(done.History, func(h client.HistoryEntry) bool { return h.Event == "refused" && h.Attempt == 1 }) {
				t.Errorf("task %s: the late write of its first attempt left no line:\n%s", task.ID, c.tb.history(task.ID))
			}
			c.awaitQuiet()
			c.verifyTables()
		})
	}
}
