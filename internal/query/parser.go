package query

import (
	"slices"
	"strings"

	"stint/internal/task"
)

// The bounds of a filter.
const (
	MaxFilterBytes = 32 << 10 // of the decoded text
	MaxLevels      = 64       // of open parentheses and nots
	MaxListValues  = 500
)

// ParseFilter reads a filter. White space alone is no filter: a nil Expr. Errors
// are *task.Error about "filters": Syntax for what cannot be parsed, Content for
// a field or an operator that is not allowed here, IllegalValue for a value
// outside its set and for what is over a bound.
func (t *Table) ParseFilter(input string) (Expr, error) {
	p := parser{lexer: lexer{input: input}, table: t}
	return p.parse()
}

// parser reads
//
//	expr    = or
//	or      = and { "or" and }
//	and     = not { "and" not }
//	not     = "not" not | "(" expr ")" | primary
//	primary = field op value | field "in" "(" value { "," value } ")" | field "isnull" | "pr" field
//	field   = word | "attributes." quoted
//
// by recursive descent. Only "not" and "(" recurse, and MaxLevels bounds them.
type parser struct {
	lexer
	table *Table
	tok   token // the one not yet consumed
	level int
	// fault is the first thing that is well formed but not allowed. It is kept
	// until the end, because a filter that cannot be parsed is that first.
	fault *task.Error
}

func (p *parser) parse() (Expr, error) {
	if n := len(p.input); n > MaxFilterBytes {
		return nil, task.Errorf(task.IllegalValue, paramFilters, "%d bytes are too many: at most %d (32 KiB)", n, MaxFilterBytes)
	}
	if err := checkText(paramFilters, p.input); err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.tok.kind == tokenEnd {
		return nil, nil //nolint:nilnil // a nil expression is one that holds for all
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	switch {
	case p.tok.kind == tokenClose:
		return nil, p.syntax(p.tok.at, describe(p.tok), "closes nothing")
	case p.tok.kind != tokenEnd:
		return nil, p.expected(`"and", "or" or the end`, "")
	case p.fault != nil:
		return nil, p.fault
	}
	return e, nil
}

func (p *parser) advance() error {
	tok, err := p.next()
	p.tok = tok
	return err
}

// expected makes the error of a token that comes where something else must.
func (p *parser) expected(what, hint string) error {
	if hint != "" {
		hint = "; " + hint
	}
	return p.syntax(p.tok.at, describe(p.tok), "comes where %s is expected%s", what, hint)
}

// refuse keeps the first complaint about what is well formed.
func (p *parser) refuse(kind task.ErrorKind, at int, what, format string, args ...any) {
	if p.fault == nil {
		p.fault = complain(kind, p.input, at, what, format, args...)
	}
}

func (p *parser) or() (Expr, error) {
	terms, err := p.chain(wordOr, p.and)
	if err != nil {
		return nil, err
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return Or{terms}, nil
}

func (p *parser) and() (Expr, error) {
	terms, err := p.chain(wordAnd, p.not)
	if err != nil {
		return nil, err
	}
	if len(terms) == 1 {
		return terms[0], nil
	}
	return And{terms}, nil
}

func (p *parser) chain(connective string, parse func() (Expr, error)) ([]Expr, error) {
	var terms []Expr
	for {
		p.work++
		term, err := parse()
		if err != nil {
			return nil, err
		}
		terms = append(terms, term)
		if !p.tok.isFold(connective) {
			return terms, nil
		}
		if err := p.exactly(connective); err != nil {
			return nil, err
		}
	}
}

// exactly consumes a word that is the given one but for case.
func (p *parser) exactly(word string) error {
	if p.tok.text != word {
		return p.syntax(p.tok.at, describe(p.tok), "must be lower case: %s", word)
	}
	return p.advance()
}

func (p *parser) not() (Expr, error) {
	p.work++
	switch {
	case p.tok.isFold(wordNot):
		if err := p.enter(); err != nil {
			return nil, err
		}
		if err := p.exactly(wordNot); err != nil {
			return nil, err
		}
		term, err := p.not()
		if err != nil {
			return nil, err
		}
		p.level--
		return Not{term}, nil
	case p.tok.kind == tokenOpen:
		return p.parenthesis()
	}
	return p.primary()
}

// enter goes one level deeper.
func (p *parser) enter() error {
	if p.level == MaxLevels {
		return complain(task.IllegalValue, p.input, p.tok.at, describe(p.tok), "nests deeper than %d levels", MaxLevels)
	}
	p.level++
	return nil
}

func (p *parser) parenthesis() (Expr, error) {
	opened := p.tok
	if err := p.enter(); err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	switch p.tok.kind {
	case tokenClose:
		p.level--
		return e, p.advance()
	case tokenEnd:
		return nil, p.syntax(opened.at, "the parenthesis that opens", "is not closed")
	case tokenWord, tokenQuoted, tokenOpen, tokenComma:
	}
	return nil, p.expected(`"and", "or" or ")"`, "")
}

func (p *parser) primary() (Expr, error) {
	if p.tok.isFold(string(opPr)) {
		operatorAt := p.tok.at
		if err := p.exactly(string(opPr)); err != nil {
			return nil, err
		}
		name, err := p.fieldName()
		if err != nil {
			return nil, err
		}
		return p.comparison(p.allowed(name, opPr, operatorAt), opPr, nil), nil
	}
	name, err := p.fieldName()
	if err != nil {
		return nil, err
	}
	op, at, err := p.operator(name)
	if err != nil {
		return nil, err
	}
	f := p.allowed(name, op, at)
	var values []operand
	switch op {
	case opIn:
		values, err = p.list(f)
	case opIsNull:
	case opEq, opNe, opCo, opSw, opGt, opGe, opLt, opLe, opPr:
		values, err = p.single(f)
	}
	if err != nil {
		return nil, err
	}
	return p.comparison(f, op, values), nil
}

// comparison builds the expression, or something of no meaning after a fault:
// nobody will see it.
func (p *parser) comparison(f *field, op operator, values []operand) Expr {
	if p.fault != nil {
		return Null{}
	}
	return build(op, f.columns, values)
}

func (p *parser) fieldName() (token, error) {
	name := p.tok
	switch {
	case name.kind == tokenQuoted:
		return name, p.expected("a field", "fields are written without quotes")
	case name.kind != tokenWord, reserved(name.text):
		return name, p.expected("a comparison", "")
	}
	if err := p.advance(); err != nil {
		return name, err
	}
	// The name of an attribute may need quotes, which then follow at once.
	if name.text == attributePrefix && p.tok.kind == tokenQuoted && p.tok.at == name.at+len(attributePrefix) {
		name.text += p.tok.text
		return name, p.advance()
	}
	return name, nil
}

// operator reads the operator of a field and tells where it stands.
func (p *parser) operator(name token) (operator, int, error) {
	tok := p.tok
	if tok.kind != tokenWord {
		return "", 0, p.expected("an operator", p.allOperators())
	}
	op, ok := lookupOperator(tok.text)
	switch {
	case tok.isFold(wordNot):
		return "", 0, p.syntax(tok.at, describe(tok), "is not an operator: not stands before the field")
	case tok.isFold(wordAnd), tok.isFold(wordOr):
		return "", 0, p.expected("an operator", p.allOperators())
	case !ok:
		return "", 0, p.syntax(tok.at, describe(tok), "is not an operator; %s", p.allOperators())
	case op == opPr:
		return "", 0, p.syntax(tok.at, describe(tok), "stands before its field: pr %s", cut(name.text))
	}
	return op, tok.at, p.exactly(string(op))
}

func (p *parser) allOperators() string {
	var names []string
	for _, op := range operators() {
		allows := func(f field) bool { return f.allows(op) }
		if slices.ContainsFunc(p.table.fields, allows) || slices.Contains(p.table.attributes, op) {
			names = append(names, string(op))
		}
	}
	return "the operators are " + strings.Join(names, ", ")
}

// allowed returns the field that a word names, or nil where the table does not
// know it or does not allow the operator on it.
func (p *parser) allowed(name token, op operator, at int) *field {
	f, ok := p.table.field(name.text)
	if !ok {
		p.refuse(task.Content, name.at, shown(name.text), "is not a field to filter on: %s%s", p.table.words(), p.table.instead(name.text))
		return nil
	}
	if !f.allows(op) {
		hint := ""
		if h := f.hints[op]; h != "" {
			hint = "; write: " + h
		}
		p.refuse(task.Content, at, "the operator "+shown(string(op)), "is not allowed on %s: %s%s", f.word, f.allowed(), hint)
		return nil
	}
	return f
}

func (p *parser) single(f *field) ([]operand, error) {
	if p.tok.kind == tokenOpen {
		return nil, p.expected("one value", "a list needs in")
	}
	value, err := p.value(f)
	if err != nil {
		return nil, err
	}
	return []operand{value}, nil
}

func (p *parser) list(f *field) ([]operand, error) {
	opened := p.tok
	if opened.kind != tokenOpen {
		return nil, p.expected("a list", `it is written in ("A", "B")`)
	}
	var values []operand
	for {
		// Consumes the parenthesis, and after it the commas.
		if err := p.advance(); err != nil {
			return nil, err
		}
		if len(values) == MaxListValues && p.tok.kind != tokenClose {
			return nil, complain(task.IllegalValue, p.input, opened.at, "the list that opens", "holds more than %d values", MaxListValues)
		}
		value, err := p.value(f)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		switch p.tok.kind {
		case tokenComma:
			continue
		case tokenClose:
			return values, p.advance()
		case tokenEnd:
			return nil, p.syntax(opened.at, "the list that opens", "is not closed")
		case tokenWord, tokenQuoted, tokenOpen:
		}
		return nil, p.expected(`"," or ")"`, "")
	}
}

// value reads a value of a field.
func (p *parser) value(f *field) (operand, error) {
	tok := p.tok
	bare := tok.kind == tokenWord
	switch {
	case tok.kind != tokenQuoted && !bare:
		return operand{}, p.expected("a value", "")
	case bare && reserved(tok.text) && !tok.isFold(wordNull):
		return operand{}, p.expected("a value", "as a value this word needs double quotes")
	}
	if err := p.advance(); err != nil {
		return operand{}, err
	}
	if bare && p.tok.kind == tokenWord && !p.tok.isFold(wordAnd) && !p.tok.isFold(wordOr) {
		return operand{}, p.syntax(p.tok.at, describe(p.tok), "follows a value; a value with spaces needs double quotes")
	}
	return p.resolve(f, tok), nil
}

// resolve tells what a value means. After a fault nobody will ask.
func (p *parser) resolve(f *field, value token) operand {
	if f == nil || p.fault != nil {
		return operand{}
	}
	if value.isFold(wordNull) {
		p.refuse(task.IllegalValue, value.at, shown(value.text), "is not a value%s", f.insteadOfNull())
		return operand{}
	}
	resolved, not := f.resolve(value.text)
	if not != "" {
		p.refuse(task.IllegalValue, value.at, shown(value.text), "%s", not)
	}
	return resolved
}
