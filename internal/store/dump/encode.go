package dump

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// format names the form, version is that of the lines, and schema that of the
	// list of tables and columns: it goes up with each that comes or goes.
	format  = "stint dump"
	version = 1
	schema  = 1

	// maxLine is the longest line that is written or read, in bytes. Nothing that a
	// store holds comes near it.
	maxLine = 64 << 20

	timeLayout = "2006-01-02T15:04:05.000Z"
)

// head is the first line.
type head struct {
	Format  string      `json:"format"`
	Version int         `json:"version"`
	Schema  int         `json:"schema"`
	Time    string      `json:"time"`
	Tables  []headTable `json:"tables"`
}

type headTable struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// tail is the last line. The hash is that of the lines between the first and this
// one, so that two dumps of one content have the same.
type tail struct {
	Rows   Counts `json:"rows"`
	SHA256 string `json:"sha256"`
}

func headTables() []headTable {
	var all []headTable
	for _, t := range Tables() {
		columns := make([]string, len(t.Columns))
		for i := range t.Columns {
			columns[i] = t.Columns[i].Name
		}
		all = append(all, headTable{t.Name, columns})
	}
	return all
}

// Writer writes a dump: the first line, rows, and, at Close, the last line.
type Writer struct {
	to       io.Writer
	hash     hash.Hash
	follower *follower
	line     []byte
}

// NewWriter writes the first line.
func NewWriter(w io.Writer, now time.Time) (*Writer, error) {
	line, err := json.Marshal(head{format, version, schema, now.UTC().Format(timeLayout), headTables()})
	if err != nil {
		return nil, fmt.Errorf("write the first line: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return &Writer{to: w, hash: sha256.New(), follower: newFollower()}, nil
}

// Row writes the next row. The rows come in the order of the tables and of their
// keys.
func (w *Writer) Row(r Row) error {
	if err := w.follower.take(&r); err != nil {
		return err
	}
	w.line = appendRow(w.line[:0], &r, w.follower)
	if len(w.line) > maxLine {
		return r.Errorf("", "a row of %d bytes is too long: %d are allowed", len(w.line), maxLine)
	}
	w.hash.Write(w.line)
	if _, err := w.to.Write(w.line); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// Close writes the last line and returns how many rows there are. Without it the
// dump is refused.
func (w *Writer) Close() (Counts, error) {
	line, err := json.Marshal(tail{w.follower.counts, hex.EncodeToString(w.hash.Sum(nil))})
	if err != nil {
		return nil, fmt.Errorf("write the last line: %w", err)
	}
	if _, err := w.to.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return w.follower.counts, nil
}

// appendRow appends the line of a row that was checked.
func appendRow(line []byte, r *Row, f *follower) []byte {
	line = append(line, `["`...)
	line = append(append(line, r.Table...), '"')
	columns := f.tables[f.at].Columns
	for i := range columns {
		line = appendValue(append(line, ','), columns[i].Type, r.Values[i])
	}
	return append(line, ']', '\n')
}

const (
	null       = "null"
	openText   = `{"base64":"`
	closeText  = `"}`
	nullLength = len(null)
)

// appendValue appends a value as the format writes it.
func appendValue(line []byte, of Type, value any) []byte {
	switch v := value.(type) {
	case int64:
		return strconv.AppendInt(line, v, 10)
	case string:
		if !isPlain(v) {
			line = append(line, openText...)
			return append(base64.StdEncoding.AppendEncode(line, []byte(v)), closeText...)
		}
		if quoted, err := jsontext.AppendQuote(line, v); err == nil {
			return quoted
		}
	case []byte:
		line = append(line, '"')
		if of == ID {
			line = hex.AppendEncode(line, v)
		} else {
			line = base64.StdEncoding.AppendEncode(line, v)
		}
		return append(line, '"')
	}
	return append(line, null...)
}

// isPlain reports whether a text is written as a JSON string: every program reads
// it as it was.
func isPlain(s string) bool {
	return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}
