package cli

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

func newAccountCommand(s *session) *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Look at the accounts that were read from sources",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(newAccountListCommand(s, conn), newAccountGetCommand(s, conn))
	return cmd
}

func newAccountListCommand(s *session, conn *connection) *cobra.Command {
	f := &recordFlags{}
	var attributes []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List accounts",
		Long: "List accounts, by source and native identity unless the flags ask for something else.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per account, without a header\n" +
			"and without cuts, of columns separated by tabs: id, source, native identity, name, last change,\n" +
			"created and modified (UTC).\n\n" +
			"-o csv writes a file for spreadsheets and scripts, of all accounts unless --limit says otherwise:\n" +
			"sourceId, nativeIdentity, name, then all attributes by name. Several values in a cell are separated as\n" +
			"in the files of their source. A cell that begins with = + - @, a tab or a carriage return gets a single\n" +
			"quote before it, so that no spreadsheet takes it for a formula. While it is gathered, the list is kept\n" +
			"in a temporary file.",
		Example: "  stint account list --source HR --name smith\n" +
			"  stint account list --attribute groups=Administrators -o csv > admins.csv\n" +
			`  stint account list --filter 'attributes."Cost Center" isnull' --count`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			more, err := attributeFilters(attributes)
			if err != nil {
				return err
			}
			c, filter, err := f.prepare(cmd, s, conn, more...)
			if err != nil {
				return err
			}
			if f.count {
				return s.printCount(c.CountAccounts(cmd.Context(), filter))
			}
			if f.output.value == "csv" {
				if !cmd.Flags().Changed("limit") {
					f.limit = 0
				}
				return s.writeAccounts(cmd.Context(), c, c.Accounts(cmd.Context(), client.ListOptions{Filter: filter, Sorters: f.sorters, Limit: f.limit}))
			}
			return listAll(s, f, newSink(s, f.output.value, s.accountShape()), func(opts client.ListOptions) iter.Seq2[*client.Account, error] {
				opts.Filter = filter
				return c.Accounts(cmd.Context(), opts)
			})
		},
	}
	f.add(s, conn, cmd, "accounts")
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "only accounts with this NAME=VALUE among their attributes; repeatable: all must hold")
	f.output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id", "csv")
	return cmd
}

// attributeFilters reads NAME=VALUE flags.
func attributeFilters(given []string) ([]string, error) {
	var filters []string
	for _, g := range given {
		name, value, ok := strings.Cut(g, "=")
		if !ok || name == "" {
			return nil, usagef("--attribute %q is not of the form NAME=VALUE", g)
		}
		filters = append(filters, client.AnyOf(client.AttributeField(name), value))
	}
	return filters, nil
}

func newAccountGetCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show one account with its attributes",
		Args:  recordID("account"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			a, err := c.Account(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if output.value == "json" {
				return s.writeIndented(a.Raw())
			}
			d := &detail{}
			d.line("ID", a.ID)
			d.line("Source", a.SourceName+" ("+a.SourceID+")")
			d.line("Native id", a.NativeIdentity)
			d.line("Name", a.Name)
			d.line("Last change", a.LastChange+" by task "+a.LastTaskID)
			d.line("Created", s.longTime(a.Created))
			d.line("Modified", s.longTime(a.Modified))
			writeObject(d, "Attributes", a.Attributes)
			_, err = s.Out.Write([]byte(d.String()))
			return err
		},
	}
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

// recordID demands one id that is not empty.
func recordID(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usagef("which %s? %s", what, cmd.UseLine())
		case len(args) > 1:
			return usagef("too many arguments: %s", cmd.UseLine())
		case args[0] == "":
			return usagef("the %s id is empty", what)
		}
		return nil
	}
}

func (s *session) accountShape() shape[*client.Account] {
	return shape[*client.Account]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "SOURCE", least: 8, keep: 4},
			{title: "NATIVE ID", least: 10, keep: 8},
			{title: "NAME", least: 10, keep: 7},
			{title: "LAST CHANGE", least: 7, keep: 2},
			{title: "MODIFIED", least: 7, keep: 3},
		},
		row: func(a *client.Account) []string {
			return []string{a.ID, a.SourceName, a.NativeIdentity, a.Name, a.LastChange, s.shortTime(a.Modified)}
		},
		plain: func(a *client.Account) []string {
			return []string{a.ID, a.SourceName, a.NativeIdentity, a.Name, a.LastChange, wireTime(a.Created), wireTime(a.Modified)}
		},
		id:   func(a *client.Account) string { return a.ID },
		none: "No accounts.",
	}
}

// recordFlags choose accounts or entitlements.
type recordFlags struct {
	sources, changes, identities, tasks []string
	name, filter, sorters               string
	limit                               int
	count                               bool
	output                              *outputFlag
}

func (f *recordFlags) add(s *session, conn *connection, cmd *cobra.Command, what string) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.sources, "source", nil, "only "+what+" of this source, by name or id; repeatable")
	flags.StringVar(&f.name, "name", "", "only "+what+" whose name begins so")
	flags.StringArrayVar(&f.identities, "native-identity", nil, "only "+what+" with this native identity; repeatable")
	flags.StringSliceVar(&f.changes, "last-change", nil, "only "+what+" that were last CREATED or UPDATED")
	flags.StringArrayVar(&f.tasks, "last-task", nil, "only "+what+" that this aggregation, by its task's id, changed last; repeatable")
	flags.StringVar(&f.filter, "filter", "", "a filter expression that must hold too")
	flags.StringVar(&f.sorters, "sort", "", "name, -name, nativeIdentity or -nativeIdentity")
	flags.IntVar(&f.limit, "limit", defaultListLimit, "at most so many "+what+", 0 for all")
	flags.BoolVar(&f.count, "count", false, "print only how many "+what+" there are")
	_ = cmd.RegisterFlagCompletionFunc("source", completeSources(s, conn))
	_ = cmd.RegisterFlagCompletionFunc("last-change", fixed("CREATED", "UPDATED"))
	_ = cmd.RegisterFlagCompletionFunc("sort", fixed("name", "-name", "nativeIdentity", "-nativeIdentity"))
}

// prepare makes the client and the filter that the flags ask for.
func (f *recordFlags) prepare(cmd *cobra.Command, s *session, conn *connection, more ...string) (*client.Client, string, error) {
	if f.limit < 0 {
		return nil, "", usagef("--limit %d: at least 0", f.limit)
	}
	if slices.Contains(f.sources, "") || slices.Contains(f.identities, "") || slices.Contains(f.tasks, "") {
		return nil, "", usagef("--source, --native-identity and --last-task must not be empty")
	}
	c, err := conn.client(s, patience)
	if err != nil {
		return nil, "", err
	}
	ids, err := sourceIDs(cmd.Context(), c, f.sources)
	if err != nil {
		return nil, "", err
	}
	name := ""
	if f.name != "" {
		name = client.StartsWith("name", f.name)
	}
	return c, client.AllOf(append(more, client.AnyOf("sourceId", ids...), name, client.AnyOf("nativeIdentity", f.identities...),
		client.AnyOf("lastChange", f.changes...), client.AnyOf("lastTaskId", f.tasks...), f.filter)...), nil
}

// sourceIDs finds sources by name or id.
func sourceIDs(ctx context.Context, c *client.Client, namesOrIDs []string) ([]string, error) {
	var ids []string
	for _, n := range namesOrIDs {
		src, err := c.FindSource(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("--source: %w", err)
		}
		ids = append(ids, src.ID)
	}
	return ids, nil
}

func (s *session) printCount(n int, err error) error {
	if err == nil {
		_, err = fmt.Fprintln(s.Out, n)
	}
	return err
}

// listAll prints the elements of a list, up to the limit of the flags, and tells people on a
// terminal where there are more.
func listAll[T listed](s *session, f *recordFlags, to sink[T], list func(client.ListOptions) iter.Seq2[T, error]) error {
	opts := client.ListOptions{Sorters: f.sorters}
	if f.limit > 0 {
		opts.Limit = f.limit + 1
	}
	n, more := 0, false
	for element, err := range list(opts) {
		if err != nil {
			return err
		}
		if more = f.limit > 0 && n == f.limit; more {
			break
		}
		n++
		if err := to.add(element); err != nil {
			return err
		}
	}
	if err := to.close(); err != nil {
		return err
	}
	if more && f.output.value == "table" && isTerminal(s.Out) {
		_, err := fmt.Fprintf(s.Err, "These are the first %d; --limit 0 lists all.\n", n)
		return err
	}
	return nil
}
