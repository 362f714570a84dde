package delimited

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"stint/internal/account"
	"stint/internal/source"
	"stint/internal/task"
)

// numbered are n names.
func numbered(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = "c" + strconv.Itoa(i)
	}
	return strings.Join(names, ",")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	columns := settings(account.Accounts)
	columns.File.Columns = []string{"id", "name", "groups", "email", "title"}
	semicolon := settings(account.Accounts)
	semicolon.File.Delimiter = ";"
	accounts, entitlements := settings(account.Accounts), settings(account.Entitlements)
	long := strings.Repeat("SECRET,", maxRecord/len("SECRET,")+1)
	const header = "id,name,groups\n"
	for name, c := range map[string]struct {
		settings Settings
		file     string
		want     string // parts of the message, separated by |
	}{
		"empty":                      {accounts, "", "is empty"},
		"a mark alone":               {accounts, "\ufeff", "is empty"},
		"empty lines alone":          {accounts, "\n\r\n,,,\n\"\"\n", "is empty"},
		"blank header":               {accounts, " ,\t\n", "names no column"},
		"object":                     {accounts, "[object Object]", "[object Object]|JavaScript"},
		"object, cut by spaces":      {Settings{Class: account.Accounts, File: source.File{AccountID: "id", Delimiter: " "}}, "[object Object]\n", "JavaScript"},
		"UTF-16 little endian":       {accounts, "\xff\xfei\x00d\x00", "UTF-16|UTF-8"},
		"UTF-16 big endian":          {accounts, "\xfe\xff\x00i\x00d", "UTF-16|UTF-8"},
		"UTF-16 without a mark":      {accounts, "i\x00d\x00", "U+0000|line 1, byte offset 1|UTF-16"},
		"workbook":                   {accounts, "PK\x03\x04\x14\x00\x06", "Excel"},
		"not UTF-8":                  {accounts, header + "\n1,\"a\n\xe9\",SECRET", "not UTF-8|line 4, byte offset 21"},
		"not UTF-8 behind a mark":    {accounts, "\ufeff" + header + "1,\xe9", "line 2, byte offset 20"},
		"cut character":              {accounts, header + "1,é,\xe2\x82", "not UTF-8|line 2, byte offset 20"},
		"U+0000":                     {accounts, header + "1,SECRET\x00", "U+0000|line 2, byte offset 23"},
		"too many columns":           {accounts, numbered(source.MaxColumns + 1), "1001 columns|at most 1000"},
		"no name in the middle":      {accounts, "id,,name\n", "column 2 has no name"},
		"no name, a blank one":       {accounts, "id, \u00a0,name\n", "column 2 has no name"},
		"duplicate":                  {accounts, "id,name, id ,groups,name\n", `more than once|"id", "name"`},
		"control character":          {accounts, "id,\"na\nme\"\n", `column 2, "na\nme"|control character`},
		"CR alone":                   {accounts, "id,name,groups\r1,a,b\r", "control character|CR alone"},
		"long name":                  {accounts, "id," + strings.Repeat("é", 257) + "\n", "column 2|257 characters|at most 256"},
		"long names":                 {accounts, "id,name,groups," + strings.ReplaceAll(numbered(600), ",", strings.Repeat("é", 150)+","), "bytes together|at most 131072"},
		"without the account id":     {accounts, "ID,name,groups,SECRET\n", `"id" (connectorAttributes.accountId)|delimiter ","|"ID", "name", "groups"`},
		"without all that is needed": {accounts, "x\n", `"id" (connectorAttributes.accountId), "name" (connectorAttributes.displayName), "groups" (connectorAttributes.entitlements)`},
		"other delimiter":            {semicolon, "id,name,groups\n", `delimiter ";"|"id,name,groups"`},
		"other columns": {
			columns, "id,name,groups,mail,title\n",
			`not columns of the source: "mail"|missing: "email"|"id", "name", "groups", "mail", "title"|"id", "name", "groups", "email", "title"`,
		},
		"one column more": {columns, "id,name,groups,email,title,x\n", `not columns of the source: "x". The`},
		"one column less": {columns, "id,name,groups,email\n", `missing: "title". The`},
		"many columns":    {columns, "id,name,groups,email,title," + numbered(30), `"c19" and 10 more. The`},
		"bare quote":      {accounts, header + "1,b,c\n2,SE\"CRET,x\n", "line 3, byte 5|quote"},
		"misplaced quote": {accounts, header + "\n1,\"a\nSE\"CRET,x\n", "line 4, byte 3|begins in line 3"},
		"open quote":      {accounts, header + "1,b,c\n2,\"SECRET\n\nSECRET", "never closed|begins in line 3"},
		"many cells":      {accounts, header + "1,a,b\n\n2," + long, "begins in line 4|65536 cells"},
		"long row":        {accounts, header + "1,a,b\n\n2," + strings.ReplaceAll(long, ",", "."), "begins in line 4|1048576 bytes|quote"},
		"long cell":       {accounts, header + "1,\"" + strings.Repeat("SECRET\n", 1<<18) + "\",b\n3,c,d\n", "begins in line 2|1048576 bytes|quote"},
		"long header":     {accounts, long, "begins in line 1"},

		"entitlements: neither id nor name": {entitlements, "displayName,x\n", `"id" (or name|"displayName", "x"`},
		"entitlements: twice, ASCII case":   {entitlements, "id,Name,NAME\n", `"Name", "NAME"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Check(strings.NewReader(c.file), c.settings)
			typed(t, err)
			for part := range strings.SplitSeq(c.want, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if name != "without the account id" && strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%q holds a cell", err)
			}
			if _, again := Check(iotest.OneByteReader(strings.NewReader(c.file)), c.settings); again == nil || again.Error() != err.Error() {
				t.Errorf("byte by byte it says %q, else %q", again, err)
			}
		})
	}
}

// TestAccepted: what looks odd and is in order.
func TestAccepted(t *testing.T) {
	t.Parallel()
	columns := settings(account.Accounts)
	columns.File.Columns = []string{"id", "name", "groups", "title"}
	accounts := settings(account.Accounts)
	const header = "id,name,groups\n"
	for name, c := range map[string]struct {
		settings Settings
		file     string
		rows     int64
	}{
		"header alone":                {accounts, header, 0},
		"columns in any order":        {columns, "title,groups,name,id\n1,2,3,4", 1},
		"most columns":                {Settings{Class: account.Accounts, File: source.File{AccountID: "c0"}}, numbered(source.MaxColumns) + ",,,", 0},
		"columns of accounts":         {Settings{Class: account.Entitlements, File: columns.File}, "id,x\n1,2", 1},
		"delimiter of three bytes":    {Settings{Class: account.Accounts, File: source.File{AccountID: "id", Delimiter: "・"}}, "id・x\n1・\"2・\"\n", 1},
		"long row":                    {accounts, header + "1,a," + strings.Repeat("x", maxRecord-5) + "\n2,b,c", 2},
		"long row at the end":         {accounts, header + "1,a," + strings.Repeat("x", maxRecord-4), 1},
		"empty lines are no long row": {accounts, header + strings.Repeat("\r\n", maxRecord) + "1,a,b" + strings.Repeat("\n", 2*maxRecord), 1},
		"empty rows are no long row":  {accounts, header + strings.Repeat(",,\n", maxRecord) + "1,a,b", 1},
		"mark inside":                 {accounts, header + "1,\ufeff,b", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Check(strings.NewReader(c.file), c.settings)
			if err != nil {
				t.Fatal(err)
			}
			if got.Rows != c.rows || got.Bytes != int64(len(c.file)) {
				t.Fatalf("got %d rows and %d bytes, want %d and %d", got.Rows, got.Bytes, c.rows, len(c.file))
			}
		})
	}
}

// TestLongestRow: one byte decides.
func TestLongestRow(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"", "\n", "\r\n", "\nnext,b,c\n"} {
		row := "1,a,"
		lineEnd := strings.TrimSuffix(end, "next,b,c\n")
		row += strings.Repeat("x", maxRecord-len(row)-len(lineEnd))
		file := "id,name,groups\n\n" + row + end
		if _, err := Check(strings.NewReader(file), settings(account.Accounts)); err != nil {
			t.Errorf("%q: %v", end, err)
		}
		_, err := Check(strings.NewReader("id,name,groups\n\n"+row+"x"+end), settings(account.Accounts))
		typed(t, err)
	}
}

// TestFaultsAnywhere puts what a file may not hold at each place of one, and
// reads it in pieces of all sizes.
func TestFaultsAnywhere(t *testing.T) {
	t.Parallel()
	const file = "id,name,groups\n1,é,\"a\r\n山\"\n\n2,😀,b\n"
	for at := range len(file) + 1 {
		for _, bad := range []string{"\x00", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\x80"} {
			data := file[:at] + bad + file[at:]
			where := faultOffset(data)
			want := fmt.Sprintf("line %d, byte offset %d", strings.Count(data[:where], "\n")+1, where)
			for _, in := range []io.Reader{
				strings.NewReader(data), iotest.OneByteReader(strings.NewReader(data)), iotest.HalfReader(strings.NewReader(data)),
				iotest.DataErrReader(strings.NewReader(data)),
			} {
				_, err := Check(in, settings(account.Accounts))
				// A quote may be misplaced before the fault.
				if err == nil || !strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), "quote") {
					t.Fatalf("%q: got %v, want %q", data, err, want)
				}
			}
		}
	}
}

// faultOffset returns the offset of the first byte that is U+0000 or not part of
// a character.
func faultOffset(data string) int {
	for i, r := range data {
		if r == 0 || r == '\ufffd' {
			return i
		}
	}
	return -1
}

var errBroken = errors.New("the line is broken")

// TestReadErrors breaks off the stream at each byte: the file is not to blame,
// and what was read before is a beginning of what there is.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	const file = "id§name§groups\n1§é§\"a\"\"b\r\n山\"§\n\n2§😀§b\n3§x\r\n"
	s := settings(account.Accounts)
	s.File.Delimiter = "§"
	whole, err := Open(strings.NewReader(file), s)
	if err != nil {
		t.Fatal(err)
	}
	all := drain(whole)
	for _, broken := range []error{errBroken, io.ErrUnexpectedEOF, fmt.Errorf("peer: %w", io.EOF), task.Errorf(task.TooLarge, "body", "too large")} {
		want := broken
		if errors.Is(broken, io.EOF) {
			want = io.ErrUnexpectedEOF
		}
		for at := range len(file) + 1 {
			cut := func() io.Reader { return io.MultiReader(strings.NewReader(file[:at]), iotest.ErrReader(broken)) }
			if _, err := Check(cut(), s); !errors.Is(err, want) || errors.Is(err, io.EOF) {
				t.Fatalf("at %d: got %v, want %v", at, err, want)
			}
			r, err := Open(iotest.OneByteReader(cut()), s)
			if err != nil {
				continue
			}
			got := drain(r)
			if !errors.Is(got.Err, want) {
				t.Fatalf("at %d: got %v, want %v", at, got.Err, want)
			}
			all := read{Rows: all.Rows[:len(got.Rows)], At: all.At[:len(got.At)]}
			if describe(got) != describe(all) {
				t.Fatalf("at %d: got\n%swant\n%s", at, describe(got), describe(all))
			}
			if _, again := r.Next(); !errors.Is(again, got.Err) {
				t.Fatalf("at %d: then %v", at, again)
			}
		}
	}
}

// endless repeats a text.
type endless struct {
	text string
	left int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.left -= n
	return n, nil
}

// TestMemory reads rows without an end: they take what the longest row takes,
// counting what was freed meanwhile.
func TestMemory(t *testing.T) { //nolint:paralleltest // it measures what the process allocates
	const size = 200 << 20
	for name, c := range map[string]struct{ head, text, want string }{
		"cell":         {"id,name,groups\n1,", "aaaaaaaaaaaaaaaa", "longer than"},
		"open quote":   {"id,name,groups\n1,\"", "aaaa,aaaaaa,aa\n,", "longer than"},
		"quotes":       {"id,name,groups\n1,\"", strings.Repeat("\"", 4096), "longer than"},
		"header":       {"id,", "aaaaaaaaaaaaaaaa", "longer than"},
		"delimiters":   {"id,name,groups\n", ",,,,,,,,,,,,,,,,", "more than 65536 cells"},
		"quoted cells": {"id,name,groups\n", `"",`, "more than 65536 cells"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			rest := &endless{text: c.text, left: size}
			_, err := Check(io.MultiReader(strings.NewReader(c.head), rest), settings(account.Accounts))
			runtime.ReadMemStats(&after)
			typed(t, err)
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q does not say %q", err, c.want)
			}
			if got := size - rest.left; got > maxRecord+3*bufferSize {
				t.Errorf("%d bytes were read", got)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 24<<20 {
				t.Fatalf("%d bytes were allocated in all", got)
			}
		})
	}
}

// TestManyCells: one cell decides, however they are written.
func TestManyCells(t *testing.T) {
	t.Parallel()
	const quoted = `"a,b"`
	for _, cell := range []string{"", quoted, `"a"",""b"`} {
		for more := range 2 {
			row := "\n1,a,b" + strings.Repeat(","+cell, maxCells-3) + strings.Repeat(",", more)
			for _, end := range []string{"", "\n2,a,b\n"} {
				_, err := Check(strings.NewReader("id,name,groups\n"+row+end), settings(account.Accounts))
				if more == 0 && err != nil {
					t.Errorf("%q: %v", cell, err)
				}
				if more > 0 {
					typed(t, err)
				}
			}
		}
	}
}
