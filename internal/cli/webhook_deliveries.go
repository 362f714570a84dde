package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"stint/client"
)

func newWebhookDeliveriesCommand(s *session, conn *connection) *cobra.Command {
	var states []string
	var filter, since string
	var limit int
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "deliveries WEBHOOK",
		Short: "List what a webhook was told in the last 30 days, newest first",
		Long: "List what a webhook was told in the last 30 days, newest first.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per delivery, without a header and without\n" +
			"cuts, of columns separated by tabs: id, created (UTC), event, task, state, attempts, status, next attempt, error.",
		Example: "  stint webhook deliveries chat --state failed --since 24h\n" +
			"  stint webhook deliveries chat --state failed -o id | xargs -n 1 stint webhook redeliver chat",
		Args: oneWebhook,
	}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, _ []string) error {
		if limit < 0 {
			return usagef("--limit %d: at least 0", limit)
		}
		after := ""
		if since != "" {
			at, err := s.parseSince(since)
			if err != nil {
				return usagef("--since: %w", err)
			}
			after = client.Since("created", at)
		}
		sink := s.newDeliverySink(output.value)
		opts := client.ListOptions{Filter: client.AllOf(client.AnyOf("state", states...), after, filter), Limit: limit}
		for d, err := range c.Deliveries(cmd.Context(), w.ID, opts) {
			if err != nil {
				return err
			}
			if err := sink.add(d); err != nil {
				return err
			}
		}
		return sink.close()
	})
	cmd.Flags().StringSliceVar(&states, "state", nil, "only in this state: pending, delivered or failed; repeatable")
	cmd.Flags().StringVar(&since, "since", "", "only what was made since then: a duration ago (24h, 7d) or a time")
	cmd.Flags().StringVar(&filter, "filter", "", "a filter expression that must hold too, on id, taskId, event, state and created")
	cmd.Flags().IntVar(&limit, "limit", defaultListLimit, "at most so many deliveries, 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("state", fixed("pending", "delivered", "failed"))
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func (s *session) newDeliverySink(format string) sink[*client.WebhookDelivery] {
	status := func(d *client.WebhookDelivery) string {
		if d.LastStatus == 0 {
			return ""
		}
		return strconv.Itoa(d.LastStatus)
	}
	return newSink(s, format, shape[*client.WebhookDelivery]{
		columns: []column{
			{title: "ID", keep: 9},
			{title: "WHEN", least: 7, keep: 7},
			{title: "EVENT", keep: 6},
			{title: "TASK", least: 10, keep: 5},
			{title: "STATE", keep: 8},
			{title: "TRIES", keep: 4},
			{title: "NEXT", least: 7, keep: 2},
			{title: "ERROR", least: 12, keep: 3},
		},
		row: func(d *client.WebhookDelivery) []string {
			return []string{
				d.ID, s.shortTime(d.Created), d.Event, d.TaskID, d.State, strconv.Itoa(d.Attempts), optionalTime(d.NextAttempt, s.shortTime), d.LastError,
			}
		},
		plain: func(d *client.WebhookDelivery) []string {
			return []string{
				d.ID, wireTime(d.Created), d.Event, d.TaskID, d.State, strconv.Itoa(d.Attempts), status(d), optionalTime(d.NextAttempt, wireTime), d.LastError,
			}
		},
		id:   func(d *client.WebhookDelivery) string { return d.ID },
		none: "No deliveries.",
	})
}

func newWebhookTestCommand(s *session, conn *connection) *cobra.Command {
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{Use: "test WEBHOOK", Short: "Send a webhook a test; what comes of it is in its deliveries", Args: oneWebhook}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, _ []string) error {
		d, err := c.TestWebhook(cmd.Context(), w.ID, reason)
		if err != nil {
			return err
		}
		return s.showDelivery(d, output.value)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

func newWebhookRedeliverCommand(s *session, conn *connection) *cobra.Command {
	var reason string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "redeliver WEBHOOK DELIVERY",
		Short: "Try a delivery now, whatever has become of it",
		Long:  "Try a delivery now, and as often as a new one, whatever has become of it. It keeps its id, by which the\nreceiver knows a repeat.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return usagef("which delivery to which webhook? %s", cmd.UseLine())
			}
			return nil
		},
	}
	cmd.RunE = onWebhook(s, conn, func(cmd *cobra.Command, c *client.Client, w *client.Webhook, args []string) error {
		d, err := c.Redeliver(cmd.Context(), w.ID, args[1], reason)
		if err != nil {
			return err
		}
		return s.showDelivery(d, output.value)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why; kept in the audit trail")
	output = addOutputFlag(cmd, "text", "text", "json", "id")
	return cmd
}

// showDelivery says that a delivery will be tried.
func (s *session) showDelivery(d *client.WebhookDelivery, format string) error {
	switch format {
	case "json":
		return s.writeIndented(d.Raw())
	case "id":
		return s.println(d.ID)
	}
	return s.println(fmt.Sprintf("The delivery %s is queued.", d.ID))
}
