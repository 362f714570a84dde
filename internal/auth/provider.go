package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

// pendingLabel is what is sealed for between leaving for the provider and coming
// back; pendingTime is how long that may take.
const (
	pendingLabel = "provider"
	pendingTime  = 10 * time.Minute
)

// pending is what is known of somebody who is at the identity provider. Their browser
// keeps it, sealed.
type pending struct {
	Expires  int64  `json:"expires"` // in milliseconds since 1970
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"`
	Back     string `json:"back"` // the path to return to
}

// OffersProvider reports whether people can sign in at an identity provider.
func (s *Service) OffersProvider() bool { return s.external != nil && s.external.SignIn.ID != "" }

// LeaveForProvider begins a sign-in at the identity provider (the authorization code
// flow with PKCE). It returns where to send the browser, and what to have it keep. The
// error is of kind Unavailable where the provider cannot be asked.
func (s *Service) LeaveForProvider(ctx context.Context, redirect, back string) (address, kept string, err error) {
	if !s.OffersProvider() {
		return "", "", task.Errorf(task.NotFound, "", "nobody signs in at an identity provider here: --oidc-client-id is not set")
	}
	found, err := s.external.discover(ctx)
	if err != nil {
		return "", "", err
	}
	p := pending{
		Expires: s.now().Add(pendingTime).UnixMilli(), State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(), Back: back,
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", "", fmt.Errorf("leave for the provider: %w", err)
	}
	sealed, err := s.keyring.seal(purposeSession, pendingLabel, text)
	if err != nil {
		return "", "", fmt.Errorf("leave for the provider: %w", err)
	}
	client := s.external.client(found, redirect)
	address = client.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier))
	return address, base64.RawURLEncoding.EncodeToString(sealed), nil
}

// ReturnFromProvider ends it: answer is the query that the provider has sent the browser
// back with. It returns the session, and the path to return to. The error is of kind
// Unauthenticated where the provider, or what the browser kept, does not prove who it
// is, Forbidden for whoever has no level here, and Unavailable where the provider
// cannot be asked.
func (s *Service) ReturnFromProvider(
	ctx context.Context, redirect, kept string, answer url.Values, from audit.Origin,
) (session principal.Session, back string, err error) {
	if !s.OffersProvider() {
		return session, "", task.Errorf(task.NotFound, "", "nobody signs in at an identity provider here")
	}
	p, err := s.openPending(kept)
	if err != nil || answer.Get("state") != p.State {
		return session, "", refuse("the sign-in at the identity provider took too long, or was begun elsewhere: begin again")
	}
	if answer.Get("code") == "" {
		return session, p.Back, refuse("the identity provider has refused")
	}
	who, err := s.external.exchange(ctx, redirect, answer.Get("code"), p)
	if err != nil {
		if task.KindOf(err) == task.Unauthenticated {
			s.refusals.add("", "the identity provider does not say who it is", from)
		}
		return session, p.Back, err
	}
	if !who.User {
		return session, p.Back, task.Errorf(task.Forbidden, "user level", "%s has no user level here: --oidc-grant gives one", task.Abbreviate(who.Name))
	}
	if len(who.Scopes) == 0 { // scopes are for what acts in somebody's name; this is themselves
		who.Scopes = []principal.Scope{principal.AllScopes}
	}
	return s.startProviderSession(ctx, who, p.Back, from)
}

func (s *Service) startProviderSession(
	ctx context.Context, who *principal.Principal, back string, from audit.Origin,
) (session principal.Session, _ string, err error) {
	now := s.now()
	session = principal.Session{Principal: who, Expires: task.Millis(now.Add(s.session))}
	session.Token, err = s.sealSession(s.external.sessions(), sealedSession{Expires: session.Expires.UnixMilli(), User: who})
	if err != nil {
		return session, back, err
	}
	from.Actor, from.Client = who.Name, who.Client
	return session, back, s.store.AddAudit(ctx, []audit.Entry{{
		At: task.Millis(now), Origin: from, Action: audit.SessionStart, Object: who.Client, Words: "until " + task.FormatTime(session.Expires),
	}})
}

func (s *Service) openPending(kept string) (pending, error) {
	var p pending
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(kept)
	if err == nil {
		sealed, err = s.keyring.open(purposeSession, pendingLabel, sealed)
	}
	if err == nil {
		err = json.Unmarshal(sealed, &p)
	}
	if err == nil && s.now().UnixMilli() >= p.Expires {
		err = errors.New("it took too long")
	}
	return p, err
}

// sessions is what the sessions of the provider's users are sealed for: with other
// grants, what they were given is good no more.
func (e *external) sessions() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", e.issuer, e.SignIn.ID, e.Grants))
	return "oidc-" + hex.EncodeToString(sum[:8])
}

func (e *external) client(found *discovered, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: e.SignIn.ID, ClientSecret: e.SignIn.Secret, Endpoint: found.provider.Endpoint(), RedirectURL: redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// exchange returns whom a code stands for.
func (e *external) exchange(ctx context.Context, redirect, code string, p pending) (*principal.Principal, error) {
	found, err := e.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, e.direct)
	token, err := e.client(found, redirect).Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if _, refused := errors.AsType[*oauth2.RetrieveError](err); refused {
		return nil, refuseFor(err, "the identity provider does not take the code")
	}
	if err != nil {
		return nil, unavailable(err)
	}
	raw, _ := token.Extra("id_token").(string)
	verified, err := found.provider.Verifier(&oidc.Config{ClientID: e.SignIn.ID, Now: e.now}).Verify(ctx, raw)
	if _, unreachable := errors.AsType[*providerError](err); unreachable {
		return nil, unavailable(err)
	}
	if err != nil || verified.Nonce != p.Nonce {
		return nil, refuseFor(err, "the identity provider's ID token is not valid")
	}
	all := map[string]any{}
	if err := verified.Claims(&all); err != nil {
		return nil, refuseFor(err, "the identity provider's ID token cannot be read")
	}
	if err := e.addUserInfo(ctx, found, token, verified.Subject, all); err != nil {
		return nil, err
	}
	return e.principal(verified.Subject, all)
}

// addUserInfo adds what the provider tells of the user only where it is asked; what the
// ID token says counts more.
func (e *external) addUserInfo(ctx context.Context, found *discovered, token *oauth2.Token, subject string, all map[string]any) error {
	if found.provider.UserInfoEndpoint() == "" {
		return nil
	}
	info, err := found.provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return unavailable(err)
	}
	if info.Subject != subject {
		return refuse("the identity provider tells of somebody else")
	}
	more := map[string]any{}
	if err := info.Claims(&more); err != nil {
		return refuseFor(err, "what the identity provider tells of the user cannot be read")
	}
	maps.Copy(more, all)
	maps.Copy(all, more)
	return nil
}

// refuseFor is refuse with a reason for the log.
func refuseFor(err error, format string) error {
	refused := task.Errorf(task.Unauthenticated, "", "JWT validation failed: %s", format)
	refused.Err = err
	return refused
}

func random() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
