package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

const (
	// auditLightColumns are sqlrow.AuditColumns without what may be large.
	auditLightColumns = `shard, n, link, at, action, actor, client, address, agent, request_id, object, NULL::bytea, NULL::bytea,
		''::bytea, reason`

	auditGetSQL = "SELECT " + sqlrow.AuditColumns + " FROM audit WHERE shard = ? AND n = ?"
	// What retention has deleted stands at the beginning of each shard.
	auditCountSQL = `SELECT coalesce(sum(h.n - coalesce(c.n, 0)), 0)::bigint FROM audit_heads h
		LEFT JOIN audit_checkpoints c ON c.shard = h.shard`
)

// AuditEntry returns the entry at a place. The error is of kind NotFound where
// there is none.
func (s *Store) AuditEntry(ctx context.Context, at audit.Place) (audit.Recorded, error) {
	var e audit.Recorded
	err := s.readOne(ctx, "get audit entry", func(r reading) (err error) {
		e, err = sqlrow.ScanAudit(r.queryRow(auditGetSQL, at.Shard, at.Number))
		if errors.Is(err, pgx.ErrNoRows) {
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
		if errors.Is(err, pgx.ErrNoRows) {
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

// auditSource is where the entries of a list are read from: one range of an index,
// or one for each of many values. Nothing about it can change what is selected:
// the filter is applied to it.
type auditSource struct {
	column string   // of the index, before what orders it; "" for all entries in their order
	values []string // that the index holds
	shards []int32  // with numbers, the places that are asked for, if they are
	ns     []int64
	times  []query.Range // that narrow it
}

// at is what the source's index holds of the time of an entry.
func (a auditSource) at() string {
	if a.column == "" && a.shards == nil {
		return "at + 0" // as migrations/003_audit.sql says
	}
	return "at"
}

// auditPage selects the entries of a page, without what may be large: sorting
// would carry it.
func auditPage(filter query.Expr, page query.Page) clause {
	direction := ""
	if page.Sort[0].Desc {
		direction = " DESC"
	}
	rest := direction + ", shard" + direction + ", n" + direction
	from := auditFrom(filter)
	if len(from.values) < 2 {
		return from.selects(auditLightColumns, filter, clause{" ORDER BY " + from.at() + rest + " LIMIT ? OFFSET ?", []any{page.Limit, page.Offset}})
	}
	first := clause{" ORDER BY " + from.at() + rest + " LIMIT ?", []any{int64(page.Limit) + int64(page.Offset)}}
	c := from.selects(auditLightColumns, filter, first)
	return clause{"SELECT * FROM (" + c.sql + ") found ORDER BY at" + rest + " LIMIT ? OFFSET ?", append(c.args, page.Limit, page.Offset)}
}

func auditCount(filter query.Expr) clause {
	if filter == nil {
		return clause{sql: auditCountSQL}
	}
	c := auditFrom(filter).selects("1 AS one", filter, clause{sql: " OFFSET 0"})
	return clause{"SELECT count(*) FROM (" + c.sql + ") found", c.args}
}

// auditFrom chooses the index that leaves the fewest entries to look at: there are
// few about one thing, or of one request, and many of an action. A filter that asks
// for none of that, as one for a word or another does, looks at all entries in
// their order.
func auditFrom(filter query.Expr) auditSource {
	terms := termsOf(filter)
	var from auditSource
	for _, term := range terms {
		if r, ok := term.(query.Range); ok {
			from.times = append(from.times, r)
		}
	}
	for _, f := range []query.Field{
		query.FieldID, query.FieldRequest, query.FieldObject, query.FieldClient, query.FieldActor, query.FieldAction,
	} {
		for _, term := range terms {
			c, ok := term.(query.Compare)
			if !ok || c.Field != f {
				continue
			}
			if f == query.FieldID {
				from.shards, from.ns = auditPlaces(c)
				return from
			}
			from.column = indexedAudit(f)
			seen := map[string]bool{}
			for _, v := range parameters(c) {
				if first := firstOf(v.(string)); !seen[first] {
					seen[first] = true
					from.values = append(from.values, first)
				}
			}
			return from
		}
	}
	return from
}

// indexedAudit is what the index of a column of the audit holds.
func indexedAudit(f query.Field) string {
	if f == query.FieldAction {
		return "lower(action)"
	}
	return "lower(left(" + auditName(f) + ", 600))"
}

func termsOf(filter query.Expr) []query.Expr {
	if and, ok := filter.(query.And); ok {
		return and.Terms
	}
	return []query.Expr{filter}
}

// selects selects from the source what the filter accepts, of each value in turn
// as far as ordered says.
func (a auditSource) selects(what string, filter query.Expr, ordered clause) clause {
	where := clause{sql: "true"}
	for _, r := range a.times {
		where = where.and(clause{a.at() + " " + comparison(r.Order) + " ?", []any{r.Number()}})
	}
	if filter != nil {
		where = where.and(opaque(compileWith(auditLeaf, filter)))
	}
	var c clause
	switch {
	case a.shards != nil:
		c = clause{
			"SELECT " + what + " FROM unnest(?::integer[], ?::bigint[]) p (s, i) JOIN audit ON shard = p.s AND n = p.i WHERE " + where.sql,
			append([]any{a.shards, a.ns}, where.args...),
		}
	case len(a.values) > 1:
		c = clause{
			"SELECT one.* FROM unnest(?::text[]) v (value) CROSS JOIN LATERAL (SELECT " + what + " FROM audit WHERE " +
				a.column + " = v.value AND " + where.sql + ordered.sql + ") one",
			append(append([]any{a.values}, where.args...), ordered.args...),
		}
		ordered.args = nil
		ordered.sql = ""
	case len(a.values) == 1:
		c = clause{"SELECT " + what + " FROM audit WHERE " + a.column + " = ?", []any{a.values[0]}}.and(where)
	case a.column != "":
		c = clause{sql: "SELECT " + what + " FROM audit WHERE false"} // no value that it may have
	default:
		c = clause{"SELECT " + what + " FROM audit WHERE " + where.sql, where.args}
	}
	return clause{c.sql + ordered.sql, append(c.args, ordered.args...)}
}

// auditLeaf compiles the comparisons of entries.
func auditLeaf(e query.Expr) clause {
	if c, ok := e.(query.Compare); ok && c.Field == query.FieldID {
		shards, ns := auditPlaces(c)
		if len(ns) == 0 {
			return nothing()
		}
		return clause{"(shard, n) IN (SELECT * FROM unnest(?::integer[], ?::bigint[]))", []any{shards, ns}}
	}
	return onColumn(auditColumn)(e)
}

// auditPlaces are the places that a list of ids names, each once.
func auditPlaces(c query.Compare) (shards []int32, ns []int64) {
	shards, ns = []int32{}, []int64{}
	seen := map[audit.Place]bool{}
	for _, id := range c.Values {
		if at, ok := audit.ParsePlace(id); ok && !seen[at] {
			seen[at] = true
			shards, ns = append(shards, int32(at.Shard)), append(ns, at.Number) //nolint:gosec // there are sixteen
		}
	}
	return shards, ns
}

func auditColumn(f query.Field) string {
	if f == query.FieldCreated {
		return "at"
	}
	return "lower(" + auditName(f) + ")"
}

func auditName(f query.Field) string {
	switch f {
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
	panic("postgres: no column of the audit for the field " + string(f))
}
