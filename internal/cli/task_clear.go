package cli

import (
	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskClearCommand(s *session, conn *connection) *cobra.Command {
	var status, reason, completed string
	cmd := &cobra.Command{
		Use:   "clear ID... --status STATUS",
		Short: "End stuck tasks for good",
		Long: "End stuck tasks for good: their work is stopped, and nothing can report to them any more. Who did it\n" +
			"and why is kept. The same clear again changes nothing.",
		Example: "  stint task clear 0190… --status ERROR --reason \"host died\"",
		Args:    taskIDs(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if status == "" {
				return usagef("--status is required: how did it end?")
			}
			parsed, err := parseStatus(status)
			if err != nil {
				return usagef("--status: %w", err)
			}
			clearing := client.ClearRequest{Status: parsed, Reason: reason}
			if completed != "" {
				at, err := s.parseTime(completed)
				if err != nil {
					return usagef("--completed: %w", err)
				}
				clearing.Completed = &at
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			return s.forEach(args, func(id string) (*client.Task, error) { return c.Clear(cmd.Context(), id, clearing) })
		},
	}
	cmd.Flags().StringVar(&status, "status", "", "how it ended: SUCCESS, WARNING, ERROR, TERMINATED or TEMPERROR (required)")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	cmd.Flags().StringVar(&completed, "completed", "", "when it ended (default: now)")
	_ = cmd.RegisterFlagCompletionFunc("status", fixed(completionStatuses()...))
	return cmd
}
