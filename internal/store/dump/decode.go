package dump

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"stint/internal/strictjson"
	"stint/internal/task"
)

// Read yields the rows of a dump in its order. The first error ends it; one about
// the dump is a *task.Error that names the line. A dump is whole only where no
// error came to the end: what was yielded before one must be undone.
func Read(r io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		d := &reader{from: bufio.NewReaderSize(r, 1<<16), follower: newFollower()}
		if err := d.head(); err != nil {
			yield(Row{}, err)
			return
		}
		hash := sha256.New()
		for {
			line, err := d.next()
			if err != nil {
				yield(Row{}, err)
				return
			}
			if line[0] == '{' {
				if err := d.tail(line, hash.Sum(nil)); err != nil {
					yield(Row{}, err)
				}
				return
			}
			row, err := d.row(line)
			if err != nil {
				yield(Row{}, err)
				return
			}
			hash.Write(line)
			hash.Write([]byte{'\n'})
			if !yield(row, nil) {
				return
			}
		}
	}
}

type reader struct {
	from     *bufio.Reader
	line     int // the number of the last line that was read
	long     []byte
	follower *follower
}

// next returns the next line without its end. It holds at least one byte.
func (d *reader) next() ([]byte, error) {
	d.line++
	d.long = d.long[:0]
	for {
		part, err := d.from.ReadSlice('\n')
		if len(d.long)+len(part) > maxLine {
			return nil, d.errorf("is longer than %d bytes", maxLine)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			d.long = append(d.long, part...)
			continue
		case errors.Is(err, io.EOF):
			return nil, d.errorf("the dump ends too early: it is not whole")
		case err != nil:
			return nil, fmt.Errorf("line %d: %w", d.line, err)
		}
		if len(d.long) > 0 {
			part = append(d.long, part...)
			d.long = part
		}
		if len(part) == 1 {
			return nil, d.errorf("is empty")
		}
		return part[:len(part)-1], nil
	}
}

func (d *reader) errorf(format string, args ...any) error {
	return task.Errorf(task.Content, "", "line "+strconv.Itoa(d.line)+": "+format, args...)
}

// head reads the first line.
func (d *reader) head() error {
	line, err := d.next()
	if err != nil {
		return err
	}
	// One that another version wrote may have other members.
	var first struct {
		Format          string
		Version, Schema int
	}
	if err := json.Unmarshal(line, &first); err != nil || first.Format != format {
		return d.errorf("this is no dump of Stint: the first line of one says format %q", format)
	}
	if first.Version != version || first.Schema != schema {
		return d.errorf("the dump has version %d and schema %d, and this program reads version %d and schema %d: "+
			"import with the version of Stint that exported", first.Version, first.Schema, version, schema)
	}
	var h head
	if err := strictjson.Unmarshal(line, &h); err != nil {
		return d.errorf("%s", textOf(err))
	}
	if !reflect.DeepEqual(h.Tables, headTables()) {
		return d.errorf("tables: they are not those of schema %d", schema)
	}
	return nil
}

// tail holds what was read against the last line.
func (d *reader) tail(line, sum []byte) error {
	var t tail
	if err := strictjson.Unmarshal(line, &t); err != nil {
		return d.errorf("%s", textOf(err))
	}
	if t.SHA256 != hex.EncodeToString(sum) || !maps.Equal(t.Rows, d.follower.counts) {
		return d.errorf("what was read is not what was written: rows were altered, added or taken away")
	}
	switch _, err := d.from.ReadByte(); {
	case err == nil:
		return d.errorf("more follows the last line")
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("line %d: %w", d.line, err)
	}
	return nil
}

// textOf is what strictjson says, without its field: that names no line.
func textOf(err error) string {
	if e, ok := errors.AsType[*task.Error](err); ok {
		return e.Text()
	}
	return err.Error()
}

// row reads the line of a row: a JSON array of the table's name and the values.
func (d *reader) row(line []byte) (Row, error) {
	r := Row{Line: d.line}
	name, ok := inQuotes(bytes.TrimPrefix(line, []byte("[")))
	if !ok || line[0] != '[' {
		return r, d.errorf(`a row is expected, ["table",value,…], or the last line`)
	}
	before := d.follower.at
	t, ok := d.follower.seek(string(name))
	if !ok {
		return r, d.errorf("no such table is allowed here: after %s come %s", d.follower.tables[before].Name, d.follower.rest())
	}
	r.Table, r.Values = t.Name, make([]any, len(t.Columns))
	rest := line[len(name)+3:]
	for i := range t.Columns {
		c := &t.Columns[i]
		if len(rest) == 0 || rest[0] != ',' {
			return r, r.Errorf(c.Name, "is missing: %s", c.allowed())
		}
		value, n, ok := c.parseValue(rest[1:])
		if !ok {
			return r, r.Errorf(c.Name, "%s", c.allowed())
		}
		r.Values[i], rest = value, rest[1+n:]
	}
	if string(rest) != "]" {
		return r, r.Errorf("", "more follows the value of %s, its last column", t.Columns[len(t.Columns)-1].Name)
	}
	return r, d.follower.follow(t, &r)
}

// parseValue reads the value that src begins with, and returns how long it is. It
// reports false for what the column does not hold, and for what is not written as
// the format writes it.
func (c *Column) parseValue(src []byte) (value any, length int, ok bool) {
	if bytes.HasPrefix(src, []byte(null)) {
		return nil, nullLength, c.Null
	}
	switch c.Type {
	case Int:
		value, length, ok = parseInt(src)
	case Text:
		value, length, ok = parseText(src)
	case Bytes:
		value, length, ok = parseBytes(src)
	case ID:
		value, length, ok = parseID(src)
	}
	return value, length, ok && c.holds(value)
}

func parseInt(src []byte) (any, int, bool) {
	n := bytes.IndexAny(src, ",]")
	if n < 0 {
		n = len(src)
	}
	const longest = 20 // of int64
	if n > longest {
		return nil, 0, false
	}
	v, err := strconv.ParseInt(string(src[:n]), 10, 64)
	return v, n, err == nil && strconv.FormatInt(v, 10) == string(src[:n])
}

// inQuotes returns what stands in the quotes that src begins with, where nothing
// is escaped.
func inQuotes(src []byte) ([]byte, bool) {
	if len(src) == 0 || src[0] != '"' {
		return nil, false
	}
	n := bytes.IndexByte(src[1:], '"')
	if n < 0 {
		return nil, false
	}
	return src[1 : 1+n], true
}

func parseBytes(src []byte) ([]byte, int, bool) {
	text, ok := inQuotes(src)
	// The decoder passes over the ends of lines.
	if !ok || bytes.ContainsAny(text, "\r\n") {
		return nil, 0, false
	}
	to := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(to, text)
	return to[:n], len(text) + 2, err == nil
}

func parseID(src []byte) ([]byte, int, bool) {
	text, ok := inQuotes(src)
	if !ok || len(text) != hex.EncodedLen(idSize) || bytes.ContainsAny(text, "ABCDEF") {
		return nil, 0, false
	}
	to := make([]byte, idSize)
	_, err := hex.Decode(to, text)
	return to, len(text) + 2, err == nil
}

func parseText(src []byte) (any, int, bool) {
	const before, after = `{"base64":`, "}"
	if rest, packed := bytes.CutPrefix(src, []byte(before)); packed {
		b, n, ok := parseBytes(rest)
		if !ok || !bytes.HasPrefix(rest[n:], []byte(after)) {
			return nil, 0, false
		}
		// What can be a string is written as one.
		return string(b), len(before) + n + len(after), !isPlain(string(b))
	}
	n, ok := quotedLength(src)
	if !ok {
		return nil, 0, false
	}
	text, err := jsontext.AppendUnquote(nil, src[:n])
	if err != nil {
		return nil, 0, false
	}
	again, err := jsontext.AppendQuote(nil, text)
	return string(text), n, err == nil && bytes.Equal(again, src[:n]) && isPlain(string(text))
}

// quotedLength returns how long the JSON string is that src begins with.
func quotedLength(src []byte) (int, bool) {
	if len(src) == 0 || src[0] != '"' {
		return 0, false
	}
	for i := 1; i < len(src); i++ {
		switch src[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return 0, false
}
