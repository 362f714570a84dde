package delimited

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"stint/internal/account"
	"stint/internal/source"
	"stint/internal/task"
)

// readHeader returns the names of a file's columns.
func readHeader(cells []string, line int64, delimiter rune) ([]string, error) {
	// What JavaScript makes of a stream or a buffer that is sent as text.
	const object = "[object Object]"
	if strings.Join(cells, string(delimiter)) == object {
		return nil, task.Errorf(task.IllegalValue, fileField,
			"is the text %s: the client sent that in place of the file's content, because it made text of a JavaScript object", object)
	}
	columns := make([]string, 0, len(cells))
	for _, c := range cells {
		columns = append(columns, strings.TrimFunc(c, isBlank))
	}
	for len(columns) > 0 && columns[len(columns)-1] == "" {
		columns = columns[:len(columns)-1]
	}
	if len(columns) == 0 {
		return nil, task.Errorf(task.IllegalValue, fileField, "line %d: the header names no column", line)
	}
	if len(columns) > source.MaxColumns {
		return nil, task.Errorf(task.IllegalValue, fileField, "has %d columns: at most %d", len(columns), source.MaxColumns)
	}
	for i, c := range columns {
		if err := checkHeader(i+1, c); err != nil {
			return nil, err
		}
	}
	return columns, checkDistinct(columns)
}

// isBlank tells white space that is no control character.
func isBlank(r rune) bool { return r == '\t' || r >= ' ' && unicode.IsSpace(r) }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func checkHeader(number int, name string) error {
	if name == "" {
		return task.Errorf(task.IllegalValue, fileField, "column %d has no name", number)
	}
	if i := strings.IndexFunc(name, isControl); i >= 0 {
		advice := ""
		if name[i] == '\r' {
			advice = "; lines end with LF or CRLF, not with CR alone"
		}
		return task.Errorf(task.IllegalValue, fileField, "the name of column %d, %q, holds a control character%s", number, task.Abbreviate(name), advice)
	}
	if n := utf8.RuneCountInString(name); n > maxHeader {
		return task.Errorf(task.IllegalValue, fileField, "the name of column %d, %q, has %d characters: at most %d", number, task.Abbreviate(name), n, maxHeader)
	}
	return nil
}

func checkDistinct(columns []string) error {
	seen := make(map[string]bool, len(columns))
	var twice []string
	size := 0
	for _, c := range columns {
		if seen[c] {
			twice = append(twice, c)
		}
		seen[c] = true
		size += len(c)
	}
	if len(twice) > 0 {
		return task.Errorf(task.IllegalValue, fileField, "names columns more than once: %s", list(twice))
	}
	if size > maxHeaders {
		return task.Errorf(task.IllegalValue, fileField, "the names of its columns are %d bytes together: at most %d", size, maxHeaders)
	}
	return nil
}

// checkColumns refuses a file of accounts whose columns are not those of its
// source: others would be attributes that nobody declared, and what a missing
// one held would vanish from every account.
func checkColumns(columns []string, s *Settings) error {
	if s.Class != account.Accounts || len(s.File.Columns) == 0 {
		return nil
	}
	more, fewer := without(columns, s.File.Columns), without(s.File.Columns, columns)
	if len(more)+len(fewer) == 0 {
		return nil
	}
	var wrong []string
	if len(more) > 0 {
		wrong = append(wrong, "not columns of the source: "+list(more))
	}
	if len(fewer) > 0 {
		wrong = append(wrong, "missing: "+list(fewer))
	}
	return task.Errorf(task.IllegalValue, fileField, "%s. The file has %s; the source (connectorAttributes.columns) has %s",
		strings.Join(wrong, "; "), list(columns), list(s.File.Columns))
}

// without returns the names that are not among others.
func without(names, others []string) []string {
	set := make(map[string]bool, len(others))
	for _, n := range others {
		set[n] = true
	}
	var rest []string
	for _, n := range names {
		if !set[n] {
			rest = append(rest, n)
		}
	}
	return rest
}

// mostListed is how many columns an error names.
const mostListed = 20

// list returns names for an error, the first of them if they are many.
func list(names []string) string {
	var b strings.Builder
	for i, n := range names {
		if i == mostListed {
			fmt.Fprintf(&b, " and %d more", len(names)-mostListed)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(task.Abbreviate(n)))
	}
	return b.String()
}

// needed is a column that a file must have, and why.
type needed struct{ name, why string }

// errMissing says which columns a file lacks, and which it has.
func errMissing(missing []needed, columns []string, s *Settings) error {
	parts := make([]string, 0, min(len(missing), mostListed)+1)
	for i, m := range missing {
		if i == mostListed {
			parts = append(parts, fmt.Sprintf("and %d more", len(missing)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%q (%s)", task.Abbreviate(m.name), m.why))
	}
	return task.Errorf(task.IllegalValue, fileField, "lacks the columns that are needed: %s. Read with the delimiter %q it has %s",
		strings.Join(parts, ", "), cmp.Or(s.File.Delimiter, source.DefaultDelimiter), list(columns))
}

// errEmpty says that a file has no header.
func errEmpty() error {
	return task.Errorf(task.IllegalValue, fileField, "is empty: a header with the names of the columns is needed")
}
