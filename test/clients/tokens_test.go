package clients

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestTokenOfAnotherServer asks one server with the tokens of others.
func TestTokenOfAnotherServer(t *testing.T) {
	t.Parallel()
	const public = "https://stint.example.com"
	one, twin, other := start(t, nil, "--public-url", public), start(t, nil, "--public-url", public), start(t, nil)
	token := one.signIn(t, one.Admin)
	one.send(t, http.MethodGet, "/task-status/v1", token, "").want(t, http.StatusOK)
	// The twin calls itself the same, but has its own keys.
	twin.send(t, http.MethodGet, "/task-status/v1", token, "").want(t, http.StatusUnauthorized, "JWT validation failed: it was signed with an unknown key")
	other.send(t, http.MethodGet, "/task-status/v1", token, "").want(t, http.StatusUnauthorized, "JWT validation failed: it is from another issuer")
	// Nor does a client of one know the way into another.
	path := "/oauth/token?grant_type=client_credentials&client_id=" + one.Admin.ID + "&client_secret=" + one.Admin.Secret
	twin.send(t, http.MethodPost, path, "", "").want(t, http.StatusUnauthorized, `"invalid_client"`)
}

// TestTokenLifetime reads in a token what its answer says; that it ends then is
// tested in internal/auth, where clocks can be set.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	s := start(t, nil, "--token-lifetime", "1m")
	path := "/oauth/token?grant_type=client_credentials&client_id=" + s.Admin.ID + "&client_secret=" + s.Admin.Secret
	var granted struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	s.send(t, http.MethodPost, path, "", "").want(t, http.StatusOK).read(t, &granted)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(granted.Token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Iat, Exp int64 }
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	if granted.Expires != 60 || claims.Exp-claims.Iat != 60 {
		t.Errorf("expires_in is %d, and the token lives from %d to %d", granted.Expires, claims.Iat, claims.Exp)
	}
}
