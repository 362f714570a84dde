package sqlite_test

import (
	"path/filepath"
	"testing"

	"stint/internal/store/sqlite"
	"stint/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Store {
		t.Helper()
		s, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "stint.db"), AuditKey: storetest.AuditKey()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
