package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"stint/client"
)

func newSourceListCommand(s *session, conn *connection) *cobra.Command {
	var filter, sorters string
	var limit int
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List sources by name",
		Long: "List sources by name.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per source, without a header\n" +
			"and without cuts, of columns separated by tabs: id, name, type, accounts, entitlements, created and\n" +
			"modified (UTC).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: at least 0", limit)
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			sink := s.newSourceSink(output.value)
			for src, err := range c.Sources(cmd.Context(), client.ListOptions{Filter: filter, Sorters: sorters, Limit: limit}) {
				if err != nil {
					return err
				}
				if err := sink.add(src); err != nil {
					return err
				}
			}
			return sink.close()
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", `a filter expression, such as name in ("HR", "Finance")`)
	cmd.Flags().StringVar(&sorters, "sort", "", "name, -name, created or -created")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many sources, 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("sort", fixed("name", "-name", "created", "-created"))
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func (s *session) newSourceSink(format string) sink[*client.Source] {
	return newSink(s, format, shape[*client.Source]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "NAME", least: 10, keep: 8},
			{title: "TYPE", least: 8, keep: 2},
			{title: "ACCOUNTS", least: 8, keep: 6},
			{title: "ENTITLEMENTS", least: 8, keep: 5},
			{title: "MODIFIED", least: 7, keep: 3},
		},
		row: func(src *client.Source) []string {
			return []string{
				src.ID, src.Name, src.Type, strconv.FormatInt(src.AccountCount, 10), strconv.FormatInt(src.EntitlementCount, 10),
				s.shortTime(src.Modified),
			}
		},
		plain: func(src *client.Source) []string {
			return []string{
				src.ID, src.Name, src.Type, strconv.FormatInt(src.AccountCount, 10), strconv.FormatInt(src.EntitlementCount, 10),
				wireTime(src.Created), wireTime(src.Modified),
			}
		},
		id:   func(src *client.Source) string { return src.ID },
		none: "No sources.",
	})
}
