package dump

import (
	"bytes"
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"stint/internal/task"
)

// Row is one row of a table. Whoever gets one may keep it.
type Row struct {
	Table string
	// Values are those of the table's columns, in their order: nil, int64, string or
	// []byte.
	Values []any
	// Line is where it was read from, 0 where it was not read from lines.
	Line int
}

// Errorf makes an error about a row, or about one of its columns. Like all errors
// about rows it holds no value.
func (r *Row) Errorf(column, format string, args ...any) *task.Error {
	where := r.Table
	if column != "" {
		where += "." + column
	}
	if r.Line > 0 {
		where = "line " + strconv.Itoa(r.Line) + ": " + where
	}
	return task.Errorf(task.Content, "", "%s: %s", where, fmt.Sprintf(format, args...))
}

// Task returns what is counted of a row of tasks, and what its deadline follows
// from. The row was checked.
func (r *Row) Task() task.Task {
	value := func(i int) string {
		s, _ := r.Values[i].(string)
		return s
	}
	number := func(i int) int64 {
		n, _ := r.Values[i].(int64)
		return n
	}
	t := task.Task{
		Created: time.UnixMilli(number(taskCreated)).UTC(), Status: task.CompletionStatus(value(taskStatus)),
		Kind: task.Kind(value(taskKind)), Type: task.Type(value(taskType)), SourceID: value(taskSource), Launcher: value(taskLauncher),
		HeartbeatLimit: time.Duration(number(taskHeartbeat)) * time.Millisecond, BuiltIn: r.Values[taskJob] != nil,
	}
	if r.Values[taskReport] != nil {
		t.LastReport = time.UnixMilli(number(taskReport)).UTC()
	}
	return t
}

// Wire returns the TaskStatus of a row of tasks.
func (r *Row) Wire() []byte {
	wire, _ := r.Values[taskWire].([]byte)
	return wire
}

// The places of columns of tasks.
const (
	taskCreated   = 0
	taskStatus    = 5
	taskKind      = 6
	taskType      = 7
	taskSource    = 8
	taskLauncher  = 9
	taskReport    = 12
	taskHeartbeat = 13
	taskJob       = 17
	taskWire      = 19
)

// allowed says what a column may hold.
func (c *Column) allowed() string {
	what := ""
	switch c.Type {
	case Int:
		what = fmt.Sprintf("a whole number from %d to %d", c.Min, c.Max)
		if c.Min == c.Max {
			what = strconv.FormatInt(c.Min, 10)
		}
	case Text:
		what = `a string, or {"base64":"…"} for text that is not valid UTF-8 or holds U+0000`
	case Bytes:
		what = "a string of padded base64"
	case ID:
		what = "a string of 32 lower-case hex digits"
	}
	if c.Null {
		what += ", or null"
	}
	return what + " is allowed"
}

// holds reports whether a value is one of the column's.
func (c *Column) holds(value any) bool {
	switch v := value.(type) {
	case nil:
		return c.Null
	case int64:
		return c.Type == Int && c.Min <= v && v <= c.Max
	case string:
		return c.Type == Text
	case []byte:
		return c.Type == Bytes || c.Type == ID && len(v) == idSize
	}
	return false
}

const idSize = 16

// follower holds rows against the list of the tables: each is of a table's form,
// and they come in order.
type follower struct {
	tables []Table
	at     int // the table that the last row was of
	last   []any
	counts Counts
}

func newFollower() *follower {
	f := &follower{tables: Tables(), counts: Counts{}}
	for i := range f.tables {
		f.counts[f.tables[i].Name] = 0
	}
	return f
}

// seek finds a table at the last row's or after it.
func (f *follower) seek(name string) (*Table, bool) {
	for i := f.at; i < len(f.tables); i++ {
		if f.tables[i].Name == name {
			if i > f.at {
				f.at, f.last = i, nil
			}
			return &f.tables[i], true
		}
	}
	return nil, false
}

// rest names the tables that may still come.
func (f *follower) rest() string {
	var names []string
	for i := f.at; i < len(f.tables); i++ {
		names = append(names, f.tables[i].Name)
	}
	return strings.Join(names, ", ")
}

// take checks the next row and counts it.
func (f *follower) take(r *Row) error {
	t, ok := f.seek(r.Table)
	if !ok {
		return r.Errorf("", "no such table is allowed here")
	}
	if len(r.Values) != len(t.Columns) {
		return r.Errorf("", "%d values, and it has %d columns", len(r.Values), len(t.Columns))
	}
	for i := range t.Columns {
		if c := &t.Columns[i]; !c.holds(r.Values[i]) {
			return r.Errorf(c.Name, "%s", c.allowed())
		}
	}
	return f.follow(t, r)
}

// follow counts a row that was checked and holds it against the order.
func (f *follower) follow(t *Table, r *Row) error {
	if f.last != nil && compareKeys(f.last, r.Values, t.Key) >= 0 {
		return r.Errorf(t.Columns[0].Name, "the rows must come in the order of their keys, each once")
	}
	f.last = r.Values
	f.counts[t.Name]++
	return nil
}

func compareKeys(a, b []any, n int) int {
	for i := range n {
		c := 0
		switch x := a[i].(type) {
		case int64:
			y, _ := b[i].(int64)
			c = cmp.Compare(x, y)
		case string:
			y, _ := b[i].(string)
			c = cmp.Compare(x, y)
		case []byte:
			y, _ := b[i].([]byte)
			c = bytes.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// Counts is how many rows each table has.
type Counts map[string]int64

// Total is how many rows there are in all.
func (c Counts) Total() int64 {
	total := int64(0)
	for _, n := range c {
		total += n
	}
	return total
}
