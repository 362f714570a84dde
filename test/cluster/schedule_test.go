package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/test/harness"
)

// The environment says which schedule is played, and for how long.
const (
	seedName = "STINT_CLUSTER_SEED"
	timeName = "STINT_CLUSTER_TIME"
	// keepName has the logs kept where a test succeeds, too.
	keepName = "STINT_CLUSTER_KEEP"
)

// shortest is the schedule that every run of all tests plays.
const shortest = time.Minute

func seedOf(t *testing.T) uint64 {
	t.Helper()
	given := os.Getenv(seedName)
	if given == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func timeOf(t *testing.T) time.Duration {
	t.Helper()
	given := os.Getenv(timeName)
	switch {
	case given != "":
		d, err := time.ParseDuration(given)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case testing.Short():
		return shortest / 3
	}
	return shortest
}

// TestSchedule plays a random schedule of requests and faults, then holds everything
// against what the clients know.
func TestSchedule(t *testing.T) {
	t.Parallel()
	seed, longest := seedOf(t), timeOf(t)
	t.Logf("%s=%d %s=%s", seedName, seed, timeName, longest)
	c := newCluster(t, seed, nil, nil, nil)
	c.startAll(t)
	began := time.Now()
	p := &plan{over: func() bool { return time.Since(began) > longest || c.tb.Failed() }}
	m := &model{plan: p}
	var wg sync.WaitGroup
	rows := 8000
	if longest > shortest {
		rows = 20_000
	}
	for i := range 4 {
		k := c.newKeeper(seed, uint64(i), rows+rows/2*i)
		k.ByFile = i == 3
		m.keepers = append(m.keepers, k)
		wg.Go(func() {
			k.CreateSource(c.tb, fmt.Sprintf("source %d", i))
			k.run(p.over)
		})
	}
	for i := range 5 {
		w := &worker{name: fmt.Sprintf("worker-%d", i), c: c, random: rand.New(rand.NewPCG(seed, uint64(100+i))), plan: p}
		wg.Go(w.run)
	}
	r := &reader{c: c, random: rand.New(rand.NewPCG(seed, 200)), plan: p}
	wg.Go(r.run)
	imports := &importer{c: c, random: rand.New(rand.NewPCG(seed, 300)), plan: p}
	wg.Go(imports.run)
	wg.Go(func() { tell(t, c, p.over) })
	h := &hurt{c: c, faults: draw(rand.New(rand.NewPCG(seed, 400)), len(c.nodes), longest-longest/10, longest > shortest)}
	h.run()
	for !p.over() {
		harness.Pause(100 * time.Millisecond)
	}
	c.heal()
	healed := time.Now()
	wg.Wait() // the keepers finish what they have begun
	calm := c.awaitQuiet()
	t.Logf("quiet %s after all was healed, of which %s after the last client", time.Since(healed).Round(time.Millisecond), calm.Round(time.Millisecond))
	m.imported = imports.lines
	c.verify(m)
	for _, k := range m.keepers {
		c.journal.add("aggregations ended half-way by a person", k.Halves)
		c.journal.add("aggregations that found another running", k.rivals)
	}
	for s, d := range h.takeovers() {
		t.Logf("the longest takeover after a %s took %s, other faults included (task %s)", s, d.after.Round(time.Millisecond), d.from.Task)
	}
	t.Log(summary(c))
	if n := c.journal.counts(); n["launches answered"] == 0 || n["reports answered"] == 0 || n["aggregations"] == 0 {
		t.Errorf("the load is no load: %v", n)
	}
}

// tell says every half minute what has happened.
func tell(t *testing.T, c *cluster, over func() bool) {
	t.Helper()
	for next := time.Now().Add(30 * time.Second); !over(); harness.Pause(200 * time.Millisecond) {
		if time.Now().After(next) {
			next = next.Add(30 * time.Second)
			t.Log(summary(c))
		}
	}
}

// summary is one line of counts.
func summary(c *cluster) string {
	counts := c.journal.counts()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, counts[what]))
	}
	return fmt.Sprintf("%4.0f s: %s", time.Since(c.journal.began).Seconds(), strings.Join(parts, ", "))
}
