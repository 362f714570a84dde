package httpapi

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stint/internal/principal"
	"stint/internal/task"
)

// sessionCookie holds the session of the console.
const sessionCookie = "stint_session"

// consoleHeader is what the console sends with a write whose body is not JSON: a
// page of another site cannot.
const consoleHeader = "Stint-Console"

// sessionRequest is what a browser sends to begin a session.
type sessionRequest struct {
	ClientID     string `json:"clientId"`
	ClientSecret string `json:"clientSecret"`
}

// sessionBody says who is signed in, and what they may do.
type sessionBody struct {
	// Kind is "client", "oidc", or "open" where the server asks nobody who they are.
	Kind    string            `json:"kind"`
	User    string            `json:"user"`
	Client  string            `json:"client"`
	Levels  []principal.Level `json:"levels"`
	Scopes  []principal.Scope `json:"scopes"`
	Sources []string          `json:"sources"`
	Expires *string           `json:"expires"`
	Rights  map[string]string `json:"rights"`
}

// sessionToken returns the session that a request comes with.
func sessionToken(r *http.Request) (string, bool) {
	c, err := r.Cookie(sessionCookie)
	return cookieValue(c), err == nil
}

func cookieValue(c *http.Cookie) string {
	if c == nil {
		return ""
	}
	return c.Value
}

// authenticateSession returns whose a session is. A cookie comes along whoever made
// the browser send it, so that writes must prove where they come from.
func (a *api) authenticateSession(r *http.Request, token string, alsoBearer bool) (*principal.Principal, error) {
	if alsoBearer {
		return nil, task.Errorf(task.Unauthenticated, "", "JWT validation failed: there is a session's cookie, and Authorization: send one of the two")
	}
	session, err := a.auth.Session(r.Context(), token)
	if err != nil {
		return nil, err
	}
	return session.Principal, ofOwnPage(r)
}

// ofOwnPage refuses a write unless it comes from a page of this server: browsers say
// where from, and a page of another site can send neither JSON nor our header
// without asking first.
func ofOwnPage(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site == "" && origin != "" {
		site = "cross-site"
		if u, err := url.Parse(origin); err == nil && strings.EqualFold(u.Host, r.Host) {
			site = "same-origin"
		}
	}
	if site != "" && site != "same-origin" {
		return task.Errorf(task.Forbidden, "Origin", "a session's cookie is taken from this server's own pages alone")
	}
	if r.Header.Get(consoleHeader) == "" && !sendsJSON(r) {
		return task.Errorf(task.Forbidden, consoleHeader, "with a session's cookie it takes this header, or a body that is JSON")
	}
	return nil
}

func sendsJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && (media == "application/json" || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

// startSession signs a browser in with the id and the secret of a client.
func (a *api) startSession(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if a.auth == nil {
		return task.Errorf(task.Conflict, "", "this server asks for no tokens (--insecure-no-auth): there is nothing to sign in to")
	}
	if err := ofOwnPage(r); err != nil {
		return err
	}
	var in sessionRequest
	if err := a.readJSON(w, r, &in); err != nil {
		return err
	}
	session, err := a.auth.StartSession(r.Context(), strings.TrimSpace(in.ClientID), strings.TrimSpace(in.ClientSecret), origin(r))
	if err != nil {
		return err
	}
	http.SetCookie(w, a.cookie(r, session.Token, session.Expires))
	return writeAny(w, describeSession(session))
}

// endSession has the browser forget its session. It is good for whoever has kept it
// until it expires: another secret for the client ends it everywhere.
func (a *api) endSession(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if err := ofOwnPage(r); err != nil {
		return err
	}
	gone := a.cookie(r, "", time.Time{}) //nolint:gosec // it has all that a cookie of a session needs
	gone.MaxAge = -1
	http.SetCookie(w, gone)
	return a.sessionWays(w, r)
}

func (a *api) cookie(r *http.Request, value string, expires time.Time) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure wherever the browser came over TLS
		Name: sessionCookie, Value: value, Path: "/", Expires: expires,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: senderFrom(r).secure,
	}
}

// getSession says who asks.
func (a *api) getSession(w http.ResponseWriter, r *http.Request) error {
	session := principal.Session{Principal: principal.Of(r.Context())}
	if token, ok := sessionToken(r); ok && a.auth != nil {
		var err error
		if session, err = a.auth.Session(r.Context(), token); err != nil {
			return err
		}
	}
	body := describeSession(session)
	if a.auth == nil {
		body.Kind = "open"
	}
	return writeAny(w, body)
}

// sessionWays tells a browser that is not signed in how it can be.
func (a *api) sessionWays(w http.ResponseWriter, _ *http.Request) error {
	return writeAny(w, map[string]bool{"client": a.auth != nil, "oidc": a.auth != nil && a.auth.OffersProvider()})
}

func describeSession(s principal.Session) sessionBody {
	p := s.Principal
	body := sessionBody{
		Kind: "client", User: p.Name, Client: p.Client, Levels: p.Levels, Scopes: p.Scopes, Sources: p.Sources, Rights: map[string]string{},
	}
	if strings.HasPrefix(p.Client, "oidc:") {
		body.Kind = "oidc"
	}
	if !s.Expires.IsZero() {
		until := task.FormatTime(s.Expires)
		body.Expires = &until
	}
	for name, right := range namedRights() {
		body.Rights[name] = extent(name, &right, p)
	}
	if body.Sources == nil {
		body.Sources = []string{}
	}
	if body.Levels == nil {
		body.Levels = []principal.Level{}
	}
	return body
}

// namedRights are what a console asks about, to offer no more than there is.
func namedRights() map[string]principal.Right {
	return map[string]principal.Right{
		"readTasks": readTasks(), "endTasks": endTasks(), "launchTasks": launchTasks(),
		"readSources": readSources(), "manageSources": manageSources(), "changeSources": changeSources(),
		"loadAccounts": loadAccounts(), "loadEntitlements": loadEntitlements(),
		"readAccounts": readAccounts(), "readEntitlements": readEntitlements(),
		"manageTokens": manageTokens(), "manageApplications": manageApplications(), "readAudit": readAudit(),
		"manageWebhooks": manageWebhooks(),
	}
}

// extent is how far a right of somebody goes: to all, to what belongs to their own
// sources, or not at all. Whoever may read reads all.
func extent(name string, right *principal.Right, p *principal.Principal) string {
	switch {
	case right.Check(p) != nil:
		return "none"
	case !strings.HasPrefix(name, "read") && right.CheckSource(p, "") != nil:
		return "own"
	}
	return "all"
}

// isConsole tells what the console answers: its files, and whatever a browser asks
// for as a page that is not under the API's paths.
func (a *api) isConsole(r *http.Request) bool {
	if a.console == nil || r.Method != http.MethodGet {
		return false
	}
	if a.console.IsFile(r.URL.Path) {
		return true
	}
	for _, prefix := range []string{
		"/stint/", "/oauth/", "/.well-known/", "/task-status", "/account-aggregations", "/sources/v1", "/beta/", "/latest/", "/v3/", "/v2024/", "/v2025/", "/v2026/",
	} {
		if strings.HasPrefix(r.URL.Path+"/", prefix) {
			return false
		}
	}
	return acceptsPage(r.Header.Values("Accept"))
}

func acceptsPage(headers []string) bool {
	for _, part := range strings.Split(strings.Join(headers, ","), ",") {
		media, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(media), "text/html") && quality(params) > 0 {
			return true
		}
	}
	return false
}
