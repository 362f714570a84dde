package query

import (
	"slices"
	"strings"

	"stint/internal/task"
	"stint/internal/webhook"
)

// The fields of a delivery that tasks do not have.
const (
	FieldTask  Field = "taskId"
	FieldEvent Field = "event"
	FieldState Field = "state"
)

// Webhooks returns the table of /stint/v1/webhooks.
func Webhooks() *Table {
	list := []operator{opEq, opIn}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "name", columns: []Field{FieldName}, operators: list, resolve: verbatim(FieldName)},
		},
		sorts: []Field{FieldName, FieldCreated},
		order: Sorter{Field: FieldName},
		meant: map[string]string{"webhookid": "id", "displayname": "name"},
	}
}

// Deliveries returns the table of /stint/v1/webhooks/{id}/deliveries.
func Deliveries() *Table {
	list := []operator{opEq, opIn}
	events := append(webhook.Events(), webhook.Test)
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "taskId", columns: []Field{FieldTask}, operators: list, resolve: idOf(FieldTask)},
			{word: "event", columns: []Field{FieldEvent}, operators: list, resolve: oneOf(FieldEvent, "an event", events)},
			{word: "state", columns: []Field{FieldState}, operators: list, resolve: oneOf(FieldState, "a state", webhook.States())},
			{word: "created", columns: []Field{FieldCreated}, operators: ordered(), resolve: resolveTime(FieldCreated)},
		},
		sorts: []Field{FieldCreated},
		order: Sorter{Field: FieldCreated, Desc: true},
		meant: map[string]string{
			"deliveryid": "id", "task": "taskId", "task.id": "taskId", "task_id": "taskId", "type": "event", "status": "state",
		},
	}
}

// Demands reports whether a filter selects only elements whose field equals some
// values.
func Demands(filter Expr, f Field) bool {
	filter = Simplify(filter)
	terms := []Expr{filter}
	if and, ok := filter.(And); ok {
		terms = and.Terms
	}
	return slices.ContainsFunc(terms, func(term Expr) bool {
		c, ok := term.(Compare)
		return ok && c.Field == f
	})
}

// oneOf reads one of some words, ASCII case ignored.
func oneOf[T ~string](f Field, what string, all []T) func(string) (operand, string) {
	return func(value string) (operand, string) {
		names := make([]string, len(all))
		for i, one := range all {
			if task.EqualFoldASCII(value, string(one)) {
				return operand{field: f, value: string(one)}, ""
			}
			names[i] = string(one)
		}
		return operand{}, "is not " + what + ": " + strings.Join(names, ", ")
	}
}

// WebhookValues gives the fields of a webhook.
func WebhookValues(w *webhook.Webhook) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(w.ID), true
		case FieldName:
			return w.Name, true
		case FieldCreated:
			return task.FormatTime(w.Created), true
		}
		return "", false
	}
}

// DeliveryValues gives the fields of a delivery.
func DeliveryValues(d *webhook.Delivery) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(d.ID), true
		case FieldTask:
			return string(d.TaskID), d.TaskID != ""
		case FieldEvent:
			return string(d.Event), true
		case FieldState:
			return string(d.State), true
		case FieldCreated:
			return task.FormatTime(d.Created), true
		}
		return "", false
	}
}
