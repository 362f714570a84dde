package query

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"stint/internal/task"
)

type tokenKind int

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted
	tokenOpen
	tokenClose
	tokenComma
)

// token is a piece of a filter. Its text is what it stands for: without quotes
// and escapes.
type token struct {
	kind tokenKind
	text string
	at   int // the byte at which it begins
}

// isFold tells whether the token is the word, in any case.
func (t token) isFold(word string) bool {
	return t.kind == tokenWord && task.EqualFoldASCII(t.text, word)
}

// lexer cuts a filter into tokens. The input is valid UTF-8.
type lexer struct {
	input string
	pos   int
	work  int // bytes looked at and steps taken; tests hold it to be linear
}

// next returns the next token; tokenEnd, again and again, at the end.
func (l *lexer) next() (token, error) {
	l.skipSpace()
	l.work++
	start := l.pos
	if start == len(l.input) {
		return token{tokenEnd, "", start}, nil
	}
	switch c := l.input[start]; c {
	case '(':
		return l.one(tokenOpen), nil
	case ')':
		return l.one(tokenClose), nil
	case ',':
		return l.one(tokenComma), nil
	case '"':
		return l.quoted()
	}
	for l.pos < len(l.input) {
		r, size := utf8.DecodeRuneInString(l.input[l.pos:])
		if !isBare(r) {
			break
		}
		l.pos += size
	}
	l.work += l.pos - start
	if l.pos == start {
		return token{}, l.stray(start)
	}
	return token{tokenWord, l.input[start:l.pos], start}, nil
}

func (l *lexer) one(kind tokenKind) token {
	l.pos++
	return token{kind, l.input[l.pos-1 : l.pos], l.pos - 1}
}

// skipSpace skips what Unicode calls white space: filters are pasted from
// documents, no-break spaces and all.
func (l *lexer) skipSpace() {
	for l.pos < len(l.input) {
		r, size := utf8.DecodeRuneInString(l.input[l.pos:])
		if !unicode.IsSpace(r) {
			return
		}
		l.pos += size
		l.work += size
	}
}

// quoted reads a quoted text: \" and \\ are escapes, another backslash is
// itself.
func (l *lexer) quoted() (token, error) {
	start := l.pos
	l.pos++
	var unescaped []byte // what comes before from, without its escapes
	hint := ""
	for from := l.pos; ; {
		i := strings.IndexAny(l.input[l.pos:], `"\`)
		if i < 0 {
			l.work += len(l.input) - l.pos
			return token{}, l.syntax(start, "the quote that opens", "is not closed%s", hint)
		}
		l.work += i + 1
		l.pos += i + 1
		if l.input[l.pos-1] == '"' {
			text := l.input[from : l.pos-1]
			if unescaped != nil {
				text = string(append(unescaped, text...))
			}
			return token{tokenQuoted, text, start}, nil
		}
		if l.pos < len(l.input) && (l.input[l.pos] == '"' || l.input[l.pos] == '\\') {
			if l.input[l.pos] == '"' {
				hint = `; \" in it is a quote that belongs to the value`
			}
			unescaped = append(unescaped, l.input[from:l.pos-1]...)
			from = l.pos
			l.pos++
			l.work++
		}
	}
}

// stray explains a character that begins no token.
func (l *lexer) stray(at int) error {
	r, size := utf8.DecodeRuneInString(l.input[at:])
	c := l.input[at : at+size]
	hint := "a value with it needs double quotes"
	switch r {
	case '\'', '‘', '’', '“', '”', '„', '«', '»', '`':
		hint = `only " is a quote`
	case '=', '!', '<', '>':
		hint = "operators are words: eq, in, isnull and not"
	case '&':
		hint = "write and"
	case '|':
		hint = "write or"
	}
	if !unicode.IsPrint(r) {
		return l.syntax(at, "the character that stands", "is not one that can be seen; %s", hint)
	}
	return l.syntax(at, `the character "`+c+`"`, "is not expected; %s", hint)
}

// isBare tells whether a character can stand in a word or in a value without
// quotes.
func isBare(r rune) bool {
	switch r {
	case '_', '.', ':', '+', '-':
		return true
	}
	return unicode.In(r, unicode.Letter, unicode.Digit, unicode.Mark)
}
