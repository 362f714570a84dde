package clients

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// person is somebody with a browser.
type person struct {
	*http.Client
	stint string
}

func newPerson(t *testing.T, stint string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &person{&http.Client{Jar: jar, Transport: http.DefaultTransport}, stint}
}

// page is what a browser shows in the end.
type page struct {
	url  *url.URL
	text string
}

func (p *person) open(t *testing.T, method, address string, form url.Values) page {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := p.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{answer.Request.URL, string(text)}
}

var formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)

// signIn goes to the provider and gives a name there, without a password; then it
// agrees.
func (p *person) signIn(t *testing.T, name, to string) page {
	t.Helper()
	at := p.open(t, http.MethodGet, p.stint+"/stint/v1/session/oidc?to="+url.QueryEscape(to), nil)
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {name}, "password": {"x"}}, {"prompt": {"consent"}}} {
		action := formAction.FindStringSubmatch(at.text)
		if action == nil {
			t.Fatalf("%s shows no form: %.600s", at.url, at.text)
		}
		target, err := at.url.Parse(action[1])
		if err != nil {
			t.Fatal(err)
		}
		at = p.open(t, http.MethodPost, target.String(), form)
	}
	return at
}

// session asks who is signed in.
func (p *person) session(t *testing.T) string {
	t.Helper()
	return p.open(t, http.MethodGet, p.stint+"/stint/v1/session", nil).text
}

func TestPeopleSignInAtTheIdentityProvider(t *testing.T) {
	t.Parallel()
	address, own := freeAddress(t), freeAddress(t)
	issuer := "http://" + address
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("the secret of console\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, imported(), "--listen", own, "--oidc-issuer", issuer, "--oidc-audience", audience,
		"--oidc-grant", "groups:identity-admins=ORG_ADMIN", "--oidc-client-id", "console", "--oidc-client-secret-file", secret)
	s.send(t, http.MethodGet, "/stint/v1/session/ways", "", "").want(t, http.StatusOK, `"oidc":true`)

	// The provider is away.
	ann := newPerson(t, s.URL)
	if at := ann.open(t, http.MethodGet, s.URL+"/stint/v1/session/oidc", nil); at.url.RawQuery != "signin=away" {
		t.Errorf("without a provider one is at %s", at.url)
	}
	startProvider(t, issuer, address, "one", 0, s.URL+"/stint/v1/session/oidc/callback")
	s.awaitProvider(t)

	if at := ann.signIn(t, "admin.ann", "/tasks?status=ERROR"); at.url.Path != "/tasks" || at.url.RawQuery != "status=ERROR" {
		t.Errorf("signed in, one is at %s", at.url)
	}
	for _, says := range []string{`"kind":"oidc"`, `"user":"admin.ann"`, `"levels":["ORG_ADMIN"]`, `"endTasks":"all"`} {
		if got := ann.session(t); !strings.Contains(got, says) {
			t.Errorf("the session %s does not say %s", got, says)
		}
	}
	s.send(t, http.MethodGet, "/stint/v1/audit?filters="+url.QueryEscape(`action eq "session.start"`), s.signIn(t, s.Admin), "").
		want(t, http.StatusOK, `"actor":"admin.ann"`, `"client":"oidc:admin.ann"`)

	// Nobody is let in without a level, or led to another site.
	bob := newPerson(t, s.URL)
	if at := bob.signIn(t, "bob", "/"); at.url.RawQuery != "signin=forbidden" || !strings.Contains(bob.session(t), "JWT validation failed") {
		t.Errorf("without a level one is at %s as %s", at.url, bob.session(t))
	}
	if at := newPerson(t, s.URL).signIn(t, "admin.cy", "//evil.example.com/"); at.url.Host != own || at.url.Path != "/" {
		t.Errorf("one is led to %s", at.url)
	}
	// Nor with what another browser began, or with nothing.
	for _, query := range []string{"code=x&state=y", "state=y", "", "error=access_denied"} {
		at := newPerson(t, s.URL).open(t, http.MethodGet, s.URL+"/stint/v1/session/oidc/callback?"+query, nil)
		if at.url.RawQuery != "signin=refused" {
			t.Errorf("with %q one is at %s", query, at.url)
		}
	}
}

// awaitProvider asks until the server finds its provider, for about as long as it may
// leave it alone.
func (s *server) awaitProvider(t *testing.T) {
	t.Helper()
	for began := time.Now(); newPerson(t, s.URL).open(t, http.MethodGet, s.URL+"/stint/v1/session/oidc", nil).url.RawQuery == "signin=away"; {
		if time.Since(began) > 20*time.Second {
			t.Fatal("the provider is not found")
		}
		<-time.After(50 * time.Millisecond)
	}
}
