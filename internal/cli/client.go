package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stint/internal/app"
	"stint/internal/config"
	"stint/internal/principal"
	"stint/internal/task"
)

// offline are the flags of a command that works on the database itself.
type offline struct{ db, keyFile string }

func (o *offline) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.db, "db", config.Default().DB, databaseHelp+"; a server may have it open")
	flags.StringVar(&o.keyFile, "key-file", "", "path of the database's key file (STINT_KEY_FILE); of a file's, PATH.key where it is not given")
}

// open opens the database. Its caller closes it.
func (o *offline) open(cmd *cobra.Command, s *session, mayMake bool) (*app.Offline, error) {
	if err := flagsFromEnv(s, cmd.Flags()); err != nil {
		return nil, err
	}
	return app.OpenOffline(cmd.Context(), app.OfflineOptions{
		DB: o.db, KeyFile: o.keyFile, Actor: osUser(s), Agent: cmd.CommandPath(), Now: s.now, Make: mayMake,
	})
}

func newTokenCommand(s *session) *cobra.Command {
	return newClientCommand(s, principal.PersonalAccessToken, "token", "Personal access tokens: ids and secrets that act for a user")
}

func newApplicationCommand(s *session) *cobra.Command {
	return newClientCommand(s, principal.Application, "application", "Applications: ids and secrets without a user")
}

func newClientCommand(s *session, sort principal.Sort, name, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short,
		Long: short + ".\n\nThese commands work on the database itself, also while a server has it open. A server\n" +
			"knows of a change within two seconds.",
		Args: cobra.NoArgs, RunE: showHelp,
	}
	cmd.AddCommand(
		newClientCreateCommand(s, sort), newClientListCommand(s, sort), newClientRevokeCommand(s, sort), newClientRotateCommand(s, sort),
	)
	return cmd
}

// clientFlags are what a person decides of a client.
type clientFlags struct {
	name, user              string
	levels, scopes, sources []string
	expires                 string
}

func (f *clientFlags) client(sort principal.Sort, now time.Time) (principal.Client, error) {
	c := principal.Client{Sort: sort, Name: f.name, User: f.user, Sources: f.sources}
	if c.Name == "" {
		c.Name = f.user
	}
	for _, given := range f.levels {
		level, ok := principal.ParseLevel(given)
		if !ok {
			return c, usagef("--level %q is not a user level: %s", given, principal.List(principal.Levels()))
		}
		c.Levels = append(c.Levels, level)
	}
	for _, given := range f.scopes {
		scope, ok := principal.ParseScope(given)
		if !ok {
			return c, usagef("--scope %q is not a scope: %s", given, principal.List(principal.Scopes()))
		}
		c.Scopes = append(c.Scopes, scope)
	}
	if f.expires != "" {
		lifetime, err := config.ParseDuration(f.expires)
		if err != nil {
			return c, usagef("--expires: %v", err)
		}
		c.Expires = now.Add(lifetime)
	}
	return c, nil
}

func newClientCreateCommand(s *session, sort principal.Sort) *cobra.Command {
	var db offline
	var f clientFlags
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Make one, and show its secret once",
		Example: "  stint token create --db stint.db --user admin --level ORG_ADMIN -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := f.client(sort, s.now())
			if err != nil {
				return err
			}
			// Before a database is made for nothing.
			if err := c.Check(); err != nil {
				return asFlags(err)
			}
			o, err := db.open(cmd, s, true)
			if err != nil {
				return err
			}
			defer o.Close()
			c, secret, err := o.CreateClient(cmd.Context(), c, reason)
			if err != nil {
				return asFlags(err)
			}
			return s.writeSecret(&c, secret, output.value)
		},
	}
	db.addFlags(cmd.Flags())
	if sort == principal.Application {
		cmd.Example = "  stint application create --db stint.db --name nightly-jobs --scope idn:task-management:write -o json"
		cmd.Flags().StringVar(&f.name, "name", "", "what it is called")
	} else {
		cmd.Flags().StringVar(&f.user, "user", "", "the user that it acts for")
		cmd.Flags().StringVar(&f.name, "name", "", "what it is called; the user where it is not given")
		cmd.Flags().StringSliceVar(&f.levels, "level", nil, "a user level: "+principal.List(principal.Levels())+"; may be repeated")
		cmd.Flags().StringSliceVar(&f.sources, "source", nil,
			"the id of a source that a SOURCE_SUBADMIN or ROLE_SUBADMIN may act on; may be repeated")
		_ = cmd.RegisterFlagCompletionFunc("level", fixed(words(principal.Levels())...))
	}
	cmd.Flags().StringSliceVar(&f.scopes, "scope", []string{string(principal.AllScopes)}, "what its access tokens may be used for; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("scope", fixed(words(principal.Scopes())...))
	cmd.Flags().StringVar(&f.expires, "expires", "", "how long it is good, as 90d; for ever where it is not given")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json", "env")
	return cmd
}

// asFlags names the flag of a field that is wrong.
func asFlags(err error) error {
	e, ok := errors.AsType[*task.Error](err)
	if !ok || e.Kind != task.Missing && e.Kind != task.IllegalValue {
		return err
	}
	flag := map[string]string{"levels": "--level", "scopes": "--scope", "sources": "--source"}[e.Field]
	if flag == "" {
		flag = "--" + e.Field
	}
	return usagef("%s %s", flag, e.Msg)
}

func words[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// writeSecret shows a client with its secret: for people, for programs, or for a
// shell.
func (s *session) writeSecret(c *principal.Client, secret, format string) error {
	switch format {
	case "json":
		body, err := c.MarshalWire()
		if err != nil {
			return err
		}
		extra, err := json.Marshal(map[string]string{"secret": secret})
		if err != nil {
			return err
		}
		return s.println(strings.TrimSuffix(string(body), "}") + "," + string(extra[1:]))
	case "env":
		_, err := fmt.Fprintf(s.Out, "STINT_CLIENT_ID=%s\nSTINT_CLIENT_SECRET=%s\n", c.ID, secret)
		return err
	}
	_, err := fmt.Fprintf(s.Out, "Id      %s\nSecret  %s\n", c.ID, secret)
	if err == nil {
		_, err = fmt.Fprintf(s.Err, "The secret is shown once: keep it.\n")
	}
	return err
}

// listedClient is a client as lists print it.
type listedClient struct {
	*principal.Client
	raw json.RawMessage
}

// Raw implements listed.
func (c listedClient) Raw() json.RawMessage { return c.raw }

func newClientListCommand(s *session, sort principal.Sort) *cobra.Command {
	var db offline
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List them by name",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := db.open(cmd, s, false)
			if err != nil {
				return err
			}
			defer o.Close()
			sink := s.newClientSink(sort, output.value)
			err = o.Clients(cmd.Context(), sort, func(c *principal.Client) error {
				raw, err := c.MarshalWire()
				if err != nil {
					return err
				}
				return sink.add(listedClient{c, raw})
			})
			if err != nil {
				return err
			}
			return sink.close()
		},
	}
	db.addFlags(cmd.Flags())
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func (s *session) newClientSink(sort principal.Sort, format string) sink[listedClient] {
	state := func(c *principal.Client) string {
		switch {
		case !c.Revoked.IsZero():
			return "revoked"
		case !c.Live(s.now()):
			return "expired"
		}
		return "live"
	}
	used := func(c *principal.Client, write func(time.Time) string) string {
		if c.LastUsed.IsZero() {
			return "never"
		}
		return write(c.LastUsed)
	}
	rights := func(c *principal.Client) string {
		if sort == principal.Application {
			return principal.List(c.Scopes)
		}
		return principal.List(c.Levels)
	}
	return newSink(s, format, shape[listedClient]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "NAME", least: 8, keep: 8},
			{title: "USER", least: 6, keep: 7},
			{title: "RIGHTS", least: 10, keep: 6},
			{title: "STATE", least: 7, keep: 5},
			{title: "LAST USED", least: 9, keep: 4},
		},
		row: func(c listedClient) []string {
			return []string{string(c.ID), c.Name, c.User, rights(c.Client), state(c.Client), used(c.Client, s.shortTime)}
		},
		plain: func(c listedClient) []string {
			return []string{string(c.ID), c.Name, c.User, rights(c.Client), state(c.Client), used(c.Client, wireTime), wireTime(c.Created)}
		},
		id:   func(c listedClient) string { return string(c.ID) },
		none: "No " + sort.Word() + "s.",
	})
}

func newClientRevokeCommand(s *session, sort principal.Sort) *cobra.Command {
	var db offline
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "End one for good: it signs in no more, and its access tokens are refused",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := clientID(sort, args[0])
			if err != nil {
				return err
			}
			o, err := db.open(cmd, s, false)
			if err != nil {
				return err
			}
			defer o.Close()
			c, err := o.Revoke(cmd.Context(), sort, id, reason)
			if err != nil {
				return err
			}
			return s.println(fmt.Sprintf("The %s %s (%s) was revoked at %s.", sort.Word(), c.ID, escapeLine(c.Name), task.FormatTime(c.Revoked)))
		},
	}
	db.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	return cmd
}

func newClientRotateCommand(s *session, sort principal.Sort) *cobra.Command {
	var db offline
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give one another secret, and show it once; the old one is refused from now on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := clientID(sort, args[0])
			if err != nil {
				return err
			}
			o, err := db.open(cmd, s, false)
			if err != nil {
				return err
			}
			defer o.Close()
			c, secret, err := o.Rotate(cmd.Context(), sort, id, reason)
			if err != nil {
				return err
			}
			return s.writeSecret(&c, secret, output.value)
		},
	}
	db.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json", "env")
	return cmd
}

func clientID(sort principal.Sort, given string) (task.ID, error) {
	id, ok := task.ParseID(given)
	if !ok {
		return "", usagef("%q is not the id of a %s", given, sort.Word())
	}
	return id, nil
}
