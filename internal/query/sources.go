package query

import (
	"stint/internal/source"
	"stint/internal/task"
)

// FieldName is the name of what is listed. That a source's type is FieldType
// too does no harm: no list holds both tasks and sources.
const FieldName Field = "name"

// Sources returns the table of /stint/v1/sources.
func Sources() *Table {
	list := []operator{opEq, opIn}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "name", columns: []Field{FieldName}, operators: list, resolve: verbatim(FieldName)},
			{word: "type", columns: []Field{FieldType}, operators: []operator{opEq}, resolve: resolveSourceType},
		},
		sorts: []Field{FieldName, FieldCreated},
		order: Sorter{Field: FieldName},
		meant: map[string]string{"sourceid": "id", "source": "name", "displayname": "name", "connector": "type"},
	}
}

func resolveSourceType(value string) (operand, string) {
	t, ok := source.ParseType(value)
	if !ok {
		return operand{}, "is not a type of source: " + source.TypeList()
	}
	return operand{field: FieldType, value: string(t)}, ""
}

// SourceValues gives the fields of a source.
func SourceValues(s *source.Source) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(s.ID), true
		case FieldName:
			return s.Name, true
		case FieldType:
			return string(s.Type), true
		case FieldCreated:
			return task.FormatTime(s.Created), true
		case FieldSource, FieldStatus, FieldKind, FieldLauncher:
		}
		return "", false
	}
}
