package cli

import (
	"github.com/spf13/cobra"

	"stint/client"
)

// auditFilter are the flags that choose entries of the audit.
type auditFilter struct {
	actions, actors, objects, clients []string
	since, until, filter              string
}

func (f *auditFilter) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.actions, "action", nil, "only this action, as task.clear; repeatable")
	flags.StringArrayVar(&f.actors, "actor", nil, "only what this user, or application, did; repeatable")
	flags.StringArrayVar(&f.objects, "object", nil, "only what was done to the task, source, … with this id; repeatable")
	flags.StringArrayVar(&f.clients, "client", nil, "only what was done with the token, or application, with this id; repeatable")
	flags.StringVar(&f.until, "until", "", "only what was done before then: a duration ago (24h, 7d) or a time")
	flags.StringVar(&f.filter, "filter", "", "a filter expression that must hold too")
}

// expression puts the flags into the filter language.
func (f *auditFilter) expression(s *session) (string, error) {
	var since, until string
	if f.since != "" {
		at, err := s.parseSince(f.since)
		if err != nil {
			return "", usagef("--since: %w", err)
		}
		since = client.Since("created", at)
	}
	if f.until != "" {
		at, err := s.parseSince(f.until)
		if err != nil {
			return "", usagef("--until: %w", err)
		}
		until = client.Before("created", at)
	}
	return client.AllOf(
		client.AnyOf("action", f.actions...), client.AnyOf("actor", f.actors...), client.AnyOf("object", f.objects...),
		client.AnyOf("client", f.clients...), since, until, f.filter), nil
}

func newAuditListCommand(s *session, conn *connection) *cobra.Command {
	f := &auditFilter{}
	var limit int
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the entries of the audit, newest first",
		Long: "List the entries of the audit, newest first.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per entry, without a header and without\n" +
			"cuts, of columns separated by tabs: id, created (UTC), actor, action, object, reason, client, address, request\n" +
			"id, agent. -o json and -o ndjson print entries whole, with what the object was before and after.",
		Example: "  stint audit list --action task.clear --since 7d\n" +
			"  stint audit list --object 01936f2b8c4d7e21a1b2c3d4e5f60718 -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("--limit %d: at least 0", limit)
			}
			filter, err := f.expression(s)
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			sink := s.newAuditSink(output.value)
			for e, err := range c.Audit(cmd.Context(), client.ListOptions{Filter: filter, Limit: limit}) {
				if err != nil {
					return err
				}
				if err := sink.add(e); err != nil {
					return err
				}
			}
			return sink.close()
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.since, "since", "", "only what was done since then: a duration ago (24h, 7d) or a time")
	cmd.Flags().IntVar(&limit, "limit", defaultListLimit, "at most so many entries, 0 for all")
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

func (s *session) newAuditSink(format string) sink[*client.AuditEntry] {
	return newSink(s, format, shape[*client.AuditEntry]{
		columns: []column{
			{title: "ID", least: 8, keep: 1},
			{title: "WHEN", least: 7, keep: 7},
			{title: "WHO", least: 8, keep: 8},
			{title: "ACTION", keep: 9},
			{title: "OBJECT", least: 12, keep: 6},
			{title: "REASON", least: 10, keep: 5},
			{title: "FROM", least: 9, keep: 3},
		},
		row: func(e *client.AuditEntry) []string {
			return []string{e.ID, s.shortTime(e.Created), e.Actor, e.Action, e.Object, e.Reason, e.Address}
		},
		plain: func(e *client.AuditEntry) []string {
			return []string{
				e.ID, wireTime(e.Created), e.Actor, e.Action, e.Object, e.Reason, e.Client, e.Address, e.RequestID, e.Agent,
			}
		},
		id:   func(e *client.AuditEntry) string { return e.ID },
		none: "No entries.",
	})
}
