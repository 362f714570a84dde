package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

func from(address string) audit.Origin { return audit.Origin{Address: address, Agent: "guesser"} }

func TestSignInScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	all := b.client(t, func(c *principal.Client) { c.Scopes = []principal.Scope{principal.AllScopes} })
	for _, test := range []struct {
		client made
		asked  string
		want   []principal.Scope // nil is a refusal
		says   string
	}{
		{c, "", c.Scopes, ""},
		{c, " \t ", c.Scopes, ""},
		{c, "idn:sources:manage", []principal.Scope{principal.SourcesManage}, ""},
		{c, "idn:sources:manage  idn:task-management:read", []principal.Scope{principal.SourcesManage, principal.TasksRead}, ""},
		{c, strings.Repeat("idn:sources:manage ", 1000), []principal.Scope{principal.SourcesManage}, ""},
		{c, "idn:task-management:write", nil, "idn:task-management:write is not one of the client's: idn:task-management:read, idn:sources:manage"},
		{c, "sp:scopes:all", nil, "is not one of the client's"},
		{c, "IDN:SOURCES:MANAGE", nil, "is not a scope"},
		{c, "openid", nil, `"openid" is not a scope`},
		{all, "", []principal.Scope{principal.AllScopes}, ""},
		{all, "stint:audit:read", []principal.Scope{principal.AuditRead}, ""},
		{all, "everything", nil, "is not a scope"},
	} {
		grant, err := b.SignIn(t.Context(), string(test.client.ID), test.client.secret, test.asked, person())
		if test.want == nil {
			wantKind(t, err, task.IllegalValue)
			if !strings.Contains(err.Error(), test.says) || grant.AccessToken != "" {
				t.Errorf("%.50q: %v, want %q", test.asked, err, test.says)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%.50q: %v", test.asked, err)
		}
		if diff := cmp.Diff(test.want, grant.Scopes); diff != "" || grant.Lifetime != time.Hour {
			t.Errorf("%.50q, for %s (-want +got):\n%s", test.asked, grant.Lifetime, diff)
		}
		p, err := b.Bearer(t.Context(), grant.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, p.Scopes); diff != "" {
			t.Errorf("%.50q: the principal's (-want +got):\n%s", test.asked, diff)
		}
	}
}

func TestSignInIsNoted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	b.clock.Add(time.Minute)
	if _, err := b.SignIn(t.Context(), strings.ToUpper(string(c.ID)), c.secret, "idn:sources:manage", from("[::1]:5")); err != nil {
		t.Fatal(err)
	}
	found, err := b.Client(t.Context(), principal.PersonalAccessToken, c.ID)
	if err != nil || !found.LastUsed.Equal(b.clock.Now()) {
		t.Errorf("last used at %s, %v", found.LastUsed, err)
	}
	entries, err := b.sqlite.Audit(t.Context(), string(c.ID))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	want := audit.Entry{
		At: b.clock.Now(), Action: audit.TokenIssue, Object: string(c.ID), Words: "scope idn:sources:manage",
		Origin: audit.Origin{Actor: "u", Client: string(c.ID), Address: "[::1]:5", Agent: "guesser"},
	}
	if diff := cmp.Diff(want, entries[1]); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}

func TestSignInRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, other := b.client(t), b.client(t)
	var said string
	for name, pair := range map[string][2]string{
		"another's secret": {string(c.ID), other.secret},
		"no secret":        {string(c.ID), ""},
		"no id":            {"", c.secret},
		"swapped":          {c.secret, string(c.ID)},
		"unknown id":       {"00000000000000000000000000000000", c.secret},
		"no id at all":     {"admin", "admin"},
		"digest":           {string(c.ID), hex.EncodeToString(c.Digest)},
		"NUL":              {string(c.ID) + "\x00", c.secret},
	} {
		_, err := b.SignIn(t.Context(), pair[0], pair[1], "", from(name))
		wantKind(t, err, task.Unauthenticated)
		if said != "" && err.Error() != said {
			t.Errorf("%s: %v; another mistake: %s", name, err, said)
		}
		said = err.Error()
	}
	store := &faulty{Store: b.store}
	away := errors.New("away")
	store.fail(away)
	s := b.Service
	s.store = store
	if _, err := s.SignIn(t.Context(), string(c.ID), c.secret, "", person()); !errors.Is(err, away) {
		t.Errorf("got %v, want the store's error", err)
	}
}

// fails signs in with a wrong secret, and returns how long the caller has to wait.
func (b *bench) fails(tb testing.TB, c made, address string) time.Duration {
	tb.Helper()
	_, err := b.SignIn(tb.Context(), string(c.ID), "wrong", "", from(address))
	e, ok := errors.AsType[*task.Error](err)
	if !ok || (e.Kind != task.Unauthenticated && e.Kind != task.TooMany) {
		tb.Fatalf("got %v", err)
	}
	if (e.Kind == task.TooMany) != (e.RetryAfter > 0) {
		tb.Errorf("%v, after %s", e, e.RetryAfter)
	}
	return e.RetryAfter
}

func TestGuessesAreSlowedDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.client(t)
	const address = "192.0.2.1:1000"
	for i := range guessBurst {
		if wait := b.fails(t, c, fmt.Sprintf("192.0.2.1:%d", 1000+i)); wait != 0 {
			t.Fatalf("guess %d has to wait for %s", i+1, wait)
		}
	}
	for range 50 {
		if wait := b.fails(t, c, address); wait != guessEvery {
			t.Fatalf("wait %s, want %s", wait, guessEvery)
		}
		// Whoever knows the secret is not locked out by a stranger.
		if _, err := b.SignIn(t.Context(), string(c.ID), c.secret, "", from(address)); err != nil {
			t.Fatal(err)
		}
	}
	if wait := b.fails(t, c, "192.0.2.2:1"); wait != 0 {
		t.Errorf("another address has to wait for %s", wait)
	}
	b.clock.Add(guessEvery)
	if first, second := b.fails(t, c, address), b.fails(t, c, address); first != 0 || second == 0 {
		t.Errorf("after %s: %s and %s, want one more guess", guessEvery, first, second)
	}
	b.clock.Add(time.Hour)
	for i := range guessBurst {
		if wait := b.fails(t, c, address); wait != 0 {
			t.Fatalf("after an hour guess %d has to wait for %s", i+1, wait)
		}
	}
	if b.fails(t, c, address) == 0 {
		t.Error("an hour of silence is more than a full burst")
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1:80":              "192.0.2.1",
		"[::ffff:192.0.2.1]:80":     "192.0.2.1",
		"192.0.2.1":                 "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::/64",
		"[2001:db8:1:2::1]:443":     "2001:db8:1:2::/64",
		"2001:db8:1:2::1":           "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:443":     "2001:db8:1:3::/64",
		"[fe80::1%eth0]:80":         "fe80::/64",
		"":                          "",
		"@":                         "@",
	} {
		if got := networkOf(address); got != want {
			t.Errorf("%q is of %q, want %q", address, got, want)
		}
	}
}

func TestAddressesAreBounded(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := newGuesses(c.Now)
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255) }
	for i := range 3*maxAddresses + 5 {
		g.failed(address(i))
		if i%maxAddresses == maxAddresses/2 {
			c.Add(guessEvery) // those before are forgotten one by one
		}
		if n := len(g.byHost); n > maxAddresses {
			t.Fatalf("%d are remembered", n)
		}
	}
	// One that guesses on is not forgotten for those that have stopped.
	g = newGuesses(c.Now)
	for range guessBurst + 1 {
		g.failed("192.0.2.1:1")
	}
	for i := range maxAddresses - 1 {
		g.failed(address(i))
	}
	c.Add(guessEvery)
	g.failed("192.0.2.1:1")
	g.failed(address(maxAddresses))
	if g.failed("192.0.2.1:1") == 0 {
		t.Error("who guesses on was forgotten")
	}
}
