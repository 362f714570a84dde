package auth

import (
	"context"
	"slices"
	"strings"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

// SignIn gives a client an access token for some of its scopes (all where none is
// asked for). The error is of kind Unauthenticated where id and secret do not
// belong together, TooMany where that was tried too often from the address, and
// IllegalValue about "scope".
func (s *Service) SignIn(ctx context.Context, id, secret, scope string, from audit.Origin) (principal.Grant, error) {
	now := s.now()
	c, err := s.admitted(ctx, id, secret, now, from)
	if err != nil {
		return principal.Grant{}, err
	}
	scopes, err := narrowed(scope, c.Scopes)
	if err != nil {
		return principal.Grant{}, err
	}
	token, err := s.issue(ctx, &c, scopes)
	if err != nil {
		return principal.Grant{}, err
	}
	from.Actor, from.Client = c.Principal().Name, string(c.ID)
	at := task.Millis(now)
	err = s.store.SignedIn(ctx, c.ID, at, audit.Entry{
		At: at, Origin: from, Action: audit.TokenIssue, Object: string(c.ID), Words: "scope " + joinScopes(scopes),
	})
	return principal.Grant{AccessToken: token, Lifetime: s.lifetime, Scopes: scopes}, err
}

// admitted returns the client that an id and its secret belong to.
func (s *Service) admitted(ctx context.Context, id, secret string, now time.Time, from audit.Origin) (principal.Client, error) {
	c, known, err := s.clientOf(ctx, id)
	if err != nil {
		return c, err
	}
	if !s.keyring.matches(secret, c.Digest) || !known {
		return c, s.refused(id, "its id and secret do not belong together", from)
	}
	if !c.Live(now) {
		return c, s.refused(id, "it was revoked or has expired", from)
	}
	return c, nil
}

// clientOf reads a client afresh: a new secret is good at once, an old one at once
// no more.
func (s *Service) clientOf(ctx context.Context, given string) (c principal.Client, known bool, err error) {
	id, ok := task.ParseID(given)
	if !ok {
		return c, false, nil
	}
	c, err = s.store.Client(ctx, id)
	if task.KindOf(err) == task.NotFound {
		err = nil
	} else {
		known = err == nil
	}
	return c, known, err
}

// refused notes a refusal. Whoever guesses too often is told to wait; a secret
// that is right is never refused for that, or a stranger could lock a client out.
func (s *Service) refused(id, why string, from audit.Origin) error {
	wait := s.guesses.failed(from.Address)
	s.refusals.add(id, why, from)
	if wait > 0 {
		return &task.Error{
			Kind: task.TooMany, Msg: "too many failed sign-ins from " + host(from.Address), RetryAfter: wait,
		}
	}
	return task.Errorf(task.Unauthenticated, "", "the client was refused: %s", why)
}

// narrowed returns the scopes that were asked for, of those that a client has.
func narrowed(asked string, has []principal.Scope) ([]principal.Scope, error) {
	if strings.TrimSpace(asked) == "" {
		return has, nil
	}
	var scopes []principal.Scope
	for _, word := range strings.Fields(asked) {
		scope, ok := principal.ParseScope(word)
		if !ok {
			return nil, task.Errorf(task.IllegalValue, "scope", "%q is not a scope: %s", task.Abbreviate(word), principal.List(principal.Scopes()))
		}
		if !slices.Contains(has, scope) && !slices.Contains(has, principal.AllScopes) {
			return nil, task.Errorf(task.IllegalValue, "scope", "%s is not one of the client's: %s", scope, principal.List(has))
		}
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}
