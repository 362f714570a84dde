package cli

import "github.com/spf13/cobra"

func newAuditCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who did what, when, and why; and whether that record is whole",
		Long: "Who did what, when, and why; and whether that record is whole.\n\n" +
			"list and report ask a server. head and verify read the database itself, also while a server uses it.\n" +
			"Keep heads where nobody can write who can write to the database: verify holds the audit against them.",
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	conn := &connection{}
	for _, online := range []*cobra.Command{newAuditListCommand(s, conn), newAuditReportCommand(s, conn)} {
		conn.addFlags(online.Flags())
		cmd.AddCommand(online)
	}
	cmd.AddCommand(newAuditHeadCommand(s), newAuditVerifyCommand(s))
	return cmd
}
