package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

func newStatsRunsCommand(s *session, conn *connection) *cobra.Command {
	var last int
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "Show the last runs of each type and source",
		Long: "Show the last runs of each type and source.\n\n" +
			"RUNS has a letter for each, the newest last: . good, w with warnings, E failed, t stopped by somebody,\n" +
			"> in progress. USUAL is the median of the good ones. Elsewhere than on a terminal it is one line for each type\n" +
			"and source, of columns separated by tabs: type, source id, source name, the last run's id, status and\n" +
			"creation (UTC), the usual milliseconds, how many are in progress, and the letters.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			got, err := c.LatestRuns(cmd.Context(), last)
			if err != nil {
				return err
			}
			if output.value == "json" {
				return s.writeIndented(got.Raw())
			}
			return s.showLatest(got)
		},
	}
	cmd.Flags().IntVar(&last, "last", 0, "so many runs of each, 30 if not given")
	output = addOutputFlag(cmd, "table", "table", "json")
	return cmd
}

func (s *session) showLatest(got *client.LatestRuns) error {
	columns := []column{
		{title: "TYPE", least: 10, keep: 8},
		{title: "SOURCE", least: 8, keep: 9},
		{title: "LAST RUN", least: 8, keep: 7},
		{title: "WHEN", least: 7, keep: 5},
		{title: "USUAL", least: 6, keep: 4},
		{title: "IN PROGRESS", least: 11, keep: 3},
		{title: "RUNS", least: 10, keep: 6},
	}
	rows := make([]statRow, len(got.Groups))
	for i := range got.Groups {
		g := &got.Groups[i]
		status, usual, exact := string(g.LastRun.State), "", ""
		if g.LastRun.CompletionStatus != "" {
			status = string(g.LastRun.CompletionStatus)
		}
		if g.UsualDurationMs != nil {
			usual, exact = shortMillis(*g.UsualDurationMs), strconv.FormatInt(*g.UsualDurationMs, 10)
		}
		source, open, letters := orNothing(g.SourceID), strconv.Itoa(g.InProgress), runLetters(g.Runs)
		shown := source
		if g.SourceName != nil {
			shown = *g.SourceName
		}
		rows[i].cells = []string{g.Type, shown, status, s.shortTime(g.LastRun.Created), usual, open, letters}
		rows[i].plain = []string{
			g.Type, source, orNothing(g.SourceName), g.LastRun.ID, status, wireTime(g.LastRun.Created), exact, open, letters,
		}
	}
	if err := s.showRows(columns, rows, "No tasks."); err != nil || !got.More {
		return err
	}
	_, err := s.Err.Write([]byte("There are more types and sources than these.\n"))
	return err
}

// runLetters writes runs, which come newest first, as letters, the newest last.
func runLetters(runs []client.Run) string {
	var b strings.Builder
	for i := len(runs) - 1; i >= 0; i-- {
		switch runs[i].CompletionStatus {
		case client.Success:
			b.WriteByte('.')
		case client.Warning:
			b.WriteByte('w')
		case client.Terminated:
			b.WriteByte('t')
		case client.Failure, client.TempError:
			b.WriteByte('E')
		default:
			b.WriteByte('>')
		}
	}
	return b.String()
}
