package query

import (
	"strings"

	"stint/internal/task"
)

// Table says what a resource lets be filtered and sorted on. It is immutable and
// safe for concurrent use.
type Table struct {
	fields []field // in the order in which messages list them
	sorts  []Field
	// order is used where the caller asks for none.
	order Sorter
	// meant maps words that people write, in lower case, to the word they mean.
	meant map[string]string
}

// field is one word that can be filtered on.
type field struct {
	word      string
	columns   []Field // what it stands for; more than one where its values tell
	operators []operator
	// resolve reads one value. Its error is a text for people that says what is
	// allowed.
	resolve func(value string) (operand, *refusal)
	// hints say what to write instead of an operator that is not allowed.
	hints map[operator]string
}

// refusal says why a value is not one of a field.
type refusal struct {
	Msg string // follows the value
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

// field finds a field by its word; case matters.
func (t *Table) field(word string) (*field, bool) {
	for i := range t.fields {
		if t.fields[i].word == word {
			return &t.fields[i], true
		}
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
	return strings.Join(words, ", ")
}

func (f *field) allows(op operator) bool {
	for _, allowed := range f.operators {
		if allowed == op {
			return true
		}
	}
	return false
}

func (f *field) allowed() string {
	names := make([]string, len(f.operators))
	for i, op := range f.operators {
		names[i] = string(op)
	}
	return strings.Join(names, ", ")
}

// verbatim takes any value as it is.
func verbatim(f Field) func(string) (operand, *refusal) {
	return func(value string) (operand, *refusal) { return operand{f, value}, nil }
}

// resolveID keeps what cannot be an id: it equals none, and the list is empty.
func resolveID(value string) (operand, *refusal) {
	if id, ok := task.ParseID(value); ok {
		return operand{FieldID, string(id)}, nil
	}
	return operand{FieldID, task.LowerASCII(value)}, nil
}

func resolveStatus(value string) (operand, *refusal) {
	if s, ok := task.ParseCompletionStatus(value); ok {
		return operand{FieldStatus, string(s)}, nil
	}
	hint := ""
	if task.EqualFoldASCII(value, wordNull) || value == "" {
		hint = "; for tasks in progress, write: completionStatus isnull"
	}
	return operand{}, &refusal{"is not a completion status: " + task.StatusList() + hint}
}

// resolveType reads the word of two meanings: a kind, a definition's display
// name, or the body's type.
func resolveType(c *task.Catalog) func(string) (operand, *refusal) {
	return func(value string) (operand, *refusal) {
		if d, ok := c.Lookup(value); ok {
			return operand{FieldKind, string(d.Kind)}, nil
		}
		types := task.Types()
		names := make([]string, len(types))
		for i, t := range types {
			if task.EqualFoldASCII(value, string(t)) {
				return operand{FieldType, string(t)}, nil
			}
			names[i] = string(t)
		}
		return operand{}, &refusal{
			"is not a known type: " + strings.Join(c.Kinds(), ", ") + "; or, as the body's type, " + strings.Join(names, ", "),
		}
	}
}
