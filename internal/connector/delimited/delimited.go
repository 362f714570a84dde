// Package delimited reads files of accounts and of entitlements: CSV and its
// relatives, as people upload them.
//
// It owns what a file may look like, which rows are taken, and how a row becomes
// a record. It does not own where a file comes from, nor what is made of its
// records.
//
// Invariants: a file is read as a stream, in memory that a record bounds and not
// the file; reading can go on at any row and then reads what it would have read
// without the break; Check accepts a file exactly where reading it reaches its
// end. No error and no problem holds a cell of a row: people who may not see
// accounts read them.
package delimited

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"stint/internal/account"
	"stint/internal/source"
)

// Bounds of a file.
const (
	// maxRecord bounds the bytes of a row, line breaks and quotes included.
	maxRecord = 1 << 20
	// maxCells bounds the cells of a row, empty ones behind the header's included.
	maxCells = 1 << 16
	// maxName, maxIdentity and maxHeader bound characters.
	maxName     = 1024
	maxIdentity = 1024
	maxHeader   = 256
	// maxHeaders bounds the bytes of all column names together, as a source does.
	maxHeaders = 128 << 10
)

// Settings say how a file is read.
type Settings struct {
	File  source.File
	Class account.Class
}

// delimiter returns what separates cells.
func (s *Settings) delimiter() (rune, error) {
	text := cmp.Or(s.File.Delimiter, source.DefaultDelimiter)
	r, n := utf8.DecodeRuneInString(text)
	if n != len(text) || r == 0 || r == '"' || r == '\r' || r == '\n' || r == utf8.RuneError {
		return 0, fmt.Errorf("the delimiter %q is not one character that may separate cells", text)
	}
	return r, nil
}

// separator returns what separates the values in a cell.
func (s *Settings) separator() string {
	return cmp.Or(s.File.MultiValueSeparator, source.DefaultMultiValueSeparator)
}

// Summary is what a file holds.
type Summary struct {
	// Columns are those of the header, in their order.
	Columns []string
	// Rows is how many follow the header, good or bad; empty ones do not count.
	Rows int64
	// Bytes is the length of the whole file.
	Bytes int64
}

// Check reads a whole file and returns what it holds. The error is a task.Error
// where the file has to be refused as a whole; an error of in is returned
// wrapped. A row that could not be taken is no reason to refuse a file.
func Check(in io.Reader, s Settings) (Summary, error) {
	r, err := Open(in, s)
	if err != nil {
		return Summary{}, err
	}
	summary := Summary{Columns: r.columns}
	for {
		switch _, err := r.records.next(); {
		case errors.Is(err, io.EOF):
			summary.Bytes = r.records.stream.offset
			return summary, nil
		case err != nil:
			return Summary{}, err
		}
		summary.Rows++
	}
}
