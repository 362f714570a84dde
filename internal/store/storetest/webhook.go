package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
	"stint/internal/webhook"
)

// Webhooks is what a store keeps of webhooks and their deliveries.
type Webhooks interface {
	// CreateWebhook stores a webhook and its entry; Conflict where there are most.
	CreateWebhook(ctx context.Context, w webhook.Webhook, most int, entry audit.Entry) error
	// Webhook returns a webhook; else NotFound.
	Webhook(ctx context.Context, id task.ID) (webhook.Webhook, error)
	// ListWebhooks returns a page, and how many there are in all where the page asks for
	// it, else -1; so does ListDeliveries of one webhook, or NotFound.
	ListWebhooks(ctx context.Context, page query.Page) ([]webhook.Webhook, int64, error)
	// UpdateWebhook writes what fn makes of a webhook, with the entry; nothing without.
	UpdateWebhook(ctx context.Context, id task.ID,
		fn func(webhook.Webhook) (webhook.Webhook, *audit.Entry, error)) (webhook.Webhook, error)
	// DeleteWebhook deletes a webhook, with its entry; its deliveries are swept.
	DeleteWebhook(ctx context.Context, id task.ID, entry func(webhook.Webhook) (audit.Entry, error)) error
	// Listening returns those that are enabled.
	Listening(ctx context.Context) ([]webhook.Webhook, error)
	// Tell stores deliveries and the position together, or nothing where the position is
	// another by now, or the webhook is not enabled. None is stored twice.
	Tell(ctx context.Context, w webhook.Webhook, next string, deliveries []webhook.Delivery) error
	// AddDelivery stores a delivery and its entry; NotFound without its webhook.
	AddDelivery(ctx context.Context, d webhook.Delivery, entry audit.Entry) error
	// Delivery returns a delivery; else NotFound.
	Delivery(ctx context.Context, id task.ID) (webhook.Delivery, error)
	ListDeliveries(ctx context.Context, id task.ID, page query.Page) ([]webhook.Delivery, int64, error)
	// UpdateDelivery writes what fn makes of a delivery where it says true, with the
	// entry, if there is one.
	UpdateDelivery(ctx context.Context, id task.ID,
		fn func(webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error)) (webhook.Delivery, error)
	// LateDeliveries returns those to be tried before a time, in that order, behind another.
	LateDeliveries(ctx context.Context, before int64, after webhook.Delivery, limit int) ([]webhook.Delivery, error)
	// PurgeDeliveries deletes up to limit that are not pending and were made before a time.
	PurgeDeliveries(ctx context.Context, before int64, limit int) (int, error)
}

// webhookOf returns the n-th webhook, with every field set.
func webhookOf(n int) webhook.Webhook {
	return webhook.Webhook{
		ID: idOf(n), Name: fmt.Sprintf("Webhook %d É", n), URL: "https://example.com/é?a=b", Events: webhook.Events(),
		Filter: `type eq "É"`, Enabled: true, Disabled: "because", Created: at(n), Modified: at(n + 1), Secret: []byte{0, byte(n)},
		Old: []byte{1}, Rotated: at(n + 1), Position: fmt.Sprint("position ", n),
	}
}

// deliveryOf returns the n-th delivery to a webhook, which is pending.
func deliveryOf(n int, to task.ID) webhook.Delivery {
	return webhook.Delivery{
		ID: idOf(n), WebhookID: to, TaskID: idOf(n + 1000), Event: webhook.TaskFailed, Created: at(n), State: webhook.Pending,
		NextAttempt: at(n), Job: int64(n),
	}
}

func webhookEntry(object task.ID) audit.Entry {
	return audit.Entry{At: start(), Origin: audit.Origin{Actor: "tester"}, Action: audit.WebhookUpdate, Object: string(object), After: json.RawMessage(`{}`)}
}

func createWebhook(tb testing.TB, s Store, w webhook.Webhook) webhook.Webhook {
	tb.Helper()
	if err := s.CreateWebhook(tb.Context(), w, 1000, webhookEntry(w.ID)); err != nil {
		tb.Fatalf("create webhook %s: %v", w.ID, err)
	}
	return w
}

func tell(tb testing.TB, s Store, w webhook.Webhook, next string, deliveries ...webhook.Delivery) {
	tb.Helper()
	if err := s.Tell(tb.Context(), w, next, deliveries); err != nil {
		tb.Fatalf("tell webhook %s: %v", w.ID, err)
	}
}

func setDelivery(tb testing.TB, s Store, d webhook.Delivery) webhook.Delivery {
	tb.Helper()
	stored, err := s.UpdateDelivery(tb.Context(), d.ID, func(webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error) {
		e := webhookEntry(d.ID)
		return d, true, &e, nil
	})
	if err != nil {
		tb.Fatalf("update delivery %s: %v", d.ID, err)
	}
	return stored
}

func newestDeliveries(limit int) query.Page {
	return query.Page{Limit: limit, Count: true, Sort: newestFirst()}
}

// wantDeliveries fails unless these are all deliveries to a webhook, the newest first.
func wantDeliveries(tb testing.TB, s Store, to task.ID, want ...webhook.Delivery) {
	tb.Helper()
	got, n, err := s.ListDeliveries(tb.Context(), to, newestDeliveries(250))
	if err != nil || n != int64(len(want)) {
		tb.Errorf("%d deliveries, %v; want %d", n, err, len(want))
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		tb.Errorf("deliveries (-want +got):\n%s", diff)
	}
	for _, d := range want {
		if got, err := s.Delivery(tb.Context(), d.ID); err != nil || got != d {
			tb.Errorf("delivery %s: %+v, %v", d.ID, got, err)
		}
	}
}

func testWebhooks(t trial) {
	s := t.store
	want := func(w webhook.Webhook) {
		t.Helper()
		got, err := s.Webhook(t.Context(), w.ID)
		if diff := gocmp.Diff(w, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("webhook %s: %v (-want +got):\n%s", w.ID, err, diff)
		}
	}
	full := createWebhook(t, s, webhookOf(1))
	want(full)
	least := createWebhook(t, s, webhook.Webhook{
		ID: idOf(2), Name: "a", URL: "http://x", Events: []webhook.Event{webhook.TaskFailed}, Created: start(), Modified: start(), Secret: []byte{1},
	})
	want(least)
	_ = wantKind(t, s.CreateWebhook(t.Context(), webhookOf(3), 2, webhookEntry(idOf(3))), task.Conflict)
	_, err := s.Webhook(t.Context(), idOf(3))
	_ = wantKind(t, err, task.NotFound)
	if n := len(entries(t, s, string(idOf(3)))); n != 0 {
		t.Errorf("%d entries of what was refused", n)
	}
	listening := func(want ...webhook.Webhook) {
		t.Helper()
		got, err := s.Listening(t.Context())
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("listening: %v (-want +got):\n%s", err, diff)
		}
	}
	listening(full)
	for _, page := range []struct {
		query.Page
		want []webhook.Webhook
	}{
		{query.Page{Limit: 9, Sort: byName(), Count: true}, []webhook.Webhook{least, full}},
		{query.Page{Limit: 1, Sort: []query.Sorter{{Field: query.FieldCreated, Desc: true}}, Count: true}, []webhook.Webhook{full}},
		{query.Page{Limit: 9, Sort: byName(), Filter: query.Compare{Field: query.FieldName, Values: []string{"A"}}}, []webhook.Webhook{least}},
		{query.Page{Limit: 0, Sort: byName()}, nil},
	} {
		got, n, err := s.ListWebhooks(t.Context(), page.Page)
		if diff := gocmp.Diff(page.want, got, cmpopts.EquateEmpty()); err != nil || diff != "" || page.Count && n != 2 || !page.Count && n != -1 {
			t.Errorf("%v: %d, %v (-want +got):\n%s", page.Page, n, err, diff)
		}
	}

	changed := least
	changed.Enabled, changed.Name, changed.Position, changed.Modified, changed.Filter = true, "B", "p", at(9), "f"
	stored, err := s.UpdateWebhook(t.Context(), least.ID, func(w webhook.Webhook) (webhook.Webhook, *audit.Entry, error) {
		if diff := gocmp.Diff(least, w, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("in a write (-want +got):\n%s", diff)
		}
		e := webhookEntry(w.ID)
		return changed, &e, nil
	})
	if diff := gocmp.Diff(changed, stored, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("update: %v (-want +got):\n%s", err, diff)
	}
	want(changed)
	listening(full, changed)
	nothing := func(w webhook.Webhook) (webhook.Webhook, *audit.Entry, error) { return full, nil, nil }
	if _, err := s.UpdateWebhook(t.Context(), least.ID, nothing); err != nil {
		t.Error(err)
	}
	want(changed)
	_, err = s.UpdateWebhook(t.Context(), idOf(99), nothing)
	_ = wantKind(t, err, task.NotFound)
	if n := len(entries(t, s, string(least.ID))); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

func testWebhookTold(t trial) {
	s := t.store
	w := createWebhook(t, s, webhookOf(1))
	one, two := deliveryOf(10, w.ID), deliveryOf(11, w.ID)
	tell(t, s, w, "next", one, two)
	wantDeliveries(t, s, w.ID, two, one)
	// Whoever was slower does nothing.
	tell(t, s, w, "other", deliveryOf(12, w.ID))
	wantDeliveries(t, s, w.ID, two, one)
	w.Position = "next"
	// Nobody is told twice; of another event, or a test, he is.
	repeat, other, test := deliveryOf(13, w.ID), deliveryOf(14, w.ID), deliveryOf(15, w.ID)
	repeat.TaskID, other.TaskID, other.Event, test.TaskID, test.Event = one.TaskID, one.TaskID, webhook.TaskCompleted, "", webhook.Test
	tell(t, s, w, "", repeat, other, test)
	wantDeliveries(t, s, w.ID, test, other, two, one)
	w.Position = ""
	second := test
	second.ID, second.Created = idOf(16), at(16)
	if err := s.AddDelivery(t.Context(), second, webhookEntry(w.ID)); err != nil {
		t.Fatal(err)
	}
	wantDeliveries(t, s, w.ID, second, test, other, two, one)
	if got, err := s.Webhook(t.Context(), w.ID); err != nil || got.Position != "" {
		t.Errorf("the position is %q, %v", got.Position, err)
	}

	done := one
	done.State, done.Attempts, done.Before, done.LastAttempt, done.LastStatus, done.LastError = webhook.Failed, 7, 3, at(50), 500, "é"
	done.NextAttempt, done.Done, done.Job = time.Time{}, at(51), 0
	if got := setDelivery(t, s, done); got != done {
		t.Errorf("stored %+v", got)
	}
	wantDeliveries(t, s, w.ID, second, test, other, two, done)
	unchanged, err := s.UpdateDelivery(t.Context(), two.ID, func(d webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error) {
		return done, false, nil, nil
	})
	if err != nil || unchanged != two {
		t.Errorf("without a change: %+v, %v", unchanged, err)
	}
	_, err = s.Delivery(t.Context(), idOf(99))
	_ = wantKind(t, err, task.NotFound)
	_, _, err = s.ListDeliveries(t.Context(), idOf(99), newestDeliveries(1))
	_ = wantKind(t, err, task.NotFound)
	stray := deliveryOf(98, idOf(99))
	_ = wantKind(t, s.AddDelivery(t.Context(), stray, webhookEntry(stray.ID)), task.NotFound)

	// Who is not enabled is told nothing.
	if _, err := s.UpdateWebhook(t.Context(), w.ID, func(w webhook.Webhook) (webhook.Webhook, *audit.Entry, error) {
		w.Enabled = false
		e := webhookEntry(w.ID)
		return w, &e, nil
	}); err != nil {
		t.Fatal(err)
	}
	tell(t, s, w, "x", deliveryOf(17, w.ID))
	wantDeliveries(t, s, w.ID, second, test, other, two, done)

	// What belongs to one that is deleted is swept, and nothing else.
	stays := createWebhook(t, s, webhookOf(2))
	kept := deliveryOf(20, stays.ID)
	tell(t, s, stays, "next", kept)
	refused := func(webhook.Webhook) (audit.Entry, error) {
		return audit.Entry{}, task.Errorf(task.PreconditionFailed, "", "no")
	}
	_ = wantKind(t, s.DeleteWebhook(t.Context(), w.ID, refused), task.PreconditionFailed)
	wantDeliveries(t, s, w.ID, second, test, other, two, done)
	gone := func(w webhook.Webhook) (audit.Entry, error) { return webhookEntry(w.ID), nil }
	if err := s.DeleteWebhook(t.Context(), w.ID, gone); err != nil {
		t.Fatal(err)
	}
	_ = wantKind(t, s.DeleteWebhook(t.Context(), w.ID, gone), task.NotFound)
	sweepAll(t, s, start(), 2)
	_, err = s.Delivery(t.Context(), two.ID)
	_ = wantKind(t, err, task.NotFound)
	wantDeliveries(t, s, stays.ID, kept)
}

func testDeliveriesLate(t trial) {
	s := t.store
	w := createWebhook(t, s, webhookOf(1))
	var all []webhook.Delivery
	for n := range 7 {
		d := deliveryOf(10+n, w.ID)
		d.NextAttempt = at(100 + n/2)
		all = append(all, d)
	}
	tell(t, s, w, "next", all...)
	late := func(before time.Time, after webhook.Delivery, limit int, want ...webhook.Delivery) {
		t.Helper()
		got, err := s.LateDeliveries(t.Context(), before.UnixMilli(), after, limit)
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("late: %v (-want +got):\n%s", err, diff)
		}
	}
	late(at(100), webhook.Delivery{}, 9)
	late(at(102), webhook.Delivery{}, 9, all[:4]...)
	late(at(900), webhook.Delivery{}, 3, all[:3]...)
	late(at(900), all[2], 3, all[3:6]...)
	done := all[3]
	done.State, done.NextAttempt, done.Done, done.Job = webhook.Delivered, time.Time{}, at(200), 0
	setDelivery(t, s, done)
	late(at(900), all[2], 3, all[4:7]...)

	purge := func(before time.Time, limit, want int) {
		t.Helper()
		if n, err := s.PurgeDeliveries(t.Context(), before.UnixMilli(), limit); err != nil || n != want {
			t.Errorf("purged %d, %v; want %d", n, err, want)
		}
	}
	purge(done.Created, 9, 0)
	older := all[0]
	older.State, older.NextAttempt, older.Done, older.Job = webhook.Failed, time.Time{}, at(200), 0
	setDelivery(t, s, older)
	purge(at(900), 1, 1)
	wantDeliveries(t, s, w.ID, all[6], all[5], all[4], done, all[2], all[1])
	purge(at(900), 9, 1)
	purge(at(900), 9, 0)
	wantDeliveries(t, s, w.ID, all[6], all[5], all[4], all[2], all[1])
}

// testDeliveryList compares pages with what plain sorting and query.Match make of the
// same deliveries.
func testDeliveryList(t trial) {
	s := t.store
	w, other := createWebhook(t, s, webhookOf(1)), createWebhook(t, s, webhookOf(2))
	var all []webhook.Delivery
	for n := range 40 {
		d := deliveryOf(100+n, w.ID)
		d.Created, d.Event = at(n/3), []webhook.Event{webhook.TaskCompleted, webhook.TaskFailed, webhook.Test}[n%3]
		if d.Event == webhook.Test {
			d.TaskID = ""
		}
		if n%4 > 0 {
			d.State, d.NextAttempt, d.Done, d.Job = webhook.States()[1+n%2], time.Time{}, at(900), 0
		}
		all = append(all, d)
	}
	tell(t, s, w, "next", all...)
	tell(t, s, other, "next", deliveryOf(99, other.ID))
	rapid.Check(t, func(r *rapid.T) {
		page := query.Page{
			Limit: rapid.IntRange(0, 20).Draw(r, "limit"), Offset: rapid.IntRange(0, 20).Draw(r, "offset"), Count: rapid.Bool().Draw(r, "count"),
			Sort: []query.Sorter{{Field: query.FieldCreated, Desc: rapid.Bool().Draw(r, "descending")}}, Filter: drawDeliveryFilter(r, all, 3),
		}
		var want []webhook.Delivery
		for _, d := range all {
			if page.Filter == nil || query.Match(page.Filter, query.DeliveryValues(&d)) {
				want = append(want, d)
			}
		}
		slices.SortFunc(want, func(a, b webhook.Delivery) int {
			c := a.Created.Compare(b.Created)
			if c == 0 {
				c = strings.Compare(string(a.ID), string(b.ID))
			}
			if page.Sort[0].Desc {
				c = -c
			}
			return c
		})
		total := int64(-1)
		if page.Count {
			total = int64(len(want))
		}
		from := min(page.Offset, len(want))
		want = want[from:min(from+page.Limit, len(want))]
		got, n, err := s.ListDeliveries(t.Context(), w.ID, page)
		if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || n != total || diff != "" {
			r.Fatalf("%v: %d of %d, %v (-want +got):\n%s", page, n, total, err, diff)
		}
	})
}

func drawDeliveryFilter(t *rapid.T, all []webhook.Delivery, depth int) query.Expr {
	shape := rapid.IntRange(0, 6).Draw(t, "shape")
	if depth == 0 {
		shape %= 4
	}
	one := func() webhook.Delivery { return rapid.SampledFrom(all).Draw(t, "one") }
	switch shape {
	case 0:
		if depth == 3 {
			return nil
		}
		return query.Compare{Field: query.FieldTask, Values: []string{string(one().TaskID), "no id", string(one().TaskID)}}
	case 1:
		return query.Compare{Field: query.FieldState, Values: []string{string(one().State)}}
	case 2:
		return query.Compare{Field: query.FieldEvent, Values: []string{string(one().Event), string(one().Event)}}
	case 3:
		orders := []query.Order{query.After, query.NotLess, query.Before, query.NotAfter}
		return query.Range{
			Field: query.FieldCreated, Order: rapid.SampledFrom(orders).Draw(t, "order"), Value: task.FormatTime(one().Created),
		}
	case 4:
		return query.Not{Term: drawDeliveryFilter(t, all, min(depth-1, 2))}
	}
	terms := []query.Expr{drawDeliveryFilter(t, all, min(depth-1, 2)), drawDeliveryFilter(t, all, min(depth-1, 2))}
	if shape == 5 {
		return query.And{Terms: terms}
	}
	return query.Or{Terms: terms}
}

// testWebhooksAtOnce: of those who come at once, one tells, and no more are made than
// there may be.
func testWebhooksAtOnce(t trial) {
	s := t.store
	const callers, most = 12, 5
	errs := make(chan error, callers)
	for n := range callers {
		go func() { errs <- s.CreateWebhook(t.Context(), webhookOf(n), most, webhookEntry(idOf(n))) }()
	}
	made := 0
	for range callers {
		if err := <-errs; err == nil {
			made++
		} else if task.KindOf(err) != task.Conflict {
			t.Error(err)
		}
	}
	if made != most {
		t.Errorf("%d were made, want %d", made, most)
	}
	all, err := s.Listening(t.Context())
	if err != nil || len(all) != most {
		t.Fatalf("%d are listening, %v", len(all), err)
	}
	w := all[0]
	for n := range callers {
		d := deliveryOf(100+n, w.ID)
		go func() { errs <- s.Tell(t.Context(), w, fmt.Sprint("next ", n), []webhook.Delivery{d}) }()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got, n, err := s.ListDeliveries(t.Context(), w.ID, newestDeliveries(9)); err != nil || n != 1 {
		t.Errorf("%d deliveries, %v: %+v", n, err, got)
	}
}

// fillWebhooks stores webhooks and deliveries of all shapes.
func fillWebhooks(t *testing.T, s Store) {
	t.Helper()
	w := createWebhook(t, s, webhookOf(70))
	createWebhook(t, s, webhook.Webhook{
		ID: idOf(71), Name: "a", URL: "http://x", Events: []webhook.Event{webhook.TaskFailed}, Created: start(), Modified: start(), Secret: []byte{1},
	})
	one, two, test := deliveryOf(72, w.ID), deliveryOf(73, w.ID), deliveryOf(74, w.ID)
	test.TaskID, test.Event = "", webhook.Test
	tell(t, s, w, "next", one, two, test)
	one.State, one.Attempts, one.Before, one.LastAttempt, one.LastStatus, one.LastError = webhook.Failed, 7, 3, at(50), 500, "é"
	one.NextAttempt, one.Done, one.Job = time.Time{}, at(51), 0
	setDelivery(t, s, one)
}

// webhookCalls are one of each method that is about webhooks.
func webhookCalls(s Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"create webhook": func(ctx context.Context) error { return s.CreateWebhook(ctx, webhookOf(1), 9, webhookEntry(idOf(1))) },
		"get webhook":    func(ctx context.Context) error { _, err := s.Webhook(ctx, idOf(1)); return err },
		"list webhooks": func(ctx context.Context) error {
			_, _, err := s.ListWebhooks(ctx, query.Page{Limit: 5, Count: true, Sort: byName()})
			return err
		},
		"update webhook": func(ctx context.Context) error {
			_, err := s.UpdateWebhook(ctx, idOf(1), func(w webhook.Webhook) (webhook.Webhook, *audit.Entry, error) { return w, nil, nil })
			return err
		},
		"delete webhook": func(ctx context.Context) error {
			return s.DeleteWebhook(ctx, idOf(1), func(w webhook.Webhook) (audit.Entry, error) { return webhookEntry(w.ID), nil })
		},
		"listening": func(ctx context.Context) error { _, err := s.Listening(ctx); return err },
		"tell": func(ctx context.Context) error {
			return s.Tell(ctx, webhookOf(1), "next", []webhook.Delivery{deliveryOf(2, idOf(1))})
		},
		"add a delivery": func(ctx context.Context) error {
			return s.AddDelivery(ctx, deliveryOf(2, idOf(1)), webhookEntry(idOf(1)))
		},
		"get a delivery": func(ctx context.Context) error { _, err := s.Delivery(ctx, idOf(1)); return err },
		"list deliveries": func(ctx context.Context) error {
			_, _, err := s.ListDeliveries(ctx, idOf(1), newestDeliveries(5))
			return err
		},
		"update a delivery": func(ctx context.Context) error {
			_, err := s.UpdateDelivery(ctx, idOf(1), func(d webhook.Delivery) (webhook.Delivery, bool, *audit.Entry, error) {
				return d, false, nil, nil
			})
			return err
		},
		"late deliveries":  func(ctx context.Context) error { _, err := s.LateDeliveries(ctx, 1, webhook.Delivery{}, 5); return err },
		"purge deliveries": func(ctx context.Context) error { _, err := s.PurgeDeliveries(ctx, 1, 5); return err },
	}
}
