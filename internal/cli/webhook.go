package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

func newWebhookCommand(s *session) *cobra.Command {
	conn := &connection{}
	cmd := &cobra.Command{
		Use:   "webhook",
		Short: "Manage who is told over HTTP of tasks that have ended",
		Long: "Manage who is told over HTTP of tasks that have ended. A webhook goes by its id, or by a name that no\n" +
			"other has. What is sent is signed as Standard Webhooks says; see docs/WEBHOOKS.md.",
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	conn.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(
		newWebhookListCommand(s, conn), newWebhookGetCommand(s, conn), newWebhookCreateCommand(s, conn), newWebhookUpdateCommand(s, conn),
		newWebhookDeleteCommand(s, conn), newWebhookRotateCommand(s, conn), newWebhookTestCommand(s, conn),
		newWebhookDeliveriesCommand(s, conn), newWebhookRedeliverCommand(s, conn),
	)
	return cmd
}

// oneWebhook demands one name or id that is not empty.
func oneWebhook(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return usagef("which webhook? %s", cmd.UseLine())
	case len(args) > 1:
		return usagef("too many arguments: %s", cmd.UseLine())
	case args[0] == "":
		return usagef("the name of the webhook is empty")
	}
	return nil
}

// onWebhook is a command about one webhook that was found.
func onWebhook(s *session, conn *connection, run func(cmd *cobra.Command, c *client.Client, w *client.Webhook, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(s, patience)
		if err != nil {
			return err
		}
		w, err := c.FindWebhook(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return run(cmd, c, w, args)
	}
}

// webhookFlags are what a person decides of a webhook.
type webhookFlags struct {
	name, url, filter, reason string
	events                    []string
	enabled                   bool
}

func (f *webhookFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "to", "", "where it sends to: an absolute http or https URL")
	flags.StringSliceVar(&f.events, "event", nil, "task.completed or task.failed; repeatable (default: both)")
	flags.StringVar(&f.filter, "filter", "", `only tasks for which this filter expression holds, such as sourceId eq "…"`)
	flags.BoolVar(&f.enabled, "enabled", true, "whether it is told anything")
	flags.StringVar(&f.reason, "reason", "", "why; kept in the audit trail")
	_ = cmd.RegisterFlagCompletionFunc("event", fixed("task.completed", "task.failed"))
}

func newWebhookCreateCommand(s *session, conn *connection) *cobra.Command {
	f := &webhookFlags{}
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "create NAME --to URL",
		Short: "Create a webhook, and show its secret once",
		Example: "  stint webhook create chat --to https://relay.example.com/stint --event task.failed\n" +
			`  stint webhook create on-call --to https://relay.example.com/page --filter 'sourceId eq "01936f2b8c4d7e21a1b2c3d4e5f60718"'`,
		Args: oneWebhook,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.url == "" {
				return usagef("--to is required: where it sends to")
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			w, err := c.CreateWebhook(cmd.Context(), client.NewWebhook{
				Name: args[0], URL: f.url, Events: f.events, Filter: f.filter, Enabled: &f.enabled, Reason: f.reason,
			})
			if err != nil {
				return err
			}
			return s.writeWebhookSecret(w, output.value)
		},
	}
	f.add(cmd)
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func newWebhookUpdateCommand(s *session, conn *connection) *cobra.Command {
	f := &webhookFlags{}
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "update WEBHOOK",
		Short: "Change a webhook",
		Long:  "Change a webhook. What is given replaces what there was; the rest stays. One that is enabled is told of\nwhat completes from then on.",
		Example: "  stint webhook update chat --enabled=false\n" +
			"  stint webhook update chat --filter ''",
		Args: oneWebhook,
	}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, _ []string) error {
		patch := map[string]any{}
		for _, given := range []struct {
			flag, member string
			value        any
		}{
			{"name", "name", f.name},
			{"to", "url", f.url},
			{"event", "events", f.events},
			{"filter", "filter", f.filter},
			{"enabled", "enabled", f.enabled},
		} {
			if cmd.Flags().Changed(given.flag) {
				patch[given.member] = given.value
			}
		}
		if len(patch) == 0 {
			return usagef("what should change? Give flags; see: stint webhook update --help")
		}
		body, err := json.Marshal(patch)
		if err != nil {
			return fmt.Errorf("encoding the patch: %w", err)
		}
		if w, err = c.PatchWebhook(cmd.Context(), w.ID, body, f.reason); err != nil {
			return err
		}
		return s.showWebhook(w, output.value)
	})
	f.add(cmd)
	cmd.Flags().StringVar(&f.name, "name", "", "another name")
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

func newWebhookGetCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{Use: "get WEBHOOK", Short: "Show one webhook", Args: oneWebhook}
	cmd.RunE = onWebhook(s, conn, func(_ *cobra.Command, _ *client.Client, w *client.Webhook, _ []string) error {
		return s.showWebhook(w, output.value)
	})
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

func newWebhookDeleteCommand(s *session, conn *connection) *cobra.Command {
	var yes bool
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "delete WEBHOOK",
		Short: "Delete a webhook, and what is known of its deliveries",
		Long: "Delete a webhook, and what is known of its deliveries. What was still to be delivered is not.\n\n" +
			"On a terminal it asks first; elsewhere it needs --yes.",
		Args: oneWebhook,
	}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, _ []string) error {
		if !yes {
			what := fmt.Sprintf("Webhook %s (%s), which sends to %s.", escapeLine(w.Name), w.ID, escapeLine(w.URL))
			if err := s.confirm(cmd.Context(), what, "Delete it? [y/N] ", "nothing was deleted"); err != nil {
				return err
			}
		}
		gone, err := c.DeleteWebhook(cmd.Context(), w.ID, reason)
		if err != nil {
			return err
		}
		if output.value == "json" {
			return s.writeIndented(gone.Raw())
		}
		return s.println(fmt.Sprintf("The webhook %s (%s) is deleted.", escapeLine(gone.Name), gone.ID))
	})
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func newWebhookRotateCommand(s *session, conn *connection) *cobra.Command {
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "rotate WEBHOOK",
		Short: "Give a webhook another secret, and show it once; the old one signs beside it for a day",
		Args:  oneWebhook,
	}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, _ []string) error {
		w, err := c.RotateWebhook(cmd.Context(), w.ID, reason)
		if err != nil {
			return err
		}
		return s.writeWebhookSecret(w, output.value)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

// writeWebhookSecret shows a webhook with its secret.
func (s *session) writeWebhookSecret(w *client.Webhook, format string) error {
	if format == "json" {
		return s.writeIndented(w.Raw())
	}
	_, err := fmt.Fprintf(s.Out, "Id      %s\nSecret  %s\n", w.ID, w.Secret)
	if err == nil {
		_, err = fmt.Fprintf(s.Err, "The secret is shown once: keep it.\n")
	}
	return err
}

func newWebhookListCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List webhooks by name",
		Long: "List webhooks by name.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per webhook, without a header and\n" +
			"without cuts, of columns separated by tabs: id, name, enabled, events, URL, filter, created (UTC).",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			sink := s.newWebhookSink(output.value)
			for w, err := range c.Webhooks(cmd.Context(), client.ListOptions{}) {
				if err != nil {
					return err
				}
				if err := sink.add(w); err != nil {
					return err
				}
			}
			return sink.close()
		},
	}
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func enabledWord(w *client.Webhook) string {
	if w.Enabled {
		return "enabled"
	}
	return "disabled"
}

func (s *session) newWebhookSink(format string) sink[*client.Webhook] {
	return newSink(s, format, shape[*client.Webhook]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "NAME", least: 8, keep: 8},
			{title: "STATE", keep: 7},
			{title: "EVENTS", least: 10, keep: 4},
			{title: "URL", least: 12, keep: 6},
			{title: "FILTER", least: 10, keep: 5},
		},
		row: func(w *client.Webhook) []string {
			return []string{w.ID, w.Name, enabledWord(w), strings.Join(w.Events, ", "), w.URL, w.Filter}
		},
		plain: func(w *client.Webhook) []string {
			return []string{w.ID, w.Name, enabledWord(w), strings.Join(w.Events, ","), w.URL, w.Filter, wireTime(w.Created)}
		},
		id:   func(w *client.Webhook) string { return w.ID },
		none: "No webhooks.",
	})
}

// showWebhook prints a webhook: as the server sent it, for people, or its id alone.
func (s *session) showWebhook(w *client.Webhook, format string) error {
	switch format {
	case "json":
		return s.writeIndented(w.Raw())
	case "id":
		return s.println(w.ID)
	}
	d := &detail{}
	d.line("ID", w.ID)
	d.line("Name", w.Name)
	d.line("URL", w.URL)
	d.line("Events", strings.Join(w.Events, ", "))
	d.line("Filter", w.Filter)
	state := enabledWord(w)
	if w.DisabledReason != "" {
		state += ": " + w.DisabledReason
	}
	d.line("State", state)
	d.line("Created", s.longTime(w.Created))
	d.line("Modified", s.longTime(w.Modified))
	if w.SecretRotated != nil {
		d.line("Secret", "rotated "+s.longTime(*w.SecretRotated))
	}
	_, err := s.Out.Write([]byte(d.String()))
	return err
}

func optionalTime(t *time.Time, write func(time.Time) string) string {
	if t == nil {
		return ""
	}
	return write(*t)
}
