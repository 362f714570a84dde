package httpapi_test

import (
	"log/slog"
	"maps"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stint/internal/apptest"
	"stint/internal/config"
)

const (
	console = "https://console.example.com"
	evil    = "https://evil.example.com"
)

func startForSites(t *testing.T) *apptest.Server {
	t.Helper()
	return apptest.Start(t, apptest.Options{Import: caseTasks(t), Configure: func(c *config.Config) {
		c.CORSOrigins = config.Origins{console, "http://localhost:3000"}
	}})
}

func TestListedSitesMayCallTheAPI(t *testing.T) {
	t.Parallel()
	server := startForSites(t)
	for _, origin := range []string{console, "http://localhost:3000"} {
		answer := get(t, server, "/task-status/v1?limit=1&count=true", "Origin", origin, "Sec-Fetch-Site", "cross-site")
		wantStatus(t, answer, 200)
		if got := answer.Header.Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("Access-Control-Allow-Origin for %s is %q", origin, got)
		}
		if got := answer.Header.Get("Access-Control-Allow-Credentials"); got != "" {
			t.Errorf("Access-Control-Allow-Credentials is %q", got)
		}
		exposed := strings.ToLower(answer.Header.Get("Access-Control-Expose-Headers"))
		for _, name := range []string{"X-Total-Count", "X-Request-Id", "ETag", "Link", "Retry-After", "Location", "Deprecation"} {
			if !strings.Contains(exposed, strings.ToLower(name)) {
				t.Errorf("%s is not exposed: %s", name, exposed)
			}
		}
		// Writes and errors too, or the page could not tell what went wrong.
		refused := post(t, server, "/stint/v1/tasks", `{"type":"NONE"}`, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		wantError(t, refused, 400, "")
		if got := refused.Header.Get("Access-Control-Allow-Origin"); got != origin {
			t.Errorf("Access-Control-Allow-Origin of an error is %q", got)
		}
		wantStatus(t, post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, "Origin", origin, "Sec-Fetch-Site", "cross-site"), 202)
	}
}

func TestOtherSitesMayNot(t *testing.T) {
	t.Parallel()
	listed, none := startForSites(t), startWithTasks(t)
	for name, server := range map[string]*apptest.Server{"some are listed": listed, "none is": none} {
		for _, origin := range []string{
			evil, "null", console + ".evil.example.com", "http://console.example.com", console + ":8443", "https://xconsole.example.com", "http://localhost:3001",
		} {
			read := get(t, server, "/task-status/v1?limit=1", "Origin", origin, "Sec-Fetch-Site", "cross-site")
			wantStatus(t, read, 200) // which a browser keeps from the page
			wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Origin", origin, "Sec-Fetch-Site", "cross-site"), 403, "403.0 Forbidden", "Origin")
			wantError(t, patch(t, server, inProgress, clearAs("ERROR"), "Origin", origin), 403, "403.0 Forbidden", "Origin")
			for header := range read.Header {
				if strings.HasPrefix(header, "Access-Control-") {
					t.Errorf("%s: %s has %s: %s", name, origin, header, read.Header.Get(header))
				}
			}
		}
		wantInProgress(t, server, inProgress)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	server := startForSites(t)
	ask := func(server *apptest.Server, origin, method, headers string) apptest.Answer {
		return apptest.SendUnchecked(t, server.Addr, apptest.Request{Method: "OPTIONS", Target: "/stint/v1/tasks", Header: header(
			"Origin", origin, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", headers)})
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PATCH", "DELETE"} {
		answer := ask(server, console, method, "authorization,content-type,stint-reason")
		if answer.Status != 204 || answer.Header.Get("Access-Control-Allow-Origin") != console || answer.Header.Get("Access-Control-Allow-Methods") != method {
			t.Errorf("%s: got %d with %v", method, answer.Status, answer.Header)
		}
	}
	for name, answer := range map[string]apptest.Answer{
		"another site":   ask(server, evil, "POST", "authorization"),
		"another method": ask(server, console, "PUT", "authorization"),
		"another header": ask(server, console, "POST", "authorization,x-forwarded-for"),
		"none is listed": ask(apptest.Start(t, apptest.Options{}), console, "POST", "authorization"),
	} {
		if got := answer.Header.Get("Access-Control-Allow-Methods"); got != "" {
			t.Errorf("%s: got %d with %v", name, answer.Status, answer.Header)
		}
	}
}

// tickingServer has a clock that is ahead of the real one, which deadlines of
// connections follow, by as much as the test says.
func startTicking(t *testing.T, configure func(*config.Config)) (server *apptest.Server, forward func(time.Duration)) {
	t.Helper()
	var ahead atomic.Int64
	frozen := time.Now().Add(time.Hour)
	server = apptest.Start(t, apptest.Options{
		Now: func() time.Time { return frozen.Add(time.Duration(ahead.Load())) }, Configure: configure,
	})
	return server, func(d time.Duration) { ahead.Add(int64(d)) }
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	server, forward := startTicking(t, func(c *config.Config) {
		c.RateLimit = config.RateLimit{Requests: 5, Per: 10 * time.Second}
		c.TrustedProxies = config.Prefixes{netip.MustParsePrefix("127.0.0.1/32")}
	})
	spend := func(name string, pairs ...string) {
		t.Helper()
		for i := range 5 {
			if answer := get(t, server, "/task-status/v1?limit=0", pairs...); answer.Status != 200 {
				t.Fatalf("%s: request %d: got %d", name, i+1, answer.Status)
			}
		}
		for _, refused := range []apptest.Answer{
			get(t, server, "/task-status/v1?limit=0", pairs...), post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`, pairs...),
			get(t, server, "/nowhere", pairs...), get(t, server, "/task-status/v1?limit=0", pairs...),
		} {
			wantStatus(t, refused, 429)
			if body := refused.Text(t); body != `{"message":" Rate Limit Exceeded "}` {
				t.Errorf("%s: the body is %s", name, body)
			}
			if seconds := refused.Header.Get("Retry-After"); seconds != "2" {
				t.Errorf("%s: Retry-After is %q, want 2", name, seconds)
			}
		}
	}
	// Without tokens every caller is known by the address alone.
	spend("an address", "X-Forwarded-For", "203.0.113.9")
	// Signing in is not among what is counted: a stranger would lock others out.
	if answer := post(t, server, "//oauth/token/", "", "X-Forwarded-For", "203.0.113.9"); answer.Status == 429 {
		t.Error("who has used up the requests of an address keeps others there from signing in")
	}
	spend("another", "X-Forwarded-For", "203.0.113.10")
	wantStatus(t, get(t, server, "/task-status/v1?limit=0", "X-Forwarded-For", "198.51.100.1, 203.0.113.9"), 429)
	spend("a token", "Authorization", "Bearer a", "X-Forwarded-For", "203.0.113.9")
	spend("another token", "Authorization", "Bearer b", "X-Forwarded-For", "203.0.113.9")
	forward(2 * time.Second)
	wantStatus(t, get(t, server, "/task-status/v1?limit=0", "Authorization", "Bearer a"), 200)
	wantStatus(t, get(t, server, "/task-status/v1?limit=0", "Authorization", "Bearer a"), 429)
	forward(10 * time.Second)
	spend("after a while", "Authorization", "Bearer a")
	forward(10 * time.Second)
	if total := get(t, server, "/stint/v1/tasks?count=true").Header.Get("X-Total-Count"); total != "0" {
		t.Errorf("%s tasks: what was refused was launched", total)
	}
}

func TestWithoutRateLimitNothingIsRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for range 300 {
		wantStatus(t, get(t, server, "/task-status/v1?limit=0"), 200)
	}
}

// The page of a listed site can read when to try again.
func TestRateLimitForAPage(t *testing.T) {
	t.Parallel()
	server, _ := startTicking(t, func(c *config.Config) {
		c.RateLimit = config.RateLimit{Requests: 1, Per: 10 * time.Second}
		c.CORSOrigins = config.Origins{console}
	})
	wantStatus(t, get(t, server, "/task-status/v1", "Origin", console), 200)
	refused := get(t, server, "/task-status/v1", "Origin", console)
	wantStatus(t, refused, 429)
	if got := refused.Header.Get("Access-Control-Allow-Origin"); got != console {
		t.Errorf("Access-Control-Allow-Origin is %q", got)
	}
}

func TestTheLogKnowsWhoAsksThroughAProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		proxies config.Prefixes
		want    string
		secure  bool
	}{
		"trusted": {config.Prefixes{netip.MustParsePrefix("127.0.0.0/8")}, "203.0.113.9", true},
		"another": {config.Prefixes{netip.MustParsePrefix("10.0.0.0/8")}, "127.0.0.1", false},
		"none":    {nil, "127.0.0.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := apptest.NewBuffer()
			server := apptest.Start(t, apptest.Options{
				Log:       slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}),
				Configure: func(c *config.Config) { c.TrustedProxies = test.proxies },
			})
			answer := get(t, server, "/task-status/v1", "X-Forwarded-For", "198.51.100.1, 203.0.113.9", "X-Forwarded-Proto", "https")
			log.Await(t, "path=/task-status/v1")
			if !strings.Contains(log.String(), "remote="+test.want+"\n") || strings.Contains(log.String(), "198.51.100.1") {
				t.Errorf("the log does not name %s:\n%s", test.want, log)
			}
			if got := answer.Header.Get("Strict-Transport-Security") != ""; got != test.secure {
				t.Errorf("Strict-Transport-Security: %v, want %v", got, test.secure)
			}
		})
	}
}

// Each answer is held against these headers when it is checked; here is what they
// must not break.
func TestHardenedAnswersCanBeAskedForAgain(t *testing.T) {
	t.Parallel()
	server := startWithTasks(t)
	first := get(t, server, "/task-status/v1/"+inProgress)
	again := get(t, server, "/task-status/v1/"+inProgress, "If-None-Match", first.Header.Get("ETag"))
	wantStatus(t, again, 304)
	want := map[string]string{"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
	for name, value := range maps.All(want) {
		if first.Header.Get(name) != value || again.Header.Get(name) != value {
			t.Errorf("%s is %q, then %q, want %q", name, first.Header.Get(name), again.Header.Get(name), value)
		}
	}
	launched := post(t, server, "/stint/v1/tasks", `{"type":"IDENTITY_REFRESH"}`)
	wantStatus(t, launched, 202)
	if got := launched.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("an answer with a token may be cached: %q", got)
	}
	if got := launched.Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("Strict-Transport-Security without TLS: %q", got)
	}
	if n, err := strconv.Atoi(launched.Header.Get("Content-Length")); err != nil || n != len(launched.Body) {
		t.Errorf("Content-Length is %d, %v", n, err)
	}
}
