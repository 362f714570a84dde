package examples

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"stint/internal/store/postgres/pgtest"
)

// program is the path of the program, built as the Dockerfile says.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "stint-examples-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "stint")
	if err := build(program); err != nil {
		panic(err)
	}
	return pgtest.Main(m)
}

// repository returns the path of a file in the repository.
func repository(path ...string) string {
	return filepath.Join(append([]string{"..", ".."}, path...)...)
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(repository(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// process is Stint as an example starts it.
type process struct {
	name string
	args []string
	env  map[string]string
}

// flag returns the value of a flag as the example sets it.
func (p *process) flag(name string) string {
	for i, arg := range p.args {
		if value, found := strings.CutPrefix(arg, "--"+name+"="); found {
			return value
		}
		if arg == "--"+name && i+1 < len(p.args) {
			return p.args[i+1]
		}
	}
	return p.env["STINT_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
}

// port returns the end of an address, like :8080.
func (p *process) port(flag string) string {
	address := p.flag(flag)
	return address[strings.LastIndex(address, ":"):]
}

// stops returns how long a stop may take until it is cut off by the process's own settings.
func (p *process) stops(t *testing.T) time.Duration {
	t.Helper()
	sum := 30 * time.Second // the default of --shutdown-timeout
	for name, instead := range map[string]time.Duration{"shutdown-delay": 0, "shutdown-timeout": sum} {
		value := p.flag(name)
		if value == "" {
			continue
		}
		d, err := time.ParseDuration(value)
		if err != nil {
			t.Fatal(err)
		}
		sum += d - instead
	}
	return sum
}

// deployment is where the processes of one example find what they are promised.
type deployment struct{ dir string }

// newDeployment makes a database and a key, and has every path that the examples know
// them by lead there.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	d := &deployment{dir: t.TempDir()}
	for name, text := range map[string]string{
		"database": pgtest.URL(t), "key": "stint-key-1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// here replaces the paths of an example.
func (d *deployment) here(text string) string {
	for _, folder := range []string{"/run/secrets", "/etc/stint", "/var/lib/stint", "%d"} {
		text = strings.ReplaceAll(text, folder+"/", d.dir+"/")
	}
	return text
}

// serves starts a process as the example does, but for its addresses, waits until it is
// ready, and ends it with the test. It returns where.
func (d *deployment) serves(t *testing.T, p process) serving {
	t.Helper()
	args := make([]string, 0, len(p.args)+4)
	for _, arg := range p.args {
		args = append(args, d.here(arg))
	}
	args = append(args, "--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", "--log-format=json", "--shutdown-delay=0s")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...) // it is stopped as people stop it
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=/"}
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+d.here(value))
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	at, said := servingAt(lines)
	if at.OpsURL == "" {
		_ = cmd.Wait()
		t.Fatalf("%s does not serve: %q\n%s", p.name, cmd.Args, said)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		probe(t, at.OpsURL+path)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, log)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
			t.Errorf("%s has written where it stands: %v, %v", p.name, left, err)
		}
	})
	return at
}

// serving is where a process listens.
type serving struct {
	URL    string
	OpsURL string `json:"ops_url"`
}

// servingAt returns where a process listens, or all that was said instead.
func servingAt(lines *bufio.Scanner) (at serving, said string) {
	for lines.Scan() {
		var line struct {
			Msg string
			serving
		}
		said += lines.Text() + "\n"
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			return line.serving, said
		}
	}
	return serving{}, said
}

func probe(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", url, answer.Status)
	}
}

// all checks and starts the processes of an example, together.
func all(t *testing.T, processes []process) {
	t.Helper()
	if len(processes) == 0 {
		t.Fatal("the example starts nothing")
	}
	d := newDeployment(t)
	for _, p := range processes {
		d.serves(t, p)
	}
	fmt.Fprintf(t.Output(), "%d processes served\n", len(processes))
}
