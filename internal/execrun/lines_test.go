package execrun

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// filtered runs text through a filter in pieces of the given sizes, in turn.
func filtered(t *testing.T, text []byte, sizes ...int) (output string, directives []string) {
	t.Helper()
	var out bytes.Buffer
	f := &lineFilter{out: &out, on: func(d directive) { directives = append(directives, fmt.Sprintf("%+v", d)) }}
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(sizes) > 0 {
			n = min(max(1, sizes[i%len(sizes)]), len(text))
		}
		if _, err := f.Write(text[:n]); err != nil {
			t.Fatalf("writing: %v", err)
		}
		if len(f.held) > maxDirective {
			t.Fatalf("%d bytes are held", len(f.held))
		}
		text = text[n:]
	}
	if err := f.Close(); err != nil {
		t.Fatalf("closing: %v", err)
	}
	return out.String(), directives
}

// expected is the same by whole lines.
func expected(text []byte) (output string, directives []string) {
	var out strings.Builder
	for line := range bytes.Lines(text) {
		ended := line[len(line)-1] == '\n'
		if len(line) < maxDirective || (ended && len(line) == maxDirective) {
			if d, ok := parseDirective(line); ok {
				directives = append(directives, fmt.Sprintf("%+v", d))
				continue
			}
		}
		out.Write(line)
	}
	return out.String(), directives
}

func TestLineFilter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxDirective)
	for name, c := range map[string]struct{ in, out string }{
		"plain":                     {"a\nb\n", "a\nb\n"},
		"directive":                 {"a\n::progress 40 Reading\nb\n", "a\nb\n"},
		"carriage return":           {"::progress 40 Reading\r\nb\n", "b\n"},
		"last without line feed":    {"a\n::warning w", "a\n"},
		"not at the line's start":   {"a ::progress 4 x\n", "a ::progress 4 x\n"},
		"other word":                {"::group x\n", "::group x\n"},
		"longer word":               {"::progressive 4\n", "::progressive 4\n"},
		"nothing to say":            {"::progress\n::warning \n", "::progress\n::warning \n"},
		"attribute without a value": {"::attribute x\n", "::attribute x\n"},
		"colons":                    {":\n::\n:::\n", ":\n::\n:::\n"},
		"only the word's beginning": {"::prog\nx\n::progress 1\n", "::prog\nx\n"},
		"binary":                    {"\x00\xff::\n\xfe::progress 3\n", "\x00\xff::\n\xfe::progress 3\n"},
		"too long":                  {"::notice " + long + "\n::notice x\n", "::notice " + long + "\n"},
		"no line feed for long":     {strings.Repeat("y", 100000), strings.Repeat("y", 100000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{0, 1, 2, 3, 7, 4096} {
				sizes := []int{size}
				if size == 0 {
					sizes = nil
				}
				if out, _ := filtered(t, []byte(c.in), sizes...); out != c.out {
					t.Fatalf("in pieces of %d: got %q, want %q", size, out, c.out)
				}
			}
		})
	}
}

func TestLineFilterPassesPartialLinesAtOnce(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	f := &lineFilter{out: &out, on: func(directive) {}}
	for _, c := range []struct{ write, want string }{
		{"Password: ", "Password: "},
		{"\n", "Password: \n"},
		{":: Proceed? [Y/n] ", "Password: \n:: Proceed? [Y/n] "},
	} {
		if _, err := f.Write([]byte(c.write)); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.want {
			t.Fatalf("after %q: got %q, want %q", c.write, out.String(), c.want)
		}
	}
	// A lone colon may become a directive; a pause shows it.
	_, _ = f.Write([]byte("\n:"))
	if !f.holding() || !strings.HasSuffix(out.String(), " \n") {
		t.Fatalf("a colon was not held: %q", out.String())
	}
	if err := f.release(); err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write([]byte(":progress 4\n"))
	if !strings.HasSuffix(out.String(), "\n::progress 4\n") {
		t.Fatalf("what follows a released beginning must stay output: %q", out.String())
	}
}

func TestParseDirective(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]directive{
		"::progress 40 Reading users": {kind: directiveProgress, percent: 40, text: "Reading users"},
		"::progress 40%":              {kind: directiveProgress, percent: 40},
		"::progress 42.9 x":           {kind: directiveProgress, percent: 42, text: "x"},
		"::progress Reading users":    {kind: directiveProgress, percent: -1, text: "Reading users"},
		"::progress 400 users":        {kind: directiveProgress, percent: -1, text: "400 users"},
		"::progress -1 x":             {kind: directiveProgress, percent: -1, text: "-1 x"},
		"::progress 1.2.3":            {kind: directiveProgress, percent: -1, text: "1.2.3"},
		"::progress .":                {kind: directiveProgress, percent: -1, text: "."},
		"::warning two  spaces":       {kind: directiveWarning, percent: -1, text: "two  spaces"},
		"::error\ttab":                {kind: directiveError, percent: -1, text: "tab"},
		"::notice n":                  {kind: directiveNotice, percent: -1, text: "n"},
		"::attribute a=b=c":           {kind: directiveAttribute, percent: -1, name: "a", value: "b=c"},
		"::attribute a=":              {kind: directiveAttribute, percent: -1, name: "a", value: ""},
		"::attribute a:=true":         {kind: directiveAttribute, percent: -1, name: "a", value: true},
	} {
		got, ok := parseDirective([]byte(in + "\r\n"))
		if !ok || got != want {
			t.Errorf("%q: got %+v, %t, want %+v", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "::", "::progress", "::Progress 4", " ::progress 4", "::attribute =x", "::attribute a:={", "::attribute a:=1 2", ":progress 4"} {
		if got, ok := parseDirective([]byte(in)); ok {
			t.Errorf("%q became %+v", in, got)
		}
	}
}

// FuzzLineFilter: however the output is cut into pieces, the filter does what a look at whole
// lines would do, so nothing is lost, doubled or reordered.
func FuzzLineFilter(f *testing.F) {
	f.Add([]byte("a\n::progress 40 x\r\n::warning\n:: b\n::attribute a:=[1]\n::error e"), 3, 1)
	f.Add([]byte("::notice "+strings.Repeat("z", maxDirective)+"\n::\n"), 8191, 2)
	f.Add([]byte("\x00::progress 1\n::progress 1"), 1, 1)
	f.Fuzz(func(t *testing.T, text []byte, first, second int) {
		wantOut, wantDirectives := expected(text)
		out, directives := filtered(t, text, first, second)
		if out != wantOut {
			t.Fatalf("output: got %q, want %q", out, wantOut)
		}
		if fmt.Sprint(directives) != fmt.Sprint(wantDirectives) {
			t.Fatalf("directives: got %v, want %v", directives, wantDirectives)
		}
	})
}
