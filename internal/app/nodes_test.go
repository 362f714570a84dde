package app_test

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stint/client"
	"stint/internal/app"
	"stint/internal/apptest"
	"stint/internal/config"
	"stint/internal/principal"
	"stint/internal/store/postgres/pgtest"
)

// start starts one more server on a database, which lives as long as the test.
func start(tb testing.TB, db, key string, configure func(*config.Config)) *app.App {
	tb.Helper()
	cfg := config.Default()
	cfg.DB, cfg.KeyFile, cfg.Listen, cfg.OpsListen = db, key, "127.0.0.1:0", "127.0.0.1:0"
	configure(&cfg)
	ctx := context.WithoutCancel(tb.Context())
	a, err := app.New(ctx, cfg, slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		tb.Fatal(err)
	}
	a.Start(ctx)
	tb.Cleanup(func() {
		if err := a.Stop(); err != nil {
			tb.Errorf("stop the server: %v", err)
		}
	})
	return a
}

// startNode starts one that asks for tokens.
func startNode(tb testing.TB, db, key string) *app.App {
	tb.Helper()
	return start(tb, db, key, func(*config.Config) {})
}

// TestNodesAreOneServer: who signs in at one may ask another; what one takes away is
// gone on all; only the first hands out the first token.
func TestNodesAreOneServer(t *testing.T) {
	t.Parallel()
	db, key := pgtest.URL(t), filepath.Join(t.TempDir(), "stint.key")
	first := apptest.Start(t, apptest.Options{Tokens: true, Configure: func(c *config.Config) { c.DB, c.KeyFile = db, key }})
	second := startNode(t, db, key)
	if token, err := second.FirstToken(t.Context(), "admin"); token != nil || err != nil {
		t.Errorf("the second node hands out %v, %v", token, err)
	}
	zoe := first.Client(t, principal.Client{
		Sort: principal.PersonalAccessToken, Name: "night", User: "zoe", Levels: []principal.Level{principal.OrgAdmin},
		Scopes: []principal.Scope{principal.AllScopes},
	})
	addr := strings.TrimPrefix(second.URL(), "http://")
	ask := func(header string) int {
		return apptest.Send(t, addr, apptest.Request{
			Method: http.MethodGet, Target: "/task-status/v1", Header: map[string]string{"Authorization": header},
		}).Status
	}
	token := "Bearer " + first.Token(t, zoe)
	if got := ask(token); got != http.StatusOK {
		t.Fatalf("a token of the first node is answered %d by the second", got)
	}
	answer := first.Send(t, apptest.Request{Method: http.MethodDelete, Target: "/stint/v1/tokens/" + zoe.ID})
	if answer.Status >= 300 {
		t.Fatalf("revoke: %d", answer.Status)
	}
	for begin := time.Now(); ask(token) != http.StatusUnauthorized; time.Sleep(50 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the second node still takes the token")
		}
	}
}

// TestTheFirstTokenIsHandedOutOnce: also where all nodes start at once.
func TestTheFirstTokenIsHandedOutOnce(t *testing.T) {
	t.Parallel()
	db, key := pgtest.URL(t), filepath.Join(t.TempDir(), "stint.key")
	nodes := []*app.App{startNode(t, db, key), startNode(t, db, key), startNode(t, db, key)}
	type result struct {
		token *app.FirstToken
		err   error
	}
	results := make(chan result, len(nodes))
	for _, node := range nodes {
		go func() {
			token, err := node.FirstToken(t.Context(), "admin")
			results <- result{token, err}
		}()
	}
	var got []string
	for range nodes {
		switch r := <-results; {
		case r.err != nil:
			t.Error(r.err)
		case r.token != nil:
			got = append(got, r.token.ID)
		}
	}
	if len(got) != 1 {
		t.Errorf("the tokens %v were handed out", got)
	}
}

// TestNodesTellEachOthersChanges: what changes on one node is told on the other, soon.
func TestNodesTellEachOthersChanges(t *testing.T) {
	t.Parallel()
	db, key := pgtest.URL(t), filepath.Join(t.TempDir(), "stint.key")
	first := start(t, db, key, func(c *config.Config) { c.InsecureNoAuth = true })
	second := start(t, db, key, func(c *config.Config) { c.InsecureNoAuth = true })
	var nodes [2]*client.Client
	for i, url := range []string{first.URL(), second.URL()} {
		var err error
		if nodes[i], err = client.New(url, client.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	next, stop := iter.Pull2(nodes[1].Events(ctx, client.EventOptions{}))
	defer stop()
	if e, err, _ := next(); err != nil || e.Name != client.EventReady {
		t.Fatalf("the first event is %+v, %v", e, err)
	}
	var slowest time.Duration
	for range 10 {
		begin := time.Now()
		l, err := nodes[0].Launch(ctx, client.LaunchRequest{Type: "IDENTITY_REFRESH"})
		if err != nil {
			t.Fatal(err)
		}
		e, err, _ := next()
		if err != nil || e.Task == nil || e.Task.ID != l.ID || e.Name != "queued" {
			t.Fatalf("the event is %+v, %v; want the launch of %s", e, err, l.ID)
		}
		slowest = max(slowest, time.Since(begin))
	}
	// Without a word between them it would take five.
	t.Logf("the slowest took %v", slowest)
	if slowest > 4*time.Second {
		t.Errorf("the slowest of ten changes was told after %v", slowest)
	}
}
