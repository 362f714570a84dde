package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/principal"
)

const sessionPath = "/stint/v1/session"

func credentials(c apptest.Client) string {
	return fmt.Sprintf(`{"clientId":%q,"clientSecret":%q}`, c.ID, c.Secret)
}

// begin signs a browser in and returns what it sends then.
func begin(t *testing.T, server *apptest.Server, c apptest.Client) (cookie string) {
	t.Helper()
	answer := asStranger(t, server, "POST", sessionPath, credentials(c), "Content-Type", "application/json")
	wantStatus(t, answer, 200)
	return sessionOf(t, answer)
}

func sessionOf(t *testing.T, answer apptest.Answer) string {
	t.Helper()
	cookies := (&http.Response{Header: answer.Header}).Cookies()
	if len(cookies) != 1 || cookies[0].Name != "stint_session" {
		t.Fatalf("the cookies are %v", cookies)
	}
	return "stint_session=" + cookies[0].Value
}

// asStranger sends a request without the token that Server.Send adds.
func asStranger(t *testing.T, server *apptest.Server, method, target, body string, pairs ...string) apptest.Answer {
	t.Helper()
	return apptest.Send(t, server.Addr, apptest.Request{Method: method, Target: target, Header: header(pairs...), Body: body})
}

func TestSessionIsTakenForAToken(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	answer := asStranger(t, server, "POST", sessionPath, credentials(server.Admin(t)), "Content-Type", "application/json")
	wantSubset(t, answer, 200, `{"kind":"client","user":"admin","levels":["ORG_ADMIN"],"rights":{"endTasks":"all","manageTokens":"all"}}`)
	set := answer.Header.Get("Set-Cookie")
	for _, part := range []string{"; Path=/", "; HttpOnly", "; SameSite=Strict", "; Expires="} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie lacks %s: %s", part, set)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(string(answer.Body), server.Admin(t).Secret) {
		t.Errorf("over plain HTTP: %s with %s", set, answer.Body)
	}
	cookie := sessionOf(t, answer)
	wantSubset(t, asStranger(t, server, "GET", sessionPath, "", "Cookie", cookie), 200, `{"user":"admin"}`)
	wantStatus(t, asStranger(t, server, "GET", "/task-status/v1", "", "Cookie", cookie), 200)
	wantStatus(t, asStranger(t, server, "POST", "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, "Cookie", cookie, "Content-Type", "application/json"), 202)
	both := asStranger(t, server, "GET", "/task-status/v1", "", "Cookie", cookie, "Authorization", "Bearer "+server.AdminToken(t))
	if body := both.Text(t); both.Status != 401 || !strings.Contains(body, "one of the two") {
		t.Errorf("cookie and token: %d %s", both.Status, body)
	}
	for name, bad := range map[string]string{
		"none": "stint_session=", "garbage": "stint_session=client.garbage", "cut off": cookie[:len(cookie)-2],
		"of another sort": strings.Replace(cookie, "client.", "oidc.", 1), "an access token": "stint_session=" + server.AdminToken(t),
		"huge": "stint_session=client." + strings.Repeat("A", 9000),
	} {
		if answer := asStranger(t, server, "GET", "/task-status/v1", "", "Cookie", bad); answer.Status != 401 {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	clock := &movable{}
	server := apptest.Start(t, apptest.Options{Tokens: true, Now: clock.now, Configure: func(c *config.Config) {
		c.SessionLifetime = config.Duration(time.Hour)
	}})
	admin := func(c principal.Client) apptest.Client {
		c.Levels = []principal.Level{principal.OrgAdmin}
		return server.Client(t, c)
	}
	revoked, rotated, short, lasting := admin(principal.Client{}), admin(principal.Client{}), admin(principal.Client{Expires: clock.now().Add(10 * time.Minute)}), admin(principal.Client{})
	sessions := map[string]string{}
	for name, c := range map[string]apptest.Client{"revoked": revoked, "rotated": rotated, "short": short, "lasting": lasting} {
		sessions[name] = begin(t, server, c)
	}
	want := func(name string, status int) {
		t.Helper()
		if answer := asStranger(t, server, "GET", sessionPath, "", "Cookie", sessions[name]); answer.Status != status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, status)
		}
	}
	for name := range sessions {
		want(name, 200)
	}
	wantStatus(t, server.Send(t, apptest.Request{Method: "DELETE", Target: "/stint/v1/tokens/" + revoked.ID}), 200)
	wantStatus(t, server.Send(t, apptest.Request{Method: "POST", Target: "/stint/v1/tokens/" + rotated.ID + "/rotate"}), 200)
	want("revoked", 401)
	want("rotated", 401)
	clock.move(11 * time.Minute)
	want("short", 401)
	want("lasting", 200)
	clock.move(50 * time.Minute)
	want("lasting", 401)

	over := asStranger(t, server, "DELETE", sessionPath, "", "Cookie", sessions["lasting"], "Stint-Console", "1")
	wantStatus(t, over, 200)
	if set := over.Header.Get("Set-Cookie"); !strings.HasPrefix(set, "stint_session=; Path=/; Max-Age=0") {
		t.Errorf("the cookie stays: %s", set)
	}
}

func TestSessionIsSafeFromOtherSites(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true, Import: caseTasks(t), Configure: func(c *config.Config) {
		c.CORSOrigins = config.Origins{console}
	}})
	cookie := begin(t, server, server.Admin(t))
	own := "http://" + server.Addr
	for name, test := range map[string]struct {
		status  int
		headers []string
	}{
		"a page of ours":                  {202, []string{"Sec-Fetch-Site", "same-origin", "Origin", own, "Content-Type", "application/json"}},
		"a page of ours, an old browser":  {202, []string{"Origin", own, "Content-Type", "application/json"}},
		"another site":                    {403, []string{"Sec-Fetch-Site", "cross-site", "Origin", evil, "Content-Type", "application/json"}},
		"another port of ours":            {403, []string{"Sec-Fetch-Site", "same-site", "Origin", "http://127.0.0.1:1", "Content-Type", "application/json"}},
		"another site, an old browser":    {403, []string{"Origin", evil, "Content-Type", "application/json"}},
		"a listed site":                   {403, []string{"Sec-Fetch-Site", "cross-site", "Origin", console, "Content-Type", "application/json"}},
		"a listed site, same-site":        {403, []string{"Sec-Fetch-Site", "same-site", "Origin", console, "Content-Type", "application/json"}},
		"typed into the browser":          {403, []string{"Sec-Fetch-Site", "none", "Content-Type", "application/json"}},
		"no type":                         {403, []string{"Sec-Fetch-Site", "same-origin"}},
		"what a form can send":            {403, []string{"Content-Type", "text/plain"}},
		"what a form can send, with ours": {415, []string{"Content-Type", "text/plain", "Stint-Console", "1"}},
	} {
		answer := asStranger(t, server, "POST", "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, append(test.headers, "Cookie", cookie)...)
		if answer.Status != test.status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, test.status)
		}
	}
	// Nor can another site sign a browser in as somebody else, or out.
	wantStatus(t, asStranger(t, server, "POST", sessionPath, credentials(server.Admin(t))), 403)
	wantStatus(t, asStranger(t, server, "DELETE", sessionPath, "", "Cookie", cookie), 403)
}

func TestSessionRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	start := func(body string) apptest.Answer {
		return asStranger(t, server, "POST", sessionPath, body, "Content-Type", "application/json")
	}
	for name, body := range map[string]string{
		"another secret": credentials(apptest.Client{ID: server.Admin(t).ID, Secret: unknownID}),
		"another id":     credentials(apptest.Client{ID: unknownID, Secret: server.Admin(t).Secret}),
		"nothing":        `{"clientId":"","clientSecret":""}`,
	} {
		if answer := start(body); answer.Status != 401 || answer.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
		}
	}
	wantStatus(t, start(`{"clientId":1}`), 400)
	wantStatus(t, start(`[]`), 400)
	limited := 0
	for range 30 {
		if start(credentials(apptest.Client{ID: server.Admin(t).ID, Secret: "x"})).Status == 429 {
			limited++
		}
	}
	if limited < 5 {
		t.Errorf("%d of 30 guesses are slowed down", limited)
	}
	wantStatus(t, start(credentials(server.Admin(t))), 200)
}

func TestSessionSaysWhatIsAllowed(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	for name, test := range map[string]struct {
		client principal.Client
		want   string
	}{
		"helpdesk": {
			principal.Client{Levels: []principal.Level{principal.Helpdesk}},
			`{"readTasks":"all","endTasks":"none","launchTasks":"none","manageSources":"none","manageTokens":"none","readAudit":"none","readAccounts":"all"}`,
		},
		"subadmin": {
			principal.Client{Levels: []principal.Level{principal.SourceSubadmin}, Sources: []string{unknownID}},
			`{"readTasks":"all","endTasks":"own","loadAccounts":"own","changeSources":"own","manageSources":"none"}`,
		},
		"a token that reads": {
			principal.Client{Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.TasksRead}},
			`{"readTasks":"all","endTasks":"none","readSources":"none","readAudit":"none"}`,
		},
		"application": {
			principal.Client{Sort: principal.Application},
			`{"readTasks":"all","endTasks":"none","launchTasks":"all","readAudit":"all"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := asStranger(t, server, "GET", sessionPath, "", "Cookie", begin(t, server, server.Client(t, test.client)))
			wantSubset(t, answer, 200, `{"rights":`+test.want+`}`)
		})
	}
}

func TestServerWithoutTokensHasNoSessions(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	wantSubset(t, get(t, server, sessionPath), 200, `{"kind":"open","user":"anonymous","expires":null,"rights":{"endTasks":"all"}}`)
	wantSubset(t, get(t, server, sessionPath, "Cookie", "stint_session=old"), 200, `{"kind":"open"}`)
	wantSubset(t, get(t, server, sessionPath+"/ways"), 200, `{"client":false,"oidc":false}`)
	wantError(t, post(t, server, sessionPath, `{"clientId":"a","clientSecret":"b"}`), 409, "", "--insecure-no-auth")
}

func TestSessionOverTLS(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true, Configure: func(c *config.Config) {
		c.TrustedProxies = config.Prefixes{netip.MustParsePrefix("127.0.0.1/32")}
	}})
	answer := asStranger(t, server, "POST", sessionPath, credentials(server.Admin(t)), "Content-Type", "application/json", "X-Forwarded-Proto", "https")
	if set := answer.Header.Get("Set-Cookie"); !strings.Contains(set, "; Secure") {
		t.Errorf("the cookie is sent in clear, too: %s", set)
	}
}

func TestSessionsHaveRateLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true, Configure: func(c *config.Config) {
		c.RateLimit = config.RateLimit{Requests: 5, Per: time.Hour}
	}})
	c := server.Client(t, principal.Client{Levels: []principal.Level{principal.Helpdesk}})
	for range 2 {
		cookie := begin(t, server, c)
		for i, want := range []int{200, 200, 200, 200, 200, 429} {
			if answer := asStranger(t, server, "GET", "/task-status/v1", "", "Cookie", cookie); answer.Status != want {
				t.Errorf("request %d: %d", i, answer.Status)
			}
		}
	}
}

func TestConsoleIsServedToBrowsersAlone(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	ask := func(method, target, accept string) apptest.Answer {
		return apptest.SendUnchecked(t, server.Addr, apptest.Request{Method: method, Target: target, Header: header("Accept", accept)})
	}
	for _, target := range []string{"/", "/tasks", "/tasks/" + unknownID, "/sources", "/sources/" + unknownID, "/somewhere", "/tasks/"} {
		answer := ask("GET", target, browser)
		if answer.Status != 200 || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %d %s", target, answer.Status, answer.Header.Get("Content-Type"))
		}
		wantStatus(t, ask("HEAD", target, browser), 200)
		for _, accept := range []string{"*/*", "application/json", "application/json, text/html;q=0"} {
			if answer := ask("GET", target, accept); answer.Status != 401 || answer.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s for %s: %d %s", target, accept, answer.Status, answer.Body)
			}
		}
		wantStatus(t, ask("POST", target, browser), 401)
	}
	for _, target := range []string{"/stint/v1/nowhere", "/task-status/v1/x/y", "/task-status", "/v3/task-status", "/v2026/x", "/sources/v1/x", "/oauth/authorize", "/beta/x"} {
		answer := ask("GET", target, browser)
		if answer.Status != 401 || !json.Valid(answer.Body) {
			t.Errorf("%s: %d %s", target, answer.Status, answer.Body)
		}
	}
	missing := ask("GET", "/assets/none.js", "*/*")
	if missing.Status != 404 || missing.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a file that there is not: %d with %v", missing.Status, missing.Header)
	}
}
