package dump_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"stint/internal/store/dump"
	"stint/internal/task"
)

func now() time.Time { return time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC) }

// some returns n rows of each table, with every sort of value that a column may
// have.
func some(n int) []dump.Row {
	var rows []dump.Row
	for _, table := range dump.Tables() {
		for i := range n {
			values := make([]any, len(table.Columns))
			for j, c := range table.Columns {
				values[j] = value(c, i, j < table.Key)
			}
			rows = append(rows, dump.Row{Table: table.Name, Values: values})
		}
	}
	return rows
}

// value returns the i-th value of a column. Those of keys grow.
func value(c dump.Column, i int, key bool) any {
	texts := []string{"", "plain", "\x00", "a\x00\xff", "é \u2028 <&> \" \\ \n", "\xed\xa0\x80", `{"base64":""}`, "😀", "null"}
	switch {
	case key && c.Type == dump.Int:
		return c.Min + int64(i)
	case key && c.Type == dump.Text:
		return fmt.Sprintf("%03d%s", i, texts[i%len(texts)])
	case key && c.Type == dump.Bytes:
		return []byte{byte(i >> 8), byte(i)}
	case key:
		return append(bytes.Repeat([]byte{0xab}, 14), byte(i>>8), byte(i))
	case c.Null && i%3 == 0:
		return nil
	case c.Type == dump.Int:
		return []int64{c.Min, c.Max, max(c.Min, min(c.Max, 0))}[i%3]
	case c.Type == dump.Text:
		return texts[i%len(texts)]
	case c.Type == dump.Bytes:
		return [][]byte{{}, {0}, {255, 254}, []byte("text")}[i%4]
	}
	return bytes.Repeat([]byte{byte(i)}, 16)
}

func write(tb testing.TB, rows []dump.Row) string {
	tb.Helper()
	var b bytes.Buffer
	w, err := dump.NewWriter(&b, now())
	if err != nil {
		tb.Fatal(err)
	}
	for _, r := range rows {
		if err := w.Row(r); err != nil {
			tb.Fatal(err)
		}
	}
	counts, err := w.Close()
	if err != nil || counts.Total() != int64(len(rows)) {
		tb.Fatalf("%v, %v", counts, err)
	}
	return b.String()
}

func read(text string) ([]dump.Row, error) {
	var rows []dump.Row
	for r, err := range dump.Read(strings.NewReader(text)) {
		if err != nil {
			return rows, err
		}
		r.Line = 0
		rows = append(rows, r)
	}
	return rows, nil
}

func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 50} {
		rows := some(n)
		text := write(t, rows)
		got, err := read(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(rows, got); diff != "" {
			t.Errorf("%d of each (-want +got):\n%.2000s", n, diff)
		}
		if again := write(t, got); again != text {
			t.Errorf("%d of each: what was read is written otherwise", n)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	rows := []dump.Row{
		{Table: dump.Settings, Values: []any{"a\x00", []byte{1, 2, 255}}},
		{Table: "idempotency", Values: []any{"k \"é\"\n", []byte{}, bytes.Repeat([]byte{0xab}, 16), int64(-7)}},
		{Table: "runs", Values: []any{make([]byte, 16), int64(1), int64(2), nil, nil, []byte("{}")}},
	}
	lines := strings.SplitAfter(write(t, rows), "\n")
	if !strings.HasPrefix(lines[0], `{"format":"stint dump","version":1,"schema":1,"time":"2026-11-24T23:40:50.123Z","tables":[{"name":"settings","columns":["name","value"]},{"name":"tasks",`) {
		t.Errorf("the first line is %s", lines[0])
	}
	want := `["settings",{"base64":"YQA="},"AQL/"]
["idempotency","k \"é\"\n","","abababababababababababababababab",-7]
["runs","00000000000000000000000000000000",1,2,null,null,"e30="]
`
	if got := strings.Join(lines[1:4], ""); got != want {
		t.Errorf("the rows are\n%swant\n%s", got, want)
	}
	sum := sha256.Sum256([]byte(want))
	end := fmt.Sprintf(`"webhooks":0},"sha256":"%x"}`+"\n", sum)
	if !strings.HasPrefix(lines[4], `{"rows":{"accounts":0,"audit":0,`) || !strings.HasSuffix(lines[4], end) {
		t.Errorf("the last line is %s, want an end of %s", lines[4], end)
	}
}

// TestAnythingElseIsRefused alters a dump in every way that there is: each byte,
// and lines taken away, doubled and swapped.
func TestAnythingElseIsRefused(t *testing.T) {
	t.Parallel()
	text := write(t, some(1))
	first := strings.IndexByte(text, '\n') + 1
	refused := func(how, altered string) {
		t.Helper()
		if rows, err := read(altered); err == nil {
			t.Errorf("%s: %d rows are taken", how, len(rows))
		} else if task.KindOf(err) != task.Content || !strings.HasPrefix(err.Error(), "line ") {
			t.Errorf("%s: %v", how, err)
		}
	}
	for i := range text {
		if i%5 == 0 || i > len(text)-200 {
			refused(fmt.Sprintf("cut at %d", i), text[:i])
		}
		if i < first && strings.Contains(text[:i], `"time":"`) && !strings.Contains(text[:i], `"tables"`) {
			continue // when it was written is for people
		}
		for _, b := range []byte{text[i] ^ 1, '"'} {
			if b != text[i] && (i%7 == 0 || i >= first && b != '"') {
				refused(fmt.Sprintf("%q at %d", b, i), text[:i]+string(b)+text[i+1:])
			}
		}
	}
	lines := strings.SplitAfter(text, "\n")
	for i := 1; i < len(lines)-1; i++ {
		refused(fmt.Sprintf("without line %d", i+1), strings.Join(slices.Delete(slices.Clone(lines), i, i+1), ""))
		refused(fmt.Sprintf("line %d twice", i+1), strings.Join(slices.Insert(slices.Clone(lines), i, lines[i]), ""))
		if i > 1 {
			swapped := slices.Clone(lines)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			refused(fmt.Sprintf("lines %d and %d swapped", i, i+1), strings.Join(swapped, ""))
		}
	}
	refused("something behind it", text+"x")
	refused("another behind it", text+text)
}

// TestMistakesAreNamed: line, table, column and what is allowed, and no value.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	head, _, _ := strings.Cut(write(t, nil), "\n")
	const (
		id    = `"abababababababababababababababab"`
		row   = `["garbage","a","AA=="]` + "\n"
		twice = row + `["garbage","a","AA=="]`
		back  = row + `["settings","secret","AA=="]`
	)
	endless := strings.Repeat("x", 64<<20+1)
	for line, want := range map[string]string{
		`["secret"]`:                                         `line 2: no such table is allowed here: after settings come settings, tasks, history`,
		`secret`:                                             `line 2: a row is expected, ["table",value,…], or the last line`,
		``:                                                   `line 2: is empty`,
		`["settings"]`:                                       `line 2: settings.name: is missing: a string, or {"base64":"…"} for text that is not valid UTF-8 or holds U+0000 is allowed`,
		`["settings","secret"]`:                              `line 2: settings.value: is missing: a string of padded base64 is allowed`,
		`["settings","secret","AA==",1]`:                     `line 2: settings: more follows the value of value, its last column`,
		`["settings","secret", "AA=="]`:                      `line 2: settings.value: a string of padded base64 is allowed`,
		`["settings","secret","AB=="]`:                       `line 2: settings.value: a string of padded base64 is allowed`,
		`["settings",null,"AA=="]`:                           `line 2: settings.name: a string`,
		`["settings","\u0041","AA=="]`:                       `line 2: settings.name: a string`,
		`["settings","\u0000","AA=="]`:                       `line 2: settings.name: a string`,
		`["settings",{"base64":"QQ=="},""]`:                  `line 2: settings.name: a string`,
		`["runs",` + id + `,1.0,1,1,null,""]`:                `line 2: runs.source: a whole number from -9223372036854775808 to 9223372036854775807 is allowed`,
		`["runs",` + id + `,1,3000000000,1,null,""]`:         `line 2: runs.class: a whole number from -2147483648 to 2147483647 is allowed`,
		`["runs",` + id + `,1,1,"secret",null,""]`:           `line 2: runs.active: a whole number from -2147483648 to 2147483647, or null is allowed`,
		`["runs",` + strings.ToUpper(id) + `,1,1,1,null,""]`: `line 2: runs.task_id: a string of 32 lower-case hex digits is allowed`,
		`["runs",` + id + `,1,1,1,"abab",""]`:                `line 2: runs.upload: a string of 32 lower-case hex digits, or null is allowed`,
		`{"rows":{},"sha256":"secret"}`:                      `line 2: what was read is not what was written`,
		`{"rows":{}}`:                                        `line 2: what was read is not what was written`,
		twice:                                                `line 3: garbage.sort: the rows must come in the order of their keys, each once`,
		back:                                                 `line 3: no such table is allowed here: after garbage come garbage, audit`,
		endless:                                              `line 2: is longer than 67108864 bytes`,
	} {
		_, err := read(head + "\n" + line + "\n")
		if task.KindOf(err) != task.Content || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60s: %v\nwant %s", line, err, want)
		}
	}
	for first, want := range map[string]string{
		`{"id":"1"}`: `this is no dump of Stint`,
		`x`:          `this is no dump of Stint`,
		strings.Replace(head, `"version":1`, `"version":2,"more":3`, 1): `the dump has version 2 and schema 1, and this program reads version 1 and schema 1`,
		strings.Replace(head, `"schema":1`, `"schema":7`, 1):            `the dump has version 1 and schema 7`,
		strings.Replace(head, `"launcher",`, ``, 1):                     `tables: they are not those of schema 1`,
		strings.Replace(head, `"time"`, `"more":1,"time"`, 1):           `/more: is not a known member`,
	} {
		_, err := read(first + "\n")
		if task.KindOf(err) != task.Content || !strings.HasPrefix(err.Error(), "line 1: "+want) {
			t.Errorf("%.80s: %v\nwant line 1: %s", first, err, want)
		}
	}
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	mistake := errors.New("mistake")
	for _, err := range dump.Read(iotest.ErrReader(mistake)) {
		if !errors.Is(err, mistake) {
			t.Errorf("got %v", err)
		}
	}
}

// TestWriterRefuses what no reader would take.
func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string][]dump.Row{
		"another table":       {{Table: "nodes"}},
		"too few values":      {{Table: dump.Settings, Values: []any{"a"}}},
		"another type":        {{Table: dump.Settings, Values: []any{"a", "b"}}},
		"a type of no column": {{Table: dump.Settings, Values: []any{"a", true}}},
		"a null":              {{Table: dump.Settings, Values: []any{"a", nil}}},
		"a short id":          {{Table: "uploads", Values: []any{[]byte{1}, int64(1), nil}}},
		"a large number":      {{Table: dump.AuditHeads, Values: []any{int64(math.MaxInt32 + 1), int64(1), []byte{}}}},
		"a job":               {change(some(1), dump.Tasks, "job", int64(7))},
		"an order":            {{Table: dump.Settings, Values: []any{"b", []byte{}}}, {Table: dump.Settings, Values: []any{"a", []byte{}}}},
		"a long row":          {{Table: dump.Settings, Values: []any{"b", make([]byte, 60<<20)}}},
	} {
		w, err := dump.NewWriter(&bytes.Buffer{}, now())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			err = w.Row(r)
		}
		if task.KindOf(err) != task.Content {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func change(rows []dump.Row, table, column string, to any) dump.Row {
	for _, t := range dump.Tables() {
		if t.Name != table {
			continue
		}
		r := rows[slices.IndexFunc(rows, func(r dump.Row) bool { return r.Table == table })]
		r.Values[slices.IndexFunc(t.Columns, func(c dump.Column) bool { return c.Name == column })] = to
		return r
	}
	panic("no table " + table)
}

// TestTask takes each column from where it stands.
func TestTask(t *testing.T) {
	t.Parallel()
	rows := some(1)
	for column, to := range map[string]any{
		"created": int64(1), "status": "SUCCESS", "kind": "K", "type": "T", "source_id": "s", "launcher": "l", "last_report": int64(2),
		"heartbeat_limit": int64(3), "job": int64(0),
	} {
		change(rows, dump.Tasks, column, to)
	}
	r := rows[slices.IndexFunc(rows, func(r dump.Row) bool { return r.Table == dump.Tasks })]
	want := task.Task{
		Created: time.UnixMilli(1).UTC(), Status: "SUCCESS", Kind: "K", Type: "T", SourceID: "s", Launcher: "l", LastReport: time.UnixMilli(2).UTC(),
		HeartbeatLimit: 3 * time.Millisecond, BuiltIn: true,
	}
	if diff := gocmp.Diff(want, r.Task()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, column := range []string{"status", "source_id", "last_report", "job"} {
		change(rows, dump.Tasks, column, nil)
	}
	want.Status, want.SourceID, want.LastReport, want.BuiltIn = "", "", time.Time{}, false
	if diff := gocmp.Diff(want, r.Task()); diff != "" {
		t.Errorf("of nulls, -want +got:\n%s", diff)
	}
}

// FuzzRead: whatever is read is what would be written, and nothing panics.
func FuzzRead(f *testing.F) {
	head, rest, _ := strings.Cut(write(f, some(3)), "\n")
	for line := range strings.Lines(rest) {
		f.Add(line)
	}
	f.Add(rest)
	f.Fuzz(func(t *testing.T, body string) {
		rows, err := read(head + "\n" + body)
		if err != nil && task.KindOf(err) != task.Content {
			t.Fatalf("%v", err)
		}
		text := write(t, rows)
		_, again, _ := strings.Cut(text, "\n")
		if err == nil && again != body {
			t.Fatalf("read from\n%q\nand written as\n%q", body, again)
		}
		// Rows before a mistake are as they were written, too.
		before := again[:strings.LastIndexByte(again[:len(again)-1], '\n')+1]
		if !strings.HasPrefix(body, before) {
			t.Fatalf("read from\n%q\nand written as\n%q", body, before)
		}
	})
}
