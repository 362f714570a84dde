package cli

import (
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskChangesCommand(s *session, conn *connection) *cobra.Command {
	f := &recordFlags{}
	cmd := &cobra.Command{
		Use:   "changes ID",
		Short: "List what an aggregation has changed",
		Long: "List what an aggregation has created, updated and deleted so far, by change and native identity.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per change, without a header and\n" +
			"without cuts, of columns separated by tabs: change, attribute (of entitlements), native identity, name,\n" +
			"the names of the attributes that differ.",
		Example: "  stint task changes 00eebcf881994e419d72e757fd30dc0e --change DELETED",
		Args:    taskIDs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.limit < 0 {
				return usagef("--limit %d: at least 0", f.limit)
			}
			if slices.Contains(f.identities, "") {
				return usagef("--native-identity must not be empty")
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			filter := client.AllOf(client.AnyOf("change", f.changes...), client.AnyOf("nativeIdentity", f.identities...), f.filter)
			if f.count {
				return s.printCount(c.CountChanges(cmd.Context(), args[0], filter))
			}
			return listAll(s, f, newSink(s, f.output.value, changeShape()), func(opts client.ListOptions) iter.Seq2[*client.Change, error] {
				opts.Filter = filter
				return c.Changes(cmd.Context(), args[0], opts)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.changes, "change", nil, "only what was CREATED, UPDATED or DELETED; repeatable")
	flags.StringArrayVar(&f.identities, "native-identity", nil, "only what has this native identity; repeatable")
	flags.StringVar(&f.filter, "filter", "", "a filter expression that must hold too")
	flags.IntVar(&f.limit, "limit", defaultListLimit, "at most so many changes, 0 for all")
	flags.BoolVar(&f.count, "count", false, "print only how many changes there are")
	_ = cmd.RegisterFlagCompletionFunc("change", fixed("CREATED", "UPDATED", "DELETED"))
	f.output = addOutputFlag(cmd, "table", "table", "json", "ndjson")
	return cmd
}

func changeShape() shape[*client.Change] {
	row := func(c *client.Change) []string {
		return []string{c.Change, c.Attribute, c.NativeIdentity, c.Name, strings.Join(c.ChangedAttributes, ", ")}
	}
	return shape[*client.Change]{
		columns: []column{
			{title: "CHANGE", keep: 9},
			{title: "ATTRIBUTE", least: 8, keep: 2},
			{title: "NATIVE ID", least: 10, keep: 8},
			{title: "NAME", least: 10, keep: 7},
			{title: "DIFFERS", least: 10, keep: 5},
		},
		row: row, plain: row,
		id:   func(c *client.Change) string { return c.NativeIdentity },
		none: "No changes.",
	}
}
