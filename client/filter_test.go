package client

import (
	"strings"
	"testing"
)

func TestFilterQuoting(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"":                `""`,
		"System":          `"System"`,
		`say "hi"`:        `"say \"hi\""`,
		`C:\new`:          `"C:\\new"`,
		`\"`:              `"\\\""`,
		`trailing\`:       `"trailing\\"`,
		`") or id isnull`: `"\") or id isnull"`,
		"it's ünï":        `"it's ünï"`,
	} {
		if got := Quote(value); got != want {
			t.Errorf("Quote(%q) = %s, want %s", value, got, want)
		}
	}
}

// unquote reads a value as the filter language does: \" and \\ are escapes, another backslash
// is itself.
func unquote(quoted string) (value string, whole bool) {
	rest, ok := strings.CutPrefix(quoted, `"`)
	if !ok {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			return b.String(), i == len(rest)-1
		case rest[i] == '\\' && i+1 < len(rest) && (rest[i+1] == '"' || rest[i+1] == '\\'):
			i++
		}
		b.WriteByte(rest[i])
	}
	return "", false
}

func FuzzQuote(f *testing.F) {
	f.Add(`a\"b\\`)
	f.Fuzz(func(t *testing.T, value string) {
		if got, whole := unquote(Quote(value)); !whole || got != value {
			t.Fatalf("%q became %s, which reads as %q", value, Quote(value), got)
		}
	})
}

func TestFilterExpressions(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"":                               AllOf("", " "),
		`type eq "A"`:                    AllOf("", AnyOf("type", "A")),
		`type in ("A", "B\"")`:           AnyOf("type", "A", `B"`),
		`(a eq "1" or b isnull) and (c)`: AllOf(`a eq "1" or b isnull`, "", "c"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestFiltersOfAccounts(t *testing.T) {
	t.Parallel()
	if got, want := StartsWith("name", `a"b`), `name sw "a\"b"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := AnyOf(AttributeField(`Cost "Center"`), "1", "2"), `attributes."Cost \"Center\"" in ("1", "2")`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
