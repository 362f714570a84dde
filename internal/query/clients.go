package query

import (
	"stint/internal/principal"
	"stint/internal/task"
)

// FieldUser is the user that a client acts for.
const FieldUser Field = "user"

// Clients returns the table of /stint/v1/tokens and /stint/v1/applications.
func Clients(sort principal.Sort) *Table {
	list := []operator{opEq, opIn}
	t := &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "name", columns: []Field{FieldName}, operators: list, resolve: verbatim(FieldName)},
		},
		sorts: []Field{FieldName, FieldCreated},
		order: Sorter{Field: FieldName},
		meant: map[string]string{"clientid": "id", "client_id": "id", "displayname": "name", "username": "user"},
	}
	if sort == principal.PersonalAccessToken {
		t.fields = append(t.fields, field{word: "user", columns: []Field{FieldUser}, operators: list, resolve: verbatim(FieldUser)})
	}
	return t
}

// ClientValues gives the fields of a client.
func ClientValues(c *principal.Client) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(c.ID), true
		case FieldName:
			return c.Name, true
		case FieldUser:
			return c.User, c.User != ""
		case FieldCreated:
			return task.FormatTime(c.Created), true
		}
		return "", false
	}
}
