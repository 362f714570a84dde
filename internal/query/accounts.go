package query

import (
	"encoding/json"
	"strings"

	"stint/internal/account"
	"stint/internal/task"
)

// The fields of accounts, entitlements and changes that tasks do not have.
const (
	FieldNativeIdentity Field = "nativeIdentity"
	FieldAttribute      Field = "attribute" // of an account, that holds the entitlement
	FieldLastTask       Field = "lastTaskId"
	FieldLastChange     Field = "lastChange"
	FieldChange         Field = "change"
	// FieldKey is the order in which records are kept: their sources in the order
	// of their creation, and in each the records by native identity (entitlements
	// by attribute and native identity), every byte as it is. Nothing is filtered
	// on it.
	FieldKey Field = "key"
)

// attributePrefix begins the fields that are attributes of an account.
const attributePrefix = "attributes."

// AttributeField returns the field that is an attribute of an account. Unlike
// other fields it may have several values.
func AttributeField(name string) Field { return Field(attributePrefix + name) }

// Attribute returns the name of the attribute that the field is, if it is one.
func (f Field) Attribute() (string, bool) { return strings.CutPrefix(string(f), attributePrefix) }

// Accounts returns the table of /stint/v1/accounts.
func Accounts() *Table {
	list, starts := []operator{opEq, opIn}, []operator{opEq, opIn, opSw}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "sourceId", columns: []Field{FieldSource}, operators: list, resolve: idOf(FieldSource)},
			{word: "nativeIdentity", columns: []Field{FieldNativeIdentity}, operators: starts, resolve: verbatim(FieldNativeIdentity)},
			{word: "name", columns: []Field{FieldName}, operators: starts, resolve: verbatim(FieldName)},
			{word: "lastTaskId", columns: []Field{FieldLastTask}, operators: list, resolve: idOf(FieldLastTask)},
			{word: "lastChange", columns: []Field{FieldLastChange}, operators: list, resolve: resolveChange(FieldLastChange, account.Created, account.Updated)},
		},
		attributes: []operator{opEq, opIn, opIsNull, opPr},
		sorts:      []Field{FieldName, FieldNativeIdentity},
		order:      Sorter{Field: FieldKey},
		narrowing:  []Field{FieldNativeIdentity, FieldName},
		meant: map[string]string{
			"source": "sourceId", "source.id": "sourceId", "displayname": "name", "native_identity": "nativeIdentity",
			"taskid": "lastTaskId", "attributes": `attributes.NAME, or attributes."NAME"`,
		},
	}
}

// Entitlements returns the table of /stint/v1/entitlements.
func Entitlements() *Table {
	list, starts := []operator{opEq, opIn}, []operator{opEq, opIn, opSw}
	return &Table{
		fields: []field{
			{word: "id", columns: []Field{FieldID}, operators: list, resolve: resolveID},
			{word: "sourceId", columns: []Field{FieldSource}, operators: list, resolve: idOf(FieldSource)},
			{word: "attribute", columns: []Field{FieldAttribute}, operators: list, resolve: verbatim(FieldAttribute)},
			{word: "nativeIdentity", columns: []Field{FieldNativeIdentity}, operators: starts, resolve: verbatim(FieldNativeIdentity)},
			{word: "value", columns: []Field{FieldNativeIdentity}, operators: starts, resolve: verbatim(FieldNativeIdentity)},
			{word: "name", columns: []Field{FieldName}, operators: starts, resolve: verbatim(FieldName)},
			{word: "lastTaskId", columns: []Field{FieldLastTask}, operators: list, resolve: idOf(FieldLastTask)},
			{word: "lastChange", columns: []Field{FieldLastChange}, operators: list, resolve: resolveChange(FieldLastChange, account.Created, account.Updated)},
		},
		sorts:     []Field{FieldName, FieldNativeIdentity},
		order:     Sorter{Field: FieldKey},
		narrowing: []Field{FieldNativeIdentity, FieldName},
		meant: map[string]string{
			"source": "sourceId", "source.id": "sourceId", "displayname": "name", "native_identity": "nativeIdentity", "taskid": "lastTaskId",
		},
	}
}

// Changes returns the table of /stint/v1/tasks/{id}/changes.
func Changes() *Table {
	list := []operator{opEq, opIn}
	return &Table{
		fields: []field{
			{word: "change", columns: []Field{FieldChange}, operators: list, resolve: resolveChange(FieldChange, account.Created, account.Updated, account.Deleted)},
			{word: "nativeIdentity", columns: []Field{FieldNativeIdentity}, operators: list, resolve: verbatim(FieldNativeIdentity)},
		},
		order: Sorter{Field: FieldKey},
		meant: map[string]string{"lastchange": "change", "value": "nativeIdentity", "native_identity": "nativeIdentity"},
	}
}

func resolveChange(f Field, allowed ...account.Change) func(string) (operand, string) {
	return func(value string) (operand, string) {
		names := make([]string, len(allowed))
		for i, c := range allowed {
			if task.EqualFoldASCII(value, string(c)) {
				return operand{field: f, value: string(c)}, ""
			}
			names[i] = string(c)
		}
		return operand{}, "is not a change: " + strings.Join(names, ", ")
	}
}

// AccountValues gives the fields of an account.
func AccountValues(a *account.Stored) Lists {
	return func(f Field) []string {
		if name, ok := f.Attribute(); ok {
			return attributeValues(a, name)
		}
		if f == FieldNativeIdentity {
			return []string{a.Key}
		}
		return recordValues(a, f)
	}
}

// EntitlementValues gives the fields of an entitlement.
func EntitlementValues(e *account.Stored) Lists {
	return func(f Field) []string {
		attribute, nativeIdentity := account.ParseEntitlementKey(e.Key)
		switch f {
		case FieldAttribute:
			return []string{attribute}
		case FieldNativeIdentity:
			return []string{nativeIdentity}
		}
		return recordValues(e, f)
	}
}

func recordValues(r *account.Stored, f Field) []string {
	switch f {
	case FieldID:
		return []string{string(r.ID)}
	case FieldSource:
		return []string{string(r.SourceID)}
	case FieldName:
		return []string{r.Name}
	case FieldLastTask:
		return []string{string(r.LastTaskID)}
	case FieldLastChange:
		return []string{string(r.LastChange)}
	}
	return nil
}

// attributeValues returns the texts that an attribute of an account holds: one,
// or those of its array.
func attributeValues(a *account.Stored, name string) []string {
	all, err := a.Attributes()
	if err != nil {
		return nil
	}
	var one string
	var many []string
	switch value := all[name]; {
	case len(value) == 0 || string(value) == "null":
		return nil
	case json.Unmarshal(value, &one) == nil:
		return []string{one}
	case json.Unmarshal(value, &many) == nil:
		return many
	}
	return nil
}
