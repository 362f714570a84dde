package cli

import (
	"encoding/json"
	"io"
)

// listed is an element of a list that a server sent.
type listed interface{ Raw() json.RawMessage }

// sink prints elements in one of the formats.
type sink[T listed] struct {
	add   func(T) error
	close func() error
}

// shape says how the elements of a list are printed.
type shape[T listed] struct {
	columns []column
	row     func(T) []string // for people
	plain   func(T) []string // for programs, one line each
	id      func(T) string
	none    string // what people read where there are none
}

func newSink[T listed](s *session, format string, sh shape[T]) sink[T] {
	nothing := func() error { return nil }
	switch {
	case format == "json":
		return jsonSink[T](s)
	case format == "ndjson":
		return sink[T]{func(t T) error { return s.writeJSON(append(oneLine(t.Raw()), '\n')) }, nothing}
	case format == "id":
		return sink[T]{func(t T) error { return s.println(sh.id(t)) }, nothing}
	case isTerminal(s.Out):
		var rows [][]string
		return sink[T]{func(t T) error {
			row := sh.row(t)
			for i := range row {
				row[i] = escapeLine(row[i])
			}
			rows = append(rows, row)
			return nil
		}, func() error {
			if len(rows) == 0 {
				_, err := io.WriteString(s.Err, sh.none+"\n")
				return err
			}
			return writeTable(s.Out, sh.columns, rows, terminalWidth(s.Out))
		}}
	}
	return sink[T]{func(t T) error { return s.println(sh.plain(t)...) }, nothing}
}

// jsonSink prints one array of the elements as the server sends them.
func jsonSink[T listed](s *session) sink[T] {
	separator := "[\n"
	return sink[T]{func(t T) error {
		text := append([]byte(separator), oneLine(t.Raw())...)
		separator = ",\n"
		return s.writeJSON(text)
	}, func() error {
		if separator == "[\n" {
			return s.writeJSON([]byte("[]\n"))
		}
		return s.writeJSON([]byte("\n]\n"))
	}}
}
