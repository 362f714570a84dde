package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/time/rate"

	"stint/internal/principal"
	"stint/internal/task"
)

// acceptedAlgorithms are those that a token may be signed with at all: none that a
// public key could be used for as a shared secret.
func acceptedAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.ES256, jose.ES384, jose.ES512, jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
	}
}

const (
	// providerBurst is how often the identity provider is asked for its keys in a row,
	// providerRest how long it is left alone for each time then.
	providerBurst = 5
	providerRest  = 10 * time.Second
	// awayRest is how long one that did not answer is taken to be away.
	awayRest        = 3 * time.Second
	providerTimeout = 5 * time.Second
)

// External is an identity provider whose access tokens are trusted.
type External struct {
	Issuer, Audience string
	// SignIn is the client with which people sign in to the console there; without an
	// id, they cannot.
	SignIn ProviderClient
	// Grants say which level or scope a value of a claim gives.
	Grants []ClaimGrant
	// Client is what the provider is asked with; nil is the default.
	Client *http.Client
}

// ProviderClient is a client of an identity provider's; one without a secret is
// public.
type ProviderClient struct{ ID, Secret string }

// ClaimGrant gives a level or a scope for a value of a claim.
type ClaimGrant struct {
	Claim, Value string
	Level        principal.Level
	Scope        principal.Scope
}

// ParseClaimGrant reads CLAIM:VALUE=LEVEL or CLAIM:VALUE=SCOPE.
func ParseClaimGrant(s string) (ClaimGrant, error) {
	claim, rest, ok := strings.Cut(s, ":")
	// A scope holds no "=", a claim's value may.
	i := strings.LastIndexByte(rest, '=')
	if !ok || claim == "" || i < 1 {
		return ClaimGrant{}, fmt.Errorf("%q is not CLAIM:VALUE=LEVEL or CLAIM:VALUE=SCOPE, like groups:identity-admins=ORG_ADMIN", s)
	}
	g := ClaimGrant{Claim: claim, Value: rest[:i]}
	given := rest[i+1:]
	if level, ok := principal.ParseLevel(given); ok {
		g.Level = level
		return g, nil
	}
	if scope, ok := principal.ParseScope(given); ok {
		g.Scope = scope
		return g, nil
	}
	return ClaimGrant{}, fmt.Errorf("%q is neither a user level (%s) nor a scope (%s)",
		given, principal.List(principal.Levels()), principal.List(principal.Scopes()))
}

// external verifies the tokens of an identity provider.
type external struct {
	External
	issuer string
	now    func() time.Time

	// direct asks the provider for what is no key: as often as people sign in.
	direct *http.Client

	mu      sync.Mutex
	found   *discovered // nil until it was reached
	asked   time.Time
	failure error
}

// discovered is what a provider says of itself.
type discovered struct {
	keys     oidc.KeySet
	provider *oidc.Provider
}

func newExternal(o External, now func() time.Time) *external {
	client := http.Client{}
	if o.Client != nil {
		client = *o.Client
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Timeout = providerTimeout
	direct := client
	client.Transport = &resting{next: client.Transport, now: now, asked: map[string]*patience{}}
	o.Client = &client
	return &external{External: o, issuer: o.Issuer, now: now, direct: &direct}
}

// bearer verifies a token. The error is of kind Unauthenticated where it is not
// trusted, Unavailable where its provider cannot be asked.
func (e *external) bearer(ctx context.Context, token string) (*principal.Principal, error) {
	found, err := e.discover(ctx)
	if err != nil {
		return nil, err
	}
	_, err = found.keys.VerifySignature(oidc.ClientContext(ctx, e.Client), token)
	if unreachable, ok := errors.AsType[*providerError](err); ok {
		return nil, unavailable(unreachable)
	}
	if err != nil {
		refused := task.Errorf(task.Unauthenticated, "", "JWT validation failed: JWT signature is not valid")
		refused.Err = err
		return nil, refused
	}
	var registered jwt.Claims
	var all map[string]any
	// This reads a claim by its exact name, and none that is there twice.
	parsed, err := jwt.ParseSigned(token, acceptedAlgorithms())
	if err == nil {
		err = parsed.UnsafeClaimsWithoutVerification(&registered, &all)
	}
	if err != nil {
		return nil, refuse("its claims cannot be read")
	}
	if err := checkClaims(&registered, e.issuer, e.Audience, e.now()); err != nil {
		return nil, err
	}
	if !isAccessToken(parsed.Headers[0], all) {
		return nil, refuse("it is no access token")
	}
	return e.principal(registered.Subject, all)
}

// isAccessToken tells an access token from what else a provider signs: tokens that
// say who has signed in (OpenID Connect Core, section 2) or out.
func isAccessToken(header jose.Header, all map[string]any) bool {
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", tokenType:
	default:
		return false
	}
	for _, claim := range []string{"nonce", "at_hash", "events"} {
		if _, ok := all[claim]; ok {
			return false
		}
	}
	return true
}

// discover finds the identity provider, once it can be reached.
func (e *external) discover(ctx context.Context) (*discovered, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.found != nil {
		return e.found, nil
	}
	if e.failure != nil && e.now().Sub(e.asked) < awayRest {
		return nil, unavailable(e.failure)
	}
	e.asked = e.now()
	// What is made here keeps the context: it must outlive the request.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), e.Client)
	var says struct {
		Keys string `json:"jwks_uri"`
	}
	provider, err := oidc.NewProvider(ctx, e.issuer)
	if err == nil {
		err = provider.Claims(&says)
	}
	if err != nil {
		e.failure = err
		return nil, unavailable(err)
	}
	e.found = &discovered{oidc.NewRemoteKeySet(ctx, says.Keys), provider}
	return e.found, nil
}

// principal maps claims to whom they describe. Whoever has a level is a user. A
// name that would look like another's is not taken.
func (e *external) principal(subject string, all map[string]any) (*principal.Principal, error) {
	if principal.CheckName("sub", subject) != nil {
		return nil, refuse("its subject is missing, or no name")
	}
	p := &principal.Principal{Client: "oidc:" + subject, Name: subject}
	for _, claim := range []string{"client_id", "email", "preferred_username"} {
		if name, ok := all[claim].(string); ok && principal.CheckName(claim, name) == nil {
			p.Name = name
		}
	}
	for _, claim := range []string{"scope", "scp"} {
		for _, word := range values(all[claim]) {
			if scope, ok := principal.ParseScope(word); ok && !slices.Contains(p.Scopes, scope) {
				p.Scopes = append(p.Scopes, scope)
			}
		}
	}
	for _, g := range e.Grants {
		if !slices.Contains(values(all[g.Claim]), g.Value) {
			continue
		}
		if g.Level != "" && !slices.Contains(p.Levels, g.Level) {
			p.Levels = append(p.Levels, g.Level)
		}
		if g.Scope != "" && !slices.Contains(p.Scopes, g.Scope) {
			p.Scopes = append(p.Scopes, g.Scope)
		}
	}
	p.User = len(p.Levels) > 0
	return p, nil
}

// values returns the words of a claim: those of a text, or the texts of a list.
func values(claim any) []string {
	switch v := claim.(type) {
	case string:
		return append(strings.Fields(v), v)
	case []any:
		var all []string
		for _, one := range v {
			if s, ok := one.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

func unavailable(err error) error {
	return &task.Error{
		Kind: task.Unavailable, Msg: "the identity provider cannot be asked right now", RetryAfter: awayRest, Err: err,
	}
}

// providerError says that the provider did not answer, as opposed to a token that
// is not good.
type providerError struct{ err error }

func (e *providerError) Error() string { return e.err.Error() }

func (e *providerError) Unwrap() error { return e.err }

var errAskedAlready = errors.New("it was asked a moment ago")

// resting asks an address of the provider a few times in a row only: a stranger who
// sends tokens with keys that nobody knows must not make us a nuisance.
type resting struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	asked map[string]*patience
}

// patience is how often an address may be asked, and what became of the last time.
type patience struct {
	*rate.Limiter
	err error
}

// RoundTrip implements http.RoundTripper.
func (t *resting) RoundTrip(r *http.Request) (*http.Response, error) {
	now, address := t.now(), r.URL.String()
	t.mu.Lock()
	p := t.asked[address]
	if p == nil {
		p = &patience{Limiter: rate.NewLimiter(rate.Every(providerRest), providerBurst)}
		t.asked[address] = p
	}
	last, allowed := p.err, p.AllowN(now, 1)
	t.mu.Unlock()
	if !allowed {
		if last != nil {
			return nil, last
		}
		return nil, errAskedAlready
	}
	resp, err := t.next.RoundTrip(r)
	if err == nil && resp.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("%s answers with %s", address, resp.Status)
		_ = resp.Body.Close()
	}
	if err != nil {
		err = &providerError{err}
	}
	t.mu.Lock()
	p.err = err
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return resp, nil
}
