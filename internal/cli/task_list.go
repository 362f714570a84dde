package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

const (
	defaultListLimit = 50
	inProgress       = "IN_PROGRESS"
	sortNewestFirst  = "-created"
)

type listFlags struct {
	statuses, types, sources, launchers []string
	inProgress, count                   bool
	since, filter, name, sort           string
	limit                               int
	output                              *outputFlag
}

func newTaskListCommand(s *session, conn *connection) *cobra.Command {
	f := &listFlags{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tasks, newest first",
		Long: "List tasks, newest first unless --sort says otherwise.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per task, without a header\n" +
			"and without cuts, of columns separated by tabs: id, type, name, status, launcher, created (UTC),\n" +
			"seconds it ran, percent, progress.",
		Example: "  stint task list --in-progress\n" +
			"  stint task list --status ERROR --status TEMPERROR --since 24h\n" +
			"  stint task list --filter 'completed gt \"2026-11-24T20:00:00Z\"' --sort -durationMs --limit 10\n" +
			"  stint task list --type IDENTITY_REFRESH -o id | xargs -n 1 stint task get",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			return s.listTasks(cmd.Context(), c, f)
		},
	}
	f.addFilterFlags(cmd, s, conn)
	flags := cmd.Flags()
	flags.StringVar(&f.since, "since", "", "only tasks created since then: a duration (24h, 7d) or a time")
	flags.IntVar(&f.limit, "limit", defaultListLimit, "at most so many tasks, 0 for all")
	flags.BoolVar(&f.count, "count", false, "print only how many tasks there are")
	flags.StringVar(&f.sort, "sort", sortNewestFirst, "the order: "+strings.Join(taskSorters(), ", ")+`; with "-" before it the other way round`)
	f.output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	_ = cmd.RegisterFlagCompletionFunc("sort", fixed(taskSorters()...))
	return cmd
}

// addFilterFlags adds the flags that say which tasks.
func (f *listFlags) addFilterFlags(cmd *cobra.Command, s *session, conn *connection) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.statuses, "status", nil, "only tasks that ended so ("+strings.Join(completionStatuses(), ", ")+") or "+inProgress+"; repeatable")
	flags.StringArrayVar(&f.types, "type", nil, "only tasks of this type; repeatable")
	flags.StringArrayVar(&f.sources, "source", nil, "only tasks of this source id; repeatable")
	flags.StringArrayVar(&f.launchers, "launcher", nil, "only tasks of this launcher; repeatable")
	flags.BoolVar(&f.inProgress, "in-progress", false, "only queued and running tasks")
	flags.StringVar(&f.name, "name", "", "only tasks whose name, or whose target's name, has this in it")
	flags.StringVar(&f.filter, "filter", "", "a filter expression that must hold too")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(append(completionStatuses(), inProgress)...))
	_ = cmd.RegisterFlagCompletionFunc("type", completeTypes(s, conn))
}

func taskSorters() []string {
	return []string{"created", "completed", "durationMs", "uniqueName", "target.name", "launcher", "type", "completionStatus"}
}

// filterExpression puts the flags into the filter language.
func (f *listFlags) filterExpression() (string, error) {
	var named []string
	pending := f.inProgress
	for _, text := range f.statuses {
		switch strings.ToUpper(strings.ReplaceAll(text, "-", "_")) {
		case inProgress, "QUEUED", "RUNNING":
			if !strings.EqualFold(strings.ReplaceAll(text, "-", "_"), inProgress) {
				return "", usagef("--status %s: queued and running tasks are listed together, by --in-progress", text)
			}
			pending = true
			continue
		}
		status, err := parseStatus(text)
		if err != nil {
			return "", usagef("%w, %s", err, inProgress)
		}
		named = append(named, string(status))
	}
	status := client.AnyOf("completionStatus", named...)
	if pending {
		if f.inProgress && len(named) > 0 {
			return "", usagef("--in-progress and --status %s exclude each other; --status %s lists both", named[0], inProgress)
		}
		alone := "completionStatus isnull"
		if status == "" {
			status = alone
		} else {
			status += " or " + alone
		}
	}
	name := ""
	if f.name != "" {
		name = "uniqueName co " + client.Quote(f.name) + " or target.name co " + client.Quote(f.name)
	}
	return client.AllOf(status, name,
		client.AnyOf("type", f.types...), client.AnyOf("sourceId", f.sources...),
		client.AnyOf("launcher", f.launchers...), f.filter), nil
}

func (s *session) listTasks(ctx context.Context, c *client.Client, f *listFlags) error {
	filter, err := f.filterExpression()
	if err != nil {
		return err
	}
	if f.limit < 0 {
		return usagef("--limit %d: at least 0", f.limit)
	}
	if f.since != "" {
		since, err := s.parseSince(f.since)
		if err != nil {
			return usagef("--since %w", err)
		}
		filter = client.AllOf(client.Since("created", since), filter)
	}
	if f.count {
		count, err := c.CountTasks(ctx, filter)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Out, count)
		return err
	}
	sink := s.newTaskSink(f.output.value)
	more, n := false, 0
	opts := client.ListOptions{Filter: filter, Sorters: f.sort}
	if f.limit > 0 {
		opts.Limit = f.limit + 1
	}
	for t, err := range c.Tasks(ctx, opts) {
		if err != nil {
			return err
		}
		if f.limit > 0 && n == f.limit {
			more = true
			break
		}
		n++
		if err := sink.add(t); err != nil {
			return err
		}
	}
	if err := sink.close(); err != nil {
		return err
	}
	if more && f.output.value == "table" && isTerminal(s.Out) {
		which := "first"
		if f.sort == sortNewestFirst {
			which = "newest"
		}
		_, err = fmt.Fprintf(s.Err, "These are the %s %d; --limit 0 lists all.\n", which, n)
	}
	return err
}

func (s *session) newTaskSink(format string) sink[*client.Task] {
	return newSink(s, format, shape[*client.Task]{
		columns: taskColumns(), row: s.tableRow, plain: s.plainRow, none: "No tasks.",
		id: func(t *client.Task) string { return t.ID },
	})
}

// oneLine is JSON on one line: raw line feeds stand only between its tokens.
func oneLine(raw []byte) []byte {
	line := make([]byte, 0, len(raw)+1)
	for _, b := range raw {
		if b != '\n' && b != '\r' {
			line = append(line, b)
		}
	}
	return line
}

// println prints escaped cells separated by tabs.
func (s *session) println(cells ...string) error {
	for i := range cells {
		cells[i] = escapeLine(cells[i])
	}
	_, err := io.WriteString(s.Out, strings.Join(cells, "\t")+"\n")
	return err
}

func taskColumns() []column {
	return []column{
		{title: "ID", keep: 9},
		{title: "TYPE", least: 10, keep: 6},
		{title: "NAME", least: 10, keep: 5},
		{title: "STATUS", least: 10, keep: 8},
		{title: "LAUNCHER", least: 8, keep: 2},
		{title: "CREATED", least: 7, keep: 4},
		{title: "DURATION", least: 8, keep: 3},
	}
}

func (s *session) tableRow(t *client.Task) []string {
	duration := ""
	if d, ok := s.taskDuration(t); ok {
		duration = shortDuration(d)
	}
	return []string{t.ID, kindOf(t), t.UniqueName, statusText(t), t.Launcher, s.shortTime(t.Created), duration}
}

func (s *session) plainRow(t *client.Task) []string {
	duration, progress := "", ""
	if d, ok := s.taskDuration(t); ok {
		duration = strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
	}
	if t.Progress != nil {
		progress = *t.Progress
	}
	return []string{
		t.ID, kindOf(t), t.UniqueName, statusWord(t), t.Launcher, wireTime(t.Created), duration,
		strconv.Itoa(t.PercentComplete), progress,
	}
}
