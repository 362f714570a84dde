package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"stint/internal/apptest"
	"stint/internal/audit"
	"stint/internal/config"
	"stint/internal/principal"
)

const (
	tokenPath = "/oauth/token"
	urlForm   = "application/x-www-form-urlencoded"
)

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

// signIn asks for a token, without the one that Send would send.
func signIn(t *testing.T, server *apptest.Server, query, body string, pairs ...string) apptest.Answer {
	t.Helper()
	target := tokenPath
	if query != "" {
		target += "?" + query
	}
	return apptest.Send(t, server.Addr, apptest.Request{Method: "POST", Target: target, Header: header(pairs...), Body: body})
}

func TestSignInForms(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	c := server.Client(t, principal.Client{Levels: []principal.Level{principal.Helpdesk}, Scopes: []principal.Scope{principal.TasksRead, principal.SourcesRead}})
	pair := "client_id=" + c.ID + "&client_secret=" + c.Secret
	whole := "grant_type=client_credentials&" + pair
	multi := func(fields ...string) string {
		var parts []part
		for f := range slices.Chunk(fields, 2) {
			parts = append(parts, field(f[0], f[1]))
		}
		return form(parts...)
	}
	for name, test := range map[string]struct {
		query, body string
		header      []string
	}{
		"query":                            {whole, "", nil},
		"query, with an empty form":        {whole, "", []string{"Content-Type", urlForm}},
		"query, said to be JSON":           {whole, "", []string{"Content-Type", "application/json"}},
		"form":                             {"", whole, []string{"Content-Type", urlForm}},
		"form of a charset":                {"", whole, []string{"Content-Type", urlForm + "; charset=UTF-8"}},
		"form of no type":                  {"", whole, nil},
		"multipart":                        {"", multi("grant_type", "client_credentials", "client_id", c.ID, "client_secret", c.Secret), []string{"Content-Type", formType}},
		"Basic":                            {"", "grant_type=client_credentials", []string{"Content-Type", urlForm, "Authorization", basic(c.ID, c.Secret)}},
		"Basic, the grant in the query":    {"grant_type=client_credentials", "", []string{"Authorization", basic(c.ID, c.Secret)}},
		"Basic, encoded":                   {"", "grant_type=client_credentials", []string{"Content-Type", urlForm, "Authorization", basic("%"+strconv.FormatInt(int64(c.ID[0]), 16)+c.ID[1:], c.Secret)}},
		"basic, the id also in the form":   {"", "grant_type=client_credentials&client_id=" + c.ID, []string{"Content-Type", urlForm, "Authorization", "b" + basic(c.ID, c.Secret)[1:]}},
		"query and form":                   {"grant_type=client_credentials", pair, []string{"Content-Type", urlForm}},
		"twice, the same":                  {whole, whole, []string{"Content-Type", urlForm}},
		"empty ones":                       {whole + "&client_secret=&scope=&grant_type=", "client_id=", []string{"Content-Type", urlForm}},
		"unknown ones":                     {whole + "&audience=x&resource=y", "z=1", []string{"Content-Type", urlForm}},
		"of a browser's page, without one": {whole, "", []string{"Accept", "application/json, text/plain, */*"}},
		"the id as a UUID":                 {strings.Replace(whole, c.ID, dashed(c.ID), 1), "", nil},
		"with an old token":                {whole, "", []string{"Authorization", "Bearer x"}},
		"said to be as it is":              {"", whole, []string{"Content-Type", urlForm, "Content-Encoding", "identity"}},
	} {
		answer := signIn(t, server, test.query, test.body, test.header...)
		if answer.Status != 200 {
			t.Errorf("%s: %d %s", name, answer.Status, answer.Body)
			continue
		}
		var grant struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int    `json:"expires_in"`
			Scope       string
		}
		if err := json.Unmarshal(answer.Body, &grant); err != nil {
			t.Fatal(err)
		}
		if grant.ExpiresIn != 900 || grant.Scope != "idn:task-management:read idn:sources:read" {
			t.Errorf("%s: %s", name, answer.Body)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || answer.Header.Get("Pragma") != "no-cache" {
			t.Errorf("%s: may be kept: %v", name, answer.Header)
		}
		wantStatus(t, get(t, server, "/task-status/v1", "Authorization", "Bearer "+grant.AccessToken), 200)
	}
	narrow := signIn(t, server, whole+"&scope=idn:sources:read", "")
	wantSubset(t, narrow, 200, `{"scope":"idn:sources:read","token_type":"bearer"}`)
}

func TestSignInErrors(t *testing.T) {
	t.Parallel()
	// Wrong secrets are many here; that they are slowed down is tested elsewhere.
	clock := &movable{}
	server := apptest.Start(t, apptest.Options{Tokens: true, Now: clock.now})
	c := server.Admin(t)
	app := server.Client(t, principal.Client{Sort: principal.Application, Scopes: []principal.Scope{principal.TasksRead}})
	whole := "grant_type=client_credentials&client_id=" + app.ID + "&client_secret=" + app.Secret
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(whole))
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	asForm := []string{"Content-Type", urlForm}
	for name, test := range map[string]struct {
		query, body string
		header      []string
		status      int
		code, says  string
	}{
		"nothing":                     {"", "", nil, 400, "invalid_request", "grant_type"},
		"no grant":                    {"", strings.TrimPrefix(whole, "grant_type=client_credentials"), asForm, 400, "invalid_request", "grant_type"},
		"a password":                  {"", strings.Replace(whole, "client_credentials", "password", 1), asForm, 400, "unsupported_grant_type", `"password"`},
		"a code":                      {strings.Replace(whole, "client_credentials", "authorization_code", 1), "", nil, 400, "unsupported_grant_type", "client_credentials"},
		"the grant in another case":   {strings.Replace(whole, "client_credentials", "Client_Credentials", 1), "", nil, 400, "unsupported_grant_type", ""},
		"a wrong secret":              {"", strings.Replace(whole, app.Secret, c.Secret, 1), asForm, 401, "invalid_client", "do not belong together"},
		"no secret":                   {"", strings.Replace(whole, app.Secret, "", 1), asForm, 401, "invalid_client", ""},
		"no id":                       {"", strings.Replace(whole, app.ID, "", 1), asForm, 401, "invalid_client", ""},
		"swapped":                     {"grant_type=client_credentials&client_id=" + app.Secret + "&client_secret=" + app.ID, "", nil, 401, "invalid_client", ""},
		"a wrong secret, Basic":       {"grant_type=client_credentials", "", []string{"Authorization", basic(app.ID, "x")}, 401, "invalid_client", ""},
		"Basic without a colon":       {"grant_type=client_credentials", "", []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(app.ID))}, 401, "invalid_client", ""},
		"Basic that is no base64":     {"grant_type=client_credentials", "", []string{"Authorization", "Basic %%%"}, 401, "invalid_client", ""},
		"a scope that it has not":     {whole + "&scope=idn:task-management:write", "", nil, 400, "invalid_scope", "idn:task-management:read"},
		"all scopes":                  {whole + "&scope=sp%3Ascopes%3Aall", "", nil, 400, "invalid_scope", ""},
		"no such scope":               {whole + "&scope=openid", "", nil, 400, "invalid_scope", "openid"},
		"two ids":                     {whole, "client_id=" + c.ID, asForm, 400, "invalid_request", "client_id"},
		"two secrets":                 {"", whole + "&client_secret=" + c.Secret, asForm, 400, "invalid_request", "client_secret"},
		"two grants":                  {"", whole + "&grant_type=password", asForm, 400, "invalid_request", "grant_type"},
		"two scopes":                  {"", whole + "&scope=a&scope=b", asForm, 400, "invalid_request", "scope"},
		"another id in Basic":         {"", whole, append([]string{"Authorization", basic(c.ID, app.Secret)}, asForm...), 400, "invalid_request", "client_id"},
		"JSON":                        {"", `{"grant_type":"client_credentials"}`, []string{"Content-Type", "application/json"}, 415, "invalid_request", urlForm},
		"text":                        {"", whole, []string{"Content-Type", "text/plain"}, 415, "invalid_request", "text/plain"},
		"compressed":                  {"", zipped.String(), append([]string{"Content-Encoding", "gzip"}, asForm...), 415, "invalid_request", "gzip"},
		"multipart without boundary":  {"", form(field("grant_type", "client_credentials")), []string{"Content-Type", "multipart/form-data"}, 400, "invalid_request", "boundary"},
		"multipart of another":        {"", form(field("grant_type", "client_credentials")), []string{"Content-Type", "multipart/form-data; boundary=other"}, 400, "invalid_request", ""},
		"multipart that is cut off":   {"", form(field("grant_type", "client_credentials"))[:80], []string{"Content-Type", formType}, 400, "invalid_request", ""},
		"no form":                     {"", "grant_type=%zz", asForm, 400, "invalid_request", "body"},
		"semicolons":                  {"", strings.ReplaceAll(whole, "&", ";"), asForm, 400, "invalid_request", ""},
		"a query that is none":        {"grant_type=%zz", "", nil, 400, "invalid_request", "query"},
		"too large":                   {"", whole + "&x=" + strings.Repeat("x", 64<<10), asForm, 413, "invalid_request", "65536"},
		"too large, multipart":        {"", form(field("x", strings.Repeat("x", 64<<10))), []string{"Content-Type", formType}, 413, "invalid_request", ""},
		"too large, of another type":  {"", strings.Repeat("x", 70<<10), []string{"Content-Type", "text/plain"}, 413, "invalid_request", ""},
		"a file in place of a secret": {"", form(field("grant_type", "client_credentials"), field("client_id", app.ID), filePart(app.Secret)), []string{"Content-Type", formType}, 401, "invalid_client", ""},
	} {
		clock.move(time.Minute) // guesses are forgotten
		answer := signIn(t, server, test.query, test.body, test.header...)
		if answer.Status != test.status {
			t.Errorf("%s: %d %s, want %d", name, answer.Status, answer.Body, test.status)
			continue
		}
		body := decoded(t, answer)
		said, _ := member(body, "error_description").(string)
		if member(body, "error") != test.code || !strings.Contains(said, test.says) {
			t.Errorf("%s: %s, want %s that says %q", name, answer.Body, test.code, test.says)
		}
		usesBasic := strings.HasPrefix(header(test.header...)["Authorization"], "Basic ") && !strings.Contains(name, "that is no base64") && !strings.Contains(name, "without a colon")
		if challenge := answer.Header.Get("WWW-Authenticate"); (challenge != "") != (usesBasic && test.status == 401) {
			t.Errorf("%s: WWW-Authenticate is %q", name, challenge)
		}
		if answer.Header.Get("Cache-Control") != "no-store" || strings.Contains(string(answer.Body), app.Secret) {
			t.Errorf("%s: it may be kept, or says the secret: %v %s", name, answer.Header, answer.Body)
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		wantStatus(t, apptest.Send(t, server.Addr, apptest.Request{Method: method, Target: tokenPath + "?" + whole}), 405)
	}
	wantStatus(t, signIn(t, server, whole, "", "Accept", "text/html"), 406)
}

func TestSignInIsSlowedDown(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	app := server.Client(t, principal.Client{Sort: principal.Application})
	whole := "grant_type=client_credentials&client_id=" + app.ID + "&client_secret="
	limited := 0
	for range 30 {
		answer := signIn(t, server, whole+"wrong", "")
		switch answer.Status {
		case 429:
			limited++
			if answer.Header.Get("Retry-After") != "3" {
				t.Errorf("Retry-After is %q", answer.Header.Get("Retry-After"))
			}
		case 401:
		default:
			t.Fatalf("%d %s", answer.Status, answer.Body)
		}
	}
	if limited < 5 {
		t.Errorf("%d of 30 guesses are slowed down", limited)
	}
	wantStatus(t, signIn(t, server, whole+app.Secret, ""), 200)
}

// A client that only knows the address of the server finds the rest, and verifies
// a token with nothing but what is published.
func TestDiscoveryLeadsToTheKeys(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string]func(*config.Config){
		"as it listens": nil,
		"behind a proxy": func(c *config.Config) {
			c.PublicURL = "https://stint.example.com/base/"
		},
	} {
		server := apptest.Start(t, apptest.Options{Tokens: true, Configure: configure})
		issuer := server.URL
		if configure != nil {
			issuer = "https://stint.example.com/base"
		}
		anonymous := func(target string) apptest.Answer {
			return apptest.Send(t, server.Addr, apptest.Request{Method: "GET", Target: target})
		}
		wantSubset(t, anonymous("/.well-known/openid-configuration"), 200, `{"issuer":"`+issuer+`","token_endpoint":"`+issuer+`/oauth/token",
			"jwks_uri":"`+issuer+`/oauth/jwks","grant_types_supported":["client_credentials"],
			"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"]}`)
		info := wantSubset(t, anonymous("/oauth/info"), 200, `{"tenantName":"stint","tokenEndpoint":"`+issuer+`/oauth/token"}`)
		if id, _ := member(info, "tenantId").(string); len(id) != 32 {
			t.Errorf("%s: the tenant is %q", name, id)
		}
		answer := anonymous("/oauth/jwks")
		wantStatus(t, answer, 200)
		var keys jose.JSONWebKeySet
		if err := json.Unmarshal(answer.Body, &keys); err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(server.AdminToken(t), []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		var claims jwt.Claims
		if err := parsed.Claims(keys, &claims); err != nil {
			t.Fatalf("%s: the published keys do not verify a token: %v", name, err)
		}
		if err := claims.Validate(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{issuer}, Subject: "admin", Time: time.Now()}); err != nil {
			t.Errorf("%s: %v: %+v", name, err, claims)
		}
		for _, target := range []string{"/oauth/info", "/oauth/jwks", "/.well-known/openid-configuration"} {
			wantStatus(t, apptest.Send(t, server.Addr, apptest.Request{Method: "HEAD", Target: target}), 200)
			wantStatus(t, apptest.Send(t, server.Addr, apptest.Request{Method: "POST", Target: target}), 405)
		}
	}
}

func TestRefusedSignInsAreAudited(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{Tokens: true})
	app := server.Client(t, principal.Client{Sort: principal.Application})
	long := strings.Repeat("a", 5000)
	for range 25 {
		signIn(t, server, "grant_type=client_credentials&client_id="+app.ID+"&client_secret=x", "", "User-Agent", long)
	}
	wantStatus(t, signIn(t, server, "grant_type=client_credentials&client_id="+app.ID+"&client_secret="+app.Secret, "", "User-Agent", "a\xffb"), 200)
	if err := server.App.Stop(); err != nil {
		t.Fatal(err)
	}
	refused, issued := 0, 0
	for _, e := range audited(t, server, app.ID) {
		switch e.Action {
		case audit.TokenRefuse:
			refused++
			if !strings.HasPrefix(e.Words, "25 times: ") || e.Origin.Actor != "anonymous" || len(e.Origin.Agent) != 256 || e.Origin.Address == "" {
				t.Errorf("a refusal is %+v", e)
			}
		case audit.TokenIssue:
			issued++
			if e.Origin.Client != app.ID || e.Origin.Actor != "an application" || e.Origin.Agent != "ab" || e.Words != "scope sp:scopes:all" {
				t.Errorf("an access token is %+v", e)
			}
		}
	}
	if refused != 1 || issued != 1 {
		t.Errorf("%d entries of refusals and %d of tokens, want one each", refused, issued)
	}
}

// FuzzSignIn sends anything as a query, a form, a type and credentials.
func FuzzSignIn(f *testing.F) {
	f.Add("grant_type=client_credentials", "client_id=a&client_secret=b", urlForm, "Basic YTpi")
	f.Add("", form(field("grant_type", "client_credentials")), formType, "")
	f.Add("%", "%", "multipart/form-data; boundary=", "Basic")
	f.Add("a=1;b", "--XxX\r\n", formType, "Basic OjpA")
	server := apptest.Start(f, apptest.Options{Tokens: true})
	client := apptest.NewClient(f)
	allowed := []int{400, 401, 413, 415, 429}
	f.Fuzz(func(t *testing.T, query, body, media, authorization string) {
		r, err := newRequest(t, server.URL+tokenPath+"?"+query, body)
		if err != nil {
			return
		}
		maps.Copy(r.Header, map[string][]string{"Content-Type": {media}, "Authorization": {authorization}})
		answer, err := client.Do(r)
		if err != nil {
			return // it could not be sent
		}
		defer answer.Body.Close()
		if !slices.Contains(allowed, answer.StatusCode) {
			t.Fatalf("%d", answer.StatusCode)
		}
	})
}

func newRequest(t *testing.T, target, body string) (*http.Request, error) {
	t.Helper()
	return http.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
}
