package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"stint/internal/app"
)

func newExportCommand(s *session) *cobra.Command {
	var db string
	var all bool
	cmd := &cobra.Command{
		Use:   "export --db PATH [FILE]",
		Short: "Write all tasks of a database to a file that import reads",
		Long: "Write all tasks of a database, visible or not, oldest first: one JSON object a line. Without FILE they go to\n" +
			"standard output. A server may be using the database: what is written is the state of one moment.\n\n" +
			"With --all, everything that the database holds is written, in a form that stint import --all moves into a new\n" +
			"database of either kind. Whoever can read it can read the tasks, accounts and uploads; secrets stay as the key file\n" +
			"seals them, which moves with it and is not in it.",
		Example: "  stint export --db stint.db | gzip > tasks.ndjson.gz\n" +
			"  stint export --all --db postgres://stint@db/stint everything.ndjson",
		Args: cobra.MaximumNArgs(1),
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
			var said string
			if all {
				said, err = s.exportAll(cmd.Context(), db, buffered)
			} else {
				said, err = exportTasks(cmd.Context(), db, buffered)
			}
			if err != nil {
				return err
			}
			if err := buffered.Flush(); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			_, err = fmt.Fprintln(s.Err, said)
			return err
		},
	}
	cmd.Flags().StringVar(&db, "db", "stint.db", databaseHelp)
	cmd.Flags().BoolVar(&all, "all", false, "write everything, not only tasks, for import --all")
	return cmd
}

func exportTasks(ctx context.Context, db string, w io.Writer) (string, error) {
	n, err := app.Export(ctx, db, w)
	return fmt.Sprintf("%d tasks written", n), err
}

func (s *session) exportAll(ctx context.Context, db string, w io.Writer) (string, error) {
	rows, err := app.ExportAll(ctx, db, w, s.now)
	return fmt.Sprintf("%d rows written, %d of them tasks", rows.Total(), rows["tasks"]), err
}
