package statistics_test

import (
	"math"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // the zones of the tests

	"pgregory.net/rapid"

	"stint/internal/statistics"
	"stint/internal/task"
)

func sums(tb testing.TB, by []statistics.By, zone string, some []task.Brief) []statistics.Group {
	tb.Helper()
	in, err := time.LoadLocation(zone)
	if err != nil {
		tb.Fatal(err)
	}
	s := statistics.New(by, in)
	for i := range some {
		if err := s.Add(&some[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return s.Groups()
}

func drawBrief(t *rapid.T) task.Brief {
	at := time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 72*60).Draw(t, "minutes")) * time.Minute)
	b := task.Brief{
		ID:       task.ID(rapid.StringMatching("[0-9a-f]{32}").Draw(t, "id")),
		Kind:     rapid.SampledFrom([]task.Kind{"A", "B"}).Draw(t, "kind"),
		SourceID: rapid.SampledFrom([]string{"", "s", "S", "t"}).Draw(t, "source"),
		Status:   rapid.SampledFrom(task.CompletionStatuses()).Draw(t, "status"),
		Created:  at, Completed: at.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "took")) * time.Millisecond),
	}
	if rapid.IntRange(0, 3).Draw(t, "ran") > 0 {
		b.Launched = at
	}
	return b
}

// rank works a percentile out by counting: the least of the values that at least so
// many of a hundred do not exceed.
func rank(took []time.Duration, percent float64) time.Duration {
	best := time.Duration(math.MaxInt64)
	for _, one := range took {
		n := 0
		for _, other := range took {
			if other <= one {
				n++
			}
		}
		if float64(n)*100 >= percent*float64(len(took)) {
			best = min(best, one)
		}
	}
	return best
}

// TestSumsAreExact compares groups with what is counted one by one.
func TestSumsAreExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		some := rapid.SliceOfN(rapid.Custom(drawBrief), 0, 60).Draw(rt, "tasks")
		by := rapid.SliceOfNDistinct(rapid.SampledFrom(statistics.AllBy()), 1, 4, rapid.ID[statistics.By]).Draw(rt, "by")
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Vienna", "America/St_Johns", "Pacific/Apia"}).Draw(rt, "zone")
		in, _ := time.LoadLocation(zone)
		left := len(some)
		for _, g := range sums(t, by, zone, some) {
			var of []task.Brief
			for _, b := range some {
				if (!slices.Contains(by, statistics.ByType) || b.Kind == g.Kind) &&
					(!slices.Contains(by, statistics.BySource) || task.EqualFoldASCII(b.SourceID, g.SourceID)) &&
					(!slices.Contains(by, statistics.ByStatus) || b.Status == g.Status) &&
					(!slices.Contains(by, statistics.ByDay) || b.Completed.In(in).Format(time.DateOnly) == g.Day) {
					of = append(of, b)
				}
			}
			checkGroup(rt, &g, of)
			left -= g.Runs
		}
		if left != 0 {
			rt.Fatalf("%d tasks are in no group, or in two", left)
		}
	})
}

func checkGroup(t *rapid.T, g *statistics.Group, of []task.Brief) {
	t.Helper()
	var failures, warnings, terminated int
	var took []time.Duration
	var sum time.Duration
	last, good := task.Brief{}, task.Brief{}
	after := func(a, b *task.Brief) bool {
		return a.Completed.After(b.Completed) || a.Completed.Equal(b.Completed) && (a.Created.After(b.Created) || a.Created.Equal(b.Created) && a.ID >= b.ID)
	}
	for _, b := range of {
		switch b.Status {
		case task.Failure, task.TempError:
			failures++
		case task.Warning:
			warnings++
		case task.Terminated:
			terminated++
		case task.Success, task.InProgress:
		}
		if !b.Launched.IsZero() {
			took, sum = append(took, b.Completed.Sub(b.Launched)), sum+b.Completed.Sub(b.Launched)
		}
		if after(&b, &last) {
			last = b
		}
		if (b.Status == task.Success || b.Status == task.Warning) && after(&b, &good) {
			good = b
		}
	}
	if g.Runs != len(of) || g.Failures != failures || g.Warnings != warnings || g.Terminated != terminated || g.Last != last {
		t.Fatalf("the group %+v is of %+v", g, of)
	}
	if (g.LastGood == nil) != good.Completed.IsZero() || g.LastGood != nil && *g.LastGood != good {
		t.Fatalf("the last good of %+v is %+v", of, g.LastGood)
	}
	if len(took) == 0 {
		if g.Durations != nil {
			t.Fatalf("none ran, and took %+v", g.Durations)
		}
		return
	}
	want := statistics.Durations{
		P50: rank(took, 50), P90: rank(took, 90), P95: rank(took, 95), P99: rank(took, 99), Max: slices.Max(took),
		Mean: (sum / time.Duration(len(took))).Truncate(time.Millisecond),
	}
	if *g.Durations != want {
		t.Fatalf("%v took %+v, want %+v", took, *g.Durations, want)
	}
}

// TestDays has days of 23 and of 25 hours, and one that there is not.
func TestDays(t *testing.T) {
	t.Parallel()
	hourly := func(from time.Time, n int) []task.Brief {
		some := make([]task.Brief, n)
		for i := range some {
			some[i].Completed = from.Add(time.Duration(i) * time.Hour)
		}
		return some
	}
	for zone, test := range map[string]struct {
		from time.Time
		days []string
		runs []int
	}{
		"Europe/Vienna": {time.Date(2026, 10, 23, 22, 0, 0, 0, time.UTC), []string{"2026-10-24", "2026-10-25", "2026-10-26"}, []int{24, 25, 24}},
		"Europe/Paris":  {time.Date(2026, 3, 27, 23, 0, 0, 0, time.UTC), []string{"2026-03-28", "2026-03-29", "2026-03-30"}, []int{24, 23, 24}},
		"Pacific/Apia":  {time.Date(2011, 12, 29, 10, 0, 0, 0, time.UTC), []string{"2011-12-29", "2011-12-31"}, []int{24, 24}},
		// Its clock was set back at midnight: the hour before it comes twice.
		"America/Sao_Paulo": {time.Date(2018, 2, 17, 2, 0, 0, 0, time.UTC), []string{"2018-02-17", "2018-02-18"}, []int{25, 24}},
	} {
		all := 0
		for _, n := range test.runs {
			all += n
		}
		got := sums(t, []statistics.By{statistics.ByDay}, zone, hourly(test.from, all))
		if len(got) != len(test.days) {
			t.Errorf("%s: %d days, want %d", zone, len(got), len(test.days))
			continue
		}
		for i, g := range got {
			if g.Day != test.days[i] || g.Runs != test.runs[i] {
				t.Errorf("%s: %s has %d, want %s with %d", zone, g.Day, g.Runs, test.days[i], test.runs[i])
			}
		}
	}
}

func TestLongDurationsHaveAMean(t *testing.T) {
	t.Parallel()
	begin, end := time.UnixMilli(0).UTC(), time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC)
	some := make([]task.Brief, 1_100_000)
	for i := range some {
		some[i].Launched, some[i].Completed = begin, end
	}
	if got := sums(t, []statistics.By{statistics.ByType}, "UTC", some); got[0].Durations.Mean != end.Sub(begin) {
		t.Errorf("the mean of %v is %v", end.Sub(begin), got[0].Durations.Mean)
	}
}

func TestTooManyGroups(t *testing.T) {
	t.Parallel()
	s := statistics.New([]statistics.By{statistics.ByDay}, time.UTC)
	at := time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range statistics.MaxGroups + 1 {
		err := s.Add(&task.Brief{Completed: at.AddDate(0, 0, i)})
		if over := i == statistics.MaxGroups; over != (err != nil) || over && task.KindOf(err) != task.IllegalValue {
			t.Fatalf("group %d: %v", i, err)
		}
	}
}

func TestUsual(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	run := func(status task.CompletionStatus, took time.Duration) task.Brief {
		return task.Brief{Status: status, Launched: at, Completed: at.Add(took)}
	}
	if d, ok := statistics.Usual([]task.Brief{run(task.Failure, time.Hour), {Launched: at}, {Status: task.Success, Completed: at}}); ok {
		t.Errorf("without one that ended well it is %v", d)
	}
	some := []task.Brief{run(task.Success, 3*time.Second), run(task.Terminated, time.Millisecond), run(task.Warning, time.Second), run(task.Success, 9*time.Second)}
	if d, ok := statistics.Usual(some); !ok || d != 3*time.Second {
		t.Errorf("it is %v, %v", d, ok)
	}
}
