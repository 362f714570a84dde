package query

import "stint/internal/task"

// operator is a word that compares a field. The parser knows all of them; a
// table says which of them a field allows.
type operator string

const (
	opEq     operator = "eq"
	opNe     operator = "ne"
	opIn     operator = "in"
	opCo     operator = "co"
	opSw     operator = "sw"
	opGt     operator = "gt"
	opGe     operator = "ge"
	opLt     operator = "lt"
	opLe     operator = "le"
	opIsNull operator = "isnull"
	opPr     operator = "pr"
)

// operators returns all operators, for messages too.
func operators() []operator {
	return []operator{opEq, opNe, opIn, opCo, opSw, opGt, opGe, opLt, opLe, opIsNull, opPr}
}

// The words of the grammar that are not operators.
const (
	wordAnd  = "and"
	wordOr   = "or"
	wordNot  = "not"
	wordNull = "null"
)

// lookupOperator finds an operator in any ASCII case, so that the wrong case can
// be told from the wrong word.
func lookupOperator(word string) (operator, bool) {
	for _, op := range operators() {
		if task.EqualFoldASCII(word, string(op)) {
			return op, true
		}
	}
	return "", false
}

// reserved tells whether a word belongs to the grammar in any case, so that it
// cannot be a value without quotes.
func reserved(word string) bool {
	for _, w := range []string{wordAnd, wordOr, wordNot, wordNull} {
		if task.EqualFoldASCII(word, w) {
			return true
		}
	}
	_, ok := lookupOperator(word)
	return ok
}

// operand is a value, and the field that it is a value of.
type operand struct {
	field Field
	value string
	// cut says that the value was a little more than what is left of it: a part of
	// a millisecond.
	cut bool
}

// build makes the expression of a comparison that a table allows. columns are
// the fields that the word can stand for, in their fixed order.
func build(op operator, columns []Field, operands []operand) Expr {
	switch op {
	case opEq, opIn:
		return equals(columns, operands)
	case opNe:
		return Not{equals(columns, operands)}
	case opIsNull:
		return Null{columns[0]}
	case opPr:
		return Not{Null{columns[0]}}
	case opSw:
		return Prefix{columns[0], operands[0].value}
	case opGt, opGe, opLt, opLe:
		return ranges(Order(op), columns[0], operands[0])
	case opCo:
		return Contains{columns[0], operands[0].value}
	}
	panic("query: no expression for the operator " + string(op))
}

// ranges compares with what is left of a value. What is after the whole value, or
// is it, is after what is left; what is before it may be what is left.
func ranges(order Order, f Field, o operand) Expr {
	if o.cut {
		switch order {
		case NotLess:
			order = After
		case Before:
			order = NotAfter
		case After, NotAfter:
		}
	}
	return Range{Field: f, Order: order, Value: o.value}
}

// equals groups the operands by field, so that a list of mixed meaning becomes
// one comparison a field.
func equals(columns []Field, operands []operand) Expr {
	terms := make([]Expr, 0, len(columns))
	for _, f := range columns {
		c := Compare{Field: f, Values: make([]string, 0, len(operands))}
		for _, o := range operands {
			if o.field == f {
				c.Values = append(c.Values, o.value)
			}
		}
		if len(c.Values) > 0 {
			terms = append(terms, c)
		}
	}
	if len(terms) == 1 {
		return terms[0]
	}
	return Or{terms}
}
