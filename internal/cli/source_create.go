package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"stint/client"
)

func newSourceCreateCommand(s *session, conn *connection) *cobra.Command {
	f := &sourceFlags{}
	var kind string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "create NAME --account-id COLUMN",
		Short: "Create a source and print its id",
		Example: "  stint source create HR --account-id id --display-name name --entitlements groups,roles\n" +
			"  stint source create HR --account-id id --delimiter ';' --separator '|' --max-deletions-percent 5",
		Args: oneSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.accountID == "" {
				return usagef("--account-id is required: the column of the account's own id")
			}
			source, err := f.newSource(cmd, args[0], kind)
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			src, err := c.CreateSource(cmd.Context(), source)
			if err != nil {
				return err
			}
			return s.showSource(src, output.value)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&kind, "type", client.DelimitedFile, "how it is read")
	_ = cmd.RegisterFlagCompletionFunc("type", fixed(client.DelimitedFile))
	output = addOutputFlag(cmd, "id", "id", "text", "json")
	return cmd
}

// newSource is a source of the flags that were given.
func (f *sourceFlags) newSource(cmd *cobra.Command, name, kind string) (client.NewSource, error) {
	source := client.NewSource{Reason: f.reason}
	members, err := f.merged(cmd)
	if err != nil {
		return source, err
	}
	members["name"], members["type"] = name, kind
	text, err := json.Marshal(members)
	if err == nil {
		err = json.Unmarshal(text, &source)
	}
	if err != nil {
		return source, fmt.Errorf("encoding the source: %w", err)
	}
	return source, nil
}
