package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"stint/client"
)

func newAuditReportCommand(s *session, conn *connection) *cobra.Command {
	f := &auditFilter{}
	var all bool
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Who cleared, cancelled or changed what, and why",
		Long: "Who cleared, cancelled or changed what, when, why and from where: oldest first. Launches, access tokens and\n" +
			"what Stint does by itself are left out, unless --all or --action asks for them.\n\n" +
			"On a terminal this is a table that fits it. Elsewhere it is one line per change, without a header and without\n" +
			"cuts, of columns separated by tabs: created (UTC), actor, what, name, object, reason, address, client, request\n" +
			"id, entry id.",
		Example: "  stint audit report --since 7d\n" +
			"  stint audit report --since 2026-11-01 --until 2026-12-01 --action task.clear -o json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !all && len(f.actions) == 0 {
				f.filter = client.AllOf("not "+client.AnyOf("action", "task.launch", "task.expire", "token.issue", "token.refuse", "session.start"), f.filter)
			}
			filter, err := f.expression(s)
			if err != nil {
				return err
			}
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			sink := s.newReportSink(output.value)
			by := map[string]int{}
			// Oldest first: what is written meanwhile moves no page.
			for e, err := range c.Audit(cmd.Context(), client.ListOptions{Filter: filter, Sorters: "created"}) {
				if err != nil {
					return err
				}
				by[e.Actor]++
				if err := sink.add(newReportLine(e)); err != nil {
					return err
				}
			}
			if err := sink.close(); err != nil || !isTerminal(s.Out) || output.value != "table" || len(by) == 0 {
				return err
			}
			return s.println(reportSum(by))
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.since, "since", "7d", "what was done since then: a duration ago (24h, 7d) or a time")
	cmd.Flags().BoolVar(&all, "all", false, "every entry: launches, access tokens and what Stint did by itself, too")
	output = addOutputFlag(cmd, "table", "table", "json", "ndjson", "id")
	return cmd
}

// reportSum says how much each person did, those who did most first.
func reportSum(by map[string]int) string {
	actors := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			return by[b] - by[a]
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(actors))
	total := 0
	for i, actor := range actors {
		parts[i] = fmt.Sprintf("%s %d", actor, by[actor])
		total += by[actor]
	}
	return countedAs(int64(total), "change") + ": " + strings.Join(parts, ", ")
}

// reportLine is one entry as a report shows it.
type reportLine struct {
	Created time.Time `json:"created"`
	Actor   string    `json:"actor"`
	// What says in words what was done to the object of this name.
	What      string `json:"what"`
	Name      string `json:"name"`
	Reason    string `json:"reason"`
	Address   string `json:"address"`
	Agent     string `json:"agent"`
	Client    string `json:"client"`
	RequestID string `json:"requestId"`
	Action    string `json:"action"`
	Object    string `json:"object"`
	EntryID   string `json:"entryId"`
}

// Raw implements listed.
func (l *reportLine) Raw() json.RawMessage {
	text, err := json.Marshal(l)
	if err != nil {
		return nil // its fields can all be written
	}
	return text
}

func newReportLine(e *client.AuditEntry) *reportLine {
	var before, after auditedThing
	// What is no such document has no name: the id still says what it is.
	_ = json.Unmarshal(e.Before, &before)
	_ = json.Unmarshal(e.After, &after)
	return &reportLine{
		Created: e.Created, Actor: e.Actor, What: whatWasDone(e.Action, &after), Name: after.title(before.title("")), Reason: e.Reason,
		Address: e.Address, Agent: e.Agent, Client: e.Client, RequestID: e.RequestID, Action: e.Action, Object: e.Object, EntryID: e.ID,
	}
}

// auditedThing is what a report reads of a document of an entry: of a task, a
// source, a client or an import.
type auditedThing struct {
	UniqueName       string  `json:"uniqueName"`
	Name             string  `json:"name"`
	CompletionStatus *string `json:"completionStatus"`
	Added            *int64  `json:"added"`
	Replaced         int64   `json:"replaced"`
}

func (t *auditedThing) title(otherwise string) string {
	switch {
	case t.UniqueName != "":
		return t.UniqueName
	case t.Name != "":
		return t.Name
	}
	return otherwise
}

// whatWasDone says what an action did, in words.
func whatWasDone(action string, after *auditedThing) string {
	switch {
	case action == "task.clear" && after.CompletionStatus != nil:
		return "cleared as " + *after.CompletionStatus
	case action == "task.cancel" && after.CompletionStatus == nil:
		return "asked to stop"
	case action == "task.import" && after.Added != nil:
		return fmt.Sprintf("imported %s, replaced %d", countedAs(*after.Added, "task"), after.Replaced)
	}
	words := map[string]string{
		"task.launch": "launched", "task.cancel": "cancelled", "task.clear": "cleared", "task.expire": "ended with its retention",
		"task.import": "imported tasks", "source.create": "created the source", "source.update": "changed the source",
		"source.delete": "deleted the source", "webhook.create": "created the webhook", "webhook.update": "changed the webhook", "webhook.delete": "deleted the webhook",
		"webhook.rotate": "gave another secret to the webhook", "webhook.test": "tested a webhook", "webhook.redeliver": "redelivered to the webhook",
		"webhook.disable": "disabled the webhook", "token.issue": "signed in", "token.refuse": "was refused a token",
		"session.start": "signed in to the console",
		"client.create": "created the client", "client.rotate": "gave the client another secret", "client.revoke": "revoked the client",
		"key.rotate": "changed the signing key",
	}
	if text := words[action]; text != "" {
		return text
	}
	return action
}

func (s *session) newReportSink(format string) sink[*reportLine] {
	return newSink(s, format, shape[*reportLine]{
		columns: []column{
			{title: "WHEN", least: 7, keep: 7},
			{title: "WHO", least: 8, keep: 9},
			{title: "WHAT", least: 10, keep: 8},
			{title: "NAME", least: 10, keep: 4},
			{title: "OBJECT", least: 12, keep: 2},
			{title: "WHY", least: 10, keep: 6},
			{title: "FROM", least: 9, keep: 3},
		},
		row: func(l *reportLine) []string {
			return []string{s.shortTime(l.Created), l.Actor, l.What, l.Name, l.Object, l.Reason, l.Address}
		},
		plain: func(l *reportLine) []string {
			return []string{
				wireTime(l.Created), l.Actor, l.What, l.Name, l.Object, l.Reason, l.Address, l.Client, l.RequestID, l.EntryID,
			}
		},
		id:   func(l *reportLine) string { return l.EntryID },
		none: "Nobody changed anything.",
	})
}
