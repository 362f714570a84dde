package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"stint/internal/app"
)

func newImportCommand(s *session) *cobra.Command {
	var o app.ImportOptions
	var all bool
	cmd := &cobra.Command{
		Use:   "import --db PATH FILE",
		Short: "Load tasks from a file into a database that no server uses",
		Long: "Load tasks from a file into a database: one JSON object a line, a TaskStatus with kind and sourceId beside its\n" +
			"members (- reads standard input). All of the file is stored, or, on any error, nothing. A task that is stored\n" +
			"already and says the same is passed over; one that says something else is refused, unless --replace is given.\n\n" +
			"With --all, the file is one that stint export --all wrote: all that a database held becomes the content of\n" +
			"another one, of either kind, which must be new. Its key file moves with it: copy it, and name the copy with\n" +
			"--key-file. It seals what the database holds, and the audit can only be continued and verified with it.",
		Example: "  stint import --db stint.db tasks.ndjson\n" +
			"  stint export --all --db stint.db | stint import --all --db postgres://stint@db/stint --key-file stint.db.key -",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flagsFromEnv(s, cmd.Flags()); err != nil {
				return err
			}
			in, err := s.open(args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			hash := sha256.New()
			o.In, o.Name, o.Now, o.Actor = io.TeeReader(in, hash), args[0], s.now, osUser(s)
			o.Hash = func() string { return hex.EncodeToString(hash.Sum(nil)) }
			var said string
			if all {
				said, err = importAll(cmd.Context(), o)
			} else {
				said, err = importTasks(cmd.Context(), o)
			}
			if err != nil {
				return fmt.Errorf("%s: %w; nothing was stored", args[0], err)
			}
			_, err = fmt.Fprintf(s.Out, "%s (sha256 %s)\n", said, o.Hash())
			return err
		},
	}
	cmd.Flags().StringVar(&o.DB, "db", "stint.db", databaseHelp+"; a file is made where it does not exist")
	cmd.Flags().StringVar(&o.KeyFile, "key-file", "", "path of the database's key file; PATH.key where it is not given")
	cmd.Flags().BoolVar(&o.Replace, "replace", false, "take the file's word where a stored task says something else")
	cmd.Flags().BoolVar(&all, "all", false, "read what export --all wrote into a database that is new, with the key file of the one that was exported")
	cmd.MarkFlagsMutuallyExclusive("all", "replace")
	return cmd
}

func importTasks(ctx context.Context, o app.ImportOptions) (string, error) {
	r, err := app.Import(ctx, o)
	return fmt.Sprintf("%d tasks added, %d unchanged, %d replaced", r.Added, r.Unchanged, r.Replaced), err
}

func importAll(ctx context.Context, o app.ImportOptions) (string, error) {
	rows, err := app.ImportAll(ctx, o)
	return fmt.Sprintf("%d rows stored, %d of them tasks", rows.Total(), rows["tasks"]), err
}

// open opens a file, or standard input for "-".
func (s *session) open(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(s.In), nil
	}
	return os.Open(name) //nolint:gosec // the path is the operator's own
}

// osUser is who runs this command, for the audit.
func osUser(s *session) string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return s.getenv("USER", "unknown")
}
