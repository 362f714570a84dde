package auth

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

func (b *bench) rotate(tb testing.TB) principal.SigningKey {
	tb.Helper()
	key, err := RotateKeys(tb.Context(), b.store, b.keyring, b.clock.Now(), person())
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func kid(tb testing.TB, token string) string {
	tb.Helper()
	header, _ := decoded(tb, token)
	id, _ := header["kid"].(string)
	return id
}

func publicKeys(tb testing.TB, s *Service) []string {
	tb.Helper()
	text, err := s.PublicKeys(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		tb.Fatal(err)
	}
	var ids []string
	for _, key := range set.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

func TestRotationLeavesTokensGood(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.lifetime = MaxLifetime
	far := b.service(t, b.store) // another process
	far.lifetime = MaxLifetime
	c := b.client(t)
	old := b.signIn(t, c)
	if _, err := far.Bearer(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	farKey, err := far.keys.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := b.rotate(t)

	// Each process signs with the new key before the keys that it knows are too old,
	// and knows it two seconds after it was made.
	b.clock.Add(keysRest)
	signer := b.service(t, b.store)
	fresh, err := signer.SignIn(t.Context(), string(c.ID), c.secret, "", person())
	if err != nil || kid(t, fresh.AccessToken) != key.ID {
		t.Fatalf("a new process signs with %s, %v; want %s", kid(t, fresh.AccessToken), err, key.ID)
	}
	for name, token := range map[string]string{"old": old, "new": fresh.AccessToken} {
		for _, s := range []*Service{b.Service, far, signer} {
			if _, err := s.Bearer(t.Context(), token); err != nil {
				t.Errorf("the %s token: %v", name, err)
			}
		}
	}
	if ids := publicKeys(t, far); len(ids) != 2 || ids[0] != key.ID || ids[1] != farKey.id {
		t.Errorf("published are %v", ids)
	}
	b.clock.Add(keysAge)
	if late := b.signIn(t, c); kid(t, late) != key.ID {
		t.Error("the old key signs after half a minute")
	}

	// A process that read the keys just before signs with the old one for half a
	// minute; that token must live as long as any.
	stale := b.service(t, b.store)
	if _, err := stale.keys.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	newest := b.rotate(t)
	b.clock.Add(keysAge - time.Millisecond)
	stale.lifetime = MaxLifetime
	last, err := stale.SignIn(t.Context(), string(c.ID), c.secret, "", person())
	if err != nil || kid(t, last.AccessToken) != key.ID {
		t.Fatalf("signed with %s, %v; want the old key %s", kid(t, last.AccessToken), err, key.ID)
	}
	b.clock.Add(MaxLifetime + leeway - time.Second)
	if _, err := b.service(t, b.store).Bearer(t.Context(), last.AccessToken); err != nil {
		t.Errorf("the last token of the old key, before its end: %v", err)
	}

	// Then nothing that it signed can be good, whatever it says.
	f := &forger{bench: b, kid: key.ID}
	f.header, f.claims = decoded(t, last.AccessToken)
	stored, err := b.store.SigningKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stored {
		if unsealed, err := b.keyring.unseal(s); err == nil && s.ID == key.ID {
			f.key = unsealed.private
		}
	}
	b.clock.Add(2 * time.Second)
	_, err = b.service(t, b.store).Bearer(t.Context(), f.signed(t, "exp", b.clock.Now().Add(time.Hour).Unix()))
	wantKind(t, err, task.Unauthenticated)
	if ids := publicKeys(t, b.service(t, b.store)); len(ids) != 1 || ids[0] != newest.ID {
		t.Errorf("published are %v, want %s alone", ids, newest.ID)
	}
	// The next rotation deletes it.
	b.rotate(t)
	if stored, err := b.store.SigningKeys(t.Context()); err != nil || len(stored) != 2 || stored[1].ID != newest.ID {
		t.Errorf("%d keys are stored, %v", len(stored), err)
	}
}

func TestRotationIsAudited(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	key := b.rotate(t)
	entries, err := b.sqlite.Audit(t.Context(), key.ID)
	if err != nil || len(entries) != 1 || entries[0].Action != audit.KeyRotate || entries[0].Origin.Actor != "p" {
		t.Errorf("audit: %+v, %v", entries, err)
	}
}

func TestFirstKeyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if first, err := b.store.SigningKeys(t.Context()); err != nil || len(first) != 1 {
		t.Fatalf("%d keys, %v", len(first), err)
	}
	// Two processes, each with several goroutines, on a database without a key.
	path := b.db + ".other"
	stores := []Store{openStore(t, path, false), openStore(t, path, true)}
	var wg sync.WaitGroup
	tokens := make([]string, 20)
	services := make([]*Service, len(tokens))
	for i := range tokens {
		wg.Go(func() {
			s, err := NewService(t.Context(), Options{
				Store: stores[i%2], Keyring: b.keyring, Issuer: issuer, Lifetime: time.Hour, Now: b.clock.Now,
			})
			if err != nil {
				t.Errorf("start: %v", err)
				return
			}
			services[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	c, secret, err := services[0].CreateClient(t.Context(), principal.Client{
		Sort: principal.Application, Name: "n", Scopes: []principal.Scope{principal.TasksRead},
	}, "", person())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range services {
		grant, err := s.SignIn(t.Context(), string(c.ID), secret, "", person())
		if err != nil {
			t.Fatal(err)
		}
		tokens[i] = kid(t, grant.AccessToken)
		if tokens[i] != tokens[0] {
			t.Errorf("there are two keys that sign: %s and %s", tokens[i], tokens[0])
		}
	}
	if stored, err := stores[1].SigningKeys(t.Context()); err != nil || len(stored) != 1 {
		t.Errorf("%d keys, %v", len(stored), err)
	}
}

// Whoever sends tokens with keys that nobody knows must not make us read the store
// each time.
func TestUnknownKeysAreNotLookedUpEachTime(t *testing.T) {
	t.Parallel()
	f := newForger(t)
	store := &faulty{Store: f.store}
	s := f.service(t, store)
	_, err := s.Bearer(t.Context(), f.signed(t, "@kid", "0000000000000000"))
	wantKind(t, err, task.Unauthenticated)
	store.fail(errors.New("asked again"))
	for range 100 {
		_, err := s.Bearer(t.Context(), f.signed(t, "@kid", "0000000000000001"))
		wantKind(t, err, task.Unauthenticated)
	}
	f.clock.Add(keysRest)
	if _, err := s.Bearer(t.Context(), f.signed(t, "@kid", "0000000000000002")); err == nil || task.KindOf(err) == task.Unauthenticated {
		t.Errorf("after two seconds: %v, want the store's error", err)
	}
}

func TestKeysThatAreNotOurs(t *testing.T) {
	t.Parallel()
	k := someKeyring(t, 1)
	for name, text := range map[string]string{"no key": "x", "empty": ""} {
		sealed, err := k.seal(purposeSigning, "id", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.unseal(principal.SigningKey{ID: "id", Sealed: sealed}); err == nil || errors.Is(err, ErrOtherKeyFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.unseal(principal.SigningKey{ID: "id", Sealed: []byte("short")}); !errors.Is(err, ErrOtherKeyFile) {
		t.Errorf("short: %v", err)
	}
}
