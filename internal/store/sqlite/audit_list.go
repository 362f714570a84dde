package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	// auditLightColumns are sqlrow.AuditColumns without what may be large.
	auditLightColumns = `shard, n, link, at, action, actor, client, address, agent, request_id, object, NULL, NULL, '', reason`

	auditGetSQL = "SELECT " + sqlrow.AuditColumns + " FROM audit WHERE shard = ? AND n = ?"
	// What retention has deleted stands at the beginning of each shard.
	auditCountSQL = `SELECT coalesce(sum(h.n - coalesce(c.n, 0)), 0) FROM audit_heads h
		LEFT JOIN audit_checkpoints c ON c.shard = h.shard`
)

// AuditEntry returns the entry at a place. The error is of kind NotFound where
// there is none.
func (s *Store) AuditEntry(ctx context.Context, at audit.Place) (audit.Recorded, error) {
	var e audit.Recorded
	err := s.readOne(ctx, "get audit entry", func(r reading) (err error) {
		e, err = sqlrow.ScanAudit(r.queryRow(auditGetSQL, at.Shard, at.Number))
		if errors.Is(err, sql.ErrNoRows) {
			return task.Errorf(task.NotFound, "", "no audit entry has the id %s", at.ID())
		}
		return err
	})
	return e, err
}

// ListAudit returns a page of the audit, and, where the page asks for it, how many
// entries there are in all; else -1. Both are of one moment. In a list Before is
// the JSON null where there is none: entries past the first megabyte come without
// Before, After and Words, and nil tells; FillAudit reads them.
func (s *Store) ListAudit(ctx context.Context, page query.Page) ([]audit.Recorded, int64, error) {
	var found []audit.Recorded
	total := int64(-1)
	err := s.readList(ctx, "list audit", func(r reading) error {
		filter := query.Simplify(page.Filter)
		if page.Count {
			c := auditCount(filter)
			if err := r.queryRow(c.sql, c.args...).Scan(&total); err != nil {
				return fmt.Errorf("count: %w", err)
			}
		}
		found = make([]audit.Recorded, 0, page.Limit)
		if page.Limit == 0 {
			return nil
		}
		c := auditPage(filter, page)
		err := r.each(func(row rowScanner) error {
			e, err := sqlrow.ScanAudit(row)
			found = append(found, e)
			return err
		}, c.sql, c.args...)
		if err != nil {
			return err
		}
		_, err = r.fillAudit(found)
		return err
	})
	return found, total, err
}

// FillAudit reads Before, After and Words of the first of the entries, a megabyte
// at a time, and returns how many it has looked at. Those that are gone keep a nil
// Before.
func (s *Store) FillAudit(ctx context.Context, entries []audit.Recorded) (n int, err error) {
	err = s.readMany(ctx, "read audit entries", func(r reading) (err error) {
		n, err = r.fillAudit(entries)
		return err
	})
	return n, err
}

func (r reading) fillAudit(entries []audit.Recorded) (int, error) {
	n := 0
	for held := 0; n < len(entries) && held < maxHeld; n++ {
		e, err := sqlrow.ScanAudit(r.queryRow(auditGetSQL, entries[n].Shard, entries[n].Number))
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if e.Before == nil {
			e.Before = json.RawMessage("null")
		}
		held += len(e.Before) + len(e.After) + len(e.Words)
		entries[n] = e
	}
	return n, nil
}

// auditPage selects the entries of a page, without what may be large: sorting
// would carry it.
func auditPage(filter query.Expr, page query.Page) clause {
	direction := ""
	if page.Sort[0].Desc {
		direction = " DESC"
	}
	c := auditSelect(auditLightColumns, filter)
	c.sql += " ORDER BY at" + direction + ", shard" + direction + ", n" + direction + " LIMIT ? OFFSET ?"
	c.args = append(c.args, page.Limit, page.Offset)
	return c
}

func auditCount(filter query.Expr) clause {
	if filter == nil {
		return clause{sql: auditCountSQL}
	}
	return auditSelect("count(*)", filter)
}

// auditSelect selects from the index that leaves the fewest entries to look at:
// there are few about one thing, or of one request, and many of an action. A filter
// that asks for none of that, as one for a word or another does, looks at all
// entries in their order.
func auditSelect(what string, filter query.Expr) clause {
	field, index := query.FieldCreated, "audit_created"
	terms := []query.Expr{filter}
	if and, ok := filter.(query.And); ok {
		terms = and.Terms
	}
	for _, candidate := range []struct {
		field query.Field
		index string
	}{
		{query.FieldID, "audit_place"},
		{query.FieldRequest, "audit_request"},
		{query.FieldObject, "audit_object"},
		{query.FieldClient, "audit_client"},
		{query.FieldActor, "audit_actor"},
		{query.FieldAction, "audit_action"},
	} {
		if asksFor(terms, candidate.field) {
			field, index = candidate.field, candidate.index
			break
		}
	}
	c := clause{sql: "SELECT " + what + " FROM audit INDEXED BY " + index}
	if filter == nil {
		return c
	}
	separator := " WHERE "
	for _, term := range terms {
		// The plan is made: SQLite need not look for another.
		prefix := "+"
		switch term := term.(type) {
		case query.Compare:
			if term.Field == field {
				prefix = ""
			}
		case query.Range:
			prefix = ""
		}
		where := compileWith(auditLeaf(prefix), term)
		c.sql += separator + where.sql
		c.args = append(c.args, where.args...)
		separator = " AND "
	}
	return c
}

// asksFor reports whether one of the terms asks a field for values that it may
// have.
func asksFor(terms []query.Expr, f query.Field) bool {
	for _, term := range terms {
		if c, ok := term.(query.Compare); ok && c.Field == f && (f != query.FieldID || len(auditPlaces(c)) > 0) && len(c.Values) > 0 {
			return true
		}
	}
	return false
}

// auditLeaf compiles the comparisons of entries. prefix stands before a column: a
// plus keeps SQLite from looking for an index of it.
func auditLeaf(prefix string) func(query.Expr) clause {
	return func(e query.Expr) clause {
		if c, ok := e.(query.Compare); ok && c.Field == query.FieldID {
			places := auditPlaces(c)
			if len(places) == 0 {
				return nothing()
			}
			return clause{"(" + prefix + "shard, " + prefix + "n) IN (VALUES (?, ?)" + strings.Repeat(", (?, ?)", len(places)/2-1) + ")", places}
		}
		return onColumn(func(f query.Field) string { return prefix + auditColumn(f) })(e)
	}
}

// auditPlaces are the places that a list of ids names, two values each.
func auditPlaces(c query.Compare) []any {
	var values []any
	for _, id := range c.Values {
		if at, ok := audit.ParsePlace(id); ok {
			values = append(values, at.Shard, at.Number)
		}
	}
	return values
}

func auditColumn(f query.Field) string {
	switch f {
	case query.FieldCreated:
		return "at"
	case query.FieldAction:
		return "action"
	case query.FieldActor:
		return "actor"
	case query.FieldClient:
		return "client"
	case query.FieldObject:
		return "object"
	case query.FieldRequest:
		return "request_id"
	}
	panic("sqlite: no column of the audit for the field " + string(f))
}
