package postgres

import (
	"errors"
	"strings"
	"testing"

	"stint/internal/audit"
	"stint/internal/store/postgres/pgtest"
)

// TestAnAlteredAudit: what could hide an entry, swallow one or let one be changed is
// told, and no server starts on it.
func TestAnAlteredAudit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ statement, says string }{
		"trigger taken away":   {"DROP TRIGGER audit_stays_as_it_is ON audit", "audit_stays_as_it_is"},
		"trigger switched off": {"ALTER TABLE audit DISABLE TRIGGER audit_stays", "audit_stays"},
		"trigger that swallows": {
			`CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
			CREATE TRIGGER a_swallow BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION swallow()`, `"a_swallow" was added`,
		},
		"function replaced": {
			"CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'", "audit_stays",
		},
		"rule":             {"CREATE RULE quiet AS ON INSERT TO audit WHERE new.actor = 'x' DO INSTEAD NOTHING", `"quiet" was added`},
		"row security":     {"ALTER TABLE audit ENABLE ROW LEVEL SECURITY", `"audit", of the tables`},
		"policy":           {"CREATE POLICY hide ON audit USING (actor <> 'x')", `"hide" was added`},
		"index for some":   {"DROP INDEX audit_actor; CREATE INDEX audit_actor ON audit (lower(left(actor, 600)), at, shard, n) WHERE actor <> 'x'", "audit_actor"},
		"index taken away": {"DROP INDEX audit_object", `"audit_object", of the tables of the audit, was taken away`},
		"column":           {"ALTER TABLE audit_heads ADD COLUMN more text DEFAULT 'x'", `"audit_heads.more" was added`},
		"heir":             {"CREATE TABLE more () INHERITS (audit)", `"more" was added`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.URL(t)
			s, err := Open(t.Context(), Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			mustExec(t, s, test.statement)
			var state audit.State
			begin := func(found audit.State) error { state = found; return nil }
			if err := s.WalkAudit(t.Context(), begin, func(*audit.Recorded) error { return nil }); err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(state.Faults, "; "); !strings.Contains(all, test.says) {
				t.Errorf("the faults are %q, want %q", all, test.says)
			}
			if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrAltered) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}
