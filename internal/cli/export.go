package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"stint/internal/app"
)

func newExportCommand(s *session) *cobra.Command {
	var db string
	cmd := &cobra.Command{
		Use:   "export --db PATH [FILE]",
		Short: "Write all tasks of a database to a file that import reads",
		Long: "Write all tasks of a database, visible or not, oldest first: one JSON object a line. Without FILE they go to\n" +
			"standard output. A server may be using the database: what is written is the state of one moment.",
		Example: "  stint export --db stint.db | gzip > tasks.ndjson.gz",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := flagsFromEnv(s, cmd.Flags()); err != nil {
				return err
			}
			out := s.Out
			if len(args) == 1 {
				f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, f.Close()) }()
				out = f
			}
			buffered := bufio.NewWriterSize(out, 1<<16)
			n, err := app.Export(cmd.Context(), db, buffered)
			if err != nil {
				return err
			}
			if err := buffered.Flush(); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			_, err = fmt.Fprintf(s.Err, "%d tasks written\n", n)
			return err
		},
	}
	cmd.Flags().StringVar(&db, "db", "stint.db", databaseHelp)
	return cmd
}
