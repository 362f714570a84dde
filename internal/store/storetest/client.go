package storetest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/task"
)

// Clients is what signing in asks of storage.
type Clients interface {
	// CreateClient stores a new client and its entry together; Conflict where the id
	// is taken.
	CreateClient(ctx context.Context, c principal.Client, entry audit.Entry) error
	// Client returns a client, revoked or not; else NotFound.
	Client(ctx context.Context, id task.ID) (principal.Client, error)
	// ListClients returns a page of the clients of a sort, and how many there are in
	// all where the page asks for it, else -1.
	ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error)
	// UpdateClient writes digest, modification and revocation as fn makes them, with
	// the entry, if there is one; without, nothing.
	UpdateClient(ctx context.Context, id task.ID,
		fn func(principal.Client) (principal.Client, *audit.Entry, error)) (principal.Client, error)
	// SignedIn notes when a client was used, with its entry.
	SignedIn(ctx context.Context, id task.ID, at time.Time, entry audit.Entry) error
	// AnyClient tells whether a client was ever made.
	AnyClient(ctx context.Context) (bool, error)
	// AddAudit stores all entries or none.
	AddAudit(ctx context.Context, entries []audit.Entry) error
	// SigningKeys returns the newest first.
	SigningKeys(ctx context.Context) ([]principal.SigningKey, error)
	// AddSigningKey retires the others as of the new one's creation, and deletes those
	// retired before a time, with its entry. With first set it does nothing where
	// there is a key.
	AddSigningKey(ctx context.Context, k principal.SigningKey, first bool, before time.Time, entry audit.Entry) error
}

// clientOf returns the n-th client, with every field set that a new one can have.
func clientOf(n int) principal.Client {
	at := start().Add(time.Duration(n) * time.Millisecond)
	return principal.Client{
		ID: idOf(n), Sort: principal.PersonalAccessToken, Name: fmt.Sprintf("Client %d É\u2028", n), User: "Zoë",
		Levels: []principal.Level{principal.SourceSubadmin, principal.Helpdesk}, Scopes: []principal.Scope{principal.TasksRead, principal.AllScopes},
		Sources: []string{"a source", "É"}, Digest: bytes.Repeat([]byte{0, byte(n)}, 16), Created: at, Modified: at, Expires: at.Add(time.Hour),
	}
}

func clientEntry(c principal.Client, action audit.Action) audit.Entry {
	return audit.Entry{
		At: c.Created, Origin: audit.Origin{Actor: "tester", Client: string(idOf(77))}, Action: action, Object: string(c.ID),
		After: json.RawMessage(`{}`),
	}
}

func createClient(tb testing.TB, s Store, c principal.Client) principal.Client {
	tb.Helper()
	if err := s.CreateClient(tb.Context(), c, clientEntry(c, audit.ClientCreate)); err != nil {
		tb.Fatalf("create client %s: %v", c.ID, err)
	}
	return c
}

// wantClient reads a client in each way that there is.
func wantClient(tb testing.TB, s Store, want principal.Client) {
	tb.Helper()
	got, err := s.Client(tb.Context(), want.ID)
	if err != nil {
		tb.Fatalf("get client %s: %v", want.ID, err)
	}
	page := query.Page{Limit: 1, Sort: byName(), Filter: query.Compare{Field: query.FieldID, Values: []string{string(want.ID)}}}
	listed, _, err := s.ListClients(tb.Context(), want.Sort, page)
	if err != nil || len(listed) != 1 {
		tb.Fatalf("list client %s: %d, %v", want.ID, len(listed), err)
	}
	seen, err := s.UpdateClient(tb.Context(), want.ID, func(c principal.Client) (principal.Client, *audit.Entry, error) { return c, nil, nil })
	if err != nil {
		tb.Fatalf("update client %s: %v", want.ID, err)
	}
	for how, got := range map[string]principal.Client{"got": got, "listed": listed[0], "in a write": seen} {
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			tb.Errorf("client %s, %s (-want +got):\n%s", want.ID, how, diff)
		}
	}
}

func testClientKeepsEveryField(t trial) {
	s := t.store
	anyClient := func(want bool) {
		t.Helper()
		if got, err := s.AnyClient(t.Context()); err != nil || got != want {
			t.Errorf("any client: %v, %v; want %v", got, err, want)
		}
	}
	anyClient(false)
	full := createClient(t, s, clientOf(1))
	anyClient(true)
	wantClient(t, s, full)
	least := principal.Client{
		ID: idOf(2), Sort: principal.Application, Name: "a", Scopes: []principal.Scope{principal.TasksRead}, Digest: []byte{1},
		Created: start(), Modified: start(),
	}
	wantClient(t, s, createClient(t, s, least))
	if diff := gocmp.Diff([]audit.Entry{clientEntry(full, audit.ClientCreate)}, entries(t, s, string(full.ID)), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	// Names are no keys; ids are.
	twin := clientOf(3)
	twin.Name = full.Name
	wantClient(t, s, createClient(t, s, twin))
	again := clientOf(1)
	if err := s.CreateClient(t.Context(), again, clientEntry(again, audit.ClientRevoke)); task.KindOf(err) != task.Conflict {
		t.Error("an id was given out twice")
	}
	if got := actions(entries(t, s, string(full.ID))); got != "client.create" {
		t.Errorf("the audit is %q", got)
	}
	for _, id := range []task.ID{idOf(9), "", "abc", "zz000000000000000000000000000000"} {
		_, err := s.Client(t.Context(), id)
		_ = wantKind(t, err, task.NotFound)
	}
}

func testClientUpdate(t trial) {
	s := t.store
	before, other := createClient(t, s, clientOf(1)), createClient(t, s, clientOf(2))
	want := before
	want.Digest, want.Modified, want.Revoked = []byte("another"), before.Modified.Add(time.Minute), before.Modified.Add(time.Minute)
	entry := clientEntry(before, audit.ClientRotate)
	stored, err := s.UpdateClient(t.Context(), before.ID, func(c principal.Client) (principal.Client, *audit.Entry, error) {
		if diff := gocmp.Diff(before, c, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("what the update sees (-want +got):\n%s", diff)
		}
		changed := clientOf(8) // what never changes, whatever is asked
		changed.Digest, changed.Modified, changed.Revoked = want.Digest, want.Modified, want.Revoked
		changed.Scopes, changed.LastUsed = []principal.Scope{principal.AllScopes}, start()
		return changed, &entry, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, stored, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("answer of update (-want +got):\n%s", diff)
	}
	wantClient(t, s, want)
	wantClient(t, s, other)

	mistake := errors.New("mistake")
	for _, failure := range []error{task.Errorf(task.Conflict, "", "no"), mistake} {
		_, err := s.UpdateClient(t.Context(), before.ID, func(c principal.Client) (principal.Client, *audit.Entry, error) {
			c.Revoked = time.Time{}
			return c, &entry, failure
		})
		if !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
	}
	unnoted, err := s.UpdateClient(t.Context(), before.ID, func(c principal.Client) (principal.Client, *audit.Entry, error) {
		c.Revoked, c.Digest = time.Time{}, []byte("x")
		return c, nil, nil
	})
	if err != nil || unnoted.Revoked.IsZero() {
		t.Errorf("without an entry: %+v, %v", unnoted, err)
	}
	_, err = s.UpdateClient(t.Context(), idOf(9), func(c principal.Client) (principal.Client, *audit.Entry, error) {
		t.Errorf("called for %s", c.ID)
		return c, nil, nil
	})
	_ = wantKind(t, err, task.NotFound)

	used := want.Modified.Add(time.Hour)
	if err := s.SignedIn(t.Context(), before.ID, used, clientEntry(before, audit.TokenIssue)); err != nil {
		t.Fatal(err)
	}
	want.LastUsed = used
	wantClient(t, s, want)
	wantClient(t, s, other)
	if got := actions(entries(t, s, string(before.ID))); got != "client.create client.rotate token.issue" {
		t.Errorf("the audit is %q", got)
	}
}

func testClientUpdatesAtOnce(t trial) {
	s := t.store
	c := createClient(t, s, clientOf(1))
	const callers = 20
	errs := make(chan error, callers)
	for range callers {
		go func() {
			_, err := s.UpdateClient(t.Context(), c.ID, func(c principal.Client) (principal.Client, *audit.Entry, error) {
				c.Modified = c.Modified.Add(time.Second)
				entry := clientEntry(c, audit.ClientRotate)
				return c, &entry, nil
			})
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	c.Modified = c.Modified.Add(callers * time.Second)
	wantClient(t, s, c)
	if n := len(entries(t, s, string(c.ID))); n != callers+1 {
		t.Errorf("%d entries, want %d", n, callers+1)
	}
}

// testClientList compares pages with what plain sorting and query.Match make of
// the same clients.
func testClientList(t trial) {
	s := t.store
	names := []string{"HR", "hr", "Hr1", "É", "é", "a", "B", "_", "[", "%", `"`, `\`, "'", "Straße", "STRASSE", "K", "\u212a"}
	var all []principal.Client
	for i, name := range names {
		c := clientOf(len(names) - i)
		c.Name, c.User = name, names[(i*5)%7]
		if i%3 == 0 {
			c.Sort, c.User, c.Levels, c.Sources = principal.Application, "", nil, nil
		}
		c.Created = start().Add(time.Duration(i/4) * time.Second) // most share it with others
		c.Modified = c.Created
		all = append(all, createClient(t, s, c))
	}
	check := func(tb rapid.TB, sort principal.Sort, page query.Page) {
		tb.Helper()
		want := sortedClients(all, sort, page)
		listed, total, err := s.ListClients(t.Context(), sort, page)
		if err != nil {
			tb.Fatalf("%v: %v", page, err)
		}
		if wantTotal := int64(len(want)); page.Count && total != wantTotal || !page.Count && total != -1 {
			tb.Fatalf("%v: the count is %d, want %d", page, total, wantTotal)
		}
		from := min(page.Offset, len(want))
		want = want[from:min(from+page.Limit, len(want))]
		if diff := gocmp.Diff(want, listed, cmpopts.EquateEmpty()); diff != "" {
			tb.Fatalf("%v (-want +got):\n%s", page, diff)
		}
	}
	sorts := []principal.Sort{principal.PersonalAccessToken, principal.Application}
	for _, sort := range sorts {
		for _, down := range []bool{false, true} {
			check(t, sort, query.Page{Limit: len(all), Sort: []query.Sorter{
				{Field: query.FieldCreated}, {Field: query.FieldName, Desc: down},
			}})
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		check(r, rapid.SampledFrom(sorts).Draw(r, "sort"), query.Page{
			Limit: rapid.IntRange(0, 20).Draw(r, "limit"), Offset: rapid.IntRange(0, 20).Draw(r, "offset"),
			Count: rapid.Bool().Draw(r, "count"), Sort: drawSourceSort(r), Filter: drawClientFilter(r, all, 3),
		})
	})
}

func sortedClients(all []principal.Client, sort principal.Sort, page query.Page) []principal.Client {
	var found []principal.Client
	for i := range all {
		if all[i].Sort == sort && (page.Filter == nil || query.Match(page.Filter, query.ClientValues(&all[i]))) {
			found = append(found, all[i])
		}
	}
	slices.SortFunc(found, func(a, b principal.Client) int {
		for _, by := range append(page.Sort, query.Sorter{Field: query.FieldID, Desc: page.Sort[len(page.Sort)-1].Desc}) {
			var c int
			switch by.Field {
			case query.FieldName:
				c = cmp.Compare(task.LowerASCII(a.Name), task.LowerASCII(b.Name))
			case query.FieldCreated:
				c = a.Created.Compare(b.Created)
			default:
				c = cmp.Compare(a.ID, b.ID)
			}
			if by.Desc {
				c = -c
			}
			if c != 0 {
				return c
			}
		}
		return 0
	})
	return found
}

func drawClientFilter(t *rapid.T, all []principal.Client, depth int) query.Expr {
	shape := rapid.IntRange(0, 5).Draw(t, "shape")
	if depth == 0 {
		shape %= 3
	}
	one := func(what string) principal.Client { return rapid.SampledFrom(all).Draw(t, what) }
	switch shape {
	case 0:
		if depth == 3 {
			return nil
		}
		return query.Compare{Field: query.FieldID, Values: []string{string(one("id").ID), "no id", string(one("id").ID)}}
	case 1, 2:
		field := rapid.SampledFrom([]query.Field{query.FieldName, query.FieldUser}).Draw(t, "field")
		values := []string{"unknown"}
		for range rapid.IntRange(1, 4).Draw(t, "values") {
			name := one("name").Name
			values = append(values, rapid.SampledFrom([]string{name, strings.ToUpper(name), strings.ToLower(name)}).Draw(t, "case"))
		}
		return query.Compare{Field: field, Values: values}
	case 3:
		return query.Not{Term: drawClientFilter(t, all, min(depth-1, 2))}
	}
	terms := make([]query.Expr, rapid.IntRange(2, 3).Draw(t, "terms"))
	for i := range terms {
		terms[i] = drawClientFilter(t, all, min(depth-1, 2))
	}
	if shape == 4 {
		return query.And{Terms: terms}
	}
	return query.Or{Terms: terms}
}

// keyOf returns the n-th signing key.
func keyOf(n int) principal.SigningKey {
	return principal.SigningKey{ID: fmt.Sprintf("key %d", n), Created: start().Add(time.Duration(n) * time.Hour), Sealed: []byte{0, byte(n), 255}}
}

func keyEntry(k principal.SigningKey) audit.Entry {
	return audit.Entry{At: k.Created, Origin: audit.System(), Action: audit.KeyRotate, Object: k.ID}
}

func testSigningKeys(t trial) {
	s := t.store
	add := func(n int, first bool, before time.Time) {
		t.Helper()
		if err := s.AddSigningKey(t.Context(), keyOf(n), first, before, keyEntry(keyOf(n))); err != nil {
			t.Fatal(err)
		}
	}
	want := func(keys ...principal.SigningKey) {
		t.Helper()
		got, err := s.SigningKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(keys, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("signing keys (-want +got):\n%s", diff)
		}
	}
	retired := func(n, by int) principal.SigningKey {
		k := keyOf(n)
		k.Retired = keyOf(by).Created
		return k
	}
	want()
	add(1, true, time.Time{})
	want(keyOf(1))
	add(2, true, start().Add(1000*time.Hour)) // there is one
	want(keyOf(1))
	add(3, false, time.Time{})
	want(keyOf(3), retired(1, 3))
	add(2, false, keyOf(2).Created) // the clock went back; retired then is not before then
	want(keyOf(2), retired(3, 2), retired(1, 3))
	add(5, false, keyOf(3).Created.Add(time.Millisecond))
	want(keyOf(5), retired(2, 5))
	if err := s.AddSigningKey(t.Context(), keyOf(5), false, time.Time{}, keyEntry(keyOf(5))); err == nil {
		t.Error("an id was given out twice")
	}
	want(keyOf(5), retired(2, 5))
	for n, told := range map[int]string{1: "key.rotate", 2: "key.rotate", 3: "key.rotate", 5: "key.rotate"} {
		if got := actions(entries(t, s, keyOf(n).ID)); got != told {
			t.Errorf("the audit of key %d is %q", n, got)
		}
	}
}

func testFirstSigningKeyAtOnce(t trial) {
	s := t.store
	const callers = 10
	errs := make(chan error, callers)
	for n := range callers {
		go func() { errs <- s.AddSigningKey(t.Context(), keyOf(n), true, time.Time{}, keyEntry(keyOf(n))) }()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	keys, err := s.SigningKeys(t.Context())
	if err != nil || len(keys) != 1 || !keys[0].Retired.IsZero() {
		t.Fatalf("%d keys, %v; want one", len(keys), err)
	}
	told := 0
	for n := range callers {
		told += len(entries(t, s, keyOf(n).ID))
	}
	if told != 1 {
		t.Errorf("%d entries of one key", told)
	}
}

// clientCalls are one of each method that is about clients and keys.
func clientCalls(s Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"create client": func(ctx context.Context) error {
			return s.CreateClient(ctx, clientOf(1), clientEntry(clientOf(1), audit.ClientCreate))
		},
		"get client": func(ctx context.Context) error { _, err := s.Client(ctx, idOf(1)); return err },
		"list clients": func(ctx context.Context) error {
			_, _, err := s.ListClients(ctx, principal.Application, query.Page{Limit: 5, Count: true, Sort: byName()})
			return err
		},
		"update client": func(ctx context.Context) error {
			_, err := s.UpdateClient(ctx, idOf(1), func(c principal.Client) (principal.Client, *audit.Entry, error) { return c, nil, nil })
			return err
		},
		"sign in": func(ctx context.Context) error {
			return s.SignedIn(ctx, idOf(1), start(), clientEntry(clientOf(1), audit.TokenIssue))
		},
		"look for clients":  func(ctx context.Context) error { _, err := s.AnyClient(ctx); return err },
		"add audit entries": func(ctx context.Context) error { return s.AddAudit(ctx, []audit.Entry{keyEntry(keyOf(1))}) },
		"read signing keys": func(ctx context.Context) error { _, err := s.SigningKeys(ctx); return err },
		"add a signing key": func(ctx context.Context) error {
			return s.AddSigningKey(ctx, keyOf(1), true, time.Time{}, keyEntry(keyOf(1)))
		},
	}
}
