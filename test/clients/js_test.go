package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// setup is what the scripts of js are told.
type setup struct {
	URL         string   `json:"url"`
	Admin       account  `json:"admin"`
	Tasks       string   `json:"tasks,omitempty"`
	Source      string   `json:"source,omitempty"`
	Helpdesk    account  `json:"helpdesk"`
	Reader      account  `json:"reader"`
	Subadmin    account  `json:"subadmin"`
	Application account  `json:"application"`
	Limited     *limited `json:"limited,omitempty"`
	Away        string   `json:"away,omitempty"`
}

// limited is a server with a rate limit.
type limited struct {
	URL      string  `json:"url"`
	Admin    account `json:"admin"`
	Requests int     `json:"requests"`
}

// generations are those of the original's API that the client speaks.
var generations = []string{"beta", "v2024"}

// runChecks runs a script of js. Each check that it should make is a test of its
// own: one that was not made has failed.
func runChecks(t *testing.T, told setup, checks []string, script string, args ...string) {
	t.Helper()
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SETUP=" + string(text), "SAIL_BASE_URL=", "SAIL_CLIENT_ID=", "SAIL_CLIENT_SECRET=", "HOME=" + t.TempDir()}
	out, failure := run(t, "js", env, "", "node", append([]string{script}, args...)...)
	if failure != nil {
		t.Error(failure)
	}
	made := map[string]string{}
	for line := range strings.Lines(out) {
		var result struct {
			Check, Error string
			OK           bool
		}
		// The client prints lines of its own.
		if json.Unmarshal([]byte(line), &result) != nil || result.Check == "" {
			continue
		}
		if !slices.Contains(checks, result.Check) || made[result.Check] != "" {
			t.Errorf("the check %q is not on the list, or was made twice", result.Check)
		}
		made[result.Check] = "ok"
		if !result.OK {
			made[result.Check] = result.Error
		}
	}
	for _, check := range checks {
		t.Run(check, func(t *testing.T) {
			switch result := made[check]; result {
			case "ok":
			case "":
				t.Error("the check was not made")
			default:
				t.Error(result)
			}
		})
	}
}

func writeTasks(t *testing.T, tasks []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tasks.ndjson")
	if err := os.WriteFile(path, tasks, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOfficialClientSignsIn(t *testing.T) {
	t.Parallel()
	s := start(t, imported())
	p := tapped(t, s)
	runChecks(t, setup{URL: p.URL, Admin: s.Admin}, []string{
		"environment", "environment, trailing slash", "parameters", "parameters, trailing slash", "config.json",
		"config.yaml at home", "an access token as it is", "wrong secret", "unknown client", "no client at all",
	}, "signin.mjs")
	asked := map[string]int{}
	for _, x := range p.ended(t) {
		asked[x.Method+" "+x.URL.Path]++
	}
	// The client makes two slashes of one.
	for _, path := range []string{"POST /oauth/token", "POST //oauth/token", "GET /beta/task-status", "GET //beta/task-status"} {
		if asked[path] == 0 {
			t.Errorf("%s was not asked: %v", path, asked)
		}
	}
}

func TestOfficialClientListsAndClears(t *testing.T) {
	t.Parallel()
	for _, generation := range generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			tasks := imported()
			s := start(t, tasks)
			p := tapped(t, s)
			runChecks(t, setup{URL: p.URL, Admin: s.Admin, Tasks: writeTasks(t, tasks)}, []string{
				"list", "limit, offset, sorters", "past the end", "count alone", "id eq", "id in", "sourceId eq", "sourceId in",
				"completionStatus eq", "completionStatus in", "completionStatus isnull", "type eq", "type in", "launcher eq",
				"launcher in", "and, or, not", "sorters with a filter", "get", "pending tasks", "pending tasks, a part",
				"headers of pending tasks", "all pages of 250, an exact multiple", "all pages of 100, an exact multiple",
				"all pages of 17", "pages up to a limit", "all pages without a filter", "clear", "clear again",
				"clear otherwise", "clear without a time", "what was cleared is not pending", "change something else",
			}, "tasks.mjs", generation)
			wantOfficial(t, p.ended(t), generation)
		})
	}
}

// wantOfficial fails the test unless it was the official client that asked.
func wantOfficial(t *testing.T, asked []exchange, generation string) {
	t.Helper()
	calls := 0
	for _, x := range asked {
		if x.URL.Path == "/oauth/token" {
			continue
		}
		calls++
		if sdk := x.Header.Get("X-SailPoint-SDK"); !strings.HasPrefix(sdk, "typescript-") || !strings.HasPrefix(x.URL.Path, "/"+generation+"/") {
			t.Errorf("%s %s was asked by %q", x.Method, x.URL.Path, sdk)
		}
	}
	if calls == 0 {
		t.Error("nothing was asked")
	}
}

func TestOfficialClientLaunches(t *testing.T) {
	t.Parallel()
	for _, generation := range generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			checks := []string{
				"File", "status of an account aggregation", "its task in a list", "File without a type", "Blob", "Buffer", "string",
				"stream", "Buffer through form-data", "string through form-data", "disableOptimization", "[object Object]", "no file",
				"a file without the account id", "an unknown source", "what was refused left no task", "uncorrelated accounts",
			}
			if generation == "beta" {
				checks = append(checks, "entitlements")
			}
			s := start(t, nil)
			source := s.create(t, "/stint/v1/sources",
				`{"name":"Staff","type":"DelimitedFile","connectorAttributes":{"accountId":"id","displayName":"name","entitlements":["groups"]}}`)
			p := tapped(t, s)
			runChecks(t, setup{URL: p.URL, Admin: s.Admin, Source: source.ID}, checks, "launch.mjs", generation)
			wantOfficial(t, p.ended(t), generation)
		})
	}
}

func TestOfficialClientMeetsErrors(t *testing.T) {
	t.Parallel()
	for _, generation := range generations {
		t.Run(generation, func(t *testing.T) {
			t.Parallel()
			tasks := imported()
			slow := start(t, nil, "--rate-limit", "5/1h")
			away := "http://" + freeAddress(t)
			s := start(t, tasks, "--oidc-issuer", away, "--oidc-audience", "urn:stint")
			p := tapped(t, s)
			told := setup{
				URL: p.URL, Admin: s.Admin, Tasks: writeTasks(t, tasks), Away: away,
				Helpdesk:    s.create(t, "/stint/v1/tokens", `{"user":"helen","levels":["HELPDESK"]}`),
				Reader:      s.create(t, "/stint/v1/tokens", `{"user":"rita","levels":["ORG_ADMIN"],"scopes":["idn:task-management:read"]}`),
				Subadmin:    s.create(t, "/stint/v1/tokens", `{"user":"sami","levels":["SOURCE_SUBADMIN"],"sources":["0123456789abcdef0123456789abcdef"]}`),
				Application: s.create(t, "/stint/v1/applications", `{"name":"nightly"}`),
				Limited:     &limited{URL: slow.URL, Admin: slow.Admin, Requests: 5},
			}
			runChecks(t, told, []string{
				"400 limit", "400 field of a filter", "400 operator of a filter", "400 value of a filter", "400 sorters",
				"400 value of a clear", "404 unknown task", "401 no token", "401 no JWT", "401 changed token",
				"401 another server's token", "403 helpdesk", "403 scope", "403 application", "403 other source",
				"403 nothing of it was done", "429", "503", "all is as it was",
			}, "errors.mjs", generation)
			wantOfficial(t, p.ended(t), generation)
		})
	}
}
