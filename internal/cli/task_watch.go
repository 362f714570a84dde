package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskWatchCommand(s *session, conn *connection) *cobra.Command {
	f := &listFlags{}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show tasks as they change",
		Long: "Show tasks as they change, each as it is then, until Ctrl-C.\n\n" +
			"With -o json each is one line of JSON. Changes that come faster than they are shown are shown as\n" +
			"one, the last always. A server that goes away is waited for; what has changed meanwhile is shown.",
		Example: "  stint task watch\n" +
			"  stint task watch --type CLOUD_ACCOUNT_AGGREGATION\n" +
			"  stint task watch --status ERROR --status TEMPERROR -o json | while read -r task; do notify \"$task\"; done",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			return s.watchTasks(cmd.Context(), c, f)
		},
	}
	f.addFilterFlags(cmd, s, conn)
	f.output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func (s *session) watchTasks(ctx context.Context, c *client.Client, f *listFlags) error {
	filter, err := f.filterExpression()
	if err != nil {
		return err
	}
	notes := &progressLine{s: s}
	opts := client.EventOptions{Filter: filter, Away: func(err error) { notes.note("waiting for the server: " + err.Error()) }}
	for e, err := range c.Events(ctx, opts) {
		switch {
		case err != nil:
			return err
		case e.Name == client.EventReady:
			notes.note("watching")
		case e.Name == client.EventReset:
			notes.note("the server's database is another one: what has changed before now is not shown")
		case f.output.value == "json":
			err = s.writeJSON(append(oneLine(e.Task.Raw()), '\n'))
		default:
			err = s.showChange(e.Task)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showChange prints a task that has changed in one line.
func (s *session) showChange(t *client.Task) error {
	text := statusText(t)
	if d, ok := s.taskDuration(t); ok && t.Done() {
		text += " after " + shortDuration(d)
	}
	line := fmt.Sprintf("%s  %s  %s  %s", t.Modified.In(s.local).Format("15:04:05"), t.ID, t.UniqueName, text)
	_, err := io.WriteString(s.Out, escapeLine(line)+"\n")
	return err
}
