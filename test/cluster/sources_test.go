package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"stint/client"
	"stint/test/harness"
)

// keeper keeps a source: what it asks, it asks of any node.
type keeper struct {
	*harness.Keeper
	c      *cluster
	rivals int // launches at once of which one could run only
}

func (c *cluster) newKeeper(seed, number uint64, rows int) *keeper {
	random := rand.New(rand.NewPCG(seed, 1000+number))
	var mu sync.Mutex
	k := harness.NewKeeper(func() *client.Client {
		mu.Lock()
		defer mu.Unlock()
		return c.any(random).client
	}, seed, number, rows)
	k.Patience, k.Longest, k.Pace = 3*time.Minute, 6*time.Minute, 50*time.Millisecond
	k.Answered = func(task *harness.Launched) {
		c.journal.note(task.ID, "keeper %d has launched an aggregation of %s", number, task.Class)
		c.journal.add("launches answered", 1)
		c.journal.add("aggregations", 1)
	}
	return &keeper{Keeper: k, c: c}
}

// run aggregates until over says so; now and then two at once.
func (k *keeper) run(over func() bool) {
	tb := k.c.tb
	for n := 0; !over(); n++ {
		a, text, f := k.Draw(tb, n == 0)
		if n > 0 && k.Random.IntN(4) == 0 {
			k.atOnce(a, text, f)
			continue
		}
		k.Aggregate(tb, a, text, f)
		if !k.ByFile && k.Random.IntN(2) == 0 {
			k.Aggregate(tb, client.Aggregation{SourceID: k.ID, Entitlements: true}, nil, harness.Held(tb, k.Stored[harness.Accounts]))
		}
	}
}

// atOnce launches two aggregations at once. The later one finds the other running, or
// runs after it: what must be stored follows from the order of their ends.
func (k *keeper) atOnce(a client.Aggregation, text []byte, f harness.File) {
	b, otherText, g := k.Draw(k.c.tb, false)
	a.DisableOptimization, b.DisableOptimization = false, false
	type launch struct {
		task *harness.Launched
		file harness.File
		a    client.Aggregation
		done *client.Task
	}
	launches := []*launch{{file: f, a: a}, {file: g, a: b}}
	var wg sync.WaitGroup
	wg.Go(func() { launches[0].task = k.Begin(k.c.tb, a, text) })
	// Its own keeper: one is not for several at once.
	other := *k.Keeper
	other.Random, other.Tasks = rand.New(rand.NewPCG(k.Random.Uint64(), 0)), nil
	launches[1].task = other.Begin(k.c.tb, b, otherText)
	wg.Wait()
	k.Tasks = append(k.Tasks, other.Tasks...)
	for _, l := range launches {
		if l.task == nil {
			return
		}
		if l.done = k.Wait(k.c.tb, l.task.ID); l.done == nil {
			return
		}
	}
	launches = slices.DeleteFunc(launches, func(l *launch) bool { return k.busy(l.done) })
	slices.SortFunc(launches, func(a, b *launch) int { return a.done.Completed.Compare(*b.done.Completed) })
	switch len(launches) {
	case 0:
		k.c.tb.Errorf("source %s: two aggregations were launched at once, and each had to wait for the other", k.ID)
	case 1:
		k.rivals++
	case 2:
		if first, second := launches[0].done, launches[1].done; second.Launched.Before(*first.Completed) {
			k.c.tb.Errorf("task %s ended at %s, when %s ran on the same source already, since %s",
				first.ID, first.Completed, second.ID, second.Launched)
		}
	}
	for _, l := range launches {
		k.Settle(k.c.tb, l.task, k.Stored[l.task.Class].Work(l.file, int(l.a.AllowDeletions), false))
	}
}

// busy tells whether an aggregation found another one running.
func (k *keeper) busy(t *client.Task) bool {
	return slices.ContainsFunc(t.Messages, func(m client.Message) bool { return m.Key == "aggregation_running" })
}

// reader reads what anybody may read: counts never go back, on whatever node.
type reader struct {
	c      *cluster
	random *rand.Rand
	plan   *plan
	most   int // tasks that were counted
}

func (r *reader) run() {
	for !r.plan.over() {
		n := r.c.any(r.random)
		switch r.random.IntN(5) {
		case 0:
			if total, err := n.client.CountTasks(r.c.tb.Context(), ""); err == nil {
				if total < r.most {
					r.c.tb.Errorf("%d tasks are counted on node %d, after %d", total, n.number, r.most)
				}
				r.most = total
			}
		case 1:
			_, _ = n.client.ListTasks(r.c.tb.Context(), client.ListOptions{Limit: 20, Count: true, Filter: "completionStatus isnull"})
		case 2:
			r.get(n, "/task-status/v1?limit=30&count=true&filters="+"not+completionStatus+isnull")
		default:
			if e := r.plan.any(r.random); e != nil {
				e.mu.Lock()
				id := e.id
				e.mu.Unlock()
				if id != "" {
					_, err := n.client.GetTask(r.c.tb.Context(), id)
					if errors.Is(err, client.ErrNotFound) {
						r.c.tb.Errorf("task %s, whose launch was answered, is not found on node %d", id, n.number)
					}
				}
			}
		}
		harness.Pause(time.Duration(r.random.IntN(100)) * time.Millisecond)
	}
}

func (r *reader) get(n *node, path string) {
	ctx, cancel := context.WithTimeout(r.c.tb.Context(), requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+path, nil)
	if err != nil {
		r.c.tb.Error(err)
		return
	}
	if answer, err := r.c.http.Do(request); err == nil {
		_ = answer.Body.Close()
	}
}

// importer imports files of finished tasks, as somebody who moves to Stint does.
type importer struct {
	c      *cluster
	random *rand.Rand
	plan   *plan
	lines  []map[string]any
}

func (i *importer) run() {
	for n := 0; !i.plan.over(); n++ {
		for deadline := time.Now().Add(time.Duration(2+i.random.IntN(6)) * time.Second); time.Now().Before(deadline) && !i.plan.over(); {
			harness.Pause(100 * time.Millisecond)
		}
		var file bytes.Buffer
		var lines []map[string]any
		for j := range 1 + i.random.IntN(50) {
			line := i.task(n, j)
			lines = append(lines, line)
			text, err := json.Marshal(line)
			if err != nil {
				i.c.tb.Error(err)
				return
			}
			file.Write(append(text, '\n'))
		}
		if i.load(n, file.Bytes()) {
			i.lines = append(i.lines, lines...)
		}
	}
}

// task is a line of a file: the numbers of the seed make it another one each time.
func (i *importer) task(n, j int) map[string]any {
	at := time.Now().Add(-time.Duration(1+i.random.IntN(80*24)) * time.Hour).UTC()
	text := func(d time.Duration) string { return at.Add(d).Format("2006-01-02T15:04:05.000Z") }
	return map[string]any{
		"id": fmt.Sprintf("%016x%016x", i.random.Uint64(), i.random.Uint64()), "type": "QUARTZ", "uniqueName": fmt.Sprintf("import-%d-%d", n, j),
		"description": "", "parentName": nil, "launcher": "import", "created": text(0), "modified": text(time.Second), "launched": text(0),
		"completed": text(time.Second), "completionStatus": string(statuses()[i.random.IntN(5)]), "messages": []any{}, "returns": []any{},
		"attributes": map[string]any{"n": j}, "progress": nil, "percentComplete": 100, "kind": "IDENTITY_REFRESH", "sourceId": fmt.Sprintf("import %d", j%3),
	}
}

// load loads a file until that is known to have happened.
func (i *importer) load(n int, file []byte) bool {
	path := filepath.Join(i.c.dir, fmt.Sprintf("import-%d.ndjson", n))
	if err := os.WriteFile(path, file, 0o600); err != nil {
		i.c.tb.Error(err)
		return false
	}
	for deadline := time.Now().Add(time.Minute); ; harness.Pause(500 * time.Millisecond) {
		cmd := exec.CommandContext(i.c.tb.Context(), binary, "import", "--db", i.c.url, "--key-file", i.c.keyFile, path)
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		i.c.journal.note("", "import %d: %v: %.300s", n, err, said)
		if err == nil {
			i.c.journal.add("imports", 1)
			return true
		}
		if time.Now().After(deadline) {
			i.c.tb.Errorf("the import %d does not succeed: %v\n%s", n, err, said)
			return false
		}
	}
}
