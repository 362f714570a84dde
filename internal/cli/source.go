package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

func newSourceCommand(s *session) *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "source",
		Short: "Manage the sources that accounts are read from",
		Long:  "Manage the sources that accounts and entitlements are read from. A source goes by its name or its id.",
		Args:  cobra.NoArgs,
		RunE:  showHelp,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(
		newSourceListCommand(s, conn),
		newSourceGetCommand(s, conn),
		newSourceCreateCommand(s, conn),
		newSourcePatchCommand(s, conn),
		newSourceAggregateCommand(s, conn),
		newSourceDeleteCommand(s, conn),
	)
	return cmd
}

// oneSource demands one name or id that is not empty, as an unset variable of a script
// would be.
func oneSource(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usagef("which source? %s", cmd.UseLine())
	case len(args) > 1:
		return usagef("too many arguments: %s", cmd.UseLine())
	case args[0] == "":
		return usagef("the name of the source is empty")
	}
	return nil
}

// completeSources completes an argument with the server's sources, if it answers at once.
func completeSources(s *session, conn *connection) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		c, err := conn.client(s, -1)
		if err != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), 700*time.Millisecond)
		defer cancel()
		page, err := c.ListSources(ctx, client.ListOptions{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []cobra.Completion
		for i := range page.Sources {
			found = append(found, cobra.CompletionWithDesc(escapeLine(page.Sources[i].Name), escapeLine(page.Sources[i].Description)))
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// sourceFlags describe a source to create or to change.
type sourceFlags struct {
	description, accountID, displayName, delimiter, separator string
	entitlements, columns                                     []string
	percent                                                   int
	minimum                                                   int64
	reason                                                    string
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.accountID, "account-id", "", "the column of the account's own id")
	flags.StringVar(&f.displayName, "display-name", "", "the column of the account's name (default: the account id)")
	flags.StringSliceVar(&f.entitlements, "entitlements", nil, "the columns that hold entitlements, separated by commas")
	flags.StringVar(&f.delimiter, "delimiter", "", `what separates the cells of a row, \t for a tab (default: a comma)`)
	flags.StringVar(&f.separator, "separator", "", "what separates the entitlements in one cell (default: a comma)")
	flags.StringSliceVar(&f.columns, "columns", nil, "the columns that a file has, separated by commas (default: those of the first file)")
	flags.StringVar(&f.description, "description", "", "what it is")
	flags.IntVar(&f.percent, "max-deletions-percent", 0, "how many accounts, in percent, an aggregation may delete unasked (default: 10)")
	flags.Int64Var(&f.minimum, "min-deletions", 0, "so many it may delete in any case (default: 10)")
	flags.StringVar(&f.reason, "reason", "", "why; kept in the audit trail")
}

// merged puts the flags that were given into a JSON Merge Patch. Some must not be empty, as
// an unset variable of a script would be.
func (f *sourceFlags) merged(cmd *cobra.Command) (map[string]any, error) {
	for _, flag := range []string{"account-id", "delimiter", "separator"} {
		if given := cmd.Flags().Lookup(flag); given.Changed && given.Value.String() == "" {
			return nil, usagef("--%s is empty", flag)
		}
	}
	delimiter := f.delimiter
	if delimiter == `\t` {
		delimiter = "\t"
	}
	patch := map[string]any{}
	for _, given := range []struct {
		flag  string
		path  []string
		value any
	}{
		{"description", []string{"description"}, f.description},
		{"account-id", []string{"connectorAttributes", "accountId"}, f.accountID},
		{"display-name", []string{"connectorAttributes", "displayName"}, orNull(f.displayName)},
		{"entitlements", []string{"connectorAttributes", "entitlements"}, slices.Clip(f.entitlements)},
		{"delimiter", []string{"connectorAttributes", "delimiter"}, delimiter},
		{"separator", []string{"connectorAttributes", "multiValueSeparator"}, f.separator},
		{"columns", []string{"connectorAttributes", "columns"}, slices.Clip(f.columns)},
		{"max-deletions-percent", []string{"deletionThreshold", "percent"}, f.percent},
		{"min-deletions", []string{"deletionThreshold", "minimum"}, f.minimum},
	} {
		if cmd.Flags().Changed(given.flag) {
			setMember(patch, given.path, given.value)
		}
	}
	return patch, nil
}

// orNull makes an empty text the absence of one.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// setMember sets a member of nested objects, which it makes where they are missing.
func setMember(object map[string]any, path []string, value any) {
	for _, name := range path[:len(path)-1] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	object[path[len(path)-1]] = value
}

// countedAs is a number with the word for what it counts.
func countedAs(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.FormatInt(n, 10) + " " + what
}

func (s *session) writeSource(src *client.Source) error {
	d := &detail{}
	d.line("ID", src.ID)
	d.line("Name", src.Name)
	d.line("Description", src.Description)
	d.line("Type", src.Type)
	c := &src.ConnectorAttributes
	d.line("Account id", c.AccountID)
	d.line("Display name", c.DisplayName)
	d.line("Entitlements", strings.Join(c.Entitlements, ", "))
	d.line("Columns", strings.Join(c.Columns, ", "))
	d.line("Delimiter", strconv.Quote(c.Delimiter))
	d.line("Separator", strconv.Quote(c.MultiValueSeparator))
	if t := src.DeletionThreshold; t.Percent != nil && t.Minimum != nil {
		d.line("Deletions", fmt.Sprintf("up to %d%%, or %d, unasked", *t.Percent, *t.Minimum))
	}
	d.line("Stored", countedAs(src.AccountCount, "account")+", "+countedAs(src.EntitlementCount, "entitlement"))
	d.line("Created", s.longTime(src.Created))
	d.line("Modified", s.longTime(src.Modified))
	_, err := s.Out.Write([]byte(d.String()))
	return err
}

// show prints a source: as the server sent it, for people, or its id alone.
func (s *session) showSource(src *client.Source, format string) error {
	switch format {
	case "json":
		return s.writeIndented(src.Raw())
	case "id":
		return s.println(src.ID)
	}
	return s.writeSource(src)
}
