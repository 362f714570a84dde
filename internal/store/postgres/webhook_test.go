package postgres

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
	"stint/internal/webhook"
)

// TestDeliveryPlans holds the statements about deliveries against what they may look at,
// with the server's statistics and without.
func TestDeliveryPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	mustExec(t, s, "ALTER TABLE deliveries SET (autovacuum_enabled = off)")
	const n = 6000
	var hooks []webhook.Webhook
	for i := range 2 {
		w := webhook.Webhook{ID: task.ID(fmt.Sprintf("%032x", i+1)), Name: "a", URL: "http://x", Events: webhook.Events(), Enabled: true, Secret: []byte{1}}
		if err := s.CreateWebhook(t.Context(), w, 9, audit.Entry{}); err != nil {
			t.Fatal(err)
		}
		hooks = append(hooks, w)
		all := make([]webhook.Delivery, n/2)
		for k := range all {
			at := time.UnixMilli(int64(1000 * k)).UTC()
			all[k] = webhook.Delivery{
				ID: task.ID(fmt.Sprintf("%032x", 2*k+i)), WebhookID: w.ID, TaskID: task.ID(fmt.Sprintf("%032x", k)), Event: webhook.TaskFailed,
				Created: at, State: webhook.Delivered, Done: at,
			}
			if k%100 == 0 {
				all[k].State = webhook.Failed
			}
			if k%150 == 7 {
				all[k].State, all[k].Done, all[k].NextAttempt = webhook.Pending, time.Time{}, at
			}
		}
		if err := s.Tell(t.Context(), w, "next", all); err != nil {
			t.Fatal(err)
		}
	}
	id := hooks[0].ID
	newest := []query.Sorter{{Field: query.FieldCreated, Desc: true}}
	for _, analyzed := range []bool{false, true} {
		if analyzed {
			analyze(t, s)
		}
		for name, test := range map[string]struct {
			filter query.Expr
			most   float64
		}{
			"all":   {nil, 20},
			"since": {query.Range{Field: query.FieldCreated, Order: query.After, Value: task.FormatTime(time.UnixMilli(2_990_500))}, 20},
			"state": {query.Compare{Field: query.FieldState, Values: []string{"failed"}}, 20},
			"task":  {query.Compare{Field: query.FieldTask, Values: []string{fmt.Sprintf("%032x", 77)}}, 1},
		} {
			seen := explainList(t, s, func(r reading) error {
				total := int64(-1)
				return r.deliveries(id, query.Page{Limit: 20, Sort: newest, Filter: test.filter}, &total, func(webhook.Delivery) {})
			})
			for _, one := range seen {
				checkDeliveryPlan(t, fmt.Sprint(name, ", analyzed ", analyzed), &one.plan, test.most)
			}
		}
		if !analyzed {
			continue // what writes is planned by the server alone
		}
		for text, test := range map[string]struct {
			args []any
			most float64
		}{
			toldSQL:            {[]any{sqlrow.Blob(id), sqlrow.Blob(id), "task.failed"}, 1},
			lateDeliveriesSQL:  {[]any{int64(1 << 40), int64(-1), sqlrow.FeedID(""), 10}, 10},
			purgeDeliveriesSQL: {[]any{int64(50_000), 10}, 30},
			sweepDeliveriesSQL: {[]any{sqlrow.Blob(id), 10}, 20},
		} {
			checkDeliveryPlan(t, text, explainAndUndo(t, s, number(text), test.args), test.most)
		}
	}
}

func checkDeliveryPlan(t *testing.T, name string, plan *node, most float64) {
	t.Helper()
	plan.each(func(n *node) {
		if n.Type == "Seq Scan" && n.Table == "deliveries" {
			t.Errorf("%s: it looks at all\n%s", name, plan)
		}
	})
	if got := plan.scanned("deliveries"); got > most {
		t.Errorf("%s: it looks at %.0f rows, at most %.0f would do\n%s", strings.TrimSpace(name), got, most, plan)
	}
}
