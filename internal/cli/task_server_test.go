package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"stint/client"
)

func TestTaskLifeByCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	out, _ := e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH", "--name", `a "quoted" \ name`, "--launcher", `me\"`,
		"--target-id", "t1", "--target-name", "HR", "--target-type", "APPLICATION", "--arg", "full:=true", "--arg", "text=5",
		"--attribute", "a=b", "--heartbeat-limit", "90s", "--idempotency-key", "k1", "-o", "json")
	var launched client.Launched
	if err := json.Unmarshal([]byte(out), &launched); err != nil {
		t.Fatal(err)
	}
	if launched.ReportToken == "" || *launched.HeartbeatLimitSeconds != 90 || *launched.SourceID != "t1" || launched.Definition.Arguments["full"] != true || launched.Definition.Arguments["text"] != "5" {
		t.Fatalf("got %s", out)
	}
	id := launched.ID
	if out, _ := e.run(0, "task", "list", "-o", "id", "--launcher", `me\"`, "--source", "t1", "--in-progress"); out != id+"\n" {
		t.Fatalf("listed %q", out)
	}
	if out, _ := e.run(0, "task", "list", "--count", "--type", "Identity Refresh"); out != "1\n" {
		t.Fatalf("counted %q", out)
	}
	if _, stderr := e.run(2, "task", "report", id, "--attempt", "1", "--token-file", e.secret("wrong")); !strings.Contains(stderr, "tracking id ") || strings.Count(stderr, "\n") != 1 {
		t.Fatalf("a wrong token: %q", stderr)
	}
	e.run(0, "task", "report", id, "--attempt", "1", "--token-file", e.secret(launched.ReportToken), "--progress", "Reading", "--percent", "40", "--warning", "w1", "--error", "e1\x1b[2J")
	out, _ = e.run(0, "task", "list")
	fields := strings.Split(strings.TrimSuffix(out, "\n"), "\t")
	if len(fields) != 9 || fields[0] != id || fields[1] != "IDENTITY_REFRESH" || fields[3] != "running" || fields[7] != "40" || fields[8] != "Reading" {
		t.Fatalf("listed %q", fields)
	}
	out, _ = e.run(0, "task", "get", id)
	if strings.Contains(out, "\x1b") || strings.Index(out, `e1\x1b[2J`) > strings.Index(out, "w1") || !strings.Contains(out, "running 40% Reading") {
		t.Fatalf("got %s", out)
	}
	waiting := e.command("task", "wait", id)
	waiting.start()
	waiting.stderr.Await(t, "running 40% Reading")
	e.run(0, "task", "cancel", id, "--reason", "no need")
	if _, stderr := e.run(1, "task", "report", id, "--attempt", "1", "--token-file", e.secret(launched.ReportToken)); !strings.Contains(stderr, "the task was cancelled") {
		t.Fatalf("told to stop: %q", stderr)
	}
	e.run(0, "task", "report", id, "--attempt", "1", "--token-file", e.secret(launched.ReportToken), "--status", "terminated")
	waiting.wait(1)
	if !strings.Contains(waiting.stderr.String(), "TERMINATED after") {
		t.Fatalf("waited: %q", waiting.stderr)
	}
	if _, stderr := e.run(1, "task", "report", id, "--attempt", "1", "--token-file", e.secret(launched.ReportToken)); !strings.Contains(stderr, "409") {
		t.Fatalf("late: %q", stderr)
	}
}

func TestTaskClearMany(t *testing.T) {
	t.Parallel()
	e := newEnv(t, startServer(t))
	e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH", "--name", "one of many")
	e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH", "--name", "another of many")
	many := []string{"task", "clear", "--filter", `uniqueName co "of many"`, "--limit", "1"}
	if out, _ := e.run(0, append(many, "--dry-run")...); !strings.Contains(out, "one of many") || !strings.Contains(out, "wouldClear") || strings.Count(out, "\n") != 1 {
		t.Errorf("a dry run: %q", out)
	}
	many = append(many, "--status", "ERROR", "--reason", "the host died")
	if _, stderr := e.run(2, many...); !strings.Contains(stderr, "1 task would end as ERROR, of 2 that match.") || !strings.Contains(stderr, "add --yes") {
		t.Errorf("not asked: %q", stderr)
	}
	if out, _ := e.run(0, append(many, "--yes", "-o", "json")...); !strings.Contains(out, `"cleared": 1`) || !strings.Contains(out, `"matched": 2`) {
		t.Errorf("cleared: %q", out)
	}
}

func TestTaskClearAndWait(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	var ids []string
	for range 3 {
		out, _ := e.run(0, "task", "launch", "--type", "IDENTITY_REFRESH")
		ids = append(ids, strings.TrimSpace(out))
	}
	if _, stderr := e.run(2, "task", "wait", ids[0], "--timeout", "1s"); !strings.Contains(stderr, "still queued") {
		t.Fatalf("timeout: %q", stderr)
	}
	out, stderr := e.run(2, "task", "clear", ids[0], "0123", ids[1], "--status", "Warning", "--reason", "Grüße\nzwei", "--completed", "2026-01-02T03:04:05Z")
	if strings.Count(out, "WARNING\n") != 2 || !strings.Contains(stderr, "404") || !strings.Contains(stderr, "1 of 3") {
		t.Fatalf("cleared %q, %q", out, stderr)
	}
	e.run(0, "task", "wait", ids[0])
	out, _ = e.run(0, "task", "wait", ids[1], "-o", "json")
	var task client.Task
	if err := json.Unmarshal([]byte(out), &task); err != nil || task.Completed.Year() != 2026 || task.CompletionStatus != client.Warning {
		t.Fatalf("got %s, %v", out, err)
	}
	if out, _ := e.run(0, "task", "get", ids[0]); !strings.Contains(out, "Grüße zwei") {
		t.Fatalf("the reason is not in the history: %s", out)
	}
	for _, order := range []string{"created", "completed", "durationMs", "uniqueName", "target.name", "launcher", "type", "completionStatus"} {
		if out, _ := e.run(0, "task", "list", "--sort", "-"+order, "-o", "id"); out == "" {
			t.Errorf("sorted on %s: none", order)
		}
	}
	out, _ = e.run(0, "task", "list", "--status", "warning", "--since", "1h", "-o", "ndjson")
	if strings.Count(out, "\n") != 2 {
		t.Fatalf("listed %q", out)
	}
	out, _ = e.run(0, "task", "list", "-o", "json", "--limit", "2")
	var list []client.Task
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 2 || list[0].ID != ids[2] {
		t.Fatalf("listed %s, %v", out, err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"task", "list"}, "stint serve"},
		{[]string{"task", "list", "--url", "localhost"}, "http://host:port"},
		{[]string{"task", "list", "--nonsense"}, "stint task list --help"},
		{[]string{"task", "list", "--since", "soon"}, "24h"},
		{[]string{"task", "launch"}, "--type is required"},
		{[]string{"task", "clear", "x"}, "--status is required"},
		{[]string{"task", "clear", "x", "--filter", "id eq x"}, "not both"},
		{[]string{"task", "clear", "--filter", "id eq x", "--status", "ERROR"}, "--reason is required"},
		{[]string{"task", "clear", "x", "--dry-run"}, "go with --filter"},
		{[]string{"task", "clear", "--filter", "id eq x", "--limit", "5000"}, "1 to 1000"},
		{[]string{"exec"}, "which program"},
	} {
		_, stderr := e.run(2, c.args...)
		if !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "stint: ") {
			t.Errorf("%v: %q", c.args, stderr)
		}
	}
}
