package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskCancelCommand(s *session, conn *connection) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel ID...",
		Short: "Ask tasks to stop",
		Long: "Ask tasks to stop. A queued task ends at once; a running one is told with its next report and ends\n" +
			"TERMINATED. Where the work does not stop, see stint task clear.",
		Args: taskIDs(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			return s.forEach(args, func(id string) (*client.Task, error) { return c.Cancel(cmd.Context(), id, reason) })
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; the work and the history are told")
	return cmd
}

// forEach does something to several tasks: one line for each that worked, and an error for
// each that did not, which does not keep the others from their turn.
func (s *session) forEach(ids []string, do func(id string) (*client.Task, error)) error {
	failed := 0
	var last error
	for _, id := range ids {
		t, err := do(id)
		if err != nil {
			failed, last = failed+1, err
			if len(ids) > 1 {
				_, _ = fmt.Fprintf(s.Err, "stint: %s\n", s.errorLine(err))
			}
			continue
		}
		if err := s.println(t.ID, statusText(t)); err != nil {
			return err
		}
	}
	switch {
	case failed == 0:
		return nil
	case len(ids) == 1:
		return last
	}
	return &exitCodeError{code: exitError, err: fmt.Errorf("%d of %d tasks failed", failed, len(ids))}
}
