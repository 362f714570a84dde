// Package statistics sums up how tasks have ended: how many, how well, how long they
// took.
//
// It owns the groups, the percentiles and what counts as a failure. It does not own
// storage: whoever reads tasks adds them one by one, in any order.
//
// Invariants: what is summed is exact; a day is one of the zone that was asked for,
// however many hours it has.
package statistics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stint/internal/task"
)

// By is what groups are made by.
type By string

// The things that groups are made by.
const (
	ByType   By = "type"
	BySource By = "source"
	ByStatus By = "status"
	ByDay    By = "day"
)

// AllBy returns all things that groups are made by.
func AllBy() []By { return []By{ByType, BySource, ByStatus, ByDay} }

// The bounds of what is summed up at once: what is held in memory, and what is
// answered.
const (
	MaxTasks  = 5_000_000
	MaxGroups = 10_000
)

// Group is what was summed up of some tasks. What groups are not made by is empty.
type Group struct {
	Kind     task.Kind
	SourceID string // as the last task of the group has it
	Status   task.CompletionStatus
	Day      string

	Runs, Failures, Warnings, Terminated int
	// Durations is nil where none of the tasks ever ran.
	Durations *Durations
	// Last is the task that ended last; LastGood the last that ended well, nil where
	// none did.
	Last     task.Brief
	LastGood *task.Brief
}

// Durations are percentiles by the nearest rank, and the mean, cut to milliseconds.
type Durations struct {
	P50, P90, P95, P99, Max, Mean time.Duration
}

// Sums sums tasks up. It is for one goroutine.
type Sums struct {
	by     map[By]bool
	order  []By
	zone   *time.Location
	groups map[key]*sum
	tasks  int
}

type key struct {
	kind   task.Kind
	source string // in lower case
	status task.CompletionStatus
	day    int // 20261124
}

type sum struct {
	Group
	took []int64 // in milliseconds
}

// New returns empty sums in groups by some things, in the order in which groups are
// sorted. Days are those of the zone.
func New(by []By, zone *time.Location) *Sums {
	s := &Sums{by: map[By]bool{}, order: by, zone: zone, groups: map[key]*sum{}}
	for _, b := range by {
		s.by[b] = true
	}
	return s
}

// Add adds a task that has ended. Its error is of kind IllegalValue where there are
// too many to sum up.
func (s *Sums) Add(b *task.Brief) error {
	if s.tasks++; s.tasks > MaxTasks {
		return task.Errorf(task.IllegalValue, "from", "more than %d tasks have ended since then; choose a shorter time", MaxTasks)
	}
	var k key
	if s.by[ByType] {
		k.kind = b.Kind
	}
	if s.by[BySource] {
		k.source = task.LowerASCII(b.SourceID)
	}
	if s.by[ByStatus] {
		k.status = b.Status
	}
	if s.by[ByDay] {
		k.day = s.dayOf(b.Completed)
	}
	g := s.groups[k]
	if g == nil {
		if len(s.groups) == MaxGroups {
			return task.Errorf(task.IllegalValue, "groupBy", "there are more than %d groups; make fewer, or choose a shorter time", MaxGroups)
		}
		g = &sum{Group: Group{Kind: k.kind, Status: k.status, Day: formatDay(k.day)}}
		s.groups[k] = g
	}
	g.add(b, s.by[BySource])
	return nil
}

// dayOf numbers the day of a time.
func (s *Sums) dayOf(t time.Time) int {
	y, m, d := t.In(s.zone).Date()
	return (y*100+int(m))*100 + d
}

func formatDay(day int) string {
	if day == 0 {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", day/10000, day/100%100, day%100)
}

func (g *sum) add(b *task.Brief, bySource bool) {
	g.Runs++
	switch {
	case b.Status.Failed():
		g.Failures++
	case b.Status == task.Warning:
		g.Warnings++
	case b.Status == task.Terminated:
		g.Terminated++
	}
	if took, ok := b.Duration(); ok {
		g.took = append(g.took, took.Milliseconds())
	}
	if g.Runs == 1 || later(b, &g.Last) {
		g.Last = *b
		if bySource {
			g.SourceID = b.SourceID
		}
	}
	if b.Status.Good() && (g.LastGood == nil || later(b, g.LastGood)) {
		last := *b
		g.LastGood = &last
	}
}

// later reports whether a ended later than b.
func later(a, b *task.Brief) bool {
	return cmp.Or(a.Completed.Compare(b.Completed), a.Created.Compare(b.Created), strings.Compare(string(a.ID), string(b.ID))) > 0
}

// Groups returns what was summed up, sorted by what the groups are made by, in that
// order. Nothing may be added any more.
func (s *Sums) Groups() []Group {
	groups := make([]Group, 0, len(s.groups))
	for _, g := range s.groups {
		g.Durations = durationsOf(g.took)
		groups = append(groups, g.Group)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		for _, by := range s.order {
			if c := compareBy(by, &a, &b); c != 0 {
				return c
			}
		}
		return 0
	})
	return groups
}

func compareBy(by By, a, b *Group) int {
	switch by {
	case ByType:
		return cmp.Compare(a.Kind, b.Kind)
	case BySource:
		return cmp.Compare(task.LowerASCII(a.SourceID), task.LowerASCII(b.SourceID))
	case ByStatus:
		return cmp.Compare(a.Status, b.Status)
	case ByDay:
		return cmp.Compare(a.Day, b.Day)
	}
	return 0
}

// durationsOf sorts what it is given.
func durationsOf(took []int64) *Durations {
	if len(took) == 0 {
		return nil
	}
	slices.Sort(took)
	// The nearest rank: the least value that so many of a hundred do not exceed.
	at := func(percent int) time.Duration {
		rank := (len(took)*percent + 99) / 100
		return time.Duration(took[rank-1]) * time.Millisecond
	}
	// The sum of many large ones would not fit.
	var whole, rest int64
	n := int64(len(took))
	for _, ms := range took {
		whole, rest = whole+ms/n, rest+ms%n
	}
	return &Durations{
		P50: at(50), P90: at(90), P95: at(95), P99: at(99), Max: at(100),
		Mean: time.Duration(whole+rest/n) * time.Millisecond,
	}
}

// Usual is how long such tasks usually take: the median of those that ended well;
// false where none did.
func Usual(some []task.Brief) (time.Duration, bool) {
	var took []int64
	for i := range some {
		if d, ok := some[i].Duration(); ok && some[i].Status.Good() {
			took = append(took, d.Milliseconds())
		}
	}
	d := durationsOf(took)
	if d == nil {
		return 0, false
	}
	return d.P50, true
}
