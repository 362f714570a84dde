package cli_test

import (
	"strings"
	"testing"
)

func TestSourceDeleteAsksOnATerminal(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	e.run(0, "source", "create", "HR", "--account-id", "id")
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		keys string
		code int
	}{{"\n", 1}, {"no\n", 1}, {"\x04", 1}, {"\x03", 130}, {"Y\n", 0}} {
		term := onTerminal(t, e, path, "source", "delete", "HR")
		term.screen.Await(t, "[y/N]")
		term.keys(test.keys)
		if code := term.exitCode(); code != test.code {
			t.Fatalf("%q: exit status %d, want %d\n%s", test.keys, code, test.code, term.screen)
		}
		if !strings.Contains(term.screen.String(), "0 accounts") {
			t.Errorf("it does not say what goes: %s", term.screen)
		}
		if test.code != 0 {
			e.run(0, "source", "get", "HR")
		}
	}
	e.run(2, "source", "get", "HR")
}
