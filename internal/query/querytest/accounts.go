package querytest

import (
	"slices"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"

	"stint/internal/account"
	"stint/internal/query"
	"stint/internal/task"
)

// Record generates an account or an entitlement as a source states it.
func Record(class account.Class) *rapid.Generator[account.Record] {
	return rapid.Custom(func(t *rapid.T) account.Record {
		r := account.Record{Key: keyGenerator().Draw(t, "native identity"), Name: textGenerator().Draw(t, "name")}
		if class == account.Entitlements {
			r.Key = account.EntitlementKey(keyGenerator().Draw(t, "attribute"), r.Key)
			r.Body = []byte("{}")
			return r
		}
		r.Body = drawBody(t)
		return r
	})
}

// Records generates records of different keys.
func Records(class account.Class, least, most int) *rapid.Generator[[]account.Record] {
	return rapid.SliceOfNDistinct(Record(class), least, most, func(r account.Record) string { return r.Key })
}

// RecordExpr generates a filter that /stint/v1/accounts or entitlements can be
// asked for, as Expr does for tasks.
func RecordExpr(class account.Class, records ...account.Stored) *rapid.Generator[query.Expr] {
	return rapid.Custom(func(t *rapid.T) query.Expr {
		return drawTree(t, 3, func(t *rapid.T) query.Expr { return drawRecordLeaf(t, class, records) })
	})
}

// RecordSort generates what accounts and entitlements can be sorted on.
func RecordSort() *rapid.Generator[[]query.Sorter] {
	return rapid.Custom(func(t *rapid.T) []query.Sorter {
		if rapid.Bool().Draw(t, "default order") {
			return []query.Sorter{{Field: query.FieldKey}}
		}
		fields := rapid.Permutation([]query.Field{query.FieldName, query.FieldNativeIdentity}).Draw(t, "sorters")
		var sorters []query.Sorter
		for _, f := range fields[:rapid.IntRange(1, 2).Draw(t, "how many")] {
			sorters = append(sorters, query.Sorter{Field: f, Desc: rapid.Bool().Draw(t, "descending")})
		}
		return sorters
	})
}

// RecordValues returns the fields of an account or an entitlement.
func RecordValues(class account.Class, r *account.Stored) query.Lists {
	if class == account.Entitlements {
		return query.EntitlementValues(r)
	}
	return query.AccountValues(r)
}

// keyGenerator generates texts without the character that separates the parts of
// a key.
func keyGenerator() *rapid.Generator[string] {
	return rapid.Map(textGenerator(), func(s string) string { return strings.ReplaceAll(s, "\x1f", "1") })
}

// attributeNames are few, so that accounts share them, and mean something to
// JSON, to its paths, or to the filter language.
func attributeNames() []string {
	return []string{"dept", "Dept", "Cost Center", `a"b`, `a\b`, "a.b", "$", "[0]", "é", "\u2028", "and", " x"}
}

func drawBody(t *rapid.T) []byte {
	names := rapid.SliceOfNDistinct(rapid.SampledFrom(attributeNames()), 0, 4, rapid.ID[string]).Draw(t, "attributes")
	slices.Sort(names)
	body := []byte("{")
	for i, name := range names {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(account.AppendText(body, name), ':')
		if rapid.Bool().Draw(t, "one value") {
			body = account.AppendText(body, textGenerator().Draw(t, "value"))
			continue
		}
		separator := byte('[')
		for _, value := range rapid.SliceOfN(textGenerator(), 1, 3).Draw(t, "values") {
			body = account.AppendText(append(body, separator), value)
			separator = ','
		}
		body = append(body, ']')
	}
	return append(body, '}')
}

func drawRecordLeaf(t *rapid.T, class account.Class, records []account.Stored) query.Expr {
	fields := []query.Field{
		query.FieldID, query.FieldSource, query.FieldLastTask, query.FieldLastChange,
		query.FieldName, query.FieldNativeIdentity, query.FieldName, query.FieldNativeIdentity,
	}
	if class == account.Entitlements {
		fields = append(fields, query.FieldAttribute)
	} else {
		name := rapid.SampledFrom(attributeNames()).Draw(t, "attribute")
		fields = append(fields, query.AttributeField(name), query.AttributeField(name), query.AttributeField(name))
	}
	f := rapid.SampledFrom(fields).Draw(t, "field")
	_, isAttribute := f.Attribute()
	values := recordValueGenerator(class, records, f)
	switch {
	case isAttribute && rapid.IntRange(0, 3).Draw(t, "isnull") == 0:
		return query.Null{Field: f}
	case (f == query.FieldName || f == query.FieldNativeIdentity) && rapid.Bool().Draw(t, "sw"):
		whole := values.Draw(t, "begins like")
		// Cut anywhere, as long as what is left is still characters.
		cut := rapid.IntRange(0, len(whole)).Filter(func(n int) bool { return utf8.ValidString(whole[:n]) }).Draw(t, "length")
		return query.Prefix{Field: f, Value: whole[:cut]}
	}
	return query.Compare{Field: f, Values: drawValues(t, f, values)}
}

// recordValueGenerator generates canonical values of a field, most of them of
// the given records.
func recordValueGenerator(class account.Class, records []account.Stored, f query.Field) *rapid.Generator[string] {
	var present []string
	for i := range records {
		present = append(present, RecordValues(class, &records[i])(f)...)
	}
	var unknown *rapid.Generator[string]
	exact := true
	switch f {
	case query.FieldLastChange:
		unknown = rapid.SampledFrom([]string{string(account.Created), string(account.Updated)})
	case query.FieldID, query.FieldSource, query.FieldLastTask:
		unknown = rapid.OneOf(rapid.Map(idGenerator(), asString[task.ID]), rapid.Map(textGenerator(), notID))
	default:
		unknown, exact = rapid.OneOf(textGenerator(), rapid.Just("")), false
	}
	if len(present) == 0 {
		return unknown
	}
	known := rapid.SampledFrom(present)
	if !exact {
		known = rapid.OneOf(known, rapid.Map(known, swapCase))
	}
	return rapid.OneOf(known, known, unknown)
}
