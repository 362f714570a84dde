package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the time zones, for machines that have none

	"stint/internal/query"
	"stint/internal/statistics"
	"stint/internal/task"
)

// Statistics reads what is summed up. Errors are *task.Error.
type Statistics interface {
	// EachEnded calls fn for every task that has ended from one time on and before
	// another, that filter accepts, and that was created after since; in no order.
	EachEnded(ctx context.Context, filter query.Expr, since, from, to time.Time, fn func(task.Brief) error) error
	// NewestOfPairs returns the newest tasks of each kind and source, up to limit of
	// these, and whether there are more.
	NewestOfPairs(ctx context.Context, since time.Time, newest, limit int) (pairs []task.Pair, more bool, err error)
}

const (
	// statisticsDays is how far statistics go back where nobody says so.
	statisticsDays = 7
	// The newest tasks that are told of each type and source, and of how many of these.
	defaultLast = 30
	maxLast     = 100
	maxPairs    = 2000
)

type wireDurations struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P95  int64 `json:"p95"`
	P99  int64 `json:"p99"`
	Max  int64 `json:"max"`
	Mean int64 `json:"mean"`
}

type wireGroup struct {
	Type             *task.Kind             `json:"type"`
	TypeName         *string                `json:"typeName"`
	SourceID         *string                `json:"sourceId"`
	SourceName       *string                `json:"sourceName"`
	CompletionStatus *task.CompletionStatus `json:"completionStatus"`
	Day              *string                `json:"day"`
	Runs             int                    `json:"runs"`
	Failures         int                    `json:"failures"`
	Warnings         int                    `json:"warnings"`
	Terminated       int                    `json:"terminated"`
	DurationMs       *wireDurations         `json:"durationMs"`
	LastGoodRun      *wireRun               `json:"lastGoodRun"`
	LastRun          wireRun                `json:"lastRun"`
}

type wireRun struct {
	ID               task.ID                `json:"id"`
	State            task.State             `json:"state"`
	CompletionStatus *task.CompletionStatus `json:"completionStatus"`
	Created          string                 `json:"created"`
	Launched         *string                `json:"launched"`
	Completed        *string                `json:"completed"`
	DurationMs       *int64                 `json:"durationMs"`
}

type wirePair struct {
	Type            task.Kind   `json:"type"`
	TypeName        string      `json:"typeName"`
	SourceID        *string     `json:"sourceId"`
	SourceName      *string     `json:"sourceName"`
	InProgress      int         `json:"inProgress"`
	UsualDurationMs *int64      `json:"usualDurationMs"`
	LastRun         wireLastRun `json:"lastRun"`
	LastGoodRun     *wireRun    `json:"lastGoodRun"`
	Runs            []wireRun   `json:"runs"`
}

// wireLastRun is the run that a page shows first.
type wireLastRun struct {
	wireRun
	UniqueName      string `json:"uniqueName"`
	PercentComplete int    `json:"percentComplete"`
}

func runOf(b *task.Brief) wireRun {
	r := wireRun{
		ID: b.ID, State: b.State(), Created: task.FormatTime(b.Created), Launched: optionalTime(b.Launched), Completed: optionalTime(b.Completed),
	}
	if b.Status != task.InProgress {
		r.CompletionStatus = &b.Status
	}
	if d, ok := b.Duration(); ok {
		ms := d.Milliseconds()
		r.DurationMs = &ms
	}
	return r
}

// asked is what statistics are asked for.
type asked struct {
	from, to time.Time
	by       []statistics.By
	zone     *time.Location
	filter   query.Expr
}

func (a *api) askedStatistics(r *http.Request) (q asked, err error) {
	given, err := query.Parameters(r.URL.RawQuery, "from", "to", "groupBy", "timeZone", "filters")
	if err != nil {
		return q, err
	}
	q.to = task.Millis(a.now())
	if v, ok := given["to"]; ok {
		if q.to, err = query.ParseTime("to", v); err != nil {
			return q, err
		}
	}
	q.from = q.to.AddDate(0, 0, -statisticsDays)
	if v, ok := given["from"]; ok {
		if q.from, err = query.ParseTime("from", v); err != nil {
			return q, err
		}
	}
	if !q.from.Before(q.to) {
		return q, task.Errorf(task.IllegalValue, "from", "%s is not before %s, where the time ends: an earlier one is allowed",
			task.FormatTime(q.from), task.FormatTime(q.to))
	}
	if q.by, err = groupBy(given["groupBy"]); err != nil {
		return q, err
	}
	if q.zone, err = timeZone(given["timeZone"]); err != nil {
		return q, err
	}
	q.filter, err = a.richer.ParseFilter(given["filters"])
	return q, err
}

// groupBy reads what groups are made by.
func groupBy(given string) ([]statistics.By, error) {
	if given == "" {
		return []statistics.By{statistics.ByType, statistics.BySource}, nil
	}
	var by []statistics.By
	for word := range strings.SplitSeq(given, ",") {
		b := statistics.By(strings.TrimSpace(word))
		switch {
		case !slices.Contains(statistics.AllBy(), b):
			return nil, task.Errorf(task.IllegalValue, "groupBy", "%q is not allowed: type, source, status, day, with commas between them", task.Abbreviate(word))
		case slices.Contains(by, b):
			return nil, task.Errorf(task.IllegalValue, "groupBy", "%q is given twice: once at most", b)
		}
		by = append(by, b)
	}
	return by, nil
}

// timeZone reads the name of a time zone.
func timeZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	// Local is this machine's, which says nothing to a client.
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, task.Errorf(task.IllegalValue, "timeZone", "%q is not the name of a time zone: one of the IANA database, like Europe/Vienna or UTC, is allowed",
			task.Abbreviate(name))
	}
	return zone, nil
}

func (a *api) getStatistics(w http.ResponseWriter, r *http.Request) error {
	q, err := a.askedStatistics(r)
	if err != nil {
		return err
	}
	sums := statistics.New(q.by, q.zone)
	err = a.statistics.EachEnded(r.Context(), q.filter, a.tasks.VisibleSince(), q.from, q.to, func(b task.Brief) error { return sums.Add(&b) })
	if err != nil {
		return err
	}
	groups := sums.Groups()
	answer := struct {
		From     string          `json:"from"`
		To       string          `json:"to"`
		TimeZone string          `json:"timeZone"`
		GroupBy  []statistics.By `json:"groupBy"`
		Groups   []wireGroup     `json:"groups"`
	}{task.FormatTime(q.from), task.FormatTime(q.to), q.zone.String(), q.by, make([]wireGroup, len(groups))}
	names := sourceNames{api: a, known: map[string]*string{}}
	for i := range groups {
		if answer.Groups[i], err = a.groupOf(r.Context(), &groups[i], q.by, &names); err != nil {
			return err
		}
	}
	return writeStatistics(w, answer)
}

func (a *api) groupOf(ctx context.Context, g *statistics.Group, by []statistics.By, names *sourceNames) (wireGroup, error) {
	out := wireGroup{Runs: g.Runs, Failures: g.Failures, Warnings: g.Warnings, Terminated: g.Terminated, LastRun: runOf(&g.Last)}
	if g.LastGood != nil {
		good := runOf(g.LastGood)
		out.LastGoodRun = &good
	}
	if d := g.Durations; d != nil {
		out.DurationMs = &wireDurations{
			d.P50.Milliseconds(), d.P90.Milliseconds(), d.P95.Milliseconds(), d.P99.Milliseconds(), d.Max.Milliseconds(), d.Mean.Milliseconds(),
		}
	}
	for _, b := range by {
		switch b {
		case statistics.ByType:
			name := a.typeName(g.Kind)
			out.Type, out.TypeName = &g.Kind, &name
		case statistics.BySource:
			if g.SourceID == "" {
				continue
			}
			name, err := names.of(ctx, g.SourceID, func() (string, error) { return a.targetName(ctx, g.Last.ID) })
			if err != nil {
				return out, err
			}
			out.SourceID, out.SourceName = &g.SourceID, name
		case statistics.ByStatus:
			out.CompletionStatus = &g.Status
		case statistics.ByDay:
			out.Day = &g.Day
		}
	}
	return out, nil
}

// getLatestRuns answers with the newest tasks of each type and source.
func (a *api) getLatestRuns(w http.ResponseWriter, r *http.Request) error {
	given, err := query.Parameters(r.URL.RawQuery, "last")
	if err != nil {
		return err
	}
	last := defaultLast
	if v, ok := given["last"]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > maxLast {
			return task.Errorf(task.IllegalValue, "last", "%q is not allowed: a whole number from 1 to %d", task.Abbreviate(v), maxLast)
		}
		last = n
	}
	pairs, more, err := a.statistics.NewestOfPairs(r.Context(), a.tasks.VisibleSince(), last, maxPairs)
	if err != nil {
		return err
	}
	answer := struct {
		Last   int        `json:"last"`
		More   bool       `json:"more"`
		Groups []wirePair `json:"groups"`
	}{last, more, make([]wirePair, len(pairs))}
	names := sourceNames{api: a, known: map[string]*string{}}
	for i := range pairs {
		if answer.Groups[i], err = a.pairOf(r.Context(), &pairs[i], &names); err != nil {
			return err
		}
	}
	return writeStatistics(w, answer)
}

func (a *api) pairOf(ctx context.Context, p *task.Pair, names *sourceNames) (wirePair, error) {
	newest := &p.Newest[0]
	out := wirePair{
		Type: p.Kind, TypeName: a.typeName(p.Kind), InProgress: p.InProgress,
		LastRun: wireLastRun{runOf(newest), newest.UniqueName, newest.PercentComplete}, Runs: make([]wireRun, len(p.Newest)),
	}
	if p.SourceID != "" {
		name, err := names.of(ctx, p.SourceID, func() (string, error) { return newest.TargetName, nil })
		if err != nil {
			return out, err
		}
		out.SourceID, out.SourceName = &p.SourceID, name
	}
	for i := range p.Newest {
		out.Runs[i] = runOf(&p.Newest[i])
		if out.LastGoodRun == nil && p.Newest[i].Status.Good() {
			out.LastGoodRun = &out.Runs[i]
		}
	}
	if usual, ok := statistics.Usual(p.Newest); ok {
		ms := usual.Milliseconds()
		out.UsualDurationMs = &ms
	}
	return out, nil
}

func (a *api) typeName(k task.Kind) string {
	if d, ok := a.catalog.Lookup(string(k)); ok {
		return d.DisplayName
	}
	return string(k)
}

// targetName is what a task calls what it worked on; empty where it is gone.
func (a *api) targetName(ctx context.Context, id task.ID) (string, error) {
	row, err := a.store.Get(ctx, id, time.Time{})
	if task.KindOf(err) == task.NotFound {
		return "", nil
	}
	var t task.Task
	if err == nil {
		err = t.UnmarshalWire(row.Wire)
	}
	if err != nil || t.Target == nil {
		return "", err
	}
	return t.Target.Name, nil
}

// sourceNames knows what sources are called.
type sourceNames struct {
	*api
	known map[string]*string
}

// of returns the name of a source: its own, where it is one of Stint's, else what a
// task calls it; nil where nobody knows.
func (s *sourceNames) of(ctx context.Context, sourceID string, called func() (string, error)) (*string, error) {
	key := task.LowerASCII(sourceID)
	if name, ok := s.known[key]; ok {
		return name, nil
	}
	name := ""
	if id, ok := task.ParseID(sourceID); ok {
		own, err := s.sources.Source(ctx, id)
		if err != nil && task.KindOf(err) != task.NotFound {
			return nil, err
		}
		name = own.Name
	}
	if name == "" {
		var err error
		if name, err = called(); err != nil {
			return nil, err
		}
	}
	s.known[key] = nil
	if name != "" {
		s.known[key] = &name
	}
	return s.known[key], nil
}

func writeStatistics(w http.ResponseWriter, answer any) error {
	body, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("render statistics: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
