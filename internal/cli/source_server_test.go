package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stint/client"
)

func sourceFrom(t *testing.T, out string) client.Source {
	t.Helper()
	var src client.Source
	if err := json.Unmarshal([]byte(out), &src); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return src
}

func TestSourceLifeByCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	out, _ := e.run(0, "source", "create", "HR", "--account-id", "id", "--display-name", "name", "--entitlements", "groups,roles",
		"--delimiter", `\t`, "--separator", "|", "--columns", "id,name,groups,roles", "--description", "the \x1b[2J staff",
		"--max-deletions-percent", "0", "--min-deletions", "3", "-o", "json")
	src := sourceFrom(t, out)
	if c := src.ConnectorAttributes; c.AccountID != "id" || c.DisplayName != "name" || strings.Join(c.Entitlements, " ") != "groups roles" ||
		c.Delimiter != "\t" || c.MultiValueSeparator != "|" || len(c.Columns) != 4 || *src.DeletionThreshold.Percent != 0 || *src.DeletionThreshold.Minimum != 3 {
		t.Fatalf("created %s", out)
	}
	id, _ := e.run(0, "source", "create", "finance", "--account-id", "key")
	id = strings.TrimSpace(id)
	if _, stderr := e.run(2, "source", "create", "FINANCE", "--account-id", "key"); !strings.Contains(stderr, id) || !strings.Contains(stderr, "409") {
		t.Fatalf("a name that is taken: %q", stderr)
	}
	if out, _ = e.run(0, "source", "list", "-o", "id"); out != id+"\n"+src.ID+"\n" {
		t.Fatalf("listed %q", out)
	}
	out, _ = e.run(0, "source", "list", "--sort", "created", "--filter", `name in ("HR","x")`)
	if fields := strings.Split(strings.TrimSuffix(out, "\n"), "\t"); len(fields) != 7 || fields[0] != src.ID || fields[1] != "HR" || fields[3] != "0" {
		t.Fatalf("listed %q", out)
	}
	for _, name := range []string{"hr", src.ID, strings.ToUpper(src.ID)} {
		out, _ = e.run(0, "source", "get", name)
		if !strings.Contains(out, src.ID) || strings.Contains(out, "\x1b") || !strings.Contains(out, `"\t"`) || !strings.Contains(out, "groups, roles") {
			t.Fatalf("got %s", out)
		}
	}
	out, _ = e.run(0, "source", "patch", "hr", "--name", "Personnel", "--display-name", "", "--columns", "", "--delimiter", ";", "-o", "json", "--reason", "Grüße")
	if p := sourceFrom(t, out); p.ID != src.ID || p.Name != "Personnel" || p.ConnectorAttributes.DisplayName != "" || len(p.ConnectorAttributes.Columns) != 0 ||
		p.ConnectorAttributes.Delimiter != ";" || p.ConnectorAttributes.AccountID != "id" || *p.DeletionThreshold.Minimum != 3 {
		t.Fatalf("patched %s", out)
	}
	if out, stderr := e.run(2, "source", "delete", "Personnel"); out != "" || !strings.Contains(stderr, "0 accounts") || !strings.Contains(stderr, "--yes") {
		t.Fatalf("deleted without being asked: %q, %q", out, stderr)
	}
	out, stderr := e.run(0, "source", "delete", "Personnel", "--yes")
	if !strings.Contains(out, "deleted") || !strings.Contains(out, "retention") || !strings.Contains(stderr, src.ID) {
		t.Fatalf("deleted: %q, %q", out, stderr)
	}
	out, _ = e.run(0, "source", "delete", id, "-y", "-o", "json")
	var gone client.SourceDeletion
	if err := json.Unmarshal([]byte(out), &gone); err != nil || gone.Source.ID != id || gone.Text == "" {
		t.Fatalf("deleted %s, %v", out, err)
	}
	if _, stderr := e.run(2, "source", "get", "Personnel"); !strings.Contains(stderr, "Personnel") || strings.Count(stderr, "\n") != 1 {
		t.Fatalf("after the deletion: %q", stderr)
	}
	if _, stderr := e.run(2, "source", "get", id); !strings.Contains(stderr, "404") {
		t.Fatalf("after the deletion: %q", stderr)
	}
	if out, _ = e.run(0, "source", "list", "-o", "json"); out != "[]\n" {
		t.Fatalf("left: %q", out)
	}
}

func TestSourcePatchForms(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	e.run(0, "source", "create", "HR", "--account-id", "id")
	file := filepath.Join(t.TempDir(), "patch.json")
	if err := os.WriteFile(file, []byte(`[{"op":"add","path":"/connectorAttributes/entitlements/-","value":"groups"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	patched := func(args ...string) client.Source {
		t.Helper()
		out, _ := e.run(0, append([]string{"source", "patch", "HR", "-o", "json"}, args...)...)
		return sourceFrom(t, out)
	}
	if p := patched("--set", "description=a=b", "--set", "deletionThreshold.percent:=5", "--set", `connectorAttributes.columns:=["id"]`); p.Description != "a=b" ||
		*p.DeletionThreshold.Percent != 5 || *p.DeletionThreshold.Minimum != 10 || len(p.ConnectorAttributes.Columns) != 1 {
		t.Errorf("set: %s", p.Raw())
	}
	if p := patched("--patch", `{"connectorAttributes":{"columns":null}}`); len(p.ConnectorAttributes.Columns) != 0 || p.Description != "a=b" {
		t.Errorf("merged: %s", p.Raw())
	}
	if p := patched("--patch", "@"+file); strings.Join(p.ConnectorAttributes.Entitlements, " ") != "groups" {
		t.Errorf("from a file: %s", p.Raw())
	}
	c := e.command("source", "patch", "HR", "--patch", "@-", "-o", "json")
	c.cmd.Stdin = strings.NewReader(`{"description":"from stdin"}`)
	c.start()
	if c.wait(0); sourceFrom(t, c.stdout.String()).Description != "from stdin" {
		t.Errorf("from standard input: %s", c.stdout)
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{nil, "what should change"},
		{[]string{"--patch", `{"name":"x"}`, "--name", "y"}, "exclude each other"},
		{[]string{"--patch", `{"name"`}, "not JSON"},
		{[]string{"--patch", "@" + file + "x"}, "no such file"},
		{[]string{"--patch", `{"id":"x"}`}, "/id"},
		{[]string{"--set", "description"}, "name=text"},
		{[]string{"--delimiter", ""}, "--delimiter is empty"},
		{[]string{"--delimiter", "ab"}, "one character"},
	} {
		if _, stderr := e.run(2, append([]string{"source", "patch", "HR"}, wrong.args...)...); !strings.Contains(stderr, wrong.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %q", wrong.args, stderr)
		}
	}
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"create", "X"}, "--account-id"},
		{[]string{"create", "", "--account-id", "id"}, "empty"},
		{[]string{"create", "X", "--account-id", "id", "--separator", ""}, "--separator is empty"},
		{[]string{"get"}, "which source"},
		{[]string{"get", "a", "b"}, "too many"},
		{[]string{"delete", "unknown", "--yes"}, `no source is called "unknown"`},
		{[]string{"list", "--limit", "-1"}, "--limit"},
	} {
		if _, stderr := e.run(2, append([]string{"source"}, wrong.args...)...); !strings.Contains(stderr, wrong.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%v: %q", wrong.args, stderr)
		}
	}
}
