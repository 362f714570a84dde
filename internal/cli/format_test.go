package cli

import (
	"testing"
	"time"

	"stint/client"
)

func testSession() *session {
	now := time.Date(2026, 11, 24, 23, 40, 50, 0, time.UTC)
	return &session{now: func() time.Time { return now }, local: time.FixedZone("X", 3600)}
}

func TestParseSince(t *testing.T) {
	t.Parallel()
	s := testSession()
	for in, want := range map[string]string{
		"24h":                       "2026-11-23T23:40:50.000Z",
		"7d":                        "2026-11-17T23:40:50.000Z",
		"0.5d":                      "2026-11-24T11:40:50.000Z",
		"90m":                       "2026-11-24T22:10:50.000Z",
		"2026-11-24T10:00:00+02:00": "2026-11-24T08:00:00.000Z",
		"2026-11-24 10:00":          "2026-11-24T09:00:00.000Z",
		"2026-11-24":                "2026-11-23T23:00:00.000Z",
	} {
		if got, err := s.parseSince(in); err != nil || wireTime(got) != want {
			t.Errorf("%q: got %s, %v, want %s", in, wireTime(got), err, want)
		}
	}
	for _, bad := range []string{"", "7", "-7d", "yesterday", "2026-13-01", "-1h"} {
		if got, err := s.parseSince(bad); err == nil {
			t.Errorf("%q became %s", bad, got)
		}
	}
}

func TestShortTimes(t *testing.T) {
	t.Parallel()
	s := testSession()
	for ago, want := range map[time.Duration]string{
		-2 * time.Second: "now", 0: "0s ago", 59 * time.Second: "59s ago", 61 * time.Minute: "1h ago",
		30 * time.Hour: "Nov 23 18:40", 400 * 24 * time.Hour: "2025-10-21", -48 * time.Hour: "Nov 27 00:40",
	} {
		if got := s.shortTime(s.now().Add(-ago)); got != want {
			t.Errorf("%s ago: got %q, want %q", ago, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "0s", 0: "0ms", 999 * time.Millisecond: "999ms", 1500 * time.Millisecond: "1.5s", 59 * time.Second: "59s",
		61 * time.Second: "1m01s", 3*time.Hour + 4*time.Minute: "3h04m", 50 * time.Hour: "2d02h",
	} {
		if got := shortDuration(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
}

func TestListFilter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		flags listFlags
		want  string
	}{
		"none":        {listFlags{}, ""},
		"in progress": {listFlags{inProgress: true}, "completionStatus isnull"},
		"statuses":    {listFlags{statuses: []string{"error", "TEMPERROR"}}, `completionStatus in ("ERROR", "TEMPERROR")`},
		"name":        {listFlags{name: `a"b`, inProgress: true}, `(completionStatus isnull) and (uniqueName co "a\"b" or target.name co "a\"b")`},
		"both":        {listFlags{statuses: []string{"error", "in-progress"}}, `completionStatus eq "ERROR" or completionStatus isnull`},
		"all": {
			listFlags{statuses: []string{"error", "in_progress"}, types: []string{`a"b`}, sources: []string{"s"}, launchers: []string{"x", `y\`}, filter: `id eq "1" or id eq "2"`},
			`(completionStatus eq "ERROR" or completionStatus isnull) and (type eq "a\"b") and (sourceId eq "s") and (launcher in ("x", "y\\")) and (id eq "1" or id eq "2")`,
		},
	} {
		got, err := c.flags.filterExpression()
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
	for _, bad := range []listFlags{{statuses: []string{"done"}}, {statuses: []string{"running"}}, {statuses: []string{"ERROR"}, inProgress: true}} {
		if got, err := bad.filterExpression(); err == nil {
			t.Errorf("%+v became %s", bad, got)
		}
	}
}

func TestStatusText(t *testing.T) {
	t.Parallel()
	progress, waiting, at := "Reading users", "the source is busy", time.Now()
	for want, task := range map[string]client.Task{
		"SUCCESS":                       {CompletionStatus: client.Success, Progress: &progress, PercentComplete: 100},
		"queued: the source is busy":    {State: client.Queued, Waiting: &waiting},
		"running 40% Reading users":     {State: client.Running, Progress: &progress, PercentComplete: 40},
		"running, cancel requested 40%": {State: client.Running, CancelRequested: &at, PercentComplete: 40},
		"running":                       {Launched: &at},
	} {
		if got := statusText(&task); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
