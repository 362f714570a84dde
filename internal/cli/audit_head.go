package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"stint/internal/app"
)

// auditFlags say which database is meant, and which key.
type auditFlags struct{ db, keyFile string }

func (f *auditFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.db, "db", "stint.db", databaseHelp)
	cmd.Flags().StringVar(&f.keyFile, "key-file", "", "path of the database's key file; PATH.key where it is not given")
}

func newAuditHeadCommand(s *session) *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "head --db PATH [FILE]",
		Short: "Write a signed head of the audit, to be kept elsewhere",
		Long: "Verify the audit of a database and write its signed head: how many entries there are and the last link of\n" +
			"each chain. Without FILE it goes to standard output. Keep it where whoever can write to the database, or has\n" +
			"its key file, cannot write: verify --head then tells whether anything up to now was changed or taken away.\n\n" +
			"Exit status: 0 written, 1 the audit was altered and no head is written, 2 it could not be read.",
		Example: "  stint audit head --db stint.db > audit-$(date +%F).head",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flagsFromEnv(s, cmd.Flags()); err != nil {
				return err
			}
			report, file, err := app.ExportAuditHead(cmd.Context(), app.AuditOptions{DB: f.db, KeyFile: f.keyFile, Now: s.now})
			if err != nil {
				return err
			}
			if file == nil {
				return errors.Join(writeVerdict(s.Err, report), &exitCodeError{code: exitNegative})
			}
			if len(args) == 1 {
				// A head that is there stays: it may be the only witness.
				out, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
				if err != nil {
					return err
				}
				_, err = out.Write(file)
				if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
					return err
				}
			} else if _, err := s.Out.Write(file); err != nil {
				return err
			}
			_, err = fmt.Fprintf(s.Err, "%s, signed by the public key %s\n", entriesAs(report.Head.Entries()), report.PublicKey)
			return err
		},
	}
	f.add(cmd)
	return cmd
}
