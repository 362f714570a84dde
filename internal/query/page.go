package query

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stint/internal/task"
)

// The ranges of a page.
const (
	MaxLimit  = 250
	MaxOffset = 1<<31 - 1
)

// Page says which part of a list is wanted.
type Page struct {
	Limit, Offset int
	Count         bool // the exact number of matching elements, too
	Filter        Expr // nil: all
	// Sort is never empty. Ties are broken by id, in the direction of the last; those of
	// tasks by the time of creation before it. Of tasks there is one Sorter, and those
	// that lack its field come last in both directions.
	Sort []Sorter
	// After, where it is not nil, is what the page comes after; Offset is 0 then.
	After *Position
}

// Sorter is one field to sort on.
type Sorter struct {
	Field Field
	Desc  bool
}

// ParsePage reads the standard collection parameters from the raw query of a
// URL. An empty parameter is an absent one, an unknown one is ignored. Errors
// are *task.Error that name the parameter: Syntax for what cannot be decoded,
// Content for a parameter that is given twice, IllegalValue for what is out of
// range; and those of ParseFilter.
func (t *Table) ParsePage(rawQuery string) (Page, error) {
	names := []string{"limit", "offset", "count", "sorters", paramFilters}
	if t.paged {
		names = append(names, paramCursor)
	}
	given, err := Parameters(rawQuery, names...)
	if err != nil {
		return Page{}, err
	}
	page := Page{Limit: MaxLimit}
	if v, ok := given["limit"]; ok {
		if page.Limit, err = number("limit", v, MaxLimit); err != nil {
			return Page{}, err
		}
	}
	if v, ok := given["offset"]; ok {
		if page.Offset, err = number("offset", v, MaxOffset); err != nil {
			return Page{}, err
		}
	}
	if v, ok := given["count"]; ok {
		page.Count = task.EqualFoldASCII(v, "true")
		if !page.Count && !task.EqualFoldASCII(v, "false") {
			return Page{}, task.Errorf(task.IllegalValue, "count", "%s is not allowed: true or false", shown(v))
		}
	}
	if v, ok := given["sorters"]; ok {
		if page.Sort, err = t.sorters(v); err != nil {
			return Page{}, err
		}
	}
	if page.Filter, err = t.ParseFilter(given[paramFilters]); err != nil {
		return Page{}, err
	}
	if page.Sort == nil {
		page.Sort = []Sorter{t.orderOf(page.Filter)}
	}
	if v, ok := given[paramCursor]; ok {
		if page.Offset > 0 {
			return Page{}, task.Errorf(task.Content, "offset", "cannot be given together with cursor")
		}
		if page.After, err = parsePosition(v, page.Sort[0]); err != nil {
			return Page{}, err
		}
	}
	return page, nil
}

// orderOf returns the order of a list whose caller asks for none. It depends on
// the filter alone, so that the pages of a list are parts of one list.
func (t *Table) orderOf(filter Expr) Sorter {
	filter = Simplify(filter)
	terms := []Expr{filter}
	if and, ok := filter.(And); ok {
		terms = and.Terms
	}
	for _, f := range t.narrowing {
		for _, term := range terms {
			if c, ok := term.(Compare); ok && c.Field == f {
				return Sorter{Field: f}
			}
			if p, ok := term.(Prefix); ok && p.Field == f {
				return Sorter{Field: f}
			}
		}
	}
	return t.order
}

// Parameters returns the named parameters of a query string. Where net/url would
// drop a pair that it cannot decode, this is an error: the caller would get a
// list that was not asked for.
func Parameters(rawQuery string, names ...string) (map[string]string, error) {
	given := make(map[string]string, len(names))
	for pair := range strings.SplitSeq(rawQuery, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, undecodable(rawName, err)
		}
		if strings.Contains(pair, ";") {
			return nil, task.Errorf(task.Syntax, named(name), `";" does not separate parameters: & does; inside a value it is written %%3B`)
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, undecodable(name, err)
		}
		if value == "" || !slices.Contains(names, name) {
			continue
		}
		if err := checkText(name, value); err != nil {
			return nil, err
		}
		if _, again := given[name]; again {
			return nil, task.Errorf(task.Content, name, "is given more than once")
		}
		given[name] = value
	}
	return given, nil
}

func undecodable(name string, err error) error {
	what := "an escape"
	if escape, ok := errors.AsType[url.EscapeError](err); ok {
		what = shown(string(escape))
	}
	return &task.Error{
		Kind: task.Syntax, Field: named(name),
		Msg: "cannot be decoded: " + what + " is not a percent escape; a percent sign itself is written %25",
	}
}

// named makes a parameter's name fit for a message.
func named(name string) string {
	if name == "" {
		return "query string"
	}
	return cut(name)
}

func number(name, value string, most int) (int, error) {
	// Unlike a signed one, this parser takes no sign.
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || int(n) > most {
		return 0, task.Errorf(task.IllegalValue, name, "%s is not allowed: a whole number from 0 to %d", shown(value), most)
	}
	return int(n), nil
}

func (t *Table) sorters(value string) ([]Sorter, error) {
	var sorters []Sorter
	for item := range strings.SplitSeq(value, ",") {
		name, desc := strings.CutPrefix(strings.Trim(item, " "), "-")
		s := Sorter{Field: Field(name), Desc: desc}
		if len(t.sorts) == 0 {
			return nil, task.Errorf(task.Content, "sorters", "this list has one order and takes none")
		}
		if !t.sortable(s.Field) {
			return nil, task.Errorf(task.IllegalValue, "sorters", "%s is not allowed: %s", shown(item), t.sortWords())
		}
		if slices.ContainsFunc(sorters, func(before Sorter) bool { return before.Field == s.Field }) {
			return nil, task.Errorf(task.IllegalValue, "sorters", "%s is given more than once: at most one of %s", shown(name), t.sortWords())
		}
		if t.paged && len(sorters) > 0 {
			return nil, task.Errorf(task.IllegalValue, "sorters", "%s is one too many: this list is sorted on one field", shown(item))
		}
		if s.Field == FieldType {
			s.Field = FieldKind
		}
		sorters = append(sorters, s)
	}
	return sorters, nil
}

func (t *Table) sortable(f Field) bool { return slices.Contains(t.sorts, f) }

func (t *Table) sortWords() string {
	words := make([]string, len(t.sorts))
	for i, f := range t.sorts {
		words[i] = string(f) + " or -" + string(f)
	}
	return strings.Join(words, ", ")
}
