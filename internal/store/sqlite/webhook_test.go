package sqlite

import (
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
	"stint/internal/webhook"
)

// TestDeliveryPlans holds the statements about deliveries against their indexes.
func TestDeliveryPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	id := task.ID(strings.Repeat("1", 32))
	w := webhook.Webhook{ID: id, Name: "a", URL: "http://x", Events: webhook.Events(), Secret: []byte{1}}
	if err := s.CreateWebhook(t.Context(), w, 9, audit.Entry{}); err != nil {
		t.Fatal(err)
	}
	newest := []query.Sorter{{Field: query.FieldCreated, Desc: true}}
	since := query.Range{Field: query.FieldCreated, Order: query.After, Value: task.FormatTime(time.UnixMilli(5))}
	for name, test := range map[string]struct {
		filter query.Expr
		index  string
	}{
		"all":   {nil, "deliveries_listed (webhook=?)"},
		"since": {since, "deliveries_listed (webhook=? AND created>?)"},
		"state": {query.Compare{Field: query.FieldState, Values: []string{"failed"}}, "deliveries_state (webhook=? AND state=?)"},
		"task":  {query.Compare{Field: query.FieldTask, Values: []string{string(id)}}, "deliveries_told (webhook=? AND task_id=?)"},
	} {
		texts := statementsOf(t, s, func(r reading) error {
			total := int64(0)
			return r.deliveries(id, query.Page{Limit: 50, Count: true, Sort: newest, Filter: test.filter}, &total, func(webhook.Delivery) {})
		})
		for _, text := range texts {
			if !strings.Contains(text, "FROM deliveries") {
				continue
			}
			plan := strings.Join(explain(t, s, text), "\n")
			if !strings.Contains(plan, test.index) || strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") && name != "task" {
				t.Errorf("%s: %s\n%s", name, text, plan)
			}
		}
	}
	for text, index := range map[string]string{
		toldSQL: "deliveries_told (webhook=? AND task_id=? AND event=?)", deliverySQL: "(id=?)", lateDeliveriesSQL: "deliveries_next",
		purgeDeliveriesSQL: "deliveries_created (created<?)", sweepDeliveriesSQL: "(webhook=?)",
	} {
		if plan := strings.Join(explain(t, s, text), "\n"); !strings.Contains(plan, index) || strings.Contains(plan, "SCAN deliveries") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\n%s", text, plan)
		}
	}
}
