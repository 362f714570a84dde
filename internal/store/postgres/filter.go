package postgres

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// clause is a piece of SQL with the values of its parameters, in order; each is a
// question mark in the text.
type clause struct {
	sql  string
	args []any
}

// compile turns a filter of tasks into a condition that selects the rows that
// query.Match accepts.
func compile(e query.Expr) clause { return compileWith(onColumn(column), e) }

// compileWith compiles a filter whose comparisons leaf compiles. Where SQL would
// say NULL, the filter says false: "not" makes that explicit, elsewhere NULL and
// false select alike.
func compileWith(leaf func(query.Expr) clause, e query.Expr) clause {
	switch e := e.(type) {
	case query.And:
		return join(leaf, e.Terms, " AND ")
	case query.Or:
		return join(leaf, e.Terms, " OR ")
	case query.Not:
		inner := compileWith(leaf, e.Term)
		return clause{"NOT coalesce(" + inner.sql + ", false)", inner.args}
	}
	return leaf(e)
}

// onColumn compiles comparisons of fields that are columns, or expressions of
// them. One that ignores case is of lower case.
func onColumn(column func(query.Field) string) func(query.Expr) clause {
	return func(e query.Expr) clause {
		switch e := e.(type) {
		case query.Null:
			return clause{column(e.Field) + " IS NULL", nil}
		case query.Compare:
			return compare(column(e.Field), parameters(e))
		case query.Prefix:
			return startsWith(column(e.Field), e.Value)
		case query.Contains:
			if !storable(e.Value) {
				return nothing()
			}
			return clause{"strpos(" + column(e.Field) + ", ?) > 0", []any{task.LowerASCII(e.Value)}}
		case query.Range:
			return clause{column(e.Field) + " " + comparison(e.Order) + " ?", []any{e.Number()}}
		}
		panic(fmt.Sprintf("postgres: no SQL for a filter of type %T", e))
	}
}

func comparison(o query.Order) string {
	switch o {
	case query.After:
		return ">"
	case query.NotLess:
		return ">="
	case query.Before:
		return "<"
	case query.NotAfter:
		return "<="
	}
	panic("postgres: no SQL for the order " + string(o))
}

// join compiles terms into a balanced tree: the server bounds the depth of an
// expression, and a chain of n terms is n deep.
func join(leaf func(query.Expr) clause, terms []query.Expr, operator string) clause {
	if len(terms) == 1 {
		return compileWith(leaf, terms[0])
	}
	left, right := join(leaf, terms[:len(terms)/2], operator), join(leaf, terms[len(terms)/2:], operator)
	return clause{"(" + left.sql + operator + right.sql + ")", append(left.args, right.args...)}
}

// nothing selects no row.
func nothing() clause { return clause{sql: "false"} }

// compare selects the rows whose column equals one of the values: all are strings,
// or all are ids.
func compare(column string, values []any) clause {
	switch len(values) {
	case 0:
		return nothing()
	case 1:
		return clause{column + " = ?", values}
	}
	return clause{column + " = ANY (?)", []any{array(values)}}
}

// array makes one parameter of many.
func array(values []any) any {
	switch values[0].(type) {
	case []byte:
		return arrayOf[[]byte](values)
	case int64:
		return arrayOf[int64](values)
	}
	return arrayOf[string](values)
}

func arrayOf[T any](values []any) []T {
	all := make([]T, len(values))
	for i, v := range values {
		all[i] = v.(T) //nolint:forcetypeassert // all are of one sort
	}
	return all
}

// startsWith selects a range of a column of lower case that is ordered by bytes.
func startsWith(column, prefix string) clause {
	if !storable(prefix) {
		return nothing()
	}
	prefix = task.LowerASCII(prefix)
	from := clause{column + " >= ?", []any{prefix}}
	after, ok := afterAll(prefix)
	if !ok {
		return from
	}
	return clause{"(" + from.sql + " AND " + column + " < ?)", []any{prefix, after}}
}

// afterAll returns the least text that is greater than all that begin with prefix.
// The order of bytes is that of code points.
func afterAll(prefix string) (string, bool) {
	for prefix != "" {
		r, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch r {
		case utf8.MaxRune:
			continue
		case 0xd7ff:
			r = 0xdfff // surrogates are no characters
		}
		return prefix + string(r+1), true
	}
	return "", false
}

// storable reports whether PostgreSQL can hold a text. What it cannot hold is
// nowhere: it must not reach the server, which would call it an error.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// parameters returns the distinct values of a comparison as the column holds
// them. What can equal nothing is left out.
func parameters(e query.Compare) []any {
	var values []any
	seen := map[string]bool{}
	for _, v := range e.Values {
		folded := task.LowerASCII(v)
		if seen[folded] || !storable(v) {
			continue
		}
		seen[folded] = true
		switch {
		case e.Field == query.FieldID, e.Field == query.FieldTask:
			if b := sqlrow.Blob(task.ID(v)); b != nil {
				values = append(values, b)
			}
		case e.Field.IsNumber():
			n, _ := strconv.ParseInt(v, 10, 64) // canonical
			values = append(values, n)
		case exact(e.Field):
			values = append(values, v)
		default:
			values = append(values, folded)
		}
	}
	return values
}

// exact reports whether a column holds words that are compared as they are.
func exact(f query.Field) bool {
	switch f {
	case query.FieldStatus, query.FieldKind, query.FieldType, query.FieldLastChange, query.FieldChange, query.FieldEvent, query.FieldState:
		return true
	}
	return false
}

func column(f query.Field) string {
	switch f {
	case query.FieldID:
		return "id"
	case query.FieldSource:
		return "lower(source_id)"
	case query.FieldStatus:
		return "status"
	case query.FieldKind:
		return "kind"
	case query.FieldType:
		return "type"
	case query.FieldLauncher:
		return "lower(launcher)"
	case query.FieldCreated, query.FieldLaunched, query.FieldCompleted, query.FieldModified:
		return string(f)
	case query.FieldUniqueName:
		return "lower(unique_name)"
	case query.FieldDescription:
		return "lower(description)"
	case query.FieldTargetID:
		return "lower(target_id)"
	case query.FieldTargetName:
		return "lower(target_name)"
	case query.FieldPercent:
		return "percent"
	case query.FieldDuration:
		return "(completed - launched)"
	case query.FieldName:
		return "lower(name)"
	case query.FieldUser:
		return "lower(username)"
	case query.FieldTask:
		return "task_id"
	case query.FieldEvent, query.FieldState:
		return string(f)
	}
	panic("postgres: no column for the field " + string(f))
}
