package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"stint/client"
	"stint/test/harness"
)

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
	var keepers []*harness.Keeper
	var wg sync.WaitGroup
	for i, rows := range []int{20_000, 25_000, 40_000, 20_000} {
		k := harness.NewKeeper(ask(s.client(t)), seed, uint64(i), rows/scale)
		k.ByFile = i == 3
		k.Sending, k.Answered = func() { tell(m.sending) }, func(*harness.Launched) { tell(m.answered) }
		k.CreateSource(t, fmt.Sprintf("source %d", i))
		keepers = append(keepers, k)
		wg.Go(func() { k.Run(t, stop.Load) })
	}
	k := &killer{s: s, moments: m, random: rand.New(rand.NewPCG(seed, 99)), c: s.client(t), deaths: map[string]map[int64]bool{}, dead: map[string]bool{}}
	k.run(t, kills)
	stop.Store(true)
	wg.Wait()
	tasks, halves := 0, 0
	for _, keeper := range keepers {
		verifyAll(t, keeper, k)
		tasks += len(keeper.Tasks)
		halves += keeper.Halves
	}
	t.Logf("%d kills hit %d running attempts of %d tasks; %d were ended half-way by a person; %s; %s",
		k.kills, k.hits, tasks, halves, k.how(), time.Since(began).Round(time.Second))
	if !testing.Short() && k.hits < kills/2 {
		t.Errorf("only %d running attempts were hit by %d kills", k.hits, kills)
	}
	verifyTheEnd(t, s, k)
}

// ask has a keeper ask one server.
func ask(c *client.Client) func() *client.Client { return func() *client.Client { return c } }

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

func (k *killer) run(t *testing.T, kills int) {
	t.Helper()
	for k.kills < kills && !t.Failed() {
		switch way := k.random.IntN(10); {
		case way < 4:
			pause(time.Duration(5+k.random.IntN(400)) * time.Millisecond)
			k.ways[0]++
		case way < 7:
			phases := harness.Phases()
			harness.AwaitPhase(t, ask(k.c), 3*time.Millisecond, "", phases[k.random.IntN(len(phases))], 2*time.Second)
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
