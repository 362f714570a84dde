package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// ErrAltered says that somebody has changed what keeps the audit.
var ErrAltered = errors.New("holds an audit whose tables were altered")

// auditSchemaSQL reads what belongs to the tables of the audit. What SQLite makes
// by itself has no text.
const auditSchemaSQL = `SELECT name, sql FROM sqlite_schema
	WHERE tbl_name IN ('audit', 'audit_heads', 'audit_checkpoints') AND sql IS NOT NULL ORDER BY name`

// auditSchema returns the statements that make what belongs to the tables of the
// audit, by name, as SQLite keeps them.
func auditSchema() (map[string]string, error) {
	script, err := fs.ReadFile(migrations, "migrations/003_audit.sql")
	if err != nil {
		return nil, fmt.Errorf("read the schema of the audit: %w", err)
	}
	begin := regexp.MustCompile(`(?m)^CREATE (?:UNIQUE )?(?:TABLE|INDEX|TRIGGER) (\w+)`)
	made := map[string]string{}
	for _, at := range begin.FindAllSubmatchIndex(script, -1) {
		statement := string(script[at[0]:])
		end := ";\n"
		if strings.HasPrefix(statement, "CREATE TRIGGER") {
			end = "\nEND;\n"
		}
		text, _, _ := strings.Cut(statement, end)
		if end != ";\n" {
			text += "\nEND"
		}
		made[string(script[at[2]:at[3]])] = text
	}
	return made, nil
}

// alteredSchema says what belongs to the tables of the audit and should not, or
// the other way round: a trigger can swallow an entry, an index can hide one.
func alteredSchema(each func(scan func(rowScanner) error, query string, args ...any) error) ([]string, error) {
	want, err := auditSchema()
	if err != nil {
		return nil, err
	}
	var faults []string
	err = each(func(row rowScanner) error {
		var name, text string
		if err := row.Scan(&name, &text); err != nil {
			return err
		}
		switch made, known := want[name]; {
		case !known:
			faults = append(faults, fmt.Sprintf("%q was added to the tables of the audit", name))
		case made != text:
			faults = append(faults, fmt.Sprintf("%q, of the tables of the audit, was altered", name))
		}
		delete(want, name)
		return nil
	}, auditSchemaSQL)
	if err != nil {
		return nil, err
	}
	for name := range want {
		faults = append(faults, fmt.Sprintf("%q, of the tables of the audit, was taken away", name))
	}
	slices.Sort(faults)
	return faults, nil
}

// brokenIndexes says which entries an index of the audit hides or makes up.
func (r reading) brokenIndexes() ([]string, error) {
	var faults []string
	err := r.each(func(row rowScanner) error {
		var found string
		if err := row.Scan(&found); err != nil {
			return err
		}
		if found != "ok" {
			faults = append(faults, "the file is damaged where it keeps the audit: "+found)
		}
		return nil
	}, "PRAGMA integrity_check(audit)")
	return faults, err
}

// checkAuditSchema refuses to write to an audit that may swallow what is written.
func (s *Store) checkAuditSchema(ctx context.Context, path string) error {
	faults, err := alteredSchema(func(scan func(rowScanner) error, query string, args ...any) error {
		rows, err := s.write.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return fmt.Errorf("check the audit: %w", err)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s %w: %s", path, ErrAltered, strings.Join(faults, "; "))
	}
	return nil
}
