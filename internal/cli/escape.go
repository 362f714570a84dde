package cli

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapeLine makes text from elsewhere safe on one line of a terminal: control characters,
// line breaks, bytes that are not UTF-8 and characters that reorder or hide text become
// visible escapes.
func escapeLine(s string) string { return escapeText(s, false) }

// escapeLines is escapeLine for text of several lines: line feeds stay, tabs become spaces.
func escapeLines(s string) string {
	return escapeText(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\t", "    "), true)
}

func escapeText(s string, keepLineFeeds bool) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || dangerous(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n' && keepLineFeeds:
			b.WriteByte('\n')
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case dangerous(r) && r <= 0xff:
			fmt.Fprintf(&b, `\x%02x`, r)
		case dangerous(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// dangerous says whether a character steers a terminal or disguises what is printed: the
// control characters C0, DEL and C1, line and paragraph separators, and the formatting
// characters that override the direction of text. Joiners stay, scripts and emoji need them.
func dangerous(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', r == '\ufeff':
		return true
	case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', r == '\u200e', r == '\u200f', r == '\u061c':
		return true
	}
	return false
}

// escapeJSON rewrites what a terminal would obey in a JSON text as \u escapes. JSON allows
// such characters inside strings only, so the value stays the same.
func escapeJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r != '\n' && r != '\t' && r != '\r' && dangerous(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = append(out, text[i:i+size]...)
		}
		i += size
	}
	return out
}
