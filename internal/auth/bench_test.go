package auth_test

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/principal"
	"stint/internal/store/sqlite"
)

// BenchmarkBearer is what each request with an access token costs before anything
// else.
func BenchmarkBearer(b *testing.B) {
	dir := b.TempDir()
	keys, err := auth.OpenKeyFile(filepath.Join(dir, "key"))
	if err != nil {
		b.Fatal(err)
	}
	store, err := sqlite.Open(b.Context(), sqlite.Options{Path: filepath.Join(dir, "db"), AuditKey: keys.Derive(auth.PurposeAudit)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	s, err := auth.NewService(b.Context(), auth.Options{
		Store: store, Keyring: keys, Issuer: "https://stint.example.com", Lifetime: time.Hour, Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	c, secret, err := s.CreateClient(b.Context(), principal.Client{
		Sort: principal.PersonalAccessToken, Name: "bench", User: "ann",
		Levels: []principal.Level{principal.OrgAdmin}, Scopes: []principal.Scope{principal.AllScopes},
	}, "", audit.System())
	if err != nil {
		b.Fatal(err)
	}
	grant, err := s.SignIn(b.Context(), string(c.ID), secret, "", audit.System())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Bearer(b.Context(), grant.AccessToken); err != nil {
			b.Fatal(err)
		}
	}
}
