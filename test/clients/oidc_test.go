package clients

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/apptest"
)

const audience = "urn:stint"

// provider is an OpenID Connect provider, of which there is more than one process:
// they share an issuer, and differ in keys and clocks.
type provider struct {
	issuer, url string

	cmd *exec.Cmd
	end io.Closer
}

// startProvider starts one. Its keys follow from a seed; its clock is shifted. With
// one more argument people sign in and are sent back there.
func startProvider(t *testing.T, issuer, address, seed string, shift time.Duration, more ...string) *provider {
	t.Helper()
	_, port, _ := strings.Cut(address, ":")
	out := apptest.NewBuffer()
	args := append([]string{"provider.mjs", port, issuer, seed, strconv.Itoa(int(shift / time.Second))}, more...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = "oidc", out, out
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run scripts/test-deps.sh", err)
	}
	p := &provider{issuer: issuer, url: "http://" + address, cmd: cmd, end: end}
	t.Cleanup(p.stop)
	out.Await(t, "ready\n")
	return p
}

func (p *provider) stop() {
	if p.cmd != nil {
		_ = p.end.Close()
		_ = p.cmd.Wait()
		p.cmd = nil
	}
}

// token returns an access token of a machine for an audience.
func (p *provider) token(t *testing.T, machine, resource string, scopes ...string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {resource}, "scope": {strings.Join(scopes, " ")}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(machine, url.QueryEscape("the secret of "+machine))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil || strings.Count(granted.Token, ".") != 2 {
		t.Fatalf("the provider answers %s with no JWT: %v", response.Status, err)
	}
	return granted.Token
}

const (
	readScope  = "idn:task-management:read"
	writeScope = "idn:task-management:write"

	clearing = `[{"op":"replace","path":"/completionStatus","value":"Error"}]`
)

func startTrusting(t *testing.T, issuer string) *server {
	t.Helper()
	return start(t, imported(), "--oidc-issuer", issuer, "--oidc-audience", audience, "--oidc-grant", "groups:identity-admins=ORG_ADMIN")
}

// first returns the id of some task in progress.
func (s *server) first(t *testing.T, token string) string {
	t.Helper()
	var tasks []stored
	s.send(t, http.MethodGet, "/task-status/v1?filters=launcher+eq+%22patcher%22+and+completionStatus+isnull&limit=1", token, "").
		want(t, http.StatusOK).read(t, &tasks)
	if len(tasks) != 1 {
		t.Fatal("no task is in progress")
	}
	return tasks[0].ID
}

// eventually asks until the answer has a status, for about as long as a server may
// leave its provider alone, and returns how long that took.
func (s *server) eventually(t *testing.T, token string, status int) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		got := s.send(t, http.MethodGet, "/task-status/v1?limit=1", token, "")
		if got.status == status {
			return time.Since(began)
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("it is still %d, want %d: %s", got.status, status, got.body)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func TestTokensOfAnIdentityProvider(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	issuer := "http://" + address
	s := startTrusting(t, issuer)
	p := startProvider(t, issuer, address, "one", 0)
	reader, operator := p.token(t, "reader", audience, readScope), p.token(t, "operator", audience, readScope, writeScope)

	const list = "/task-status/v1?limit=1"
	s.send(t, http.MethodGet, list, reader, "").want(t, http.StatusOK, `"id"`)
	id := s.first(t, operator)
	path := "/task-status/v1/" + id
	s.send(t, http.MethodPatch, path, reader, clearing).want(t, http.StatusForbidden, "scope", writeScope)
	// The scope alone makes no user of a machine.
	s.send(t, http.MethodPatch, path, p.token(t, "reader", audience, writeScope), clearing).want(t, http.StatusForbidden, "takes a user")
	s.send(t, http.MethodPatch, path, p.token(t, "operator", audience, readScope), clearing).want(t, http.StatusForbidden, "scope")
	s.send(t, http.MethodPatch, path, operator, clearing).want(t, http.StatusOK, `"completionStatus":"ERROR"`)
	s.send(t, http.MethodGet, "/stint/v1/tasks/"+id, operator, "").want(t, http.StatusOK, `"cleared"`, "operator")

	// As genuine as can be, and yet not good here.
	late := startProvider(t, issuer, freeAddress(t), "one", -time.Hour)
	forger := startProvider(t, issuer, freeAddress(t), "two", 0)
	elsewhere := freeAddress(t)
	stranger := startProvider(t, "http://"+elsewhere, elsewhere, "one", 0)
	for words, token := range map[string]string{
		"it is for another audience":     p.token(t, "operator", "urn:another", readScope),
		"JWT is expired":                 late.token(t, "operator", audience, readScope),
		"JWT signature is not valid":     forger.token(t, "operator", audience, readScope),
		"it is from another issuer":      stranger.token(t, "operator", audience, readScope),
		"JWT is not valid yet":           startProvider(t, issuer, freeAddress(t), "one", time.Hour).token(t, "operator", audience, readScope),
		"JWT validation failed: JWT sig": reader[:len(reader)-8] + "AAAAAAAA",
	} {
		got := s.send(t, http.MethodGet, list, token, "").want(t, http.StatusUnauthorized, `"error":"JWT validation failed: `, words)
		if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: WWW-Authenticate is %q", words, challenge)
		}
	}
	// Tokens of the server's own are good beside it.
	s.send(t, http.MethodGet, list, s.signIn(t, s.Admin), "").want(t, http.StatusOK)
	s.send(t, http.MethodGet, list, operator, "").want(t, http.StatusOK)

	// Other keys: their tokens are good once the server asks again, the old ones no
	// more then.
	p.stop()
	p = startProvider(t, issuer, address, "three", 0)
	took := s.eventually(t, p.token(t, "reader", audience, readScope), http.StatusOK)
	t.Logf("the new keys were trusted after %s", took.Round(time.Millisecond))
	s.send(t, http.MethodGet, list, operator, "").want(t, http.StatusUnauthorized, "JWT signature is not valid")

	// What is known of the keys is enough while the provider is away.
	operator = p.token(t, "operator", audience, readScope)
	p.stop()
	s.send(t, http.MethodGet, list, operator, "").want(t, http.StatusOK)
}

func TestIdentityProviderIsAwayAtTheStart(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	issuer := "http://" + address
	// The same keys at another address: what signs while the provider is away.
	signer := startProvider(t, issuer, freeAddress(t), "one", 0)
	s := startTrusting(t, issuer)
	token := signer.token(t, "operator", audience, readScope, writeScope)
	own := s.signIn(t, s.Admin)
	for _, path := range []string{"/task-status/v1", "/task-status/v1/0123456789abcdef0123456789abcdef"} {
		got := s.send(t, http.MethodGet, path, token, "").want(t, http.StatusServiceUnavailable, "503.0 Service Unavailable", "identity provider")
		if wait, err := strconv.Atoi(got.header.Get("Retry-After")); err != nil || wait < 1 || wait > 10 {
			t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
		}
	}
	s.send(t, http.MethodGet, "/task-status/v1?limit=1", own, "").want(t, http.StatusOK)
	s.send(t, http.MethodPatch, "/task-status/v1/"+s.first(t, own), own, clearing).want(t, http.StatusOK)

	startProvider(t, issuer, address, "one", 0)
	took := s.eventually(t, token, http.StatusOK)
	t.Logf("it was good %s after the provider had come", took.Round(time.Millisecond))
	s.send(t, http.MethodPatch, "/task-status/v1/"+s.first(t, own), token, clearing).want(t, http.StatusOK)
}
