package query

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"stint/internal/task"
)

// Field is what an expression compares, whatever word the filter used for it.
// The set is open: see AttributeField.
type Field string

// The fields of a task. The filter word "type" stands for FieldKind, FieldType
// or both.
const (
	FieldID        Field = "id"
	FieldSource    Field = "sourceId"
	FieldStatus    Field = "completionStatus"
	FieldKind      Field = "kind"
	FieldType      Field = "type" // the body's type
	FieldLauncher  Field = "launcher"
	FieldCreated   Field = "created"
	FieldLaunched  Field = "launched"
	FieldCompleted Field = "completed"
	FieldModified  Field = "modified"

	FieldTargetID    Field = "target.id"
	FieldTargetName  Field = "target.name"
	FieldUniqueName  Field = "uniqueName"
	FieldDescription Field = "description"
	FieldPercent     Field = "percentComplete"
	// FieldDuration is how long a completed task took from its launch, in milliseconds.
	FieldDuration Field = "durationMs"
)

// Expr is a condition on an element: And, Or, Not, Compare, Prefix, Contains, Range or
// Null. A nil Expr holds for all. String returns the canonical filter text.
type Expr interface {
	fmt.Stringer
	sealed()
}

// And holds where all terms do.
type And struct{ Terms []Expr }

// Or holds where at least one term does.
type Or struct{ Terms []Expr }

// Not holds where its term does not.
type Not struct{ Term Expr }

// Compare holds where the field is not null and equals one of the values, ASCII
// case ignored; of a field with several values, where one of them does. Values of FieldStatus, FieldKind, FieldType and FieldID are
// canonical; one of FieldID that cannot be an id equals nothing.
type Compare struct {
	Field  Field
	Values []string
}

// Prefix holds where the field is not null and begins with the value, ASCII case
// ignored.
type Prefix struct {
	Field Field
	Value string
}

// Contains holds where the field is not null and has the value somewhere in it,
// ASCII case ignored.
type Contains struct {
	Field Field
	Value string
}

// Range holds where the field is not null and stands in an order to the value:
// that of time, of a field that is a time; that of numbers, of one that is a number.
// The value is canonical, and so is what Values gives of such a field: a time as
// task.FormatTime writes it, a whole number in decimal digits.
type Range struct {
	Field Field
	Order Order
	Value string
}

// Order is how a value stands to another.
type Order string

// The orders.
const (
	After    Order = "gt"
	NotLess  Order = "ge"
	Before   Order = "lt"
	NotAfter Order = "le"
)

// Null holds where the field is null.
type Null struct{ Field Field }

func (And) sealed()      {}
func (Or) sealed()       {}
func (Not) sealed()      {}
func (Compare) sealed()  {}
func (Prefix) sealed()   {}
func (Contains) sealed() {}
func (Range) sealed()    {}
func (Null) sealed()     {}

// Values gives the value of a field of one element; false is null.
type Values func(Field) (string, bool)

// Lists gives the values of a field of one element that may have several; none
// is null.
type Lists func(Field) []string

// Match tells whether an element is one that the expression selects. Stores must
// select the same.
func Match(e Expr, v Values) bool {
	return MatchLists(e, func(f Field) []string {
		if value, ok := v(f); ok {
			return []string{value}
		}
		return nil
	})
}

// MatchLists is Match for elements whose fields may have several values.
func MatchLists(e Expr, v Lists) bool {
	switch e := e.(type) {
	case And:
		for _, term := range e.Terms {
			if !MatchLists(term, v) {
				return false
			}
		}
		return true
	case Or:
		for _, term := range e.Terms {
			if MatchLists(term, v) {
				return true
			}
		}
		return false
	case Not:
		return !MatchLists(e.Term, v)
	case Compare:
		return slices.ContainsFunc(v(e.Field), e.holds)
	case Prefix:
		return slices.ContainsFunc(v(e.Field), e.holds)
	case Contains:
		return slices.ContainsFunc(v(e.Field), e.holds)
	case Range:
		return slices.ContainsFunc(v(e.Field), e.holds)
	case Null:
		return len(v(e.Field)) == 0
	}
	return true
}

func (e Compare) holds(value string) bool {
	for _, want := range e.Values {
		if task.EqualFoldASCII(value, want) {
			return true
		}
	}
	return false
}

func (e Prefix) holds(value string) bool {
	return len(value) >= len(e.Value) && task.EqualFoldASCII(value[:len(e.Value)], e.Value)
}

func (e Contains) holds(value string) bool {
	return strings.Contains(task.LowerASCII(value), task.LowerASCII(e.Value))
}

func (e Range) holds(value string) bool {
	c := strings.Compare(value, e.Value) // the order of times is that of their texts
	if e.Field.IsNumber() {
		c = cmp.Compare(numberOf(value), numberOf(e.Value))
	}
	switch e.Order {
	case After:
		return c > 0
	case NotLess:
		return c >= 0
	case Before:
		return c < 0
	case NotAfter:
		return c <= 0
	}
	return false
}

// Number is the value as a number: of a field that is a time, in milliseconds since
// 1970.
func (e Range) Number() int64 {
	if e.Field.IsNumber() {
		return numberOf(e.Value)
	}
	t, _ := task.ParseTime(e.Value) // canonical, so that it can be read
	return t.UnixMilli()
}

// IsNumber reports whether the values of a field are whole numbers.
func (f Field) IsNumber() bool { return f == FieldPercent || f == FieldDuration }

// numberOf reads a canonical number.
func numberOf(value string) int64 {
	n, _ := strconv.ParseInt(value, 10, 64)
	return n
}

// TaskValues gives the fields of a task.
func TaskValues(t *task.Task) Values {
	return func(f Field) (string, bool) {
		switch f {
		case FieldID:
			return string(t.ID), true
		case FieldSource:
			return t.SourceID, t.SourceID != ""
		case FieldStatus:
			return string(t.Status), t.Status != task.InProgress
		case FieldKind:
			return string(t.Kind), true
		case FieldType:
			return string(t.Type), true
		case FieldLauncher:
			return t.Launcher, true
		case FieldCreated:
			return timeValue(t.Created)
		case FieldLaunched:
			return timeValue(t.Launched)
		case FieldCompleted:
			return timeValue(t.Completed)
		case FieldModified:
			return timeValue(t.Modified)
		case FieldUniqueName:
			return t.UniqueName, true
		case FieldDescription:
			return t.Description, true
		case FieldPercent:
			return strconv.Itoa(t.PercentComplete), true
		case FieldTargetID, FieldTargetName:
			return targetValue(t.Target, f)
		case FieldDuration:
			if t.Completed.IsZero() || t.Launched.IsZero() {
				return "", false
			}
			return strconv.FormatInt(t.Completed.Sub(t.Launched).Milliseconds(), 10), true
		case FieldName:
		}
		return "", false
	}
}

func targetValue(target *task.Target, f Field) (string, bool) {
	switch {
	case target == nil:
		return "", false
	case f == FieldTargetID:
		return target.ID, true
	}
	return target.Name, true
}

func timeValue(t time.Time) (string, bool) { return task.FormatTime(t), !t.IsZero() }

// String returns the filter text of e. Where e is what ParseFilter made, or
// could have made, the text parses back to an expression equal to e.
func (e And) String() string { return text(e) }

// String is described at And.
func (e Or) String() string { return text(e) }

// String is described at And.
func (e Not) String() string { return text(e) }

// String is described at And.
func (e Compare) String() string { return text(e) }

// String is described at And.
func (e Prefix) String() string { return text(e) }

// String is described at And.
func (e Contains) String() string { return text(e) }

// String is described at And.
func (e Range) String() string { return text(e) }

// String is described at And.
func (e Null) String() string { return text(e) }

// The strengths with which operators bind; a term of a weaker one needs
// parentheses.
const (
	bindOr = iota
	bindAnd
	bindNot
	bindComparison
)

func text(e Expr) string {
	var b strings.Builder
	write(&b, e, bindOr)
	return b.String()
}

// write appends e where only what binds at least as strongly as outer can stand
// without parentheses.
func write(b *strings.Builder, e Expr, outer int) {
	switch e := e.(type) {
	case And:
		writeTerms(b, e.Terms, " and ", bindAnd, outer)
	case Or:
		// One list that a word of two meanings was resolved to is one list again:
		// parentheses would make the text nest deeper than what was parsed.
		if merged, ok := mergeLists(e); ok {
			writeCompare(b, merged)
			return
		}
		writeTerms(b, e.Terms, " or ", bindOr, outer)
	case Not:
		b.WriteString("not ")
		write(b, e.Term, bindNot)
	case Compare:
		writeCompare(b, e)
	case Prefix:
		b.WriteString(e.Field.word() + " sw ")
		writeQuoted(b, e.Value)
	case Contains:
		b.WriteString(e.Field.word() + " co ")
		writeQuoted(b, e.Value)
	case Range:
		b.WriteString(e.Field.word() + " " + string(e.Order) + " ")
		writeQuoted(b, e.Value)
	case Null:
		b.WriteString(e.Field.word() + " isnull")
	}
}

func writeTerms(b *strings.Builder, terms []Expr, connective string, binds, outer int) {
	if len(terms) == 1 {
		write(b, terms[0], outer)
		return
	}
	if binds < outer || len(terms) == 0 {
		b.WriteByte('(')
		defer b.WriteByte(')')
	}
	for i, term := range terms {
		if i > 0 {
			b.WriteString(connective)
		}
		// A term that is itself such a chain keeps its own parentheses.
		write(b, term, binds+1)
	}
}

func writeCompare(b *strings.Builder, e Compare) {
	b.WriteString(e.Field.word())
	if len(e.Values) == 1 {
		b.WriteString(" eq ")
		writeQuoted(b, e.Values[0])
		return
	}
	b.WriteString(" in (")
	for i, v := range e.Values {
		if i > 0 {
			b.WriteString(", ")
		}
		writeQuoted(b, v)
	}
	b.WriteByte(')')
}

func writeQuoted(b *strings.Builder, s string) {
	b.WriteByte('"')
	for {
		i := strings.IndexAny(s, `"\`)
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		b.WriteByte('\\')
		b.WriteByte(s[i])
		s = s[i+1:]
	}
	b.WriteString(s)
	b.WriteByte('"')
}

// mergeLists puts the two comparisons that one list of "type" values was
// resolved to back into one.
func mergeLists(e Or) (Compare, bool) {
	if len(e.Terms) != 2 {
		return Compare{}, false
	}
	kinds, ok := e.Terms[0].(Compare)
	types, ok2 := e.Terms[1].(Compare)
	if !ok || !ok2 || kinds.Field != FieldKind || types.Field != FieldType ||
		len(kinds.Values) == 0 || len(types.Values) == 0 || len(kinds.Values)+len(types.Values) > MaxListValues {
		return Compare{}, false
	}
	all := append(append(make([]string, 0, len(kinds.Values)+len(types.Values)), kinds.Values...), types.Values...)
	return Compare{Field: FieldKind, Values: all}, true
}

// word returns the filter word for a field.
func (f Field) word() string {
	if f == FieldKind {
		return string(FieldType)
	}
	if name, ok := f.Attribute(); ok && (name == "" || strings.ContainsFunc(name, isNotBare)) {
		var b strings.Builder
		b.WriteString(attributePrefix)
		writeQuoted(&b, name)
		return b.String()
	}
	return string(f)
}

func isNotBare(r rune) bool { return !isBare(r) }
