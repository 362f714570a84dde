package engine

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river/riverdriver/riversqlite"

	"stint/internal/query"
	"stint/internal/task"
	"stint/internal/webhook"
)

// plainly keeps secrets as they are.
type plainly struct{}

func (plainly) Seal(_ task.ID, secret []byte) ([]byte, error) { return secret, nil }
func (plainly) Open(_ task.ID, sealed []byte) ([]byte, error) { return sealed, nil }

// posting is a courier made of a function.
type posting func(ctx context.Context, headers map[string]string, body []byte) (int, error)

func (p posting) Post(ctx context.Context, _ string, headers map[string]string, body []byte) (int, error) {
	return p(ctx, headers, body)
}

// hooked is a bench with webhooks, whose queue runs nothing yet.
type hooked struct {
	*queue
	hooks *Webhooks
	feed  *Feed
}

func newHooked(tb testing.TB, p posting) *hooked {
	tb.Helper()
	b := newBench(tb)
	q := &queue{bench: b, log: newLog()}
	log := slog.New(slog.NewTextHandler(q.log, nil))
	h := &hooked{queue: q, hooks: NewWebhooks(WebhookOptions{
		Store: b.store, Tasks: b.store, Feed: b.store, Parse: query.StintTasks(task.NewCatalog()).ParseFilter,
		Render: func(r task.Row) ([]byte, error) { return r.Wire, nil }, Sealer: plainly{}, Courier: p, Now: b.clock.Now, Log: log,
	})}
	var err error
	q.jobs, err = NewJobs(tb.Context(), JobOptions[*sql.Tx]{
		Driver: riversqlite.New(b.store.DB()), Tasks: b.Tasks, Store: b.store, Executor: executing(success), Webhooks: h.hooks, Workers: 2,
		ID: rand.Text(), Members: Alone{}, Log: log, Now: time.Now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	h.feed = NewFeed(b.Tasks, b.store, log)
	return h
}

func (h *hooked) create(tb testing.TB, filter string) webhook.Webhook {
	tb.Helper()
	w, _, err := h.hooks.Create(tb.Context(), webhook.Webhook{
		Name: "a", URL: "http://x", Events: webhook.Events(), Filter: filter, Enabled: true,
	}, "", person())
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

// dispatch looks at the feed until there is no more to be told.
func (h *hooked) dispatch(tb testing.TB, d *Dispatcher) {
	tb.Helper()
	for again := true; again; {
		var err error
		if _, again, err = d.runOnce(tb.Context()); err != nil {
			tb.Fatal(err)
		}
	}
}

func (h *hooked) deliveries(tb testing.TB, w webhook.Webhook) []webhook.Delivery {
	tb.Helper()
	all, _, err := h.store.ListDeliveries(tb.Context(), w.ID, query.Page{Limit: 250, Sort: []query.Sorter{{Field: query.FieldCreated}}})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// TestDeliveryWithoutAJob: one that came with a copy of the database has none, and gets
// one.
func TestDeliveryWithoutAJob(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	h := newHooked(t, func(_ context.Context, headers map[string]string, _ []byte) (int, error) {
		got <- headers[webhook.HeaderID]
		return 200, nil
	})
	w := h.create(t, "")
	l := h.running(t, 0)
	h.report(t, l, task.Report{Completion: task.Success})
	h.dispatch(t, NewDispatcher(h.hooks, h.feed, discard()))
	all := h.deliveries(t, w)
	if len(all) != 1 || all[0].Job != 0 || all[0].TaskID != l.Task.ID {
		t.Fatalf("the deliveries are %+v", all)
	}
	h.store.OnDelivery(h.jobs.FollowDelivery)
	h.start(t)
	if id := receive(t, got); id != string(all[0].ID) {
		t.Errorf("delivered %s, want %s", id, all[0].ID)
	}
	h.stop(t)
	if d := h.deliveries(t, w)[0]; d.State != webhook.Delivered || d.Attempts != 1 || len(got) > 0 {
		t.Errorf("it is %+v, and %d more came", d, len(got))
	}
}

// TestDispatchIsRepeated: whoever reads the feed again, from a position that was not
// stored, tells nobody twice; what the filter does not accept is not told.
func TestDispatchIsRepeated(t *testing.T) {
	t.Parallel()
	h := newHooked(t, func(context.Context, map[string]string, []byte) (int, error) { return 0, errors.New("not yet") })
	h.store.OnDelivery(h.jobs.FollowDelivery)
	w, none := h.create(t, ""), h.create(t, `uniqueName eq "another"`)
	var want int
	for range 2*dispatchBatch/50 + 1 {
		h.launchMany(t, 50, 0, false)
		want += 50
	}
	rows, _, err := h.store.List(t.Context(), query.Page{Limit: 1000, Sort: []query.Sorter{{Field: query.FieldCreated}}}, time.Time{})
	if err != nil || len(rows) != want {
		t.Fatalf("%d tasks, %v", len(rows), err)
	}
	for i := range rows {
		if _, err := h.Clear(t.Context(), rows[i].ID, func(task.Task) (*task.Clear, error) { return &task.Clear{Status: task.Failure}, nil }, "", person()); err != nil {
			t.Fatal(err)
		}
	}
	told := func() int {
		_, n, err := h.store.ListDeliveries(t.Context(), w.ID, query.Page{Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}})
		if err != nil {
			t.Fatal(err)
		}
		return int(n)
	}
	h.dispatch(t, NewDispatcher(h.hooks, h.feed, discard()))
	if n := told(); n != want {
		t.Fatalf("%d are told, want %d", n, want)
	}
	stored, err := h.store.Webhook(t.Context(), w.ID)
	if err != nil {
		t.Fatal(err)
	}
	// As if the last positions had been lost.
	if err := h.store.Tell(t.Context(), stored, w.Position, nil); err != nil {
		t.Fatal(err)
	}
	h.dispatch(t, NewDispatcher(h.hooks, h.feed, discard()))
	if n := told(); n != want {
		t.Errorf("after a repeat %d are told, want %d", n, want)
	}
	if all := h.deliveries(t, none); len(all) != 0 {
		t.Errorf("against its filter a webhook is told %+v", all)
	}
}
