package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stint/client"
)

func newTaskGetCommand(s *session, conn *connection) *cobra.Command {
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "get ID",
		Short: "Show one task with its messages and history",
		Args:  taskIDs(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := conn.client(s, patience)
			if err != nil {
				return err
			}
			t, err := c.GetTask(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if output.value == "json" {
				return s.writeIndented(t.Raw())
			}
			return s.writeDetail(t)
		},
	}
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func (s *session) writeIndented(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("formatting the answer: %w", err)
	}
	b.WriteByte('\n')
	return s.writeJSON(b.Bytes())
}

// detail gathers lines of "Name:  value".
type detail struct{ strings.Builder }

func (d *detail) line(name, value string) {
	if value == "" {
		return
	}
	value = strings.ReplaceAll(strings.TrimRight(escapeLines(value), "\n"), "\n", "\n"+strings.Repeat(" ", 14))
	fmt.Fprintf(&d.Builder, "%-13s %s\n", name+":", value)
}

func (d *detail) section(title string) { fmt.Fprintf(&d.Builder, "\n%s\n", title) }

func (s *session) writeDetail(t *client.Task) error {
	d := &detail{}
	d.line("ID", t.ID)
	d.line("Type", kindOf(t))
	d.line("Name", t.UniqueName)
	d.line("Description", t.Description)
	d.line("Status", statusText(t))
	if t.Done() && t.Progress != nil {
		d.line("Progress", *t.Progress)
	}
	d.line("Launcher", t.Launcher)
	if t.ParentName != nil {
		d.line("Parent", *t.ParentName)
	}
	if t.SourceID != nil {
		d.line("Source", *t.SourceID)
	}
	if t.Target != nil {
		d.line("Target", strings.TrimSpace(strings.Join([]string{t.Target.Type, t.Target.Name, t.Target.ID}, " ")))
	}
	d.line("Created", s.longTime(t.Created))
	if t.Launched != nil {
		d.line("Launched", s.longTime(*t.Launched))
	}
	if t.Completed != nil {
		d.line("Completed", s.longTime(*t.Completed))
	}
	if duration, ok := s.taskDuration(t); ok {
		d.line("Duration", shortDuration(duration))
	}
	if !t.Done() {
		s.writeLiveness(d, t)
	}
	if t.Attempt > 1 {
		d.line("Attempt", strconv.Itoa(t.Attempt))
	}
	if t.Definition != nil {
		writeObject(d, "Arguments", t.Definition.Arguments)
	}
	writeObject(d, "Attributes", t.Attributes)
	writeMessages(d, t.Messages)
	s.writeHistory(d, t.History)
	_, err := s.Out.Write([]byte(d.String()))
	return err
}

func (s *session) writeLiveness(d *detail, t *client.Task) {
	if t.LastHeartbeat != nil {
		d.line("Heartbeat", s.longTime(*t.LastHeartbeat))
	}
	if t.HeartbeatLimitSeconds != nil {
		d.line("Lost after", fmt.Sprintf("%ds of silence", *t.HeartbeatLimitSeconds))
	}
	if t.CancelRequested != nil {
		d.line("Cancel asked", s.longTime(*t.CancelRequested))
	}
}

func writeObject(d *detail, title string, object map[string]any) {
	if len(object) == 0 {
		return
	}
	d.section(title)
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text, isText := object[name].(string)
		if !isText {
			encoded, err := json.Marshal(object[name])
			if err != nil {
				continue
			}
			text = string(encoded)
		}
		fmt.Fprintf(&d.Builder, "  %s = %s\n", escapeLine(name), escapeLine(text))
	}
}

// writeMessages prints errors first, then warnings, each in their order.
func writeMessages(d *detail, messages []client.Message) {
	if len(messages) == 0 {
		return
	}
	d.section("Messages")
	weight := func(m client.Message) int {
		switch m.Type {
		case client.MessageError:
			return 0
		case client.MessageWarn:
			return 1
		case client.MessageInfo:
			return 2
		}
		return 3
	}
	sorted := slices.Clone(messages)
	slices.SortStableFunc(sorted, func(a, b client.Message) int { return weight(a) - weight(b) })
	for _, m := range sorted {
		text := m.LocalizedText.Message
		if text == "" {
			text = m.Key
		}
		text = strings.ReplaceAll(strings.TrimRight(escapeLines(text), "\n"), "\n", "\n         ")
		fmt.Fprintf(&d.Builder, "  %-5s  %s\n", escapeLine(string(m.Type)), text)
	}
}

func (s *session) writeHistory(d *detail, history []client.HistoryEntry) {
	if len(history) == 0 {
		return
	}
	d.section("History")
	for _, h := range history {
		what := h.Text
		if !strings.HasPrefix(what, h.Event) {
			what = strings.TrimSuffix(h.Event+": "+what, ": ")
		}
		if h.Count > 1 {
			what += fmt.Sprintf(" (%d times)", h.Count)
		}
		if h.Actor != "" {
			what += " [" + h.Actor + "]"
		}
		fmt.Fprintf(&d.Builder, "  %s  %s\n", h.At.In(s.local).Format("2006-01-02 15:04:05"), escapeLine(what))
	}
}
