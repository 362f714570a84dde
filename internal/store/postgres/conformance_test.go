package postgres_test

import (
	"os"
	"testing"

	"stint/internal/store/postgres"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		s, err := postgres.Open(t.Context(), postgres.Options{URL: pgtest.URL(t), AuditKey: storetest.AuditKey()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
