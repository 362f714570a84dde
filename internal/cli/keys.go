package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newKeysCommand(s *session) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "The keys that sign access tokens", Args: cobra.NoArgs, RunE: showHelp}
	cmd.AddCommand(newKeysRotateCommand(s))
	return cmd
}

func newKeysRotateCommand(s *session) *cobra.Command {
	var db offline
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make another key sign access tokens",
		Long: "Make another key sign access tokens. Those that were signed with the old one stay good until they expire.\n" +
			"A server that has the database open signs with the new key within half a minute.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := db.open(cmd, s, false)
			if err != nil {
				return err
			}
			defer o.Close()
			id, err := o.RotateKeys(cmd.Context())
			if err != nil {
				return err
			}
			return s.println(fmt.Sprintf("Key %s signs from now on; a server that runs takes it up within half a minute.", id))
		},
	}
	db.addFlags(cmd.Flags())
	return cmd
}
