package delimited

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"stint/internal/account"
	"stint/internal/task"
)

// Reader reads the rows of a file. It is not safe for concurrent use.
type Reader struct {
	records *records
	columns []string
	layout  layout
	at      Position
	err     error // what ended it
}

// Row is a row of a file. With a Problem its record holds the Key of the record
// to be kept as it is stored, and Keep; no Key if the row does not tell.
type Row = account.Row

// Problem says what is wrong with a row.
type Problem = account.Problem

// The keys of problems.
const (
	RowTooShort      = "row_too_short"
	RowTooLong       = "row_too_long"
	IdentityEmpty    = "identity_empty"
	IdentityTooLong  = "identity_too_long"
	IdentityIllegal  = "identity_illegal"
	NameTooLong      = "name_too_long"
	AttributeTooLong = "attribute_too_long"
	AttributeIllegal = "attribute_illegal"

	EntitlementTooLong = "entitlement_too_long"
	EntitlementIllegal = "entitlement_illegal"
)

// layout makes records of rows.
type layout interface {
	// key returns the key of the record in a row, which may have fewer cells than
	// there are columns, or more. It is empty where the row does not tell.
	key(cells []string) string
	// record makes the record of a row. The fault is nil if there is none.
	record(cells []string) (account.Record, *fault)
}

// fault says what is wrong with a cell.
type fault struct {
	cell      int
	key, text string
}

// Open begins to read a file at its first byte. Its errors are those of Check.
func Open(in io.Reader, s Settings) (*Reader, error) {
	delimiter, err := s.delimiter()
	if err != nil {
		return nil, err
	}
	in, at, err := start(in)
	if err != nil {
		return nil, err
	}
	records := newRecords(in, delimiter, at)
	cells, err := records.next()
	if errors.Is(err, io.EOF) {
		return nil, errEmpty()
	}
	if err != nil {
		return nil, err
	}
	columns, err := readHeader(cells, records.begin, delimiter)
	if err != nil {
		return nil, err
	}
	layout, err := newLayout(columns, &s)
	if err != nil {
		return nil, err
	}
	if err := checkColumns(columns, &s); err != nil {
		return nil, err
	}
	return &Reader{records: records, columns: columns, layout: layout, at: records.at}, nil
}

// start drops a byte order mark and refuses what cannot be text. It returns the
// rest of the file and where that begins.
func start(in io.Reader) (io.Reader, Position, error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(in, head)
	head = head[:n]
	// A short file: what in says next is asked again.
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, Position{}, fmt.Errorf("read the file: %w", err)
	}
	mark := []byte("\ufeff")
	switch {
	case bytes.HasPrefix(head, mark):
		return io.MultiReader(bytes.NewReader(head[len(mark):]), in), Position{Offset: int64(len(mark))}, nil
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return nil, Position{}, task.Errorf(task.IllegalValue, fileField, "is UTF-16; save it as UTF-8")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return nil, Position{}, task.Errorf(task.IllegalValue, fileField, "is an Excel workbook or a ZIP archive; save it as CSV in UTF-8")
	}
	return io.MultiReader(bytes.NewReader(head), in), Position{}, nil
}

// Resume goes on reading at a position that Reader.Position returned: in begins
// at that byte of the file. The columns are those of its header. That they are
// the source's was checked when the file was accepted, and is not again.
func Resume(in io.Reader, s Settings, columns []string, at Position) (*Reader, error) {
	delimiter, err := s.delimiter()
	if err != nil {
		return nil, err
	}
	layout, err := newLayout(columns, &s)
	if err != nil {
		return nil, err
	}
	return &Reader{records: newRecords(in, delimiter, at), columns: columns, layout: layout, at: at}, nil
}

// Columns returns the names of the columns, in their order.
func (r *Reader) Columns() []string { return r.columns }

// Position returns the place behind the row returned last; before the first
// one, behind the header.
func (r *Reader) Position() Position { return r.at }

// Next returns the next row, io.EOF at the end; other errors are as of Check.
// Empty rows are passed over. After an error it returns the same one.
func (r *Reader) Next() (Row, error) {
	if r.err != nil {
		return Row{}, r.err
	}
	cells, err := r.records.next()
	if err != nil {
		r.err = err
		return Row{}, err
	}
	r.at = r.records.at
	return r.row(cells), nil
}

func (r *Reader) row(cells []string) Row {
	width := len(r.columns)
	if len(cells) < width {
		return r.misshapen(cells, len(cells), RowTooShort,
			fmt.Sprintf("the row has %d of %d cells; the first that is missing is %q", len(cells), width, task.Abbreviate(r.columns[len(cells)])))
	}
	for i := width; i < len(cells); i++ {
		if cells[i] != "" {
			return r.misshapen(cells, i, RowTooLong,
				fmt.Sprintf("the row has %d cells where the header has %d; a cell that holds the delimiter has to be in quotes", len(cells), width))
		}
	}
	record, f := r.layout.record(cells)
	if f == nil {
		return Row{Record: record}
	}
	return r.problem(cells, r.records.line(f.cell), f)
}

// misshapen is a row that has too few cells or too many.
func (r *Reader) misshapen(cells []string, cell int, key, text string) Row {
	return r.problem(cells, r.records.begin, &fault{cell, key, text})
}

func (r *Reader) problem(cells []string, line int64, f *fault) Row {
	row := Row{Problem: &Problem{Line: line, Column: int64(f.cell) + 1, Key: f.key, Text: f.text}}
	if f.cell < len(r.columns) {
		row.Problem.Name = r.columns[f.cell]
	}
	if key := r.layout.key(cells); key != "" {
		row.Record = account.Record{Key: key, Keep: true}
	}
	return row
}
