package delimited

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"stint/internal/account"
	"stint/internal/task"
)

// Position is a place between two records of a file.
type Position = account.Position

// records reads the records of a file that are not empty.
type records struct {
	stream   *stream
	buffered *bufio.Reader
	csv      *csv.Reader
	// at is behind the record read last; begin is the line it begins in.
	at    Position
	begin int64
	// zero is what encoding/csv takes for the beginning of the file. Empty lines
	// are skipped before it sees them, so that they count to no record.
	zero Position
}

// bufferSize is how much is read at once.
const bufferSize = 64 << 10

func newRecords(in io.Reader, delimiter rune, at Position) *records {
	s := &stream{in: in, offset: at.Offset, lines: at.Line, begin: at.Offset}
	s.cells = cellCounter{delimiter: utf8.AppendRune(nil, delimiter), begin: at.Offset}
	r := &records{stream: s, buffered: bufio.NewReaderSize(s, bufferSize), at: at, zero: at}
	r.csv = csv.NewReader(r.buffered) // which reads from this buffer, and makes none of its own
	r.csv.Comma = delimiter
	r.csv.FieldsPerRecord = -1
	r.csv.ReuseRecord = true
	return r
}

// next returns the next record that has a cell with something in it. The cells
// are valid until the next call. The error is io.EOF at the end, a task.Error
// where the file is at fault, else that of the stream, wrapped.
func (r *records) next() ([]string, error) {
	for {
		r.skipEmptyLines()
		r.begin = r.at.Line + 1
		cells, err := r.csv.Read()
		if err != nil {
			return nil, r.failure(err)
		}
		begin := r.at.Offset
		last := len(cells) - 1
		r.at.Offset = r.zero.Offset + r.csv.InputOffset()
		r.at.Line = r.line(last) + int64(strings.Count(cells[last], "\n"))
		if r.at.Offset-begin > maxRecord {
			return nil, r.broken(errTooLong)
		}
		if len(cells) > maxCells {
			return nil, r.broken(errTooMany)
		}
		for _, cell := range cells {
			if cell != "" {
				return cells, nil
			}
		}
	}
}

// line returns the line in which a cell of the last record begins.
func (r *records) line(cell int) int64 {
	line, _ := r.csv.FieldPos(cell)
	return r.zero.Line + int64(line)
}

func (r *records) skipEmptyLines() {
	for {
		r.stream.begin = r.at.Offset
		next, _ := r.buffered.Peek(2) // an error comes again when the record is read
		var n int
		switch {
		case len(next) > 0 && next[0] == '\n':
			n = 1
		case len(next) == 2 && next[0] == '\r' && next[1] == '\n':
			n = 2
		default:
			return
		}
		n, _ = r.buffered.Discard(n)
		r.at.Offset += int64(n)
		r.zero.Offset += int64(n)
		r.at.Line++
		r.zero.Line++
	}
}

// failure makes what Next and Check return of an error of encoding/csv. Where
// the stream broke off in the record, that comes first: the rest of the record
// may have been in order.
func (r *records) failure(err error) error {
	if s := r.stream; s.told && s.err != io.EOF { //nolint:errorlint // an error that wraps it is no end of a file
		return r.broken(s.err)
	}
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return err
	}
	line := r.zero.Line + int64(parse.Line)
	if errors.Is(parse.Err, csv.ErrBareQuote) {
		return task.Errorf(task.IllegalValue, fileField, "line %d, byte %d: a quote stands inside a cell that does not begin with one; "+
			"put the whole cell in quotes and double those in it", line, parse.Column)
	}
	return task.Errorf(task.IllegalValue, fileField, "line %d, byte %d: a quote is misplaced or never closed, in the record that begins in line %d; "+
		"quotes inside a quoted cell are doubled", line, parse.Column, r.begin)
}

// broken makes an error of what ended the file before its end.
func (r *records) broken(err error) error {
	switch {
	case errors.Is(err, errTooLong):
		return task.Errorf(task.IllegalValue, fileField,
			"the record that begins in line %d is longer than %d bytes; perhaps a quote is never closed", r.begin, maxRecord)
	case errors.Is(err, errTooMany):
		return task.Errorf(task.IllegalValue, fileField,
			"the record that begins in line %d has more than %d cells", r.begin, maxCells)
	case r.stream.fault != nil:
		return r.stream.fault
	case errors.Is(err, io.EOF): // whoever asks for io.EOF would take it for the end
		return fmt.Errorf("read the file: %w: %s", io.ErrUnexpectedEOF, err.Error())
	}
	return fmt.Errorf("read the file: %w", err)
}
