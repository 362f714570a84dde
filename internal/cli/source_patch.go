package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

// maxPatchFile is more than the server takes.
const maxPatchFile = 2 << 20

func newSourcePatchCommand(s *session, conn *connection) *cobra.Command {
	f := &sourceFlags{}
	var name, patch string
	var sets []string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "patch SOURCE",
		Short: "Change a source",
		Long: "Change a source. What is given replaces what there was; the rest stays. What changes is what the next\n" +
			"aggregation goes by.\n\n" +
			"--set names a member as the API does, with dots between the levels. --patch takes a JSON Merge Patch\n" +
			"(an object) or a JSON Patch (an array), or the name of a file that holds one behind an @; @- is\n" +
			"standard input.",
		Example: "  stint source patch HR --delimiter ';' --entitlements groups,roles\n" +
			"  stint source patch HR --set name=Personnel --set deletionThreshold.percent:=5\n" +
			"  stint source patch HR --patch '{\"connectorAttributes\":{\"columns\":null}}'",
		Args:              oneSource,
		ValidArgsFunction: completeSources(s, conn),
		RunE: func(cmd *cobra.Command, args []string) error {
			members, err := f.merged(cmd)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("name") {
				members["name"] = name
			}
			body, err := s.patchBody(members, sets, patch, cmd.Flags().Changed("patch"))
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			src, err := c.FindSource(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if src, err = c.PatchSource(cmd.Context(), src.ID, client.SourcePatch{Patch: body, Reason: f.reason}); err != nil {
				return err
			}
			return s.showSource(src, output.value)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&name, "name", "", "another name")
	cmd.Flags().StringArrayVar(&sets, "set", nil, "a member to change: name=text, or name:=JSON; repeatable")
	cmd.Flags().StringVar(&patch, "patch", "", "a JSON Merge Patch or a JSON Patch, or @FILE")
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

// patchBody makes one patch of the members and assignments, or reads the one that was given.
func (s *session) patchBody(members map[string]any, sets []string, patch string, given bool) (json.RawMessage, error) {
	assigned, err := assignments("set", sets)
	if err != nil {
		return nil, err
	}
	for path, value := range assigned {
		setMember(members, strings.Split(path, "."), value)
	}
	switch {
	case given && len(members) > 0:
		return nil, usagef("--patch and flags that change something exclude each other")
	case given:
		return s.readPatch(patch)
	case len(members) == 0:
		return nil, usagef("what should change? Give flags, --set or --patch; see: stint source patch --help")
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, fmt.Errorf("encoding the patch: %w", err)
	}
	return body, nil
}

func (s *session) readPatch(patch string) (json.RawMessage, error) {
	body := []byte(patch)
	if file, ok := strings.CutPrefix(patch, "@"); ok {
		from := s.In
		if file != "-" {
			f, err := os.Open(file) //nolint:gosec // the person's own file
			if err != nil {
				return nil, fmt.Errorf("--patch: %w", err)
			}
			defer func() { _ = f.Close() }()
			from = f
		}
		var err error
		if body, err = io.ReadAll(io.LimitReader(from, maxPatchFile)); err != nil {
			return nil, fmt.Errorf("--patch: reading %s: %w", file, err)
		}
	}
	if !json.Valid(body) {
		return nil, usagef("--patch is not JSON; from a file: --patch @FILE")
	}
	return body, nil
}
