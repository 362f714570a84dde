package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"stint/api"
	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/httpapi"
	"stint/internal/principal"
)

// right is what openapi.yaml says that an operation takes.
type right struct {
	Scopes       []string
	Levels       []string
	Applications bool
}

func TestEveryRouteAsksForARight(t *testing.T) {
	t.Parallel()
	var everybody []string
	for _, route := range httpapi.Routes() {
		if r := route.Right; r.Public {
			everybody = append(everybody, route.Method+" "+route.Path)
		} else if len(r.Scopes) == 0 || len(r.Levels) == 0 || r.Doing == "" {
			t.Errorf("%s %s asks for %+v", route.Method, route.Path, r)
		}
	}
	want := []string{
		"POST /stint/v1/session", "DELETE /stint/v1/session", "GET /stint/v1/session/ways",
		"GET /stint/v1/session/oidc", "GET /stint/v1/session/oidc/callback",
		"POST /oauth/token", "GET /oauth/info", "GET /oauth/jwks", "GET /.well-known/openid-configuration",
	}
	if diff := cmp.Diff(want, everybody); diff != "" {
		t.Errorf("routes for everybody (-want +got):\n%s", diff)
	}
}

func TestRightsAreThoseOfTheDescription(t *testing.T) {
	t.Parallel()
	described := describedRights(t)
	for _, route := range httpapi.Routes() {
		var got *right
		if r := route.Right; !r.Public {
			got = &right{texts(r.Scopes), texts(r.Levels), r.Applications}
			slices.Sort(got.Scopes)
			slices.Sort(got.Levels)
		}
		if diff := cmp.Diff(described[route.OperationID], got); diff != "" {
			t.Errorf("%s (-openapi.yaml +registered):\n%s", route.OperationID, diff)
		}
	}
}

func texts[T ~string](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// describedRights reads openapi.yaml, by operation; nil for what is everybody's.
// HEAD takes what GET takes.
func describedRights(t *testing.T) map[string]*right {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*right{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			if op.Security == nil {
				t.Errorf("%s %s says nothing of security", method, path)
				continue
			}
			all[op.OperationID] = describedRight(t, op)
		}
		if item.Get != nil {
			if diff := cmp.Diff(all[item.Get.OperationID], all[item.Head.OperationID]); diff != "" {
				t.Errorf("HEAD %s asks for something else than GET:\n%s", path, diff)
			}
		}
	}
	return all
}

func describedRight(t *testing.T, op *openapi3.Operation) *right {
	t.Helper()
	if len(*op.Security) == 0 {
		return nil
	}
	r := &right{Levels: texts(principal.Levels())}
	of := map[string][]string{}
	for _, alternative := range *op.Security {
		for scheme, scopes := range alternative {
			of[scheme] = append(of[scheme], scopes...)
		}
	}
	r.Scopes, r.Applications = of["user"], of["application"] != nil
	if r.Applications && !slices.Equal(of["user"], of["application"]) {
		t.Errorf("%s: users and applications need other scopes", op.OperationID)
	}
	if given, ok := op.Extensions["x-user-levels"].([]any); ok {
		r.Levels = nil
		for _, level := range given {
			r.Levels = append(r.Levels, fmt.Sprint(level))
		}
	}
	slices.Sort(r.Scopes)
	slices.Sort(r.Levels)
	return r
}

// secured is a server that asks for tokens, shared by the tests that leave it as
// it is.
type secured struct {
	*apptest.Server
	checked *http.Client      // holds every answer against the contract
	plain   *http.Client      // does not: that takes longer than the answer
	tokens  map[string]string // by what they are
	refused map[string]string // headers Authorization that nobody may come with, by what they are
}

// movable is a clock that a test sets forward.
type movable struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (m *movable) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead)
}

func (m *movable) move(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead += d
}

func startSecured(t *testing.T) *secured {
	t.Helper()
	clock := &movable{ahead: -25 * time.Hour}
	s := &secured{
		Server: apptest.Start(t, apptest.Options{Tokens: true, Now: clock.now, Configure: func(c *config.Config) {
			c.TokenLifetime = config.Duration(12 * time.Hour) // all other tests may run before the last of these
		}}), checked: apptest.NewClient(t),
		plain:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		tokens: map[string]string{}, refused: map[string]string{},
	}
	t.Cleanup(s.plain.CloseIdleConnections)
	admin := s.Admin(t)
	old := s.Token(t, admin)
	short := s.Client(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}, Expires: clock.now().Add(25*time.Hour + 5*time.Minute)})
	revoked := s.Client(t, principal.Client{Levels: []principal.Level{principal.OrgAdmin}})
	users := map[string]apptest.Client{}
	for _, level := range principal.Levels() {
		c := principal.Client{User: string(level), Levels: []principal.Level{level}}
		if level == principal.SourceSubadmin || level == principal.RoleSubadmin {
			c.Sources = []string{unknownID}
		}
		users[string(level)] = s.Client(t, c)
	}
	users["application"] = s.Client(t, principal.Client{Sort: principal.Application})
	clock.move(25 * time.Hour)
	for name, c := range users {
		s.tokens[name] = s.Token(t, c)
	}
	for _, scope := range principal.Scopes() {
		s.tokens[string(scope)] = s.Token(t, admin, scope)
	}
	good, gone, expires := s.Token(t, admin), s.Token(t, revoked), s.Token(t, short)
	wantStatus(t, s.Send(t, apptest.Request{
		Method: "DELETE", Target: "/stint/v1/tokens/" + revoked.ID, Header: header("Authorization", "Bearer "+good),
	}), 200)
	clock.move(10 * time.Minute)
	s.refused = map[string]string{
		"an expired token": "Bearer " + old, "a revoked client's token": "Bearer " + gone, "an expired client's token": "Bearer " + expires,
		"a forged token": "Bearer " + widened(t, s.tokens[string(principal.TasksRead)]), "an unsigned token": "Bearer " + unsigned(t, good),
		"another server's token": "Bearer " + apptest.Start(t, apptest.Options{Tokens: true}).AdminToken(t),
		"no token":               "", "an empty token": "Bearer ", "no scheme": good, "another scheme": "Basic " + base64.StdEncoding.EncodeToString([]byte(admin.ID+":"+admin.Secret)),
		"garbage": "Bearer garbage", "two words": "Bearer " + good + " " + good, "cut off": "Bearer " + good[:len(good)-4],
	}
	return s
}

// widened gives a token other scopes and leaves its signature.
func widened(t *testing.T, token string) string {
	t.Helper()
	return forged(t, token, func(_, claims map[string]any) { claims["scope"] = "sp:scopes:all" })
}

// unsigned says of a token that it needs no signature.
func unsigned(t *testing.T, token string) string {
	t.Helper()
	all := strings.Split(forged(t, token, func(header, _ map[string]any) { header["alg"] = "none" }), ".")
	return all[0] + "." + all[1] + "."
}

func forged(t *testing.T, token string, change func(header, claims map[string]any)) string {
	t.Helper()
	parts := strings.Split(token, ".")
	var decoded [2]map[string]any
	for i := range decoded {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &decoded[i]); err != nil {
			t.Fatal(err)
		}
	}
	change(decoded[0], decoded[1])
	for i := range decoded {
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(marshal(t, decoded[i])))
	}
	return strings.Join(parts, ".")
}

// call makes a request of a route that changes nothing, and returns what was
// answered.
func (s *secured) call(t *testing.T, route httpapi.Route, authorization string) (int, string) {
	t.Helper()
	target := s.URL + strings.ReplaceAll(route.Path, "{id}", unknownID)
	var body io.Reader
	if route.Method == http.MethodPost || route.Method == http.MethodPatch {
		body = strings.NewReader("{}")
		if strings.HasPrefix(route.OperationID, "create") {
			body = strings.NewReader(`{"scopes":[]}`) // none, or it would ask for all
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), route.Method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	client := s.plain
	if authorization == s.refused["a forged token"] || authorization == "Bearer "+s.tokens[string(principal.AuditRead)] {
		client = s.checked
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	if answer.Header.Get("Content-Type") != "text/event-stream" { // which has no end
		if text, err = io.ReadAll(answer.Body); err != nil {
			t.Fatal(err)
		}
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// isOlder tells the older spellings of a resource, whose rights are those of the
// newest (TestRightsAreThoseOfTheDescription): a few questions are enough.
func isOlder(route httpapi.Route) bool {
	for _, version := range []string{"/beta/", "/v3/", "/v2024/", "/v2025/", "/v2026/"} {
		if strings.HasPrefix(route.Path, version) {
			return true
		}
	}
	return false
}

func TestNobodyComesInWithoutARight(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	d := openDatabase(t, s.Server)
	const everything = `SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM sources) + (SELECT count(*) FROM clients) +
		(SELECT count(*) FROM uploads) + (SELECT count(*) FROM audit) + (SELECT count(*) FROM history)`
	before := d.count(everything)
	described := describedRights(t)
	t.Run("routes", func(t *testing.T) {
		for _, route := range httpapi.Routes() {
			if route.Right.Public {
				continue
			}
			t.Run(route.OperationID, func(t *testing.T) {
				t.Parallel()
				s.tryStrangers(t, route)
				s.tryOthers(t, route, described[route.OperationID])
				s.tryHugeBody(t, route)
			})
		}
	})
	if after := d.count(everything); after != before {
		t.Errorf("%d rows after %d: something was stored", after, before)
	}
}

// tryStrangers comes with what is no token.
func (s *secured) tryStrangers(t *testing.T, route httpapi.Route) {
	t.Helper()
	methods := []string{route.Method}
	if route.Method == http.MethodGet {
		methods = append(methods, http.MethodHead)
	}
	for name, authorization := range s.refused {
		if isOlder(route) && name != "no token" && name != "a forged token" {
			continue
		}
		for _, method := range methods {
			asked := route
			asked.Method = method
			status, body := s.call(t, asked, authorization)
			if status != 401 || method != http.MethodHead && !strings.HasPrefix(body, `{"error":"JWT validation failed: `) {
				t.Errorf("%s with %s: %d %s", method, name, status, body)
			}
		}
	}
}

// tryOthers comes with tokens that are good, of which some lack what it takes.
func (s *secured) tryOthers(t *testing.T, route httpapi.Route, want *right) {
	t.Helper()
	check := func(name string, allowed bool, says ...string) {
		t.Helper()
		status, body := s.call(t, route, "Bearer "+s.tokens[name])
		if refused := status == 401 || status == 403; refused == allowed {
			t.Errorf("with %s: %d %s", name, status, body)
		}
		for _, text := range says {
			if !allowed && !strings.Contains(body, text) {
				t.Errorf("with %s: the answer does not name %s: %s", name, text, body)
			}
		}
	}
	check("application", want.Applications, "personal access token")
	for _, level := range principal.Levels() {
		if isOlder(route) && level != principal.Helpdesk {
			continue
		}
		check(string(level), slices.Contains(want.Levels, string(level)), append(want.Levels, string(level))...)
	}
	for _, scope := range principal.Scopes() {
		if isOlder(route) && scope != principal.AuditRead {
			continue
		}
		allowed := slices.Contains(append(want.Scopes, "sp:scopes:all"), string(scope))
		check(string(scope), allowed, append(want.Scopes, string(scope))...)
	}
}

// tryHugeBody announces a body that never comes: who is refused need not send it.
func (s *secured) tryHugeBody(t *testing.T, route httpapi.Route) {
	t.Helper()
	if route.Method != http.MethodPost && route.Method != http.MethodPatch || isOlder(route) {
		return
	}
	for status, token := range map[int]string{401: "x", 403: s.tokens[string(principal.AuditRead)]} {
		began := time.Now()
		answer := apptest.Send(t, s.Addr, apptest.Request{
			Method: route.Method, Target: strings.ReplaceAll(route.Path, "{id}", unknownID),
			Header: header("Authorization", "Bearer "+token, "Content-Type", "application/json", "Content-Length", strconv.Itoa(1<<30)),
		})
		if took := time.Since(began); answer.Status != status || took > 20*time.Second {
			t.Errorf("a huge body: %d after %s, want %d", answer.Status, took, status)
		}
	}
}

func TestAuthorizationIsGivenOnce(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	token := server.AdminToken(t)
	for name, test := range map[string]struct {
		authorization string
		status        int
	}{
		"as usual":        {"Bearer " + token, 200},
		"in another case": {"bEARER " + token, 200},
		"white space":     {"Bearer   " + token + "  ", 200},
		"twice":           {"Bearer " + token + "\r\nAuthorization: Bearer " + token, 401},
		"a tab":           {"Bearer\t" + token, 401},
		"quoted":          {`Bearer "` + token + `"`, 401},
	} {
		answer := apptest.Send(t, server.Addr, apptest.Request{Method: "GET", Target: "/task-status/v1", Header: header("Authorization", test.authorization)})
		if answer.Status != test.status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, test.status)
		}
	}
	for _, target := range []string{"/task-status/v1?access_token=" + token, "/task-status/v1?token=" + token} {
		wantStatus(t, apptest.Send(t, server.Addr, apptest.Request{Method: "GET", Target: target}), 401)
	}
}

// Whoever is not known learns neither which paths nor which methods there are.
func TestStrangersLearnNothing(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	for _, r := range []apptest.Request{
		{Method: "GET", Target: "/"},
		{Method: "GET", Target: "/nowhere"},
		{Method: "GET", Target: "/v3/task-status"},
		{Method: "PUT", Target: "/task-status/v1"},
		{Method: "DELETE", Target: "/stint/v1/sources"},
		{Method: "POST", Target: "/sources/v1/" + unknownID + "/load-uncorrelated-accounts"},
	} {
		wantStatus(t, apptest.Send(t, server.Addr, r), 401)
		if answer := server.Send(t, r); answer.Status != 404 && answer.Status != 405 {
			t.Errorf("%s %s, with a token: %d", r.Method, r.Target, answer.Status)
		}
	}
}

func TestServerWithoutTokensAsksForNone(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer whatever"), 200)
	wantStatus(t, get(t, server, "/oauth/jwks"), 404)
	wantStatus(t, get(t, server, "/oauth/info"), 200)
	wantError(t, get(t, server, "/stint/v1/tokens"), 409, "", "--insecure-no-auth")
	wantError(t, post(t, server, "/stint/v1/applications", `{"name":"x"}`), 409, "", "--insecure-no-auth")
	answer := post(t, server, "/oauth/token?grant_type=client_credentials&client_id=a&client_secret=b", "")
	wantSubset(t, answer, 400, `{"error":"invalid_request","error_description":"this server asks for no tokens"}`)
}
