package clients

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const scripts = "../../examples/scripts"

// stored is what tests look at of a task that was imported.
type stored struct {
	ID               string
	UniqueName       string
	Launcher         string
	Created          string
	CompletionStatus *string
	SourceID         *string
}

// inOrder returns the tasks as a list has them: newest first, ties by id.
func inOrder(t *testing.T, tasks []byte) []stored {
	t.Helper()
	var all []stored
	for line := range strings.Lines(string(tasks)) {
		var one stored
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b stored) int { return strings.Compare(b.Created+b.ID, a.Created+a.ID) })
	return all
}

// ids returns the ids of the tasks that are selected.
func ids(tasks []stored, selected func(stored) bool) []string {
	var all []string
	for _, one := range tasks {
		if selected(one) {
			all = append(all, one.ID)
		}
	}
	return all
}

// environment is what scripts and official clients read.
func environment(base string, c account) []string {
	return []string{"SAIL_BASE_URL=" + base, "SAIL_CLIENT_ID=" + c.ID, "SAIL_CLIENT_SECRET=" + c.Secret, "POLL_SECONDS=0.05"}
}

// wantLines fails the test unless a program ended well and printed exactly some
// lines.
func wantLines(t *testing.T, out string, err error, want []string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(out, "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("it printed %d lines, want %d: %q, want %q", len(got), len(want), got, want)
	}
}

func TestScriptsClear(t *testing.T) {
	t.Parallel()
	file := imported()
	tasks := inOrder(t, file)
	s := start(t, file)
	p := tapped(t, s)
	// A trailing slash in the address is harmless.
	env := environment(p.URL+"/", s.Admin)
	limit := time.Now().UTC().Add(-3 * time.Hour)
	stuck := ids(tasks, func(one stored) bool {
		return one.CompletionStatus == nil && one.Created < limit.Format("2006-01-02T15:04:05.000Z")
	})
	recent := ids(tasks, func(one stored) bool {
		return one.CompletionStatus == nil && one.Launcher == "patcher" && one.SourceID == nil && !slices.Contains(stuck, one.ID)
	})
	if len(stuck) < 5 || len(recent) < 5 {
		t.Fatalf("%d and %d tasks in progress are no test", len(stuck), len(recent))
	}
	slices.Reverse(stuck)
	slices.Reverse(recent)

	out, err := run(t, scripts, env, "", "./clear-stuck-tasks.sh", "3", "Error")
	wantLines(t, out, err, stuck)
	out, err = run(t, scripts, env, "", "./clear-stuck-tasks.sh", "3")
	wantLines(t, out, err, []string{""})

	selected := `launcher eq "patcher" and not sourceId in ("` + strings.Join(sources(tasks), `","`) + `")`
	out, err = run(t, scripts, env, "", "python3", "clear_tasks.py", selected)
	wantLines(t, out, err, describe(tasks, recent, "in progress"))
	out, err = run(t, scripts, env, "", "python3", "clear_tasks.py", selected, "--yes")
	wantLines(t, out, err, describe(tasks, recent, "SUCCESS"))
	out, err = run(t, scripts, env, "", "python3", "clear_tasks.py", selected)
	wantLines(t, out, err, []string{""})
	if _, err = run(t, scripts, env, "", "python3", "clear_tasks.py", `name eq "x"`); err == nil || !strings.Contains(err.Error(), "400.1 Bad Request Content") {
		t.Errorf("a filter that is none: %v", err)
	}

	token := s.signIn(t, s.Admin)
	for id, status := range map[string]string{stuck[0]: "ERROR", recent[0]: "SUCCESS"} {
		s.send(t, http.MethodGet, "/task-status/v1/"+id, token, "").want(t, http.StatusOK, `"completionStatus":"`+status+`"`)
	}
	if asked := p.ended(t); len(asked) < len(stuck)+len(recent) {
		t.Errorf("%d requests are too few", len(asked))
	}
}

// sources returns the ids of the sources that tasks belong to.
func sources(tasks []stored) []string {
	var all []string
	for _, one := range tasks {
		if one.SourceID != nil && !slices.Contains(all, *one.SourceID) {
			all = append(all, *one.SourceID)
		}
	}
	return all
}

// describe is what clear_tasks.py prints of tasks.
func describe(tasks []stored, which []string, status string) []string {
	names := map[string]string{}
	for _, one := range tasks {
		names[one.ID] = one.UniqueName
	}
	lines := make([]string, len(which))
	for i, id := range which {
		lines[i] = id + " " + status + " " + names[id]
	}
	return lines
}

func TestScriptsReport(t *testing.T) {
	t.Parallel()
	file := imported()
	s := start(t, file)
	p := tapped(t, s)
	out, err := run(t, scripts, environment(p.URL, s.Admin), "", "python3", "task_report.py", "30")
	if err != nil {
		t.Fatal(err)
	}
	got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"created", "status", "name", "launcher", "messages"}}
	for _, one := range inOrder(t, file) {
		if one.CompletionStatus != nil && *one.CompletionStatus != "SUCCESS" {
			want = append(want, []string{one.Created, *one.CompletionStatus, one.UniqueName, one.Launcher, ""})
		}
	}
	if len(want) < 500 {
		t.Fatalf("%d tasks are no test of pages", len(want))
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("the report has %d lines, want %d", len(got), len(want))
	}
	counted := 0
	for _, x := range p.ended(t) {
		if strings.Contains(x.RequestURI, "count=True") {
			counted++
		}
	}
	if counted < 3 {
		t.Errorf("%d pages were counted the way Python writes it", counted)
	}
}

func TestScriptsLoad(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	source := s.create(t, "/stint/v1/sources",
		`{"name":"HR","type":"DelimitedFile","connectorAttributes":{"accountId":"employeeId","displayName":"fullName","entitlements":["groups"]}}`)
	p := tapped(t, s)
	env := environment(p.URL, s.Admin)
	// Two of its rows have something wrong.
	out, err := run(t, scripts, env, "", "./load-accounts.sh", source.ID, "../hr-source/accounts.csv")
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(out, "WARNING") || !strings.Contains(out, "  created: ") {
		t.Errorf("accounts.csv: %v\n%s", err, out)
	}
	good := filepath.Join(t.TempDir(), "good.csv")
	const text = `employeeId,fullName,email,department,title,managerId,location,inactive,groups
E1,Amara Abena,amara@corp.example,Finance,Clerk,NULL,Oslo,FALSE,staff
E2,Bruno Haddad,bruno@corp.example,Finance,Clerk,NULL,Oslo,FALSE,staff
`
	if err := os.WriteFile(good, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	other := s.create(t, "/stint/v1/sources", `{"name":"Small","type":"DelimitedFile","connectorAttributes":{"accountId":"employeeId"}}`)
	out, err = run(t, scripts, env, "", "./load-accounts.sh", other.ID, good)
	if err != nil || !strings.Contains(out, "SUCCESS") || !strings.Contains(out, "  created: 2\n") {
		t.Errorf("good.csv: %v\n%s", err, out)
	}
	// The error says what is wrong with the file.
	_, err = run(t, scripts, env, "", "./load-accounts.sh", source.ID, "../hr-source/entitlements.csv")
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "employeeId") {
		t.Errorf("a file of something else: %v", err)
	}
	p.ended(t)
}

// TestCurl sends what scripts that are in use send, and the examples do not.
func TestCurl(t *testing.T) {
	t.Parallel()
	file := imported()
	tasks := inOrder(t, file)
	s := start(t, file)
	p := tapped(t, s)
	curl := func(t *testing.T, in string, args ...string) string {
		t.Helper()
		out, err := run(t, "", nil, in, "curl", append([]string{"-sS", "--fail-with-body", "-g"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	grant := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.Admin.ID}, "client_secret": {s.Admin.Secret}}.Encode()
	var token string
	for name, args := range map[string][]string{
		"query string":            {"-X", "POST", p.URL + "/oauth/token?" + grant},
		"form":                    {p.URL + "/oauth/token", "-d", grant},
		"multipart":               {p.URL + "/oauth/token", "-F", "grant_type=client_credentials", "-F", "client_id=" + s.Admin.ID, "-F", "client_secret=" + s.Admin.Secret},
		"Basic":                   {p.URL + "/oauth/token", "-u", s.Admin.ID + ":" + s.Admin.Secret, "-d", "grant_type=client_credentials"},
		"Basic, and query string": {"-X", "POST", p.URL + "/oauth/token?grant_type=client_credentials", "-u", s.Admin.ID + ":" + s.Admin.Secret},
		"form, without its type":  {p.URL + "/oauth/token", "-H", "Content-Type:", "-d", grant},
	} {
		var granted struct {
			Token string `json:"access_token"`
			Type  string `json:"token_type"`
		}
		out := curl(t, "", args...)
		if err := json.Unmarshal([]byte(out), &granted); err != nil || granted.Token == "" || granted.Type != "bearer" {
			t.Errorf("%s: %s", name, out)
		}
		token = granted.Token
	}
	bearer := "Authorization: Bearer " + token
	for name, query := range map[string]string{
		"raw quotes":             `filters=launcher+eq+"patcher"`,
		"raw quotes and %20":     `filters=launcher%20eq%20"patcher"`,
		"raw brackets":           `filters=launcher%20in%20("patcher","nobody")`,
		"no space":               `filters=launcher%20eq"patcher"&count=True&unknown=1`,
		"encoded":                "filters=launcher%20eq%20%22patcher%22&limit=&sorters=",
		"experimental and count": "filters=launcher+eq+%22patcher%22&count=TRUE",
	} {
		var got []stored
		out := curl(t, "", p.URL+"/v2025/task-status?"+query, "-H", bearer, "-H", "X-SailPoint-Experimental: true")
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all := func(stored) bool { return true }
		if want := ids(tasks, func(one stored) bool { return one.Launcher == "patcher" }); !slices.Equal(ids(got, all), want) {
			t.Errorf("%s: %d tasks, want %d", name, len(got), len(want))
		}
	}
	samples, err := filepath.Glob("../../internal/httpapi/testdata/samples/patch-clear.*.json")
	if err != nil || len(samples) != 5 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	waiting := ids(tasks, func(one stored) bool { return one.Launcher == "patcher" })
	for i, sample := range samples {
		out := curl(t, "", "-X", "PATCH", p.URL+"/beta/task-status/"+waiting[i], "-H", bearer,
			"-H", "Content-Type: application/json-patch+json", "--data-binary", "@"+sample)
		var cleared stored
		if err := json.Unmarshal([]byte(out), &cleared); err != nil || cleared.CompletionStatus == nil {
			t.Errorf("%s: %s", sample, out)
		}
	}
	p.ended(t)
}
