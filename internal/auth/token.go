package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"stint/internal/principal"
	"stint/internal/task"
)

// maxToken is the longest token that is looked at.
const maxToken = 8 << 10

// tokenType is that of an access token (RFC 9068, section 2.1), so that another
// token under the same keys is none.
const tokenType = "at+jwt"

// claims are those of an access token beside the registered ones.
type claims struct {
	jwt.Claims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// refuse is the error of a token that is not trusted. The words follow the
// original's.
func refuse(format string, args ...any) error {
	return task.Errorf(task.Unauthenticated, "", "JWT validation failed: "+format, args...)
}

// issue signs an access token for a client.
func (s *Service) issue(ctx context.Context, c *principal.Client, scopes []principal.Scope) (string, error) {
	key, err := s.keys.current(ctx)
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}},
		(&jose.SignerOptions{}).WithType(tokenType))
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	now := s.now()
	p := c.Principal()
	token, err := jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: s.issuer, Subject: p.Name, Audience: jwt.Audience{s.issuer}, ID: hex.EncodeToString(id[:]),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(s.lifetime)),
		},
		ClientID: string(c.ID), Scope: joinScopes(scopes),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return token, nil
}

// Bearer returns whom an access token stands for. The error is of kind
// Unauthenticated where it is not trusted.
func (s *Service) Bearer(ctx context.Context, token string) (*principal.Principal, error) {
	if len(token) > maxToken {
		return nil, refuse("the token has %d bytes: at most %d", len(token), maxToken)
	}
	sum := sha256.Sum256([]byte(token))
	if known, ok := s.verified.find(sum, s.now()); ok {
		return s.holder(ctx, known)
	}
	// Read before it is verified, only to know who should have signed it.
	issuer, err := issuerOf(token)
	if err != nil {
		return nil, err
	}
	if s.external != nil && issuer == s.external.issuer {
		return s.external.bearer(ctx, token)
	}
	if issuer != s.issuer {
		return nil, refuse("it is from another issuer")
	}
	good, err := s.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	s.verified.add(sum, good)
	return s.holder(ctx, good)
}

// StillLive refuses a principal whose client was revoked, or has expired, since
// Bearer returned it.
func (s *Service) StillLive(ctx context.Context, p *principal.Principal) error {
	id, ok := task.ParseID(p.Client)
	if !ok {
		return nil // an identity provider's, whose tokens say all there is
	}
	client, err := s.clients.get(ctx, id)
	if err == nil && !client.Live(s.now()) {
		err = refuse("its client was revoked or has expired")
	}
	return err
}

// issuerOf reads the issuer of a token without verifying anything.
func issuerOf(token string) (string, error) {
	parsed, err := jwt.ParseSigned(token, acceptedAlgorithms())
	if err != nil {
		if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
			return "", refuse("its algorithm is not accepted")
		}
		return "", refuse("JWT is malformed")
	}
	var c jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&c); err != nil {
		return "", refuse("JWT is malformed")
	}
	return c.Issuer, nil
}

// verify verifies a token of Stint's own.
func (s *Service) verify(ctx context.Context, token string) (verifiedToken, error) {
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{algorithm})
	if err != nil {
		return verifiedToken{}, refuse("its algorithm is not accepted")
	}
	header := parsed.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !strings.EqualFold(typ, tokenType) {
		return verifiedToken{}, refuse("it is no access token")
	}
	key, err := s.keys.find(ctx, header.KeyID)
	if err != nil {
		return verifiedToken{}, err
	}
	var c claims
	if err := parsed.Claims(key, &c); err != nil {
		return verifiedToken{}, refuse("JWT signature is not valid")
	}
	if err := checkClaims(&c.Claims, s.issuer, s.issuer, s.now()); err != nil {
		return verifiedToken{}, err
	}
	return verifiedToken{client: c.ClientID, scope: c.Scope, until: c.Expiry.Time()}, nil
}

// holder returns whom a token stands for, as its client is now.
func (s *Service) holder(ctx context.Context, t verifiedToken) (*principal.Principal, error) {
	client, err := s.clients.get(ctx, task.ID(t.client))
	if task.KindOf(err) == task.NotFound {
		return nil, refuse("its client does not exist any more")
	}
	if err != nil {
		return nil, err
	}
	if !client.Live(s.now()) {
		return nil, refuse("its client was revoked or has expired")
	}
	p := client.Principal()
	p.Scopes = within(splitScopes(t.scope), client.Scopes)
	return p, nil
}

// checkClaims requires what a token of an issuer must have. Its expiry is no
// option, and the clocks may differ a little.
func checkClaims(c *jwt.Claims, issuer, audience string, now time.Time) error {
	if c.Expiry == nil {
		return refuse("JWT has no expiry")
	}
	err := c.ValidateWithLeeway(jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{audience}, Time: now}, leeway)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrExpired):
		return refuse("JWT is expired")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return refuse("JWT is not valid yet")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return refuse("it is for another audience")
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return refuse("it is from another issuer")
	}
	return refuse("JWT is not valid")
}

func joinScopes(scopes []principal.Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

func splitScopes(s string) []principal.Scope {
	var scopes []principal.Scope
	for _, word := range strings.Fields(s) {
		scopes = append(scopes, principal.Scope(word))
	}
	return scopes
}

// within keeps the scopes that a client has now: fewer than when the token was
// made, perhaps.
func within(scopes, has []principal.Scope) []principal.Scope {
	if slices.Contains(has, principal.AllScopes) {
		return scopes
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(s principal.Scope) bool { return !slices.Contains(has, s) })
}
