package config_test

import (
	"testing"

	"stint/internal/config"
)

func TestDatabaseName(t *testing.T) {
	t.Parallel()
	for db, want := range map[string]struct {
		name     string
		password bool
	}{
		"stint.db":                               {"stint.db", false},
		"postgres://ann@db.example/stint":        {"postgres://ann@db.example/stint", false},
		"postgres://ann:secret@db.example/stint": {"postgres://ann:xxxxx@db.example/stint", true},
		"postgres:///stint?password=secret":      {"postgres:///stint?password=xxxxx", true},
		"postgres://ann:sec ret@db/%zz":          {"a postgres:// URL", false},
	} {
		if got := config.DatabaseName(db); got != want.name {
			t.Errorf("%s is shown as %s, want %s", db, got, want.name)
		}
		if got := config.HoldsPassword(db); got != want.password {
			t.Errorf("%s holds a password: %v", db, got)
		}
	}
}

func TestPostgresSettings(t *testing.T) {
	t.Parallel()
	for _, role := range []config.Role{config.RoleAll, config.RoleAPI, config.RoleWorker} {
		c := config.Default()
		c.DB, c.KeyFile, c.Role = "postgresql://db.example/stint", "stint.key", role
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}
