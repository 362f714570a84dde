package cli

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

func newStatsCommand(s *session) *cobra.Command {
	conn := &connection{}
	var opts client.StatisticsOptions
	var since, until string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Sum up how tasks have ended",
		Long: "Sum up how tasks have ended: how many, how well, how long they took.\n\n" +
			"FAILED are those that ended with ERROR or TEMPERROR, STOPPED those that somebody ended; the durations are\n" +
			"the median, the 95th percentile and the longest. Elsewhere than on a terminal it is one line per group, of\n" +
			"columns separated by tabs: what --by names, then runs, failures, warnings, terminated, and p50, p90, p95, p99,\n" +
			"longest and mean in milliseconds, and the end of the last good run (UTC).",
		Example: "  stint stats --since 30d --by type\n" +
			"  stint stats --by day --time-zone Europe/Vienna --filter 'type eq \"CLOUD_ACCOUNT_AGGREGATION\"'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			for _, one := range []struct {
				flag, text string
				to         *time.Time
			}{{"--since", since, &opts.From}, {"--until", until, &opts.To}} {
				if one.text == "" {
					continue
				}
				if *one.to, err = s.parseSince(one.text); err != nil {
					return usagef("%s: %w", one.flag, err)
				}
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			got, err := c.Statistics(cmd.Context(), opts)
			if err != nil {
				return err
			}
			if output.value == "json" {
				return s.writeIndented(got.Raw())
			}
			return s.showStatistics(got)
		},
	}
	conn.addFlags(cmd.PersistentFlags())
	flags := cmd.Flags()
	flags.StringVar(&since, "since", "7d", "only tasks that ended since then: a duration (24h, 7d) or a time")
	flags.StringVar(&until, "until", "", "only tasks that ended before then: a duration ago (24h, 7d) or a time")
	flags.StringSliceVar(&opts.By, "by", []string{"type", "source"}, "what to group by: type, source, status, day")
	flags.StringVar(&opts.TimeZone, "time-zone", "", "whose days, as Europe/Vienna; UTC if not given")
	flags.StringVar(&opts.Filter, "filter", "", "a filter expression for the tasks")
	output = addOutputFlag(cmd, "table", "table", "json")
	_ = cmd.RegisterFlagCompletionFunc("by", fixed("type", "source", "status", "day"))
	cmd.AddCommand(newStatsRunsCommand(s, conn))
	return cmd
}

// statRow is a line of a table that no server sent.
type statRow struct{ cells, plain []string }

// Raw implements listed; a row is never shown so.
func (statRow) Raw() json.RawMessage { return nil }

func (s *session) showRows(columns []column, rows []statRow, none string) error {
	sink := newSink(s, "table", shape[statRow]{
		columns: columns, none: none,
		row: func(r statRow) []string { return r.cells }, plain: func(r statRow) []string { return r.plain },
	})
	for _, r := range rows {
		if err := sink.add(r); err != nil {
			return err
		}
	}
	return sink.close()
}

func (s *session) showStatistics(got *client.Statistics) error {
	var columns []column
	for _, by := range got.GroupBy {
		columns = append(columns, column{title: strings.ToUpper(by), least: 8, keep: 9})
	}
	columns = append(columns, column{title: "RUNS"}, column{title: "FAILED"}, column{title: "WARNED", least: 6, keep: 5}, column{title: "STOPPED", least: 7, keep: 4},
		column{title: "MEDIAN", least: 6, keep: 7}, column{title: "P95", least: 6, keep: 3}, column{title: "LONGEST", least: 7, keep: 2},
		column{title: "LAST GOOD", least: 7, keep: 6})
	rows := make([]statRow, len(got.Groups))
	for i := range got.Groups {
		g := &got.Groups[i]
		for _, by := range got.GroupBy {
			rows[i].cells = append(rows[i].cells, shownBy(g, by))
			rows[i].plain = append(rows[i].plain, exactBy(g, by))
		}
		s.addNumbers(&rows[i], g)
	}
	return s.showRows(columns, rows, "No task has ended.")
}

// exactBy is what a group is of, for programs.
func exactBy(g *client.StatisticsGroup, by string) string {
	switch by {
	case "type":
		return orNothing(g.Type)
	case "source":
		return orNothing(g.SourceID)
	case "day":
		return orNothing(g.Day)
	}
	return string(g.CompletionStatus)
}

// shownBy is what a group is of, for people.
func shownBy(g *client.StatisticsGroup, by string) string {
	if by == "source" && g.SourceName != nil {
		return *g.SourceName
	}
	return exactBy(g, by)
}

func orNothing(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

func (s *session) addNumbers(row *statRow, g *client.StatisticsGroup) {
	for _, n := range []int{g.Runs, g.Failures, g.Warnings, g.Terminated} {
		row.cells = append(row.cells, strconv.Itoa(n))
	}
	row.plain = append(row.plain, row.cells[len(row.cells)-4:]...)
	short, long := []string{"", "", ""}, []string{"", "", "", "", "", ""}
	if d := g.DurationMs; d != nil {
		short = []string{shortMillis(d.P50), shortMillis(d.P95), shortMillis(d.Max)}
		for i, ms := range []int64{d.P50, d.P90, d.P95, d.P99, d.Max, d.Mean} {
			long[i] = strconv.FormatInt(ms, 10)
		}
	}
	row.cells, row.plain = append(row.cells, short...), append(row.plain, long...)
	good, at := "", ""
	if g.LastGoodRun != nil && g.LastGoodRun.Completed != nil {
		good, at = s.shortTime(*g.LastGoodRun.Completed), wireTime(*g.LastGoodRun.Completed)
	}
	row.cells, row.plain = append(row.cells, good), append(row.plain, at)
}

func shortMillis(ms int64) string { return shortDuration(time.Duration(ms) * time.Millisecond) }
