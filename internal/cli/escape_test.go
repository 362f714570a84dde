package cli

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestEscapeLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ünï 日本 👩‍👩‍👧":      "plain ünï 日本 👩‍👩‍👧",
		"\x1b]0;title\x07":        `\x1b]0;title\x07`,
		"\x1b[2J":                 `\x1b[2J`,
		"c1 \u009b31m":            `c1 \x9b31m`,
		"a\r\nb\tc\x7f\x00":       `a\r\nb\tc\x7f\x00`,
		"bad \xff\x9b utf8":       `bad \xff\x9b utf8`,
		"real replacement \ufffd": "real replacement \ufffd",
		"reordered \u202e txt":    `reordered \u202e txt`,
	} {
		if got := escapeLine(in); got != want {
			t.Errorf("escapeLine(%q) = %q, want %q", in, got, want)
		}
	}
	if got, want := escapeLines("a\tb\r\nc\x1b\n"), "a    b\nc\\x1b\n"; got != want {
		t.Errorf("escapeLines = %q, want %q", got, want)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[0m\u009b\xff")
	f.Fuzz(func(t *testing.T, in string) {
		for _, r := range escapeLine(in) {
			if dangerous(r) {
				t.Fatalf("%q kept %q", in, r)
			}
		}
		encoded, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		escaped := escapeJSON(encoded)
		for _, r := range string(escaped) {
			if dangerous(r) {
				t.Fatalf("JSON of %q kept %q", in, r)
			}
		}
		var was, is string
		if json.Unmarshal(encoded, &was) != nil || json.Unmarshal(escaped, &is) != nil || was != is || !utf8.Valid(escaped) {
			t.Fatalf("JSON of %q changed: %s", in, escaped)
		}
	})
}
