package cli

import "github.com/spf13/cobra"

func newSourceGetCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{
		Use:               "get SOURCE",
		Short:             "Show one source",
		Args:              oneSource,
		ValidArgsFunction: completeSources(s, conn),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			src, err := c.FindSource(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return s.showSource(src, output.value)
		},
	}
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}
