package cli

import (
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
	var db, keyFile string
	var replace bool
	cmd := &cobra.Command{
		Use:   "import --db PATH FILE",
		Short: "Load tasks from a file into a database that no server uses",
		Long: "Load tasks from a file into a database: one JSON object a line, a TaskStatus with kind and sourceId beside its\n" +
			"members (- reads standard input). All of the file is stored, or, on any error, nothing. A task that is stored\n" +
			"already and says the same is passed over; one that says something else is refused, unless --replace is given.",
		Example: "  stint import --db stint.db tasks.ndjson",
		Args:    cobra.ExactArgs(1),
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
			result, err := app.Import(cmd.Context(), app.ImportOptions{
				DB: db, KeyFile: keyFile, In: io.TeeReader(in, hash), Name: args[0], Replace: replace, Now: s.now, Actor: osUser(s),
				Hash: func() string { return hex.EncodeToString(hash.Sum(nil)) },
			})
			if err != nil {
				return fmt.Errorf("%s: %w; nothing was stored", args[0], err)
			}
			_, err = fmt.Fprintf(s.Out, "%d tasks added, %d unchanged, %d replaced (sha256 %x)\n",
				result.Added, result.Unchanged, result.Replaced, hash.Sum(nil))
			return err
		},
	}
	cmd.Flags().StringVar(&db, "db", "stint.db", databaseHelp+"; a file is made where it does not exist")
	cmd.Flags().StringVar(&keyFile, "key-file", "", "path of the database's key file; PATH.key where it is not given")
	cmd.Flags().BoolVar(&replace, "replace", false, "take the file's word where a stored task says something else")
	return cmd
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
