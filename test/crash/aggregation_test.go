package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stint/client"
)

// launched is an aggregation whose launch was answered.
type launched struct {
	id    string
	class string // accounts or entitlements
	// ended is how a person ended it and was answered; empty where nobody did.
	ended client.CompletionStatus
	event string // cancelled or cleared, then
}

// keeper keeps one source: it aggregates one file after the other, and knows what
// must be stored.
type keeper struct {
	c       *client.Client
	addr    string
	random  *rand.Rand
	seed    uint64
	rows    int
	byFile  bool // entitlements come in files, and there are no accounts
	moments *moments
	id      string // of the source

	stored map[string]state // by class
	tasks  []*launched
	halves int // ended by a person after they had changed something
}

// moments tells of what a kill may want to hit.
type moments struct{ sending, answered chan struct{} }

func tell(moment chan<- struct{}) {
	select {
	case moment <- struct{}{}:
	default: // nobody waits for it
	}
}

// TestAggregationsSurviveKill kills the server again and again while it
// aggregates. What it does must be what it would have done without.
func TestAggregationsSurviveKill(t *testing.T) {
	kills, scale := 50, 1
	if testing.Short() {
		kills, scale = 6, 10
	}
	seed := seedOf(t)
	t.Logf("CRASH_SEED=%d, %d kills", seed, kills)
	began := time.Now()
	s := newServer(t)
	s.start(t)
	var stop atomic.Bool
	m := &moments{sending: make(chan struct{}), answered: make(chan struct{})}
	var keepers []*keeper
	var wg sync.WaitGroup
	for i, rows := range []int{20_000, 25_000, 40_000, 20_000} {
		k := &keeper{
			c: s.client(t), addr: s.addr, random: rand.New(rand.NewPCG(seed, uint64(i))), seed: seed + uint64(i), rows: rows / scale, byFile: i == 3,
			moments: m, stored: map[string]state{"accounts": {}, "entitlements": {}},
		}
		k.createSource(t, fmt.Sprintf("source %d", i))
		keepers = append(keepers, k)
		wg.Go(func() { k.run(t, &stop) })
	}
	k := &killer{s: s, moments: m, random: rand.New(rand.NewPCG(seed, 99)), c: s.client(t), deaths: map[string]map[int64]bool{}, dead: map[string]bool{}}
	k.run(t, kills)
	stop.Store(true)
	wg.Wait()
	tasks, halves := 0, 0
	for _, keeper := range keepers {
		keeper.verifyAll(t, k)
		tasks += len(keeper.tasks)
		halves += keeper.halves
	}
	t.Logf("%d kills hit %d running attempts of %d tasks; %d were ended half-way by a person; %s; %s",
		k.kills, k.hits, tasks, halves, k.how(), time.Since(began).Round(time.Second))
	if !testing.Short() && k.hits < kills/2 {
		t.Errorf("only %d running attempts were hit by %d kills", k.hits, kills)
	}
	verifyTheEnd(t, s, k)
}

// seedOf is what the environment says, or the time.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv("CRASH_SEED")
	if given == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func (k *keeper) createSource(t *testing.T, name string) {
	t.Helper()
	attributes := client.ConnectorAttributes{AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"}}
	source, err := k.c.CreateSource(t.Context(), client.NewSource{Name: name, Type: client.DelimitedFile, ConnectorAttributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	k.id = source.ID
}

// run aggregates until it is stopped. What it has begun it finishes.
func (k *keeper) run(t *testing.T, stop *atomic.Bool) {
	t.Helper()
	for n := 0; !stop.Load() && !t.Failed(); n++ {
		gone := k.random.IntN(80)
		if k.random.IntN(6) == 0 {
			gone = 200 // more than may go unasked
		}
		a := client.Aggregation{SourceID: k.id, DisableOptimization: n > 0 && k.random.IntN(8) == 0}
		if k.random.IntN(2) == 0 {
			a.AllowDeletions = int64(k.rows / 2)
		}
		if k.byFile {
			text := entitlementsFile(k.random, k.rows, gone)
			a.Entitlements = true
			k.aggregate(t, a, text, readFile(t, text, entitlementOf))
			continue
		}
		text := accountsFile(t, k.random, k.seed, k.rows, gone)
		k.aggregate(t, a, text, readFile(t, text, accountOf))
		if k.random.IntN(2) == 0 {
			k.aggregate(t, client.Aggregation{SourceID: k.id, Entitlements: true}, nil, held(t, k.stored["accounts"]))
		}
	}
}

// aggregate launches one aggregation, ends it by hand perhaps, waits for its end,
// and checks what became of it.
func (k *keeper) aggregate(t *testing.T, a client.Aggregation, text []byte, f file) {
	t.Helper()
	task := &launched{class: "accounts"}
	if a.Entitlements {
		task.class = "entitlements"
	}
	before := k.stored[task.class]
	byHand := k.random.IntN(2) == 0
	if byHand {
		a.DisableOptimization = false // so that what is stored tells what was done
	}
	want := before.work(f, int(a.AllowDeletions), a.DisableOptimization)
	task.id = k.launch(t, a, text)
	if task.id == "" {
		return
	}
	k.tasks = append(k.tasks, task)
	tell(k.moments.answered)
	if byHand {
		k.endByHand(t, task)
	}
	done := k.wait(t, task.id)
	if done == nil {
		return
	}
	if task.ended != "" {
		k.verifyHalf(t, task, done, want)
		return
	}
	k.stored[task.class] = want.next
	verifyOutcome(t, task, done, want)
	k.verifyChanges(t, task, want.changes)
	if k.random.IntN(4) == 0 {
		k.verifyStored(t, task.class)
	}
}

// launch launches until it is answered: the key makes all tries one launch.
func (k *keeper) launch(t *testing.T, a client.Aggregation, text []byte) string {
	t.Helper()
	a.IdempotencyKey = client.NewIdempotencyKey()
	var id string
	k.untilAnswered(t, "launch", func() error {
		if text != nil {
			a.File = bytes.NewReader(text)
			a.Sent = func(sent, _ int64) {
				if sent > 0 {
					tell(k.moments.sending)
				}
			}
		}
		got, err := k.c.Aggregate(t.Context(), a)
		if err == nil {
			id = got.ID
		}
		return err
	})
	return id
}

// untilAnswered asks again until the server says anything. What it refuses is the
// test's fault or its own.
func (k *keeper) untilAnswered(t *testing.T, doing string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if no, ok := errors.AsType[*client.Error](err); ok && no.Status < 500 || time.Now().After(deadline) {
			t.Errorf("%s: %v", doing, err)
			return
		}
		pause(5 * time.Millisecond)
	}
}

// endByHand cancels or clears a task at some moment, and remembers the answer.
func (k *keeper) endByHand(t *testing.T, task *launched) {
	t.Helper()
	if pause(time.Duration(k.random.IntN(500)) * time.Millisecond); k.random.IntN(2) == 0 {
		phase := phases[2+min(1, k.random.IntN(4)/3)] // there are fewer deletions
		awaitPhase(t, k.c, fmt.Sprintf("id eq %q", task.id), phase, 20*time.Second)
	}
	status, event := client.Terminated, "cancelled"
	ask := func() error {
		_, err := k.c.Cancel(t.Context(), task.id, "a test")
		return err
	}
	if k.random.IntN(2) == 0 {
		status, event = client.Failure, "cleared"
		ask = func() error {
			_, err := k.c.Clear(t.Context(), task.id, client.ClearRequest{Status: status, Reason: "a test"})
			return err
		}
	}
	k.untilAnswered(t, event, func() error {
		err := ask()
		if no, ok := errors.AsType[*client.Error](err); ok && no.Status < 500 {
			return nil // it had ended: the rest is checked as if nobody had asked
		}
		if err == nil {
			task.ended, task.event = status, event
		}
		return err
	})
}

// wait returns a task once it is complete, over as many kills as it takes.
func (k *keeper) wait(t *testing.T, id string) *client.Task {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for time.Now().Before(deadline) {
		task, err := k.c.Wait(t.Context(), id, 5*time.Second)
		if err == nil && task.Done() {
			return task
		}
		if errors.Is(err, client.ErrNotFound) {
			t.Errorf("the launched task %s is lost", id)
			return nil
		}
		pause(5 * time.Millisecond)
	}
	t.Errorf("task %s does not end", id)
	return nil
}

// killer kills the server, and keeps account of what that hit.
type killer struct {
	s       *server
	c       *client.Client
	random  *rand.Rand
	moments *moments

	kills, hits int
	ways        [5]int
	// deaths are the jobs of a task that ran when the server was killed.
	deaths map[string]map[int64]bool
	// dead are the processes that were killed, as the queue knows them.
	dead map[string]bool
}

// The progress of a task in each phase begins so.
var phases = []string{"Scanned", "Comparing", "Recorded", "Deleted"}

func (k *killer) run(t *testing.T, kills int) {
	t.Helper()
	for k.kills < kills && !t.Failed() {
		switch way := k.random.IntN(10); {
		case way < 4:
			pause(time.Duration(5+k.random.IntN(400)) * time.Millisecond)
			k.ways[0]++
		case way < 7:
			awaitPhase(t, k.c, "", phases[k.random.IntN(len(phases))], 2*time.Second)
			k.ways[1]++
		case way < 8:
			k.await(k.moments.sending)
			pause(time.Duration(k.random.IntN(60)) * time.Millisecond)
			k.ways[2]++
		case way < 9:
			k.await(k.moments.answered)
			k.ways[3]++
		default:
			// Once more before it is ready.
			k.kill(t)
			k.s.launch(t)
			pause(time.Duration(k.random.IntN(150)) * time.Millisecond)
			k.ways[4]++
		}
		k.kill(t)
		k.s.start(t)
		k.look(t, true)
	}
}

func (k *killer) how() string {
	return fmt.Sprintf("%d at random, %d in a phase, %d while a file was sent, %d after an answer, %d at the start",
		k.ways[0], k.ways[1], k.ways[2], k.ways[3], k.ways[4])
}

func (k *killer) kill(t *testing.T) {
	t.Helper()
	k.s.kill()
	k.kills++
	k.look(t, false)
}

// await waits for a moment, but not for ever: it may be far.
func (k *killer) await(moment <-chan struct{}) {
	select {
	case <-moment:
	case <-time.After(2 * time.Second):
	}
}

// awaitPhase waits until a task has done something in a phase, but not for ever,
// nor for one that has ended.
func awaitPhase(t *testing.T, c *client.Client, which, phase string, longest time.Duration) {
	t.Helper()
	filter := "completionStatus isnull"
	if which != "" {
		filter += " and " + which
	}
	deadline := time.Now().Add(longest)
	for time.Now().Before(deadline) {
		page, err := c.ListTasks(t.Context(), client.ListOptions{Filter: filter, Limit: 20})
		if err == nil && which != "" && len(page.Tasks) == 0 {
			return
		}
		for i := range page.Tasks {
			if p := page.Tasks[i].Progress; p != nil && strings.HasPrefix(*p, phase) && !strings.HasPrefix(*p, phase+" 0 of") {
				return
			}
		}
		pause(3 * time.Millisecond)
	}
}
