package source

import (
	"fmt"
	"slices"
	"strings"

	"stint/internal/task"
)

// maxListed is how many columns an error lists.
const maxListed = 20

// CheckColumns checks the header of a file of accounts against the columns of
// the source; their order does not matter. The error is an Error of kind
// IllegalValue that lists both sides.
func (f *File) CheckColumns(header []string) error {
	if len(f.Columns) == 0 {
		return nil
	}
	surplus := without(header, f.Columns)
	missing := without(f.Columns, header)
	if len(surplus) == 0 && len(missing) == 0 {
		return nil
	}
	var wrong []string
	if len(surplus) > 0 {
		wrong = append(wrong, "has columns that the source does not: "+ListColumns(surplus))
	}
	if len(missing) > 0 {
		wrong = append(wrong, "lacks columns of the source: "+ListColumns(missing))
	}
	return task.Errorf(task.IllegalValue, "file", "%s; the file's columns are %s; the source's are %s",
		strings.Join(wrong, "; "), ListColumns(header), ListColumns(f.Columns))
}

func without(columns, others []string) []string {
	var rest []string
	for _, c := range columns {
		if !slices.Contains(others, c) {
			rest = append(rest, c)
		}
	}
	return rest
}

// ListColumns lists columns for a message.
func ListColumns(columns []string) string {
	names := make([]string, 0, maxListed)
	for _, c := range columns[:min(len(columns), maxListed)] {
		names = append(names, task.Abbreviate(c))
	}
	s := strings.Join(names, ", ")
	if more := len(columns) - maxListed; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
