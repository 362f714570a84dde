package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

// MaxSession is the longest that a session of the console may last.
const MaxSession = 7 * 24 * time.Hour

// sessionLabel is what the token of a client's session is sealed for, so that none of
// an identity provider's user is taken for one.
const sessionLabel = "client"

// sealedSession is what the token of a session holds. It is sealed, so that any
// process with the key file reads it and nobody else does; nothing is stored.
type sealedSession struct {
	Expires int64 `json:"expires"` // in milliseconds since 1970
	// Client is whose it is; Mark tells which of its secrets began it, so that
	// another secret ends it.
	Client string `json:"client,omitempty"`
	Mark   []byte `json:"mark,omitempty"`
	// User is whom an identity provider knows, where there is no client.
	User *principal.Principal `json:"user,omitempty"`
}

// StartSession begins a session for a client, with all of its scopes. The errors
// are those of SignIn.
func (s *Service) StartSession(ctx context.Context, id, secret string, from audit.Origin) (principal.Session, error) {
	now := s.now()
	c, err := s.admitted(ctx, id, secret, now, from)
	if err != nil {
		return principal.Session{}, err
	}
	begun := principal.Session{Principal: c.Principal(), Expires: task.Millis(now.Add(s.session))}
	if !c.Expires.IsZero() && c.Expires.Before(begun.Expires) {
		begun.Expires = c.Expires
	}
	begun.Token, err = s.sealSession(sessionLabel, sealedSession{
		Expires: begun.Expires.UnixMilli(), Client: string(c.ID), Mark: s.secretMark(&c),
	})
	if err != nil {
		return principal.Session{}, err
	}
	from.Actor, from.Client = begun.Principal.Name, string(c.ID)
	at := task.Millis(now)
	return begun, s.store.SignedIn(ctx, c.ID, at, audit.Entry{
		At: at, Origin: from, Action: audit.SessionStart, Object: string(c.ID), Words: "until " + task.FormatTime(begun.Expires),
	})
}

// Session returns whose a session is, as they are now. The error is of kind
// Unauthenticated where it is over: it has expired, its client was revoked or has
// another secret.
func (s *Service) Session(ctx context.Context, token string) (principal.Session, error) {
	if len(token) > maxToken {
		return principal.Session{}, refuse("the session has %d bytes: at most %d", len(token), maxToken)
	}
	label, text, _ := strings.Cut(token, ".")
	known, err := s.openSession(label, text)
	if err != nil {
		return principal.Session{}, err
	}
	begun := principal.Session{Token: token, Principal: known.User, Expires: time.UnixMilli(known.Expires).UTC()}
	if !s.now().Before(begun.Expires) {
		return principal.Session{}, refuse("the session has expired: sign in again")
	}
	if begun.Principal != nil {
		return begun, nil
	}
	c, err := s.clients.get(ctx, task.ID(known.Client))
	if task.KindOf(err) == task.NotFound {
		return principal.Session{}, refuse("its client does not exist any more")
	}
	if err != nil {
		return principal.Session{}, err
	}
	if !c.Live(s.now()) {
		return principal.Session{}, refuse("its client was revoked or has expired")
	}
	if !hmac.Equal(s.secretMark(&c), known.Mark) {
		return principal.Session{}, refuse("its client has another secret now: sign in again")
	}
	begun.Principal = c.Principal()
	return begun, nil
}

// secretMark tells the secrets of a client apart, and says nothing about them.
func (s *Service) secretMark(c *principal.Client) []byte {
	mac := hmac.New(sha256.New, s.keyring.Derive(purposeSession))
	mac.Write(c.Digest)
	return mac.Sum(nil)[:16]
}

func (s *Service) sealSession(label string, v sealedSession) (string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	sealed, err := s.keyring.seal(purposeSession, label, text)
	if err != nil {
		return "", fmt.Errorf("begin a session: %w", err)
	}
	return label + "." + base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (s *Service) openSession(label, text string) (sealedSession, error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil {
		sealed, err = s.keyring.open(purposeSession, label, sealed)
	}
	var v sealedSession
	if err == nil {
		err = json.Unmarshal(sealed, &v)
	}
	if err != nil || label != sessionLabel && (s.external == nil || label != s.external.sessions()) {
		return v, refuse("the session is not valid: sign in again")
	}
	return v, nil
}
