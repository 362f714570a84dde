package query

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"stint/internal/task"
)

// paramFilters is the parameter that errors of the filter language name.
const paramFilters = "filters"

// maxShown is how many characters of a caller's text an error repeats.
const maxShown = 64

// position turns a byte offset into what people count: characters, from 1.
func position(input string, at int) int {
	return utf8.RuneCountInString(input[:at]) + 1
}

// complain makes an error about what stands at a byte of the filter.
func complain(kind task.ErrorKind, input string, at int, what, format string, args ...any) *task.Error {
	return task.Errorf(kind, paramFilters, "%s at position %d %s", what, position(input, at), fmt.Sprintf(format, args...))
}

// syntax makes the error of a filter that cannot be parsed.
func (l *lexer) syntax(at int, what, format string, args ...any) error {
	return complain(task.Syntax, l.input, at, what, format, args...)
}

// shown returns a caller's text for a message, in quotes and cut where it is
// long. It is not escaped: people look for what they wrote.
func shown(s string) string { return `"` + cut(s) + `"` }

func cut(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	n := 0
	for i := range s {
		if n == maxShown {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// checkText refuses what no text may hold, wherever it comes in.
func checkText(parameter, s string) error {
	if !utf8.ValidString(s) {
		at := 0
		for at < len(s) {
			r, size := utf8.DecodeRuneInString(s[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return task.Errorf(task.Syntax, parameter, "the text at position %d is not valid UTF-8", position(s, at))
	}
	if at := strings.IndexByte(s, 0); at >= 0 {
		return task.Errorf(task.IllegalValue, parameter, "the character U+0000 at position %d is not allowed", position(s, at))
	}
	return nil
}

// describe returns a token for a message.
func describe(t token) string {
	switch t.kind {
	case tokenEnd:
		return "the end"
	case tokenQuoted:
		return "the value " + shown(t.text)
	case tokenWord, tokenOpen, tokenClose, tokenComma:
	}
	return shown(t.text)
}
