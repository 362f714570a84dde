package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Everybody on a machine sees the command lines of its programs: a secret comes
// from the environment or from a file.
func TestNoFlagTakesASecret(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(?i)secret|token|key|password|passphrase|credential`)
	harmless := map[string]string{
		"idempotency-key": "names a launch", "token-lifetime": "is a time", "audit-key-id": "is no key",
	}
	seen := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			seen++
			file := strings.Contains(f.Usage, "file")
			if secret.MatchString(f.Name) && harmless[f.Name] == "" && !file {
				t.Errorf("%s --%s seems to take a secret: %s", c.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(testSession()))
	if seen < 100 {
		t.Errorf("only %d flags were looked at", seen)
	}
}

func TestReportToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed, other, open := put("closed", "from a file\n", 0o600), put("other", "from another", 0o600), put("open", "seen by all", 0o644)
	for name, test := range map[string]struct {
		flag string
		env  map[string]string
		want string // nothing: it is refused
	}{
		"environment":         {"", map[string]string{"STINT_REPORT_TOKEN": "from outside"}, "from outside"},
		"file":                {closed, nil, "from a file"},
		"file of environment": {"", map[string]string{"STINT_REPORT_TOKEN_FILE": closed}, "from a file"},
		"flag is stronger":    {closed, map[string]string{"STINT_REPORT_TOKEN": "from outside", "STINT_REPORT_TOKEN_FILE": other}, "from a file"},
		"none":                {"", nil, ""},
		"no such file":        {filepath.Join(dir, "none"), nil, ""},
		"open to all":         {open, nil, ""},
	} {
		s := testSession()
		s.env = test.env
		got, err := (&reportFlags{tokenFile: test.flag}).reportToken(s)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "seen by all") {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}
