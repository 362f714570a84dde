package delimited

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"stint/internal/account"
	"stint/internal/task"
)

// drawCell draws what a cell says: mostly what files and JSON have trouble with.
func drawCell(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "", "NULL", "=1+1", " ", "\u00a0", "R03, L07", "b,a,b", "\"", "a\"b", "\n", "\r\n", "x\r\ny\n", "é", "\u2028", "<&>", "\\"}),
		rapid.StringOfN(rapid.RuneFrom([]rune("ab,;\"\n\r\té山😀 ")), 0, 8, -1),
	).Draw(t, "cell")
}

// writeCell writes a cell, in quotes where it needs them and now and then
// where not.
func writeCell(t *rapid.T, b *strings.Builder, cell, delimiter string) {
	if !strings.ContainsAny(cell, "\"\r\n") && !strings.Contains(cell, delimiter) && rapid.Bool().Draw(t, "bare") {
		b.WriteString(cell)
		return
	}
	b.WriteString(`"` + strings.ReplaceAll(cell, `"`, `""`) + `"`)
}

// drawn is a file and what its rows say.
type drawn struct {
	settings Settings
	file     string
	rows     [][]string
}

// drawFile draws a file that is to be accepted; its rows may be good or bad.
func drawFile(t *rapid.T) drawn {
	d := drawn{settings: settings(rapid.SampledFrom([]account.Class{account.Accounts, account.Entitlements}).Draw(t, "class"))}
	d.settings.File.Delimiter = rapid.SampledFrom([]string{",", ";", "\t", "é"}).Draw(t, "delimiter")
	header := rapid.Permutation([]string{"id", "name", "groups", "displayName", "é\"<x>", "Zeta", "attribute"}).Draw(t, "header")
	var b strings.Builder
	if rapid.Bool().Draw(t, "mark") {
		b.WriteString("\ufeff")
	}
	write := func(cells []string) {
		for i, c := range cells {
			if i > 0 {
				b.WriteString(d.settings.File.Delimiter)
			}
			writeCell(t, &b, c, d.settings.File.Delimiter)
		}
	}
	breaks := rapid.SampledFrom([]string{"\n", "\r\n", "\n", "\r\n", "\n\n", "\r\n\r\n\n", "\n\"\"\n"})
	write(header)
	for range rapid.IntRange(0, 6).Draw(t, "rows") {
		b.WriteString(breaks.Draw(t, "break"))
		cells := make([]string, max(1, len(header)+rapid.SampledFrom([]int{0, 0, 0, 0, -1, 1, -6}).Draw(t, "more")))
		for i := range cells {
			cells[i] = drawCell(t)
		}
		write(cells)
		if strings.Join(cells, "") != "" {
			d.rows = append(d.rows, cells)
		}
	}
	b.WriteString(rapid.SampledFrom([]string{"", "\n", "\r\n\n", "\r"}).Draw(t, "end"))
	d.file = b.String()
	return d
}

// inPieces reads as some streams do.
func inPieces(t *rapid.T, file string) io.Reader {
	in := io.Reader(strings.NewReader(file))
	return rapid.SampledFrom([]func(io.Reader) io.Reader{
		iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r },
	}).Draw(t, "pieces")(in)
}

// TestResume: reading in one go is reading up to any row, and on from there.
func TestResume(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := drawFile(rt)
		r, err := Open(inPieces(rt, d.file), d.settings)
		if err != nil {
			rt.Fatal(err)
		}
		positions := []Position{r.Position()}
		all := drain(r)
		positions = append(positions, all.At...)
		if all.Err != nil || len(all.Rows) != len(d.rows) {
			rt.Fatalf("%d rows, want %d: %v", len(all.Rows), len(d.rows), all.Err)
		}
		for i, at := range positions {
			resumed, err := Resume(inPieces(rt, d.file[at.Offset:]), d.settings, r.Columns(), at)
			if err != nil {
				rt.Fatal(err)
			}
			if resumed.Position() != at {
				rt.Fatalf("it begins at %v, want %v", resumed.Position(), at)
			}
			rest := drain(resumed)
			want := read{Rows: all.Rows[i:], At: all.At[i:]}
			if diff := cmp.Diff(want, rest, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatalf("from row %d: %s", i, diff)
			}
			if lines := int64(strings.Count(d.file[:at.Offset], "\n")); at.Line != lines && at.Offset != int64(len(d.file)) {
				rt.Fatalf("at byte %d it is in line %d, want %d", at.Offset, at.Line, lines)
			}
		}
		got, err := Check(inPieces(rt, d.file), d.settings)
		want := Summary{Columns: r.Columns(), Rows: int64(len(d.rows)), Bytes: int64(len(d.file))}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			rt.Fatal(err, diff)
		}
	})
}

// TestAccountRows holds accounts against what their cells say, made the slow
// and plain way.
func TestAccountRows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		d := drawFile(rt)
		d.settings.Class = account.Accounts
		r, err := Open(strings.NewReader(d.file), d.settings)
		if err != nil {
			rt.Fatal(err)
		}
		for i, row := range drain(r).Rows {
			want, ok := plainAccount(r.Columns(), d.rows[i])
			if ok != (row.Problem == nil) {
				rt.Fatalf("row %d, %q: got the problem %v", i, d.rows[i], row.Problem)
			}
			if diff := cmp.Diff(want, row.Record); ok && diff != "" {
				rt.Fatalf("row %d, %q: %s", i, d.rows[i], diff)
			}
		}
	})
}

func plainAccount(columns, cells []string) (account.Record, bool) {
	if len(cells) < len(columns) || strings.Join(cells[len(columns):], "") != "" {
		return account.Record{}, false
	}
	body := map[string]any{}
	for i, c := range columns {
		text := strings.ReplaceAll(cells[i], "\r\n", "\n") // as encoding/csv does
		if text != "" {
			body[c] = text
		}
	}
	text := func(column string) string { s, _ := body[column].(string); return s }
	record := account.Record{Key: strings.TrimSpace(text("id")), Name: text("name")}
	if record.Key == "" || strings.ContainsAny(record.Key, "\n\r\t") {
		return account.Record{}, false
	}
	body["id"] = record.Key
	if strings.TrimSpace(record.Name) == "" {
		record.Name = record.Key
	}
	var values []string
	for _, v := range strings.Split(text("groups"), ",") {
		if v = strings.TrimSpace(v); v != "" && !slices.Contains(values, v) {
			values = append(values, v)
		}
		if strings.ContainsAny(v, "\n\r\t") {
			return account.Record{}, false
		}
	}
	delete(body, "groups")
	if len(values) > 0 {
		slices.Sort(values)
		body["groups"] = values
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		return account.Record{}, false
	}
	record.Body = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return record, true
}

// fuzzSettings are those of any file: its class and its delimiter.
func fuzzSettings(entitlements bool, delimiter rune) (Settings, bool) {
	s := settings(account.Accounts)
	if entitlements {
		s.Class = account.Entitlements
	}
	s.File.DisplayName, s.File.Entitlements = "", nil
	s.File.Delimiter = string(delimiter)
	_, err := s.delimiter()
	return s, err == nil
}

func addFiles(f *testing.F) {
	f.Helper()
	for _, file := range []string{
		"", "id\n1\n", "\ufeffid,name\r\n1,\"a\r\nb\"\r\n\r\n,,\n2,x,y", "id,a\n1,\"", "id,a\n1,b\"c\n", "id\n\xff", "id\n\x00", "[object Object]", "\xff\xfei\x00",
		"id,,\n1,,\n", "id,id", "name,Attribute,x\na,b,c\n,,d\n", "id;x\n1;\"2;3\"\n", "id\n\"a\"\"b\"\n\r",
	} {
		for _, entitlements := range []bool{false, true} {
			f.Add([]byte(file), entitlements, ',', uint(1))
			f.Add([]byte(file), entitlements, ';', uint(0))
		}
	}
}

// FuzzCheck: a file is accepted exactly where it can be read to its end, in
// whatever pieces it comes, and refused with what it is to blame for.
func FuzzCheck(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, file []byte, entitlements bool, delimiter rune, _ uint) {
		s, ok := fuzzSettings(entitlements, delimiter)
		if !ok {
			t.Skip()
		}
		summary, err := Check(bytes.NewReader(file), s)
		if err != nil {
			typed(t, err)
		}
		r, openErr := Open(iotest.OneByteReader(bytes.NewReader(file)), s)
		all := read{Err: openErr}
		if openErr == nil {
			all = drain(r)
		}
		if (err == nil) != (all.Err == nil) || err != nil && err.Error() != all.Err.Error() {
			t.Fatalf("checking says %v, reading %v", err, all.Err)
		}
		if err == nil && (summary.Rows != int64(len(all.Rows)) || summary.Bytes != int64(len(file)) || bytes.ContainsRune(file, 0)) {
			t.Fatalf("got %+v; %d rows in %d bytes were read", summary, len(all.Rows), len(file))
		}
	})
}

// FuzzNext: rows are records that hold, or problems; and reading goes on at any
// of them.
func FuzzNext(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, file []byte, entitlements bool, delimiter rune, after uint) {
		s, ok := fuzzSettings(entitlements, delimiter)
		if !ok {
			t.Skip()
		}
		r, err := Open(bytes.NewReader(file), s)
		if err != nil {
			return
		}
		positions := []Position{r.Position()}
		all := drain(r)
		for _, row := range all.Rows {
			checkRow(t, row)
		}
		positions = append(positions, all.At...)
		i := int(after % uint(len(positions)))
		resumed, err := Resume(bytes.NewReader(file[positions[i].Offset:]), s, r.Columns(), positions[i])
		if err != nil {
			t.Fatal(err)
		}
		rest := drain(resumed)
		if describe(rest) != describe(read{Rows: all.Rows[i:], At: all.At[i:]}) {
			t.Fatalf("from row %d: got\n%swant\n%s", i, describe(rest), describe(read{Rows: all.Rows[i:], At: all.At[i:]}))
		}
		if (rest.Err == nil) != (all.Err == nil) || rest.Err != nil && rest.Err.Error() != all.Err.Error() {
			t.Fatalf("from row %d: got %v, want %v", i, rest.Err, all.Err)
		}
	})
}

func checkRow(t *testing.T, row Row) {
	t.Helper()
	if p := row.Problem; p != nil {
		if p.Line < 2 || p.Column < 1 || p.Key == "" || p.Text == "" || row.Record.Keep != (row.Record.Key != "") || row.Record.Body != nil {
			t.Fatalf("got %+v with %+v", row.Record, p)
		}
		return
	}
	if row.Record.Key == "" || row.Record.Name == "" || row.Record.Keep || !json.Valid(row.Record.Body) {
		t.Fatalf("got %+v", row.Record)
	}
	if merged, ok := account.Merge(row.Record, row.Record, nil); !ok || !cmp.Equal(merged, row.Record) {
		t.Fatalf("%+v does not merge with itself", row.Record)
	}
}

func TestResumeChecksSettings(t *testing.T) {
	t.Parallel()
	_, err := Resume(strings.NewReader("1,a"), settings(account.Accounts), []string{"ID", "name"}, Position{Offset: 8, Line: 1})
	typed(t, err)
	for _, s := range []Settings{{Class: account.Accounts, File: settings(account.Accounts).File}, {}} {
		s.File.Delimiter = ",,"
		_, err := Open(strings.NewReader("id"), s)
		var e *task.Error
		if err == nil || errors.As(err, &e) {
			t.Fatalf("got %v, want an error that is not the file's", err)
		}
	}
}
