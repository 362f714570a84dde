package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/go-cmp/cmp"

	"stint/internal/principal"
	"stint/internal/task"
)

type object = map[string]any

// compact writes a token by hand, as whoever forges one would.
func compact(tb testing.TB, header, claims object, sign func(input []byte) []byte) string {
	tb.Helper()
	var parts []string
	for _, part := range []object{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			tb.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	input := strings.Join(parts, ".")
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

func es256(tb testing.TB, key *ecdsa.PrivateKey) func([]byte) []byte {
	tb.Helper()
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			tb.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
}

func hs256(key []byte) func([]byte) []byte {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, key)
		mac.Write(input)
		return mac.Sum(nil)
	}
}

// decoded reads a token without verifying it.
func decoded(tb testing.TB, token string) (header, claims object) {
	tb.Helper()
	parts := strings.Split(token, ".")
	for i, to := range []*object{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(text, to); err != nil {
			tb.Fatal(err)
		}
	}
	return header, claims
}

func TestAccessToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t, func(c *principal.Client) {
		c.Sources = []string{"s"}
		c.Levels = []principal.Level{principal.SourceSubadmin}
	})
	token := b.signIn(t, c)
	header, claims := decoded(t, token)
	kid, key := b.private(t)
	if diff := cmp.Diff(object{"alg": "ES256", "typ": "at+jwt", "kid": kid}, header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	jti, _ := claims["jti"].(string)
	if len(jti) != 32 {
		t.Errorf("jti is %q", jti)
	}
	now := float64(b.clock.Now().Unix())
	want := object{
		"iss": issuer, "aud": issuer, "sub": "u", "client_id": string(c.ID), "jti": jti, "iat": now, "exp": now + 3600,
		"scope": "idn:task-management:read idn:sources:manage",
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	p, err := b.Bearer(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	wantPrincipal := &principal.Principal{
		Client: string(c.ID), Name: "u", User: true, Levels: []principal.Level{principal.SourceSubadmin},
		Scopes: c.Scopes, Sources: []string{"s"},
	}
	if diff := cmp.Diff(wantPrincipal, p); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
	if _, second := decoded(t, b.signIn(t, c)); second["jti"] == jti {
		t.Error("two tokens have one id")
	}

	application := b.client(t, func(c *principal.Client) {
		*c = principal.Client{Sort: principal.Application, Name: "app", Scopes: []principal.Scope{principal.TasksRead}}
	})
	if p, err = b.Bearer(t.Context(), b.signIn(t, application)); err != nil || p.User || p.Name != "app" || len(p.Levels) > 0 {
		t.Errorf("an application is %+v, %v", p, err)
	}

	// What is published verifies it.
	published, err := b.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(published, &set); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(published), `"d"`) || len(set.Keys) != 1 || !set.Keys[0].IsPublic() {
		t.Errorf("the key set is %s", published)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Claims(set, &object{}); err != nil {
		t.Errorf("the key set does not verify a token: %v", err)
	}
	if !set.Keys[0].Key.(*ecdsa.PublicKey).Equal(&key.PublicKey) {
		t.Error("the key set holds another key")
	}
}

// forger makes tokens that look as if they were ours.
type forger struct {
	*bench
	token          string
	header, claims object
	kid            string
	key            *ecdsa.PrivateKey
}

func newForger(tb testing.TB) *forger {
	tb.Helper()
	f := &forger{bench: newBench(tb)}
	f.token = f.signIn(tb, f.client(tb))
	f.header, f.claims = decoded(tb, f.token)
	f.kid, f.key = f.private(tb)
	return f
}

// with returns the header and the claims of a good token, changed by pairs of a
// name and a value; nil takes a member away. Names of the header begin with @.
func (f *forger) with(pairs ...any) (header, claims object) {
	header, claims = maps.Clone(f.header), maps.Clone(f.claims)
	for i := 0; i < len(pairs); i += 2 {
		name, to := pairs[i].(string), claims
		if rest, ok := strings.CutPrefix(name, "@"); ok {
			name, to = rest, header
		}
		to[name] = pairs[i+1]
		if pairs[i+1] == nil {
			delete(to, name)
		}
	}
	return header, claims
}

// signed signs with the right key.
func (f *forger) signed(tb testing.TB, pairs ...any) string {
	tb.Helper()
	header, claims := f.with(pairs...)
	return compact(tb, header, claims, es256(tb, f.key))
}

func TestTokensOfTheRightKeyThatAreRefused(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	now := f.clock.Now().Unix()
	if _, err := f.Bearer(t.Context(), f.signed(t)); err != nil {
		t.Fatalf("a token that is not changed: %v", err)
	}
	for name, test := range map[string]struct {
		pairs []any
		says  string
	}{
		"no expiry":                    {[]any{"exp", nil}, "no expiry"},
		"null for an expiry":           {[]any{"exp", json.RawMessage("null")}, "no expiry"},
		"expired":                      {[]any{"exp", now - 31}, "JWT is expired"},
		"a text for an expiry":         {[]any{"exp", "never"}, ""},
		"not valid yet":                {[]any{"nbf", now + 31}, "not valid yet"},
		"issued in the future":         {[]any{"iat", now + 31}, "not valid yet"},
		"another issuer":               {[]any{"iss", "https://evil.example.com"}, "another issuer"},
		"an issuer that begins alike":  {[]any{"iss", issuer + "/x"}, "another issuer"},
		"no issuer":                    {[]any{"iss", nil}, "another issuer"},
		"another audience":             {[]any{"aud", "https://evil.example.com"}, "another audience"},
		"no audience":                  {[]any{"aud", nil}, "another audience"},
		"an empty audience":            {[]any{"aud", []any{}}, "another audience"},
		"an identity token":            {[]any{"@typ", "JWT"}, "no access token"},
		"no type":                      {[]any{"@typ", nil}, "no access token"},
		"a number for a type":          {[]any{"@typ", 5}, ""},
		"unknown key":                  {[]any{"@kid", "ffffffffffffffff"}, "unknown key"},
		"no key":                       {[]any{"@kid", nil}, "unknown key"},
		"unknown critical extension":   {[]any{"@crit", []string{"exp"}, "@exp", 1}, ""},
		"unencoded payload":            {[]any{"@crit", []string{"b64"}, "@b64", false}, ""},
		"another algorithm":            {[]any{"@alg", "RS256"}, "algorithm is not accepted"},
		"a client that does not exist": {[]any{"client_id", "00000000000000000000000000000000"}, "does not exist"},
		"no client":                    {[]any{"client_id", nil}, "does not exist"},
		"a client of another form":     {[]any{"client_id", "x' OR 1=1"}, "does not exist"},
	} {
		token := f.signed(t, test.pairs...)
		p, err := f.Bearer(t.Context(), token)
		if p != nil || task.KindOf(err) != task.Unauthenticated || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, %v; want a refusal that says %q", name, p, err, test.says)
		}
		if e, ok := errors.AsType[*task.Error](err); ok && !strings.HasPrefix(e.Text(), "JWT validation failed: ") {
			t.Errorf("%s: the words are not the original's: %v", name, err)
		}
	}
	for name, pairs := range map[string][]any{
		"one of several audiences": {"aud", []string{"https://x.example.com", issuer}},
		"a single audience":        {"aud", issuer},
		"the type in another case": {"@typ", "AT+JWT"},
		"one that is valid by now": {"nbf", now},
	} {
		if _, err := f.Bearer(t.Context(), f.signed(t, pairs...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokensOfAnotherKey(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&f.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := f.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := f.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwk := func(key any) json.RawMessage {
		text, err := jose.JSONWebKey{Key: key, KeyID: f.kid, Algorithm: "ES256"}.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	sign := func(fn func([]byte) []byte, pairs ...any) string {
		header, claims := f.with(pairs...)
		return compact(t, header, claims, fn)
	}
	nothing := func([]byte) []byte { return nil }
	parts, wide := strings.Split(f.token, "."), strings.Split(f.signed(t, "scope", "sp:scopes:all"), ".")
	for name, token := range map[string]string{
		"no algorithm":            sign(nothing, "@alg", "none"),
		"no algorithm, signed":    sign(es256(t, f.key), "@alg", "none"),
		"None":                    sign(nothing, "@alg", "None"),
		"without an algorithm":    sign(es256(t, f.key), "@alg", nil),
		"public key, DER":         sign(hs256(der), "@alg", "HS256"),
		"public key, PEM":         sign(hs256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), "@alg", "HS256"),
		"public key, point":       sign(hs256(raw), "@alg", "HS256"),
		"public key, as read":     sign(hs256(public), "@alg", "HS256"),
		"public key, said to be":  sign(hs256(der), "@alg", "ES256"),
		"another key":             sign(es256(t, stranger)),
		"another key, attached":   sign(es256(t, stranger), "@jwk", jwk(&stranger.PublicKey)),
		"another key, elsewhere":  sign(es256(t, stranger), "@jku", "http://127.0.0.1:1/keys"),
		"another key, other name": sign(es256(t, stranger), "@kid", "ffffffffffffffff"),
		"RSA": sign(func(input []byte) []byte {
			sum := sha256.Sum256(input)
			signature, err := rsa.SignPKCS1v15(rand.Reader, big, crypto.SHA256, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			return signature
		}, "@alg", "RS256"),
		"other claims":           parts[0] + "." + wide[1] + "." + parts[2],
		"other signature":        parts[0] + "." + parts[1] + "." + wide[2],
		"no signature":           parts[0] + "." + parts[1] + ".",
		"zeros for a signature":  parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64)),
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             f.token + ".x",
		"encrypted":              f.token + "." + parts[0] + "." + parts[1],
		"as JSON":                `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"padded":                 f.token + "==",
		"of the standard base64": strings.NewReplacer("-", "+", "_", "/").Replace(f.token) + "+",
		"empty":                  "",
		"dots":                   "..",
		"NUL":                    f.token + "\x00",
		"too long":               f.token + strings.Repeat("A", maxToken),
		"too long, signed":       f.signed(t, "x", strings.Repeat("x", maxToken)),
	} {
		p, err := f.Bearer(t.Context(), token)
		if p != nil || task.KindOf(err) != task.Unauthenticated {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestTokenLivesItsLifetimeAndTheLeeway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.signIn(t, b.client(t))
	for _, step := range []struct {
		pass time.Duration
		good bool
	}{
		{-30 * time.Second, true}, // a machine whose clock is behind
		{-time.Second, false},
		{31 * time.Second, true},
		{time.Hour + 30*time.Second, true},
		{time.Millisecond, false},
		{time.Hour, false},
	} {
		b.clock.Add(step.pass)
		// Another process each time: one that has verified a token remembers it.
		_, err := b.service(t, b.store).Bearer(t.Context(), token)
		if step.good != (err == nil) {
			t.Errorf("at %s: %v, want %v", b.clock.Now(), err, step.good)
		}
		if err != nil {
			wantKind(t, err, task.Unauthenticated)
		}
	}
}

// What was verified is remembered, but no longer than it is good.
func TestVerifiedTokensAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	token := b.signIn(t, c)
	for _, step := range []struct {
		pass time.Duration
		good bool
	}{{0, true}, {time.Hour - time.Millisecond, true}, {time.Millisecond, true}, {30 * time.Second, true}, {time.Millisecond, false}, {time.Hour, false}} {
		b.clock.Add(step.pass)
		if _, err := b.Bearer(t.Context(), token); step.good != (err == nil) {
			t.Errorf("at %s: %v, want %v", b.clock.Now(), err, step.good)
		}
	}
	for i := range maxVerified + 10 {
		b.verified.add(sha256.Sum256([]byte{byte(i), byte(i >> 8)}), verifiedToken{})
	}
	if n := len(b.verified.bySum); n > maxVerified {
		t.Errorf("%d are remembered", n)
	}
	// One that was verified is not known by anything but the whole of it.
	token = b.signIn(t, c)
	if _, err := b.Bearer(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	header, claims := decoded(t, token)
	claims["scope"] = "sp:scopes:all"
	wide := compact(t, header, claims, func([]byte) []byte { return nil }) + token[strings.LastIndexByte(token, '.')+1:]
	_, err := b.Bearer(t.Context(), wide)
	wantKind(t, err, task.Unauthenticated)
}

func TestTokenFallsWithItsClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	far := b.service(t, b.store) // another process
	c := b.client(t)
	short := b.client(t, func(c *principal.Client) { c.Expires = b.clock.Now().Add(10 * time.Minute) })
	token, shortToken := b.signIn(t, c), b.signIn(t, short)
	for _, s := range []*Service{b.Service, far} {
		for _, token := range []string{token, shortToken} {
			if _, err := s.Bearer(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := b.Revoke(t.Context(), principal.PersonalAccessToken, c.ID, "", person()); err != nil {
		t.Fatal(err)
	}
	_, err := b.Bearer(t.Context(), token)
	wantKind(t, err, task.Unauthenticated)
	b.clock.Add(2 * time.Second)
	_, err = far.Bearer(t.Context(), token)
	wantKind(t, err, task.Unauthenticated)
	_, err = b.SignIn(t.Context(), string(c.ID), c.secret, "", person())
	wantKind(t, err, task.Unauthenticated)

	b.clock.Add(10*time.Minute - 2*time.Second - time.Millisecond)
	if _, err := far.Bearer(t.Context(), shortToken); err != nil {
		t.Errorf("a millisecond before the client expires: %v", err)
	}
	b.clock.Add(time.Millisecond)
	_, err = far.Bearer(t.Context(), shortToken)
	wantKind(t, err, task.Unauthenticated)
	_, err = b.SignIn(t.Context(), string(short.ID), short.secret, "", person())
	wantKind(t, err, task.Unauthenticated)
}

// A token has no scope that its client has not, whatever it says.
func TestTokenHasNoMoreThanItsClient(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	for scope, want := range map[string][]principal.Scope{
		"idn:task-management:read":                  {principal.TasksRead},
		"idn:task-management:read stint:audit:read": {principal.TasksRead},
		"sp:scopes:all":                             nil,
		"":                                          nil,
		"idn:sources:manage  idn:task-management:write": {principal.SourcesManage},
	} {
		p, err := f.Bearer(t.Context(), f.signed(t, "scope", scope))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Scopes, cmp.Transformer("texts", func(s []principal.Scope) string { return joinScopes(s) })); diff != "" {
			t.Errorf("%q (-want +got):\n%s", scope, diff)
		}
	}
}

// A fault of the store is no refusal: the client may try again.
func TestTokenWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.signIn(t, b.client(t))
	store := &faulty{Store: b.store}
	s := b.service(t, store)
	away := errors.New("away")
	store.fail(away)
	if _, err := s.Bearer(t.Context(), token); !errors.Is(err, away) {
		t.Errorf("got %v, want %v", err, away)
	}
	store.fail(nil)
	if _, err := s.Bearer(t.Context(), token); err != nil {
		t.Errorf("after the fault: %v", err)
	}
	store.fail(away)
	if _, err := s.Bearer(t.Context(), token); err != nil {
		t.Errorf("what was read a moment ago serves on: %v", err)
	}
	b.clock.Add(clientAge)
	if _, err := s.Bearer(t.Context(), token); !errors.Is(err, away) {
		t.Errorf("got %v, want %v", err, away)
	}
}

func TestKnownClientsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	for i := range maxClients + 10 {
		b.clients.byID[task.ID(string(rune(i)))] = cachedClient{}
	}
	if _, err := b.Bearer(t.Context(), b.signIn(t, c)); err != nil {
		t.Fatal(err)
	}
	if n := len(b.clients.byID); n > maxClients {
		t.Errorf("%d are remembered", n)
	}
}
