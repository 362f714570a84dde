package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
	"stint/internal/webhook"
)

const (
	webhookSQL       = "SELECT " + sqlrow.WebhookColumns + " FROM webhooks WHERE id = ?"
	updateWebhookSQL = `UPDATE webhooks SET name = ?2, modified = ?4, enabled = ?5, settings = ?6, secret = ?7, old_secret = ?8,
		rotated = ?9, position = ?10 WHERE id = ?1 AND created = ?3`
)

// CreateWebhook stores a new webhook and its audit entry. The error is of kind
// Conflict where there are most already.
func (s *Store) CreateWebhook(ctx context.Context, w webhook.Webhook, most int, entry audit.Entry) error {
	row, err := sqlrow.WebhookRow(&w)
	if err != nil {
		return err
	}
	return s.do(ctx, "create webhook", func(t *txn) error {
		var n int
		if err := t.queryRow("SELECT count(*) FROM webhooks").Scan(&n); err != nil {
			return err
		}
		if n >= most {
			return sqlrow.ManyWebhooks(n, most)
		}
		if err := t.exec("INSERT INTO webhooks ("+sqlrow.WebhookColumns+") VALUES (?"+strings.Repeat(", ?", len(row)-1)+")", row...); err != nil {
			return err
		}
		return t.addAudit(entry)
	})
}

// Webhook returns the webhook with this id. The error is of kind NotFound where there
// is none.
func (s *Store) Webhook(ctx context.Context, id task.ID) (webhook.Webhook, error) {
	var w webhook.Webhook
	err := s.readOne(ctx, "get webhook", func(r reading) (err error) {
		w, err = sqlrow.ScanWebhook(r.queryRow(webhookSQL, sqlrow.Blob(id)))
		return sqlrow.NoWebhook(id, err)
	})
	return w, err
}

// ListWebhooks returns a page of the webhooks, and, where the page asks for it, how
// many there are in all; else -1. There are few: each is looked at.
func (s *Store) ListWebhooks(ctx context.Context, page query.Page) ([]webhook.Webhook, int64, error) {
	found, total := []webhook.Webhook{}, int64(-1)
	err := s.readMany(ctx, "list webhooks", func(r reading) error {
		return r.listed("webhooks", sqlrow.WebhookColumns, clause{sql: " WHERE true"}, page, orderBy(page.Sort), &total, func(row rowScanner) error {
			w, err := sqlrow.ScanWebhook(row)
			found = append(found, w)
			return err
		})
	})
	return found, total, err
}

// listed reads a page of the rows of a table that are among those of where, and counts
// all of them where the page asks for it.
func (r reading) listed(
	table, columns string, where clause, page query.Page, order string, total *int64, scan func(rowScanner) error,
) error {
	if filter := query.Simplify(page.Filter); filter != nil {
		where = where.and(compile(filter))
	}
	if page.Count {
		if err := r.queryRow("SELECT count(*) FROM "+table+where.sql, where.args...).Scan(total); err != nil {
			return fmt.Errorf("count: %w", err)
		}
	}
	if page.Limit == 0 {
		return nil
	}
	return r.each(scan, "SELECT "+columns+" FROM "+table+where.sql+order+" LIMIT ? OFFSET ?",
		append(where.args, page.Limit, page.Offset)...)
}

// UpdateWebhook lets fn decide what becomes of a webhook, and writes that with its
// audit entry; a nil entry changes nothing. fn runs inside the transaction; it must be
// quick and may run again. The error is of kind NotFound where there is no webhook with
// this id.
func (s *Store) UpdateWebhook(
	ctx context.Context, id task.ID, fn func(webhook.Webhook) (webhook.Webhook, *audit.Entry, error),
) (webhook.Webhook, error) {
	var stored webhook.Webhook
	err := s.do(ctx, "update webhook", func(t *txn) error {
		before, err := sqlrow.ScanWebhook(t.queryRow(webhookSQL, sqlrow.Blob(id)))
		if err != nil {
			return sqlrow.NoWebhook(id, err)
		}
		stored = before
		after, entry, err := fn(before)
		if err != nil || entry == nil {
			return err
		}
		after.ID, after.Created = before.ID, before.Created
		row, err := sqlrow.WebhookRow(&after)
		if err != nil {
			return err
		}
		if err := t.exec(updateWebhookSQL, row...); err != nil {
			return err
		}
		stored = after
		return t.addAudit(*entry)
	})
	return stored, err
}

// DeleteWebhook deletes a webhook: from now on nothing finds its deliveries, whose rows
// go a little at a time (see Sweep). entry makes the audit entry; its error undoes
// everything. The error is of kind NotFound where there is no webhook with this id.
func (s *Store) DeleteWebhook(ctx context.Context, id task.ID, entry func(webhook.Webhook) (audit.Entry, error)) error {
	return s.do(ctx, "delete webhook", func(t *txn) error {
		w, err := sqlrow.ScanWebhook(t.queryRow(webhookSQL, sqlrow.Blob(id)))
		if err != nil {
			return sqlrow.NoWebhook(id, err)
		}
		e, err := entry(w)
		if err != nil {
			return err
		}
		if err := t.exec("DELETE FROM webhooks WHERE id = ?", sqlrow.Blob(id)); err != nil {
			return err
		}
		if err := t.discard("webhook", sqlrow.Blob(id)); err != nil {
			return err
		}
		return t.addAudit(e)
	})
}

// Listening returns the webhooks that are enabled.
func (s *Store) Listening(ctx context.Context) ([]webhook.Webhook, error) {
	var found []webhook.Webhook
	err := s.readOne(ctx, "read webhooks", func(r reading) error {
		return r.each(func(row rowScanner) error {
			w, err := sqlrow.ScanWebhook(row)
			found = append(found, w)
			return err
		}, "SELECT "+sqlrow.WebhookColumns+" FROM webhooks WHERE enabled = 1 ORDER BY id")
	})
	return found, err
}

// Tell stores deliveries to a webhook that was read as w, and that the feed was read
// for it up to next, together. Where that was done meanwhile, or the webhook is not
// enabled any more, it does nothing; what was delivered once is not delivered again.
func (s *Store) Tell(ctx context.Context, w webhook.Webhook, next string, deliveries []webhook.Delivery) error {
	return s.do(ctx, "tell webhook", func(t *txn) error {
		n, err := t.execCount("UPDATE webhooks SET position = ? WHERE id = ? AND enabled = 1 AND position IS ?",
			next, sqlrow.Blob(w.ID), sqlrow.Text(w.Position))
		if err != nil || n == 0 {
			return err
		}
		for _, d := range deliveries {
			if err := t.addDelivery(d); err != nil {
				return err
			}
		}
		return nil
	})
}

const (
	toldSQL     = "SELECT EXISTS (SELECT 1 FROM deliveries WHERE webhook = ? AND task_id = ? AND event = ?)"
	deliverySQL = "SELECT " + sqlrow.DeliveryColumns + " FROM deliveries WHERE id = ?"

	insertDeliverySQL = "INSERT INTO deliveries (" + sqlrow.DeliveryColumns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
	updateDeliverySQL = `UPDATE deliveries SET state = ?6, attempts = ?7, earlier = ?8, last_attempt = ?9, last_status = ?10,
		last_error = ?11, next_attempt = ?12, done = ?13, job = ?14 WHERE id = ?1`

	purgeDeliveriesSQL = `DELETE FROM deliveries WHERE seq IN (
		SELECT seq FROM deliveries WHERE created < ? AND state <> 'pending' ORDER BY created LIMIT ?)`
	lateDeliveriesSQL = "SELECT " + sqlrow.DeliveryColumns + ` FROM deliveries
		WHERE next_attempt IS NOT NULL AND next_attempt < ? AND (next_attempt, id) > (?, ?) ORDER BY next_attempt, id LIMIT ?`
)

// DeliveryHook sees every write of a delivery, inside its transaction: before is nil
// for a new one. It sets after.Job where that is 0 and the delivery is pending. It must
// use tx alone.
type DeliveryHook func(ctx context.Context, tx *sql.Tx, before, after *webhook.Delivery) error

// OnDelivery sets the hook, before the first write.
func (s *Store) OnDelivery(hook DeliveryHook) { s.onDelivery = hook }

// addDelivery stores a delivery, unless its webhook was told already.
func (t *txn) addDelivery(d webhook.Delivery) error {
	if d.TaskID != "" {
		var told bool
		err := t.queryRow(toldSQL, sqlrow.Blob(d.WebhookID), sqlrow.Blob(d.TaskID), string(d.Event)).Scan(&told)
		if err != nil || told {
			return err
		}
	}
	if t.onDelivery != nil {
		if err := t.onDelivery(t.ctx, t.tx, nil, &d); err != nil {
			return err
		}
	}
	return t.exec(insertDeliverySQL, sqlrow.DeliveryRow(&d)...)
}

// AddDelivery stores a delivery that somebody asked for, with its audit entry. The
// error is of kind NotFound where its webhook is gone.
func (s *Store) AddDelivery(ctx context.Context, d webhook.Delivery, entry audit.Entry) error {
	return s.do(ctx, "add delivery", func(t *txn) error {
		if _, err := sqlrow.ScanWebhook(t.queryRow(webhookSQL, sqlrow.Blob(d.WebhookID))); err != nil {
			return sqlrow.NoWebhook(d.WebhookID, err)
		}
		if err := t.addDelivery(d); err != nil {
			return err
		}
		return t.addAudit(entry)
	})
}

// Delivery returns the delivery with this id. The error is of kind NotFound where there
// is none.
func (s *Store) Delivery(ctx context.Context, id task.ID) (webhook.Delivery, error) {
	var d webhook.Delivery
	err := s.readOne(ctx, "get delivery", func(r reading) (err error) {
		d, err = sqlrow.ScanDelivery(r.queryRow(deliverySQL, sqlrow.Blob(id)))
		return sqlrow.NoDelivery(id, err)
	})
	return d, err
}

// ListDeliveries returns a page of the deliveries to a webhook, and, where the page asks
// for it, how many there are in all; else -1. The error is of kind NotFound where there
// is no such webhook.
func (s *Store) ListDeliveries(ctx context.Context, id task.ID, page query.Page) ([]webhook.Delivery, int64, error) {
	found, total := []webhook.Delivery{}, int64(-1)
	err := s.readList(ctx, "list deliveries", func(r reading) error {
		return r.deliveries(id, page, &total, func(d webhook.Delivery) { found = append(found, d) })
	})
	return found, total, err
}

// deliveries calls add for each delivery of a page.
func (r reading) deliveries(id task.ID, page query.Page, total *int64, add func(webhook.Delivery)) error {
	if _, err := sqlrow.ScanWebhook(r.queryRow(webhookSQL, sqlrow.Blob(id))); err != nil {
		return sqlrow.NoWebhook(id, err)
	}
	of := clause{" WHERE webhook = ?", []any{sqlrow.Blob(id)}}
	order := orderBy(page.Sort)
	if query.Demands(page.Filter, query.FieldTask) {
		// There are few: they are found by their task, and not in their order.
		order = strings.Replace(order, "created", "created + 0", 1)
	}
	return r.listed("deliveries", sqlrow.DeliveryColumns, of, page, order, total, func(row rowScanner) error {
		d, err := sqlrow.ScanDelivery(row)
		add(d)
		return err
	})
}

// UpdateDelivery lets fn decide what becomes of a delivery, and writes that, with its
// audit entry if there is one; false changes nothing. fn runs inside the transaction; it
// must be quick and may run again. The error is of kind NotFound where there is no
// delivery with this id.
func (s *Store) UpdateDelivery(
	ctx context.Context, id task.ID, fn func(webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error),
) (webhook.Delivery, error) {
	var stored webhook.Delivery
	err := s.do(ctx, "update delivery", func(t *txn) error {
		before, err := sqlrow.ScanDelivery(t.queryRow(deliverySQL, sqlrow.Blob(id)))
		if err != nil {
			return sqlrow.NoDelivery(id, err)
		}
		stored = before
		after, changed, entry, err := fn(before)
		if err != nil || !changed {
			return err
		}
		if t.onDelivery != nil {
			if err := t.onDelivery(t.ctx, t.tx, &before, &after); err != nil {
				return err
			}
		}
		if err := t.exec(updateDeliverySQL, sqlrow.DeliveryRow(&after)...); err != nil {
			return err
		}
		stored = after
		if entry != nil {
			return t.addAudit(*entry)
		}
		return nil
	})
	return stored, err
}

// LateDeliveries returns up to limit deliveries that were to be tried before a time,
// the longest late first, of those behind another one.
func (s *Store) LateDeliveries(ctx context.Context, before int64, after webhook.Delivery, limit int) ([]webhook.Delivery, error) {
	var late []webhook.Delivery
	err := s.readOne(ctx, "read late deliveries", func(r reading) error {
		return r.each(func(row rowScanner) error {
			d, err := sqlrow.ScanDelivery(row)
			late = append(late, d)
			return err
		}, lateDeliveriesSQL, before, sqlrow.Since(after.NextAttempt), sqlrow.FeedID(after.ID), limit)
	})
	return late, err
}

// PurgeDeliveries deletes up to limit deliveries made before a time, and returns how
// many.
func (s *Store) PurgeDeliveries(ctx context.Context, before int64, limit int) (int, error) {
	var n int64
	err := s.do(ctx, "purge deliveries", func(t *txn) (err error) {
		n, err = t.execCount(purgeDeliveriesSQL, before, limit)
		return err
	})
	return int(n), err
}
