package query

import (
	"strings"

	"stint/internal/audit"
	"stint/internal/task"
)

// The fields of an audit entry that tasks do not have.
const (
	FieldAction  Field = "action"
	FieldActor   Field = "actor"
	FieldClient  Field = "client"
	FieldObject  Field = "object"
	FieldRequest Field = "requestId"
)

// Audit returns the table of /stint/v1/audit.
func Audit() *Table {
	list := []operator{opEq, opIn}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "created", columns: []Field{FieldCreated}, operators: ordered(), resolve: resolveTime(FieldCreated)},
			{word: "action", columns: []Field{FieldAction}, operators: list, resolve: resolveAction},
			{word: "actor", columns: []Field{FieldActor}, operators: list, resolve: verbatim(FieldActor)},
			{word: "client", columns: []Field{FieldClient}, operators: list, resolve: idOf(FieldClient)},
			{word: "object", columns: []Field{FieldObject}, operators: list, resolve: verbatim(FieldObject)},
			{word: "requestId", columns: []Field{FieldRequest}, operators: list, resolve: idOf(FieldRequest)},
		},
		sorts: []Field{FieldCreated},
		order: Sorter{Field: FieldCreated, Desc: true},
		meant: map[string]string{
			"user": "actor", "who": "actor", "clientid": "client", "client_id": "client", "taskid": "object", "sourceid": "object",
			"trackingid": "requestId", "request_id": "requestId", "time": "created", "at": "created", "type": "action",
		},
	}
}

func resolveAction(value string) (operand, string) {
	actions := audit.Actions()
	names := make([]string, len(actions))
	for i, a := range actions {
		if task.EqualFoldASCII(value, string(a)) {
			return operand{field: FieldAction, value: string(a)}, ""
		}
		names[i] = string(a)
	}
	return operand{}, "is not an action: " + strings.Join(names, ", ")
}

// AuditValues gives the fields of an audit entry.
func AuditValues(e *audit.Recorded) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(e.ID()), true
		case FieldCreated:
			return task.FormatTime(e.At), true
		case FieldAction:
			return string(e.Action), true
		case FieldActor:
			return e.Origin.Actor, true
		case FieldClient:
			return e.Origin.Client, true
		case FieldObject:
			return e.Object, true
		case FieldRequest:
			return e.Origin.RequestID, true
		}
		return "", false
	}
}
