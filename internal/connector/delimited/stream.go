package delimited

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"stint/internal/task"
)

// fileField is the field that errors of a file name.
const fileField = "file"

// What a record may not be: encoding/csv holds all of it, and far more for each
// cell than the one byte that begins it.
var (
	errTooLong = errors.New("the record is too long")
	errTooMany = errors.New("the record has too many cells")
)

// stream hands on bytes up to the first that a file may not hold, and no more
// of a record than its bounds. What is in order before a fault is handed on, so
// that the fault is met in the record that holds it, wherever reads begin.
type stream struct {
	in io.Reader
	// offset is how far it has read, lines how many line breaks that were.
	offset, lines int64
	// begin is the offset at which the current record begins.
	begin int64
	cells cellCounter
	// part is the beginning of a character that goes on with the next read.
	part   []byte
	partAt int64
	// err is what ends the stream; told is set once the reader has been told.
	err  error
	told bool
	// fault is err where the file is at fault.
	fault *task.Error
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	// Whoever asks for more has not found the end of the record in what there is.
	if s.err == nil && s.offset-s.begin > maxRecord {
		s.err = errTooLong
	}
	if s.err == nil && s.cells.count(s.begin) > maxCells {
		s.err = errTooMany
	}
	if s.err != nil {
		s.told = true
		return 0, s.err
	}
	n, err := s.in.Read(p)
	good, wrong := s.examine(p[:n])
	s.cells.keep(p[:good], s.offset)
	at := s.offset + int64(good)
	s.offset = at
	s.lines += int64(bytes.Count(p[:good], []byte{'\n'}))
	switch {
	case wrong == "" && err == nil:
	case wrong == "" && err != io.EOF: // one that wraps io.EOF is no end of a file
		s.err = err
	case len(s.part) > 0:
		s.blame(notUTF8, s.partAt)
	case wrong != "":
		s.blame(wrong, at)
	default:
		s.err = io.EOF
	}
	return good, nil
}

// What a file may not hold.
const (
	notUTF8 = "is not UTF-8"
	isNUL   = "holds U+0000"
)

// examine returns how many bytes of p are in order, and what is wrong with the
// next one.
func (s *stream) examine(p []byte) (good int, wrong string) {
	if len(s.part) > 0 {
		n, ok := s.finish(p)
		if !ok {
			return 0, notUTF8
		}
		good = n
	}
	rest := p[good:]
	end := len(rest) - unfinished(rest)
	text := rest[:end]
	if nul := bytes.IndexByte(text, 0); nul >= 0 {
		text, wrong = text[:nul], isNUL
	}
	if !utf8.Valid(text) {
		return good + validPrefix(text), notUTF8
	}
	if wrong != "" {
		return good + len(text), wrong
	}
	if end < len(rest) {
		s.part = append(s.part, rest[end:]...)
		s.partAt = s.offset + int64(good+end)
	}
	return len(p), ""
}

// finish goes on with the character of which part is the beginning. It returns
// how many bytes of p belong to it.
func (s *stream) finish(p []byte) (n int, ok bool) {
	for n < len(p) && !utf8.FullRune(s.part) {
		s.part = append(s.part, p[n])
		n++
	}
	if !utf8.FullRune(s.part) {
		return n, true
	}
	if r, size := utf8.DecodeRune(s.part); r == utf8.RuneError && size == 1 {
		return 0, false
	}
	s.part = s.part[:0]
	return n, true
}

// unfinished returns how many bytes at the end of p begin a character that goes
// on behind it.
func unfinished(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if last := p[len(p)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}

func validPrefix(p []byte) int {
	n := 0
	for n < len(p) {
		r, size := utf8.DecodeRune(p[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}

// blame ends the stream with what is wrong at an offset of the current line.
func (s *stream) blame(wrong string, at int64) {
	advice := "save it as UTF-8"
	if wrong == isNUL {
		advice = "perhaps it is UTF-16; " + advice
	}
	s.fault = task.Errorf(task.IllegalValue, fileField, "%s: see line %d, byte offset %d; %s", wrong, s.lines+1, at, advice)
	s.err = s.fault
}
