package query

import (
	"slices"
	"strings"

	"stint/internal/task"
)

// Table says what a resource lets be filtered and sorted on. It is immutable and
// safe for concurrent use.
type Table struct {
	fields []field // in the order in which messages list them
	// attributes, where set, are the operators of the fields attributes.NAME.
	attributes []operator
	sorts      []Field
	// order is used where the caller asks for none.
	order Sorter
	// paged says that a page may begin behind a Position, in an order by one field.
	paged bool
	// narrowing are fields with an index: where the caller asks for no order, and
	// the filter demands something of one of them, the list is in its order.
	narrowing []Field
	// meant maps words that people write, in lower case, to the word they mean.
	meant map[string]string
}

// field is one word that can be filtered on.
type field struct {
	word      string
	columns   []Field // what it stands for; more than one where its values tell
	operators []operator
	// resolve reads one value. Where it is not one of the field, the second result
	// says so, in words that follow the value.
	resolve func(value string) (operand, string)
	// hints say what to write instead of an operator that is not allowed.
	hints map[operator]string
}

// Tasks returns the table of /task-status/v1: exactly as narrow as the original.
// Source: contract, section 4.
func Tasks(c *task.Catalog) *Table {
	list := []operator{opEq, opIn}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "sourceId", columns: []Field{FieldSource}, operators: list, resolve: verbatim(FieldSource)},
			{
				word: "completionStatus", columns: []Field{FieldStatus}, operators: []operator{opEq, opIn, opIsNull},
				resolve: resolveStatus, hints: map[operator]string{
					opPr: "not completionStatus isnull", opNe: "not completionStatus eq",
				},
			},
			{
				word: "type", columns: []Field{FieldKind, FieldType}, operators: list,
				resolve: resolveType(c), hints: map[operator]string{opNe: "not type eq"},
			},
			{word: "launcher", columns: []Field{FieldLauncher}, operators: list, resolve: verbatim(FieldLauncher)},
		},
		sorts: []Field{FieldCreated},
		order: Sorter{Field: FieldCreated, Desc: true},
		meant: map[string]string{
			"target.id": "sourceId", "target": "sourceId", "source": "sourceId", "source.id": "sourceId",
			"status": "completionStatus", "completion_status": "completionStatus",
			"kind": "type", "taskdefinitionsummary.uniquename": "type",
		},
	}
}

// StintTasks returns the table of /stint/v1/tasks: that of Tasks, and what the original
// does not have.
func StintTasks(c *task.Catalog) *Table {
	t := Tasks(c)
	for i := range t.fields {
		f := &t.fields[i]
		f.operators, f.hints = []operator{opEq, opNe, opIn}, nil
		switch f.word {
		case "sourceId":
			f.operators = append(f.operators, opCo, opSw, opIsNull, opPr)
		case "completionStatus":
			f.operators = append(f.operators, opIsNull, opPr)
		case "launcher":
			f.operators = append(f.operators, opCo, opSw)
		}
	}
	texts := []operator{opEq, opNe, opIn, opCo, opSw}
	add := func(f Field, operators []operator, resolve func(string) (operand, string), orNull ...operator) {
		t.fields = append(t.fields, field{
			word: string(f), columns: []Field{f}, operators: append(slices.Clone(operators), orNull...), resolve: resolve,
		})
	}
	add(FieldUniqueName, texts, verbatim(FieldUniqueName))
	add(FieldDescription, texts, verbatim(FieldDescription))
	add(FieldTargetID, texts, verbatim(FieldTargetID), opIsNull, opPr)
	add(FieldTargetName, texts, verbatim(FieldTargetName), opIsNull, opPr)
	add(FieldCreated, ordered(), resolveTime(FieldCreated))
	add(FieldLaunched, ordered(), resolveTime(FieldLaunched), opIsNull, opPr)
	add(FieldCompleted, ordered(), resolveTime(FieldCompleted), opIsNull, opPr)
	add(FieldModified, ordered(), resolveTime(FieldModified))
	numbers := append(ordered(), opEq, opNe)
	add(FieldPercent, numbers, resolveNumber(FieldPercent))
	add(FieldDuration, numbers, resolveNumber(FieldDuration), opIsNull, opPr)
	t.sorts = []Field{
		FieldCreated, FieldCompleted, FieldDuration, FieldUniqueName, FieldTargetName, FieldLauncher, FieldType, FieldStatus,
	}
	t.paged = true
	t.meant = map[string]string{
		"status": "completionStatus", "completion_status": "completionStatus", "kind": "type",
		"taskdefinitionsummary.uniquename": "type", "source": "sourceId", "source.id": "sourceId", "target": "target.name",
		"name": "uniqueName or target.name", "duration": "durationMs", "percent": "percentComplete", "progress": "percentComplete",
		"started": "launched", "ended": "completed",
	}
	return t
}

// field finds a field by its word; case matters.
func (t *Table) field(word string) (*field, bool) {
	for i := range t.fields {
		if t.fields[i].word == word {
			return &t.fields[i], true
		}
	}
	if name, ok := Field(word).Attribute(); ok && name != "" && t.attributes != nil {
		f := AttributeField(name)
		return &field{word: cut(f.word()), columns: []Field{f}, operators: t.attributes, resolve: verbatim(f)}, true
	}
	return nil, false
}

// instead says what an unknown word probably means, as the end of a message.
func (t *Table) instead(word string) string {
	for i := range t.fields {
		if task.EqualFoldASCII(t.fields[i].word, word) {
			return "; write: " + t.fields[i].word
		}
	}
	if meant := t.meant[task.LowerASCII(word)]; meant != "" {
		return "; write: " + meant
	}
	if t.sortable(Field(word)) {
		return "; it can only be sorted on"
	}
	return ""
}

// insteadOfNull says what to write instead of null without quotes.
func (f *field) insteadOfNull() string {
	if f.allows(opIsNull) {
		return "; write: " + f.word + " isnull"
	}
	return `; as a text it needs double quotes`
}

func (t *Table) words() string {
	words := make([]string, len(t.fields))
	for i := range t.fields {
		words[i] = t.fields[i].word
	}
	if t.attributes != nil {
		words = append(words, attributePrefix+"NAME")
	}
	return strings.Join(words, ", ")
}

func (f *field) allows(op operator) bool {
	return slices.Contains(f.operators, op)
}

func (f *field) allowed() string {
	names := make([]string, len(f.operators))
	for i, op := range f.operators {
		names[i] = string(op)
	}
	return strings.Join(names, ", ")
}

// verbatim takes any value as it is.
func verbatim(f Field) func(string) (operand, string) {
	return func(value string) (operand, string) { return operand{field: f, value: value}, "" }
}

// resolveID keeps what cannot be an id: it equals none, and the list is empty.
func resolveID(value string) (operand, string) { return idOf(FieldID)(value) }

// idOf is resolveID of another field that holds ids.
func idOf(f Field) func(string) (operand, string) {
	return func(value string) (operand, string) {
		if id, ok := task.ParseID(value); ok {
			return operand{field: f, value: string(id)}, ""
		}
		return operand{field: f, value: task.LowerASCII(value)}, ""
	}
}

func resolveStatus(value string) (operand, string) {
	if s, ok := task.ParseCompletionStatus(value); ok {
		return operand{field: FieldStatus, value: string(s)}, ""
	}
	hint := ""
	if task.EqualFoldASCII(value, wordNull) || value == "" {
		hint = "; for tasks in progress, write: completionStatus isnull"
	}
	return operand{}, "is not a completion status: " + task.StatusList() + hint
}

// resolveType reads the word of two meanings: a kind, a definition's display
// name, or the body's type.
func resolveType(c *task.Catalog) func(string) (operand, string) {
	return func(value string) (operand, string) {
		if d, ok := c.Lookup(value); ok {
			return operand{field: FieldKind, value: string(d.Kind)}, ""
		}
		types := task.Types()
		names := make([]string, len(types))
		for i, t := range types {
			if task.EqualFoldASCII(value, string(t)) {
				return operand{field: FieldType, value: string(t)}, ""
			}
			names[i] = string(t)
		}
		return operand{}, "is not a known type: " + strings.Join(c.Kinds(), ", ") +
			"; or, as the body's type, " + strings.Join(names, ", ")
	}
}
