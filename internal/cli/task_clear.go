package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

const (
	// maxCleared is how many tasks the server clears with one request.
	maxCleared     = 1000
	defaultCleared = 250
)

type clearFlags struct {
	status, reason, completed, filter string
	limit                             int
	dryRun, yes                       bool
	output                            *outputFlag
}

func newTaskClearCommand(s *session, conn *connection) *cobra.Command {
	f := &clearFlags{}
	cmd := &cobra.Command{
		Use:   "clear {ID... | --filter EXPRESSION} --status STATUS",
		Short: "End stuck tasks for good",
		Long: "End stuck tasks for good: their work is stopped, and nothing can report to them any more. Who did it\n" +
			"and why is kept. The same clear again changes nothing.\n\n" +
			"With --filter, all tasks in progress that it selects, the oldest first: those that would be cleared are\n" +
			"shown, and on a terminal you are asked before they are; elsewhere add --yes.",
		Example: "  stint task clear 0190… --status ERROR --reason \"host died\"\n" +
			"  stint task clear --filter 'type eq IDENTITY_REFRESH and launched lt \"2026-11-24T00:00:00Z\"' --dry-run",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.filter != "" {
				if len(args) > 0 {
					return usagef("give ids or --filter, not both")
				}
				return nil
			}
			return taskIDs(1, -1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			clearing, err := f.request(s)
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			if f.filter != "" {
				return s.clearMany(cmd.Context(), c, f, clearing)
			}
			return s.forEach(args, func(id string) (*client.Task, error) { return c.Clear(cmd.Context(), id, clearing) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.status, "status", "", "how it ended: SUCCESS, WARNING, ERROR, TERMINATED or TEMPERROR (required)")
	flags.StringVar(&f.reason, "reason", "", "why; kept in the audit trail (required with --filter)")
	flags.StringVar(&f.completed, "completed", "", "when it ended (default: now)")
	flags.StringVar(&f.filter, "filter", "", "clear the tasks in progress that this expression selects")
	flags.IntVar(&f.limit, "limit", defaultCleared, "with --filter: at most so many")
	flags.BoolVar(&f.dryRun, "dry-run", false, "with --filter: only show what would be cleared")
	flags.BoolVarP(&f.yes, "yes", "y", false, "with --filter: do not ask")
	f.output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(completionStatuses()...))
	return cmd
}

// request reads how tasks are to end.
func (f *clearFlags) request(s *session) (client.ClearRequest, error) {
	r := client.ClearRequest{Reason: f.reason}
	switch {
	case f.filter == "" && (f.dryRun || f.yes):
		return r, usagef("--dry-run and --yes go with --filter")
	case f.limit < 1 || f.limit > maxCleared:
		return r, usagef("--limit %d: 1 to %d", f.limit, maxCleared)
	case f.status == "" && f.dryRun:
		return r, nil
	case f.status == "":
		return r, usagef("--status is required: how did it end?")
	case f.filter != "" && f.reason == "" && !f.dryRun:
		return r, usagef("--reason is required with --filter: why?")
	}
	status, err := parseStatus(f.status)
	if err != nil {
		return r, usagef("--status: %w", err)
	}
	r.Status = status
	if f.completed != "" {
		var at time.Time
		if at, err = s.parseTime(f.completed); err != nil {
			return r, usagef("--completed: %w", err)
		}
		r.Completed = &at
	}
	return r, nil
}

// clearMany shows what a filter selects, and clears it.
func (s *session) clearMany(ctx context.Context, c *client.Client, f *clearFlags, how client.ClearRequest) error {
	ask := client.ClearManyRequest{
		Filter: f.filter, Status: how.Status, Reason: how.Reason, Completed: how.Completed, Limit: f.limit, DryRun: true,
	}
	would, err := c.ClearMany(ctx, ask)
	if err != nil {
		return err
	}
	if f.dryRun || len(would.Tasks) == 0 {
		return s.writeCleared(would, f.output.value)
	}
	if !f.yes {
		if err := s.confirmClear(ctx, would, how); err != nil {
			return err
		}
	}
	ask.DryRun = false
	cleared, err := c.ClearMany(ctx, ask)
	if err != nil {
		return err
	}
	if err := s.writeCleared(cleared, f.output.value); err != nil {
		return err
	}
	if refused := countOutcome(cleared, "refused"); refused > 0 {
		return &exitCodeError{code: exitError, err: fmt.Errorf("%d of %s could not be cleared", refused, countedAs(int64(len(cleared.Tasks)), "task"))}
	}
	return nil
}

// confirmClear shows what would be cleared and asks whether it may be.
func (s *session) confirmClear(ctx context.Context, would *client.ClearedMany, how client.ClearRequest) error {
	for i := range would.Tasks {
		t := &would.Tasks[i]
		if _, err := fmt.Fprintf(s.Err, "%s  %s  %s\n", escapeLine(t.ID), escapeLine(t.Kind), escapeLine(t.UniqueName)); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%s would end as %s", countedAs(countOutcome(would, "wouldClear"), "task"), how.Status)
	if would.More {
		what += fmt.Sprintf(", of %d that match", would.Matched)
	}
	return s.confirm(ctx, what+".", "Clear them? [y/N] ", "nothing was cleared")
}

func countOutcome(c *client.ClearedMany, outcome string) int64 {
	n := int64(0)
	for i := range c.Tasks {
		if c.Tasks[i].Outcome == outcome {
			n++
		}
	}
	return n
}

func (s *session) writeCleared(c *client.ClearedMany, format string) error {
	if format == "json" {
		return s.writeIndented(c.Raw())
	}
	why := func(t *client.ClearedTask) string {
		if t.Message == nil {
			return ""
		}
		return *t.Message
	}
	out := newSink(s, format, shape[*client.ClearedTask]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "TYPE", least: 10, keep: 6},
			{title: "NAME", least: 10, keep: 5},
			{title: "CREATED", least: 7, keep: 4},
			{title: "OUTCOME", least: 7, keep: 8},
			{title: "WHY", least: 10, keep: 3},
		},
		row: func(t *client.ClearedTask) []string {
			return []string{t.ID, t.Kind, t.UniqueName, s.shortTime(t.Created), t.Outcome, why(t)}
		},
		plain: func(t *client.ClearedTask) []string {
			return []string{t.ID, t.Kind, t.UniqueName, wireTime(t.Created), t.Outcome, why(t)}
		},
		none: "No task in progress matches.", id: func(t *client.ClearedTask) string { return t.ID },
	})
	for i := range c.Tasks {
		if err := out.add(&c.Tasks[i]); err != nil {
			return err
		}
	}
	if err := out.close(); err != nil {
		return err
	}
	if c.More && isTerminal(s.Out) {
		_, err := fmt.Fprintf(s.Err, "%d match; these are the oldest %d.\n", c.Matched, len(c.Tasks))
		return err
	}
	return nil
}
