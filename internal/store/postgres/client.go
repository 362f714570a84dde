package postgres

import (
	"context"
	"fmt"
	"time"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// clientColumns are those of a client, in the order of scanClient.
const clientColumns = `id, sort, name, username, settings, digest, created, modified, expires, revoked, last_used`

const clientSQL = "SELECT " + clientColumns + " FROM clients WHERE id = ?"

// CreateClient stores a new client and its audit entry. The error is of kind Conflict
// where the id is taken.
func (s *Store) CreateClient(ctx context.Context, c principal.Client, entry audit.Entry) error {
	settings, err := sqlrow.ClientSettings(&c)
	if err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	return s.do(ctx, "create client", func(t *txn) error {
		n, err := t.execRows(`INSERT INTO clients (id, sort, name, username, settings, digest, created, modified, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			sqlrow.Blob(c.ID), string(c.Sort), c.Name, sqlrow.Text(c.User), settings, c.Digest,
			c.Created.UnixMilli(), c.Modified.UnixMilli(), sqlrow.Millis(c.Expires))
		if err != nil {
			return err
		}
		if n == 0 {
			return task.Errorf(task.Conflict, "id", "%s is taken by another client", c.ID)
		}
		return t.addAudit(entry)
	})
}

// Client returns the client with this id, revoked or not. The error is of kind
// NotFound where there is none.
func (s *Store) Client(ctx context.Context, id task.ID) (principal.Client, error) {
	var c principal.Client
	err := s.readOne(ctx, "get client", func(r reading) (err error) {
		c, err = sqlrow.ScanClient(r.queryRow(clientSQL, sqlrow.Blob(id)))
		return sqlrow.NoClient(id, err)
	})
	return c, err
}

// ListClients returns a page of the clients of a sort, and, where the page asks
// for it, how many there are in all; else -1. Both are of one moment.
func (s *Store) ListClients(ctx context.Context, sort principal.Sort, page query.Page) ([]principal.Client, int64, error) {
	found := []principal.Client{}
	total := int64(-1)
	where := clause{sql: " WHERE sort = ?", args: []any{string(sort)}}
	if filter := query.Simplify(page.Filter); filter != nil {
		more := compile(filter)
		where.sql += " AND (" + more.sql + ")"
		where.args = append(where.args, more.args...)
	}
	err := s.readMany(ctx, "list clients", func(r reading) error {
		if page.Count {
			if err := r.queryRow("SELECT count(*) FROM clients"+where.sql, where.args...).Scan(&total); err != nil {
				return fmt.Errorf("count: %w", err)
			}
		}
		return r.each(func(row rowScanner) error {
			c, err := sqlrow.ScanClient(row)
			found = append(found, c)
			return err
		}, "SELECT "+clientColumns+" FROM clients"+where.sql+orderBy(page.Sort)+" LIMIT ? OFFSET ?",
			append(where.args, page.Limit, page.Offset)...)
	})
	return found, total, err
}

// UpdateClient lets fn decide what becomes of a client, and writes that with its
// audit entry; a nil entry changes nothing. fn runs inside the transaction; it must
// be quick and may run again. Only the secret, and when it was revoked, can
// change. The error is of kind NotFound where there is no client with this id.
func (s *Store) UpdateClient(
	ctx context.Context, id task.ID, fn func(principal.Client) (principal.Client, *audit.Entry, error),
) (principal.Client, error) {
	var stored principal.Client
	err := s.do(ctx, "update client", func(t *txn) error {
		before, err := sqlrow.ScanClient(t.queryRow(clientSQL+" FOR UPDATE", sqlrow.Blob(id)))
		if err != nil {
			return sqlrow.NoClient(id, err)
		}
		stored = before
		after, entry, err := fn(before)
		if err != nil || entry == nil {
			return err
		}
		stored.Digest, stored.Modified, stored.Revoked = after.Digest, after.Modified, after.Revoked
		err = t.exec("UPDATE clients SET digest = ?, modified = ?, revoked = ? WHERE id = ?",
			after.Digest, after.Modified.UnixMilli(), sqlrow.Millis(after.Revoked), sqlrow.Blob(id))
		if err != nil {
			return err
		}
		return t.addAudit(*entry)
	})
	return stored, err
}

// SignedIn notes that a client has signed in, with the audit entry of it.
func (s *Store) SignedIn(ctx context.Context, id task.ID, at time.Time, entry audit.Entry) error {
	return s.do(ctx, "sign in", func(t *txn) error {
		if err := t.exec("UPDATE clients SET last_used = ? WHERE id = ?", at.UnixMilli(), sqlrow.Blob(id)); err != nil {
			return err
		}
		return t.addAudit(entry)
	})
}

// AnyClient reports whether a client was ever made.
func (s *Store) AnyClient(ctx context.Context) (bool, error) {
	var found bool
	err := s.readOne(ctx, "look for clients", func(r reading) error {
		return r.queryRow("SELECT EXISTS (SELECT 1 FROM clients)").Scan(&found)
	})
	return found, err
}

// AddAudit stores entries of what left no other trace.
func (s *Store) AddAudit(ctx context.Context, entries []audit.Entry) error {
	return s.do(ctx, "write audit", func(t *txn) error {
		for _, e := range entries {
			if err := t.addAudit(e); err != nil {
				return err
			}
		}
		return nil
	})
}

// SigningKeys returns the keys of access tokens, the newest first.
func (s *Store) SigningKeys(ctx context.Context) ([]principal.SigningKey, error) {
	var keys []principal.SigningKey
	err := s.readOne(ctx, "read signing keys", func(r reading) error {
		return r.each(func(row rowScanner) error {
			var k principal.SigningKey
			var created int64
			var retired *int64
			err := row.Scan(&k.ID, &created, &retired, &k.Sealed)
			k.Created, k.Retired = time.UnixMilli(created).UTC(), sqlrow.Time(retired)
			keys = append(keys, k)
			return err
		}, "SELECT id, created, retired, sealed FROM signing_keys ORDER BY seq DESC")
	})
	return keys, err
}

// AddSigningKey makes a key the one that signs, and retires the others; those
// that were retired before a time are deleted. With first set it does nothing
// where there is a key.
func (s *Store) AddSigningKey(ctx context.Context, k principal.SigningKey, first bool, before time.Time, entry audit.Entry) error {
	return s.do(ctx, "add signing key", func(t *txn) error {
		// One key signs: of those who come at once, one is first.
		if err := t.exec(settingSQL+" FOR UPDATE", settingDeployment); err != nil {
			return err
		}
		var any bool
		if err := t.queryRow("SELECT EXISTS (SELECT 1 FROM signing_keys)").Scan(&any); err != nil || any && first {
			return err
		}
		if err := t.exec("UPDATE signing_keys SET retired = ? WHERE retired IS NULL", k.Created.UnixMilli()); err != nil {
			return err
		}
		if err := t.exec("DELETE FROM signing_keys WHERE retired < ?", before.UnixMilli()); err != nil {
			return err
		}
		err := t.exec("INSERT INTO signing_keys (id, created, sealed) VALUES (?, ?, ?)", k.ID, k.Created.UnixMilli(), k.Sealed)
		if err != nil {
			return err
		}
		return t.addAudit(entry)
	})
}
