package task_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestImportsNothing holds the inner ring: the domain is the standard library
// and itself, whatever is imported by what it imports.
func TestImportsNothing(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "stint/internal/task").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if got := strings.Fields(string(out)); len(got) != 1 || got[0] != "stint/internal/task" {
		t.Errorf("the domain depends on %q", got)
	}
	out, err = exec.CommandContext(t.Context(), "go", "list", "-deps", "stint/internal/task").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == "net/http" || dep == "database/sql" || dep == "log/slog" {
			t.Errorf("the domain depends on %s", dep)
		}
	}
}
