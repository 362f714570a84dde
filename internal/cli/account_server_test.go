package cli_test

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/client"
	"stint/internal/apptest"
)

// withAccounts starts a server on what apptest.Fill stores.
func withAccounts(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	apptest.Fill(t, s.db, time.Now().Add(-time.Hour))
	s.start()
	return s
}

// column returns one column of tab-separated lines.
func column(out string, n int) string {
	var found []string
	for line := range strings.Lines(out) {
		cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if n >= len(cells) {
			return "too few columns: " + line
		}
		found = append(found, cells[n])
	}
	return strings.Join(found, " ")
}

func TestAccountsByCommands(t *testing.T) {
	t.Parallel()
	e := newEnv(t, withAccounts(t))
	for _, test := range []struct{ args, want string }{
		{"", "U4 u1 u2 cn=ann"},
		{"--source hr", "U4 u1 u2"},
		{"--source " + strings.ToUpper(string(apptest.Directory)), "cn=ann"},
		{"--source HR --source Directory", "U4 u1 u2 cn=ann"},
		{"--name ANN", "u1 cn=ann"},
		{"--native-identity U2 --native-identity u1 --sort -name", "u2 u1"},
		{"--attribute groups=users --attribute groups=Admins", "u1"},
		{"--last-change updated", "u2"},
		{"--last-task " + string(apptest.SecondRun), "U4 u2"},
		{"--limit 1 --source HR --filter attributes.dept|eq|sales", "u1"},
	} {
		args := append([]string{"account", "list"}, strings.Fields(test.args)...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "|", " ")
		}
		out, _ := e.run(0, args...)
		if got := column(out, 2); got != test.want {
			t.Errorf("%v: got %q, want %q", args, got, test.want)
		}
		if strings.Contains(strings.Join(args, " "), "--limit") {
			continue
		}
		count, _ := e.run(0, append(args, "--count")...)
		if strings.TrimSpace(count) != string(rune('0'+strings.Count(out, "\n"))) {
			t.Errorf("%v: counted %q", args, count)
		}
	}
	out, _ := e.run(0, "account", "list", "-o", "json", "--name", "rob")
	var list []client.Account
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list) != 1 || list[0].Attributes["dept"] != "Sales" {
		t.Fatalf("listed %s, %v", out, err)
	}
	id, _ := e.run(0, "account", "list", "-o", "id", "--name", "rob")
	if out, _ = e.run(0, "account", "get", strings.TrimSpace(id)); !strings.Contains(out, "u2") || !strings.Contains(out, `groups = ["Users"]`) || !strings.Contains(out, "HR") {
		t.Errorf("got %s", out)
	}
	if out, _ = e.run(0, "account", "get", strings.TrimSpace(id), "-o", "json"); !json.Valid([]byte(out)) {
		t.Errorf("got %s", out)
	}
	for want, args := range map[string][]string{
		"NAME=VALUE":             {"account", "list", "--attribute", "dept"},
		"nobody":                 {"account", "list", "--source", "nobody"},
		"which account":          {"account", "get"},
		"is empty":               {"entitlement", "get", ""},
		"404":                    {"account", "get", "x"},
		"must not be empty":      {"account", "list", "--source", ""},
		"CREATED, UPDATED":       {"account", "list", "--last-change", "gone"},
		"limit -1":               {"task", "changes", string(apptest.FirstRun), "--limit", "-1"},
		"which task":             {"task", "changes"},
		"none of table":          {"entitlement", "list", "-o", "csv"},
		"at most one of name or": {"account", "list", "--sort", "name,name"},
	} {
		if _, stderr := e.run(2, args...); !strings.Contains(stderr, want) {
			t.Errorf("%v: %q does not say %q", args, stderr, want)
		}
	}
}

func TestEntitlementsAndChangesByCommands(t *testing.T) {
	t.Parallel()
	e := newEnv(t, withAccounts(t))
	out, _ := e.run(0, "entitlement", "list", "--source", "Directory")
	if got := column(out, 3); got != "cn=g1 Reader" {
		t.Errorf("listed %q", got)
	}
	if out, _ = e.run(0, "entitlement", "list", "--attribute", "ROLE", "--count"); out != "1\n" {
		t.Errorf("counted %q", out)
	}
	if out, _ = e.run(0, "entitlement", "get", strings.Repeat("0", 30)+"e1"); !strings.Contains(out, "<all>") || !strings.Contains(out, "owner = Ann") {
		t.Errorf("got %s", out)
	}
	out, _ = e.run(0, "task", "changes", string(apptest.SecondRun))
	want := "CREATED\t\tU4\t=Dee\t\nDELETED\t\tu3\tCy\t\nUPDATED\t\tu2\tRob\tdept, name\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if out, _ = e.run(0, "task", "changes", string(apptest.SecondRun), "--change", "deleted", "--change", "updated", "--native-identity", "U3"); column(out, 2) != "u3" {
		t.Errorf("changes %q", out)
	}
	if out, _ = e.run(0, "task", "changes", string(apptest.EntitlementsRun), "--count"); out != "2\n" {
		t.Errorf("counted %q", out)
	}
	if out, _ = e.run(0, "task", "changes", string(apptest.EntitlementsRun), "-o", "ndjson", "--limit", "1"); strings.Count(out, "\n") != 1 || !strings.Contains(out, "memberOf") {
		t.Errorf("changes %q", out)
	}
}

func TestAccountsAsCSV(t *testing.T) {
	t.Parallel()
	s := withAccounts(t)
	e := newEnv(t, s)
	out, _ := e.run(0, "account", "list", "-o", "csv")
	got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hr, directory := string(apptest.HR), string(apptest.Directory)
	want := [][]string{
		{"sourceId", "nativeIdentity", "name", "Cost Center", "dept", "groups", "memberOf", "note", "role"},
		{hr, "U4", "'=Dee", "", "'+1", "'-1,a,b", "", "'@x\ty \"z\", a", ""},
		{hr, "u1", "Ann Smith", "4711", "Sales", "Admins,Users", "", "", ""},
		{hr, "u2", "Rob", "", "Sales", "Users", "", "", ""},
		{directory, "cn=ann", "Ann Smith", "", "", "", "cn=g1", "", "Reader,Writer"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out, _ := e.run(0, "account", "list", "-o", "csv", "--name", "nobody"); out != "sourceId,nativeIdentity,name\n" {
		t.Errorf("none: %q", out)
	}
	if out, _ := e.run(0, "account", "list", "-o", "csv", "--limit", "1"); strings.Count(out, "\n") != 2 {
		t.Errorf("one: %q", out)
	}
	e.run(0, "source", "patch", "HR", "--separator", " | ")
	if out, _ := e.run(0, "account", "list", "-o", "csv", "--native-identity", "u1"); !strings.Contains(out, "Admins | Users") {
		t.Errorf("another separator: %q", out)
	}
	// A list that fails leaves nothing that looks like a file.
	if out, _ := e.run(2, "account", "list", "-o", "csv", "--filter", "nonsense"); out != "" {
		t.Errorf("a wrong filter: %q", out)
	}
}
