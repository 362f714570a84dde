package querytest

import (
	"encoding/json"
	"time"

	"pgregory.net/rapid"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/task"
)

// Entry generates an entry of the audit.
func Entry() *rapid.Generator[audit.Entry] {
	return rapid.Custom(func(t *rapid.T) audit.Entry {
		text := func(name string) string {
			return rapid.OneOf(rapid.Just(""), textGenerator()).Draw(t, name)
		}
		doc := func(name string) json.RawMessage {
			return rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"a":1}`), json.RawMessage(`[]`)}).Draw(t, name)
		}
		return audit.Entry{
			At:     createdGenerator().Draw(t, "at"),
			Action: rapid.SampledFrom(audit.Actions()).Draw(t, "action"),
			Origin: audit.Origin{
				Actor: text("actor"), Client: string(idGenerator().Draw(t, "client")), Address: text("address"), Agent: text("agent"),
				RequestID: string(idGenerator().Draw(t, "request")),
			},
			Object: rapid.OneOf(rapid.Map(idGenerator(), asString[task.ID]), textGenerator()).Draw(t, "object"),
			Before: doc("before"), After: doc("after"), Words: text("words"), Reason: text("reason"),
		}
	})
}

// EntryExpr generates a filter that /stint/v1/audit can be asked for, as Expr does
// for tasks.
func EntryExpr(entries ...audit.Recorded) *rapid.Generator[query.Expr] {
	return rapid.Custom(func(t *rapid.T) query.Expr {
		return drawTree(t, 3, func(t *rapid.T) query.Expr { return drawEntryLeaf(t, entries) })
	})
}

func drawEntryLeaf(t *rapid.T, entries []audit.Recorded) query.Expr {
	f := rapid.SampledFrom([]query.Field{
		query.FieldID, query.FieldCreated, query.FieldCreated, query.FieldAction, query.FieldActor, query.FieldClient, query.FieldObject,
		query.FieldRequest,
	}).Draw(t, "field")
	var present []string
	for i := range entries {
		value, _ := query.AuditValues(&entries[i])(f)
		present = append(present, value)
	}
	var values *rapid.Generator[string]
	exact := true
	switch f {
	case query.FieldCreated:
		values = rapid.Map(createdGenerator(), task.FormatTime)
		present = append(present, task.FormatTime(time.UnixMilli(1)))
	case query.FieldAction:
		values = rapid.Map(rapid.SampledFrom(audit.Actions()), asString)
	case query.FieldID, query.FieldClient, query.FieldRequest:
		values = rapid.OneOf(rapid.Map(idGenerator(), asString[task.ID]), rapid.Map(textGenerator(), notID))
	default:
		values, exact = rapid.OneOf(textGenerator(), rapid.Just("")), false
	}
	if len(present) > 0 {
		known := rapid.SampledFrom(present)
		if !exact {
			known = rapid.OneOf(known, rapid.Map(known, swapCase))
		}
		values = rapid.OneOf(known, known, values)
	}
	if f == query.FieldCreated {
		order := rapid.SampledFrom([]query.Order{query.After, query.NotLess, query.Before, query.NotAfter}).Draw(t, "order")
		return query.Range{Field: f, Order: order, Value: values.Draw(t, "time")}
	}
	return query.Compare{Field: f, Values: drawValues(t, f, values)}
}
