package task_test

import (
	"testing"

	"stint/internal/task"
)

// TestFoldIsASCIIOnly has look-alikes that Unicode folds to ASCII letters.
func TestFoldIsASCIIOnly(t *testing.T) {
	t.Parallel()
	catalog := task.NewCatalog(task.Definition{Kind: "KISS", DisplayName: "Kiss à deux"})
	for _, name := range []string{"kiss", "Kiss", "kISS à DEUX"} {
		if d, ok := catalog.Lookup(name); !ok || d.Kind != "KISS" {
			t.Errorf("%q: got %v, %v", name, d, ok)
		}
	}
	for _, name := range []string{"\u212aISS", "\u212aiss", "KIſS", "KİSS", "KıSS", "Kiss À deux", "IDENT\u0130TY_REFRESH"} {
		if d, ok := catalog.Lookup(name); ok {
			t.Errorf("%q is taken for %s", name, d.Kind)
		}
	}
	for _, s := range []string{"SUCCEſS", "ſUCCESS", "WARNıNG", "WARNİNG", "success ", "", "SUCCES"} {
		if got, ok := task.ParseCompletionStatus(s); ok {
			t.Errorf("%q is taken for %s", s, got)
		}
	}
	if got, ok := task.ParseCompletionStatus("tempError"); !ok || got != task.TempError {
		t.Errorf("tempError: got %q, %v", got, ok)
	}
	for _, pair := range [][2]string{{"aZ@[`{é", "Az@[`{é"}, {"", ""}} {
		if !task.EqualFoldASCII(pair[0], pair[1]) || task.LowerASCII(pair[0]) != task.LowerASCII(pair[1]) {
			t.Errorf("%q and %q are equal", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"k", "\u212a"}, {"é", "É"}, {"@", "`"}, {"[", "{"}, {"a", "aa"}, {"\xc0", "\xe0"}} {
		if task.EqualFoldASCII(pair[0], pair[1]) || task.LowerASCII(pair[0]) == task.LowerASCII(pair[1]) {
			t.Errorf("%q and %q are not equal", pair[0], pair[1])
		}
	}
}
