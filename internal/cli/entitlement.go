package cli

import (
	"iter"
	"slices"

	"github.com/spf13/cobra"

	"stint/client"
)

func newEntitlementCommand(s *session) *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "entitlement",
		Short: "Look at the entitlements that were read from sources",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(newEntitlementListCommand(s, conn), newEntitlementGetCommand(s, conn))
	return cmd
}

func newEntitlementListCommand(s *session, conn *connection) *cobra.Command {
	f := &recordFlags{}
	var attributes []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List entitlements",
		Long: "List entitlements, by source, attribute and native identity unless the flags ask for something else.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per entitlement, without a header\n" +
			"and without cuts, of columns separated by tabs: id, source, attribute, native identity, name,\n" +
			"last change, created and modified (UTC).",
		Example: "  stint entitlement list --source Directory --attribute memberOf",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if slices.Contains(attributes, "") {
				return usagef("--attribute must not be empty")
			}
			c, filter, err := f.prepare(cmd, s, conn, client.AnyOf("attribute", attributes...))
			if err != nil {
				return err
			}
			if f.count {
				return s.printCount(c.CountEntitlements(cmd.Context(), filter))
			}
			return listAll(s, f, newSink(s, f.output.value, s.entitlementShape()), func(opts client.ListOptions) iter.Seq2[*client.Entitlement, error] {
				opts.Filter = filter
				return c.Entitlements(cmd.Context(), opts)
			})
		},
	}
	f.add(s, conn, cmd, "entitlements")
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "only entitlements that this attribute of accounts holds; repeatable")
	f.output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func newEntitlementGetCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show one entitlement",
		Args:  recordID("entitlement"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			e, err := c.Entitlement(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if output.value == "json" {
				return s.writeIndented(e.Raw())
			}
			d := &detail{}
			d.line("ID", e.ID)
			d.line("Source", e.SourceName+" ("+e.SourceID+")")
			d.line("Attribute", e.Attribute)
			d.line("Native id", e.NativeIdentity)
			d.line("Name", e.Name)
			d.line("Display name", e.DisplayName)
			d.line("Description", e.Description)
			d.line("Last change", e.LastChange+" by task "+e.LastTaskID)
			d.line("Created", s.longTime(e.Created))
			d.line("Modified", s.longTime(e.Modified))
			others := map[string]any{}
			for name, value := range e.Attributes {
				others[name] = value
			}
			writeObject(d, "Attributes", others)
			_, err = s.Out.Write([]byte(d.String()))
			return err
		},
	}
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func (s *session) entitlementShape() shape[*client.Entitlement] {
	return shape[*client.Entitlement]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "SOURCE", least: 8, keep: 4},
			{title: "ATTRIBUTE", least: 8, keep: 6},
			{title: "NATIVE ID", least: 10, keep: 8},
			{title: "NAME", least: 10, keep: 7},
			{title: "LAST CHANGE", least: 7, keep: 2},
			{title: "MODIFIED", least: 7, keep: 3},
		},
		row: func(e *client.Entitlement) []string {
			return []string{e.ID, e.SourceName, e.Attribute, e.NativeIdentity, e.Name, e.LastChange, s.shortTime(e.Modified)}
		},
		plain: func(e *client.Entitlement) []string {
			return []string{
				e.ID, e.SourceName, e.Attribute, e.NativeIdentity, e.Name, e.LastChange, wireTime(e.Created), wireTime(e.Modified),
			}
		},
		id:   func(e *client.Entitlement) string { return e.ID },
		none: "No entitlements.",
	}
}
