package account_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"stint/internal/account"
)

// encode is what encoding/json writes without its escapes for HTML.
func encode(tb testing.TB, v any) string {
	tb.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// text generates texts of what an encoder has to think of.
func text() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOf(rapid.RuneFrom([]rune("ab\"\\/<>&\b\f\n\r\t\x00\x01\x1f\x7f\u0080é\u2027\u2028\u2029\u202a\ufffd\uffff😀"))),
		rapid.String(),
	)
}

func TestAppendText(t *testing.T) {
	t.Parallel()
	for r := range rune(0x3000) {
		s := "a" + string(r) + "b"
		if got, want := string(account.AppendText(nil, s)), encode(t, s); got != want {
			t.Fatalf("%U: got %s, want %s", r, got, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := text().Draw(rt, "text")
		if got, want := string(account.AppendText([]byte("x"), s)), "x"+encode(t, s); got != want {
			rt.Fatalf("got %s, want %s", got, want)
		}
		many := rapid.SliceOfN(text(), 1, 4).Draw(rt, "texts")
		if got, want := string(account.AppendTexts(nil, many)), encode(t, many); got != want {
			rt.Fatalf("got %s, want %s", got, want)
		}
	})
}

func TestEntitlementBodyAppend(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		optional := rapid.OneOf(rapid.Just(""), text())
		b := account.EntitlementBody{
			DisplayName: optional.Draw(rt, "display name"), Description: optional.Draw(rt, "description"),
			Attributes: rapid.MapOfN(text(), text(), 0, 3).Draw(rt, "attributes"),
		}
		if got, want := string(b.Append([]byte("{}"))), "{}"+encode(t, b); got != want {
			rt.Fatalf("got %s, want %s", got, want)
		}
	})
}
