package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ErrAltered says that somebody has changed what keeps the audit.
var ErrAltered = errors.New("holds an audit whose tables were altered")

// auditSchemaSQL describes what belongs to the tables of the audit in a schema: what
// could hide an entry, swallow one, or let one be changed. Of each it says a name and
// what it is like, in the words of the server, without the schema.
const auditSchemaSQL = `WITH here AS (
	SELECT c.oid, c.relname, quote_ident(n.nspname) || '.' AS prefix, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition
	FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.oid = $1 AND c.relname IN ('audit', 'audit_heads', 'audit_checkpoints') AND c.relkind NOT IN ('i', 'I', 'c', 't')
)
SELECT relname, format('%s %s %s %s', relkind, relrowsecurity, relforcerowsecurity, relispartition) FROM here
UNION ALL
SELECT relname || '.' || attname, format('%s %s %s %s %s', format_type(atttypid, atttypmod), attnotnull, attgenerated,
	(SELECT collname FROM pg_collation WHERE oid = attcollation),
	(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
FROM here JOIN pg_attribute ON attrelid = here.oid WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT (SELECT relname FROM pg_class WHERE oid = indexrelid),
	format('%s %s %s %s', replace(replace(pg_get_indexdef(indexrelid), prefix, ''), 'pg_temp.', ''), indisvalid, indisready, indislive)
FROM here JOIN pg_index ON indrelid = here.oid
UNION ALL
SELECT tgname, format('%s %s %s', replace(replace(pg_get_triggerdef(t.oid), prefix, ''), 'pg_temp.', ''), tgenabled,
	(SELECT format('%s %s %s', (SELECT lanname FROM pg_language WHERE oid = prolang), prosrc, proconfig) FROM pg_proc WHERE oid = tgfoid))
FROM here JOIN pg_trigger t ON tgrelid = here.oid
UNION ALL
SELECT conname, format('%s %s', pg_get_constraintdef(c.oid), convalidated) FROM here JOIN pg_constraint c ON conrelid = here.oid
UNION ALL
SELECT rulename, pg_get_ruledef(r.oid) FROM here JOIN pg_rewrite r ON ev_class = here.oid
UNION ALL
SELECT polname, polcmd::text FROM here JOIN pg_policy ON polrelid = here.oid
UNION ALL
SELECT inhrelid::regclass::text, 'inherits ' || relname FROM here JOIN pg_inherits ON inhparent = here.oid OR inhrelid = here.oid`

// auditFaults says what belongs to the tables of the audit and should not, or the
// other way round. What should is what the server makes of Stint's own statements, in
// a transaction that leaves nothing.
func (s *Store) auditFaults(ctx context.Context) ([]string, error) {
	script, err := migrations.ReadFile("migrations/003_audit.sql")
	if err != nil {
		return nil, err
	}
	var faults []string
	err = s.withConn(ctx, "look at the tables of the audit", func(conn *pgx.Conn) error {
		found, err := describeAudit(ctx, conn, "current_schema()::regnamespace::oid")
		if err != nil {
			return err
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
		// A function is found in the temporary schema only where that is named.
		own := strings.ReplaceAll(string(script), "EXECUTE FUNCTION ", "EXECUTE FUNCTION pg_temp.")
		if _, err := tx.Exec(ctx, "SET LOCAL search_path = pg_temp; "+own); err != nil {
			return err
		}
		want, err := describeAudit(ctx, tx.Conn(), "pg_my_temp_schema()")
		faults = compareAudit(want, found)
		return err
	})
	return faults, err
}

func describeAudit(ctx context.Context, conn *pgx.Conn, schema string) (map[string]string, error) {
	rows, err := conn.Query(ctx, strings.ReplaceAll(auditSchemaSQL, "$1", schema))
	if err != nil {
		return nil, err
	}
	described := map[string]string{}
	return described, scanEach(rows, func(row rowScanner) error {
		var name, like string
		err := row.Scan(&name, &like)
		described[name] += like + "\n"
		return err
	})
}

func compareAudit(want, found map[string]string) []string {
	var faults []string
	for name, like := range found {
		switch made, known := want[name]; {
		case !known:
			faults = append(faults, fmt.Sprintf("%q was added to the tables of the audit", name))
		case made != like:
			faults = append(faults, fmt.Sprintf("%q, of the tables of the audit, was altered", name))
		}
	}
	for name := range want {
		if _, there := found[name]; !there {
			faults = append(faults, fmt.Sprintf("%q, of the tables of the audit, was taken away", name))
		}
	}
	slices.Sort(faults)
	return faults
}

// checkAuditSchema refuses to write to an audit that may swallow what is written.
func (s *Store) checkAuditSchema(ctx context.Context) error {
	faults, err := s.auditFaults(ctx)
	if stateOf(err) == stateReadOnly {
		return nil // where no table can be made to compare with, nothing is written either
	}
	if err != nil {
		return fmt.Errorf("check the audit: %w", err)
	}
	if len(faults) > 0 {
		return fmt.Errorf("the database %w: %s", ErrAltered, strings.Join(faults, "; "))
	}
	return nil
}
