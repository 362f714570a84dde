package clients

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

var exact = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// TestLockFiles looks at what is installed for these tests: exact versions, from
// whichever registry npm is set up for, each with its checksum and a licence.
func TestLockFiles(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"js", "oidc"} {
		var wanted struct{ Dependencies map[string]string }
		readJSON(t, folder+"/package.json", &wanted)
		for name, version := range wanted.Dependencies {
			if !exact.MatchString(version) {
				t.Errorf("%s: %s %q is no exact version", folder, name, version)
			}
		}
		var lock struct {
			Packages map[string]struct {
				Version, Resolved, Integrity, License string
				Link, HasInstallScript                bool
			}
		}
		readJSON(t, folder+"/package-lock.json", &lock)
		if len(lock.Packages) < 10 {
			t.Errorf("%s: %d packages", folder, len(lock.Packages))
		}
		for name, p := range lock.Packages {
			if name == "" {
				continue // the folder itself
			}
			if p.Resolved != "" && !strings.HasPrefix(p.Resolved, "https://registry.npmjs.org/") {
				t.Errorf("%s: %s comes from %s", folder, name, p.Resolved)
			}
			if !exact.MatchString(p.Version) || !strings.HasPrefix(p.Integrity, "sha512-") || p.License == "" || p.Link || p.HasInstallScript {
				t.Errorf("%s: %s is %+v", folder, name, p)
			}
		}
	}
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
