package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var units = []string{"stint.service", "stint-node.service"}

// asUnit returns what a unit runs, and how long it lets it stop.
func asUnit(t *testing.T, name string) (p process, stop time.Duration) {
	t.Helper()
	p = process{name: name, env: map[string]string{}}
	for line := range strings.Lines(read(t, "examples", "systemd", name)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "ExecStart":
			p.args = strings.Fields(value)[1:]
		case "Environment":
			name, value, _ := strings.Cut(value, "=")
			p.env[name] = value
		case "TimeoutStopSec":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			stop = d
		}
	}
	return p, stop
}

func TestUnitsStart(t *testing.T) {
	for _, name := range units {
		p, stop := asUnit(t, name)
		if stop < p.stops(t)+10*time.Second {
			t.Errorf("%s is killed after %v, and may take %v to stop", name, stop, p.stops(t))
		}
		all(t, []process{p})
	}
}

// TestUnits has systemd read them, where the program is where it was built.
func TestUnits(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, name := range units {
		text := read(t, "examples", "systemd", name)
		if !strings.Contains(text, "ExecStart=/usr/local/bin/stint serve ") {
			t.Errorf("%s starts something else", name)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Replace(text, "/usr/local/bin/stint ", program+" ", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, paths...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"security", "--offline=true", "--threshold=20"}, paths...)...).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
