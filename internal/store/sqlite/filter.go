package sqlite

import (
	"fmt"
	"strconv"
	"strings"

	"stint/internal/query"
	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// clause is a piece of SQL with the values of its parameters, in order.
type clause struct {
	sql  string
	args []any
}

func (c clause) and(other clause) clause {
	return clause{c.sql + " AND " + other.sql, append(c.args, other.args...)}
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
		return clause{"NOT coalesce(" + inner.sql + ", 0)", inner.args}
	}
	return leaf(e)
}

// onColumn compiles comparisons of fields that are columns.
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
			return clause{"instr(lower(" + column(e.Field) + "), ?) > 0", []any{task.LowerASCII(e.Value)}}
		case query.Range:
			return clause{column(e.Field) + " " + comparison(e.Order) + " ?", []any{e.Number()}}
		}
		panic(fmt.Sprintf("sqlite: no SQL for a filter of type %T", e))
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
	panic("sqlite: no SQL for the order " + string(o))
}

// join compiles terms into a balanced tree: SQLite bounds the depth of an
// expression, and a chain of n terms is n deep.
func join(leaf func(query.Expr) clause, terms []query.Expr, operator string) clause {
	if len(terms) == 1 {
		return compileWith(leaf, terms[0])
	}
	left, right := join(leaf, terms[:len(terms)/2], operator), join(leaf, terms[len(terms)/2:], operator)
	return clause{"(" + left.sql + operator + right.sql + ")", append(left.args, right.args...)}
}

// nothing selects no row. SQLite folds the literal 0 together with what stands
// beside it, and then finds no use for the index that a branch names.
func nothing() clause { return clause{"1 = ?", []any{0}} }

func compare(column string, values []any) clause {
	switch len(values) {
	case 0:
		return nothing()
	case 1:
		return clause{column + " = ?", values}
	}
	return clause{column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")", values}
}

// startsWith selects a range of a column that ignores ASCII case. No text holds
// the byte that ends it: it is not UTF-8.
func startsWith(column, prefix string) clause {
	return clause{"(" + column + " >= ? AND " + column + " < ?)", []any{prefix, prefix + "\xff"}}
}

// parameters returns the distinct values of a comparison as the column holds
// them. What can equal nothing is left out.
func parameters(e query.Compare) []any {
	var values []any
	seen := map[string]bool{}
	for _, v := range e.Values {
		if seen[task.LowerASCII(v)] {
			continue
		}
		seen[task.LowerASCII(v)] = true
		if e.Field == query.FieldID || e.Field == query.FieldTask {
			if b := sqlrow.Blob(task.ID(v)); b != nil {
				values = append(values, b)
			}
			continue
		}
		if e.Field.IsNumber() {
			n, _ := strconv.ParseInt(v, 10, 64) // canonical
			values = append(values, n)
			continue
		}
		values = append(values, v)
	}
	return values
}

func column(f query.Field) string {
	switch f {
	case query.FieldID:
		return "id"
	case query.FieldSource:
		return "source_id"
	case query.FieldStatus:
		return "status"
	case query.FieldKind:
		return "kind"
	case query.FieldType:
		return "type"
	case query.FieldLauncher:
		return "launcher"
	case query.FieldCreated, query.FieldLaunched, query.FieldCompleted, query.FieldModified:
		return string(f)
	case query.FieldUniqueName:
		return "unique_name"
	case query.FieldDescription:
		return "description"
	case query.FieldTargetID:
		return "target_id"
	case query.FieldTargetName:
		return "target_name"
	case query.FieldPercent:
		return "percent"
	case query.FieldDuration:
		return "duration"
	case query.FieldName:
		return "name"
	case query.FieldUser:
		return "user"
	case query.FieldTask:
		return "task_id"
	case query.FieldEvent, query.FieldState:
		return string(f)
	}
	panic("sqlite: no column for the field " + string(f))
}
