package auth

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

func (b *bench) begin(tb testing.TB, c made) principal.Session {
	tb.Helper()
	session, err := b.StartSession(tb.Context(), string(c.ID), c.secret, person())
	if err != nil {
		tb.Fatal(err)
	}
	return session
}

func TestSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	session := b.begin(t, c)
	if want := b.clock.Now().Add(time.Hour); !session.Expires.Equal(want) {
		t.Errorf("it expires at %s, want %s", session.Expires, want)
	}
	found, err := b.Session(t.Context(), session.Token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(session, found); diff != "" {
		t.Errorf("begun and found (-begun +found):\n%s", diff)
	}
	entries, err := b.sqlite.Audit(t.Context(), string(c.ID))
	if err != nil || len(entries) != 2 || entries[1].Action != audit.SessionStart || entries[1].Origin.Actor != "u" {
		t.Errorf("the audit: %+v, %v", entries, err)
	}
	// Another process with the key file knows it, too; one with another does not.
	other := b.service(t, openStore(t, b.db, true))
	if _, err := other.Session(t.Context(), session.Token); err != nil {
		t.Errorf("another process: %v", err)
	}
	other.keyring = someKeyring(t, 2)
	_, err = other.Session(t.Context(), session.Token)
	wantKind(t, err, task.Unauthenticated)
}

func TestSessionForged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.begin(t, b.client(t)).Token
	_, text, _ := strings.Cut(token, ".")
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		sealed[i] ^= 1
		_, err := b.Session(t.Context(), "client."+base64.RawURLEncoding.EncodeToString(sealed))
		wantKind(t, err, task.Unauthenticated)
		sealed[i] ^= 1
	}
	for _, bad := range []string{"", ".", "client", "client.", text, "oidc." + text, token + "=", token + "A"} {
		_, err := b.Session(t.Context(), bad)
		wantKind(t, err, task.Unauthenticated)
	}
}

func TestSessionIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	soon := b.clock.Now().Add(10 * time.Minute)
	revoked, rotated, short := b.client(t), b.client(t), b.client(t, func(c *principal.Client) { c.Expires = soon })
	ended := []principal.Session{b.begin(t, revoked), b.begin(t, rotated)}
	limited, lasting := b.begin(t, short), b.begin(t, b.client(t))
	if !limited.Expires.Equal(soon) {
		t.Errorf("it outlives its client: %s", limited.Expires)
	}
	if _, err := b.Revoke(t.Context(), principal.PersonalAccessToken, revoked.ID, "", person()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Rotate(t.Context(), principal.PersonalAccessToken, rotated.ID, "", person()); err != nil {
		t.Fatal(err)
	}
	for _, session := range ended {
		_, err := b.Session(t.Context(), session.Token)
		wantKind(t, err, task.Unauthenticated)
	}
	b.clock.Add(10 * time.Minute)
	_, err := b.Session(t.Context(), limited.Token)
	wantKind(t, err, task.Unauthenticated)
	if _, err := b.Session(t.Context(), lasting.Token); err != nil {
		t.Error(err)
	}
	b.clock.Add(50 * time.Minute)
	_, err = b.Session(t.Context(), lasting.Token)
	wantKind(t, err, task.Unauthenticated)
}
