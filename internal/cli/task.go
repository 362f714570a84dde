package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskCommand(s *session) *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "task",
		Short: "List, launch, watch and end tasks",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(
		newTaskListCommand(s, conn),
		newTaskGetCommand(s, conn),
		newTaskChangesCommand(s, conn),
		newTaskWaitCommand(s, conn),
		newTaskWatchCommand(s, conn),
		newTaskLaunchCommand(s, conn),
		newTaskReportCommand(s, conn),
		newTaskCancelCommand(s, conn),
		newTaskClearCommand(s, conn),
	)
	return cmd
}

func completionStatuses() []string {
	return []string{
		string(client.Success), string(client.Warning), string(client.Failure),
		string(client.Terminated), string(client.TempError),
	}
}

// parseStatus reads a completion status in any case.
func parseStatus(text string) (client.CompletionStatus, error) {
	upper := strings.ToUpper(text)
	for _, s := range completionStatuses() {
		if s == upper {
			return client.CompletionStatus(s), nil
		}
	}
	return "", usagef("status %q is none of %s", text, strings.Join(completionStatuses(), ", "))
}

// completeTypes completes a flag with the server's definitions, if it answers at once.
func completeTypes(s *session, conn *connection) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := conn.client(s, -1)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 700*time.Millisecond)
		defer cancel()
		definitions, err := c.Definitions(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []cobra.Completion
		for _, d := range definitions {
			found = append(found, cobra.CompletionWithDesc(escapeLine(d.Name), escapeLine(d.DisplayName)))
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// taskIDs demands from least to most ids (most < 0: any number), none of them
// empty, as an unset variable of a script would be.
func taskIDs(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("which task? %s", cmd.UseLine())
		case most >= 0 && len(args) > most:
			return usagef("too many arguments: %s", cmd.UseLine())
		case slices.Contains(args, ""):
			return usagef("the task id is empty")
		}
		return nil
	}
}
