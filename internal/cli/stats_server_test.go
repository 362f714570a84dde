package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"stint/client"
)

func TestStats(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	if out, _ := e.run(0, "stats"); out != "" {
		t.Errorf("without a task it says %q", out)
	}
	for _, status := range []client.CompletionStatus{client.Success, client.Failure, client.Warning, ""} {
		launched, err := s.client().Launch(t.Context(), client.LaunchRequest{
			Type: "IDENTITY_REFRESH", Target: &client.Target{ID: "hr", Type: "APPLICATION", Name: "HR\x1b[31m"},
		})
		if err != nil {
			t.Fatal(err)
		}
		if status == "" {
			continue
		}
		if _, err := s.client().Report(t.Context(), launched.ID, launched.ReportToken, client.Report{Attempt: 1, CompletionStatus: status}); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := e.run(0, "stats", "--by", "source,status")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "hr\tERROR\t1\t1\t0\t0\t") || len(strings.Split(lines[2], "\t")) != 13 {
		t.Errorf("by source and status it says %q", lines)
	}
	out, _ = e.run(0, "stats", "runs")
	cells := strings.Split(strings.TrimSpace(out), "\t")
	if len(cells) != 9 || cells[0] != "IDENTITY_REFRESH" || cells[2] != `HR\x1b[31m` || cells[4] != "queued" || cells[7] != "1" || cells[8] != ".Ew>" {
		t.Errorf("the last runs are %q", cells)
	}
	for _, args := range [][]string{{"stats", "-o", "json", "--since", "1d", "--time-zone", "Asia/Tokyo", "--by", "day"}, {"stats", "runs", "-o", "json", "--last", "2"}} {
		out, _ := e.run(0, args...)
		var got struct{ Groups []json.RawMessage }
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got.Groups) != 1 {
			t.Errorf("%v says %s, %v", args, out, err)
		}
	}
	for args, says := range map[string]string{
		"stats --since x": "--since", "stats --by kind": "type, source, status, day", "stats --time-zone Mars": "IANA", "stats runs --last 1000": "100",
	} {
		if _, said := e.run(2, strings.Fields(args)...); !strings.Contains(said, says) {
			t.Errorf("%s says %q", args, said)
		}
	}
}
