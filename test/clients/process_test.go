package clients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"stint/internal/apptest"
)

// program is the program under test, built once.
var program struct {
	sync.Once
	dir, path string
	err       error
}

func TestMain(m *testing.M) {
	code := m.Run()
	_ = os.RemoveAll(program.dir)
	os.Exit(code)
}

func build(t *testing.T) string {
	t.Helper()
	program.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "stint-clients-"); program.err != nil { //nolint:usetesting // it outlives the test that builds it
			return
		}
		program.path = filepath.Join(program.dir, "stint")
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "go", "build", "-o", program.path, "stint/cmd/stint")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return program.path
}

// account is a client's id and secret.
type account struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// server is the program, with the personal access token that its first start
// prints.
type server struct {
	URL   string
	Admin account

	http *http.Client
}

// firstStart is what the first start prints of its token.
var firstStart = regexp.MustCompile(`(?m)export STINT_URL=(\S+)\n\s*export STINT_CLIENT_ID=(\S+)\n\s*export STINT_CLIENT_SECRET=(\S+)$`)

// start starts the program on a new database, or on one that holds tasks, and
// stops it when the test is over.
func start(t *testing.T, tasks []byte, flags ...string) *server {
	t.Helper()
	if testing.Short() {
		t.Skip("these tests need what scripts/test-deps.sh installs")
	}
	path, db := build(t), filepath.Join(t.TempDir(), "stint.db")
	if len(tasks) > 0 {
		load := exec.CommandContext(t.Context(), path, "import", "--db", db, "-")
		load.Stdin = bytes.NewReader(tasks)
		if out, err := load.CombinedOutput(); err != nil {
			t.Fatalf("import: %v\n%s", err, out)
		}
	}
	out, log := apptest.NewBuffer(), apptest.NewBuffer()
	args := append([]string{"serve", "--db", db, "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0", "--log-level", "warn"}, flags...)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, args...)
	cmd.Stdout, cmd.Stderr = out, log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
		if t.Failed() {
			text := log.String()
			t.Logf("the end of the server's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	out.Await(t, "Bearer ACCESS_TOKEN")
	first := firstStart.FindStringSubmatch(out.String())
	if first == nil {
		t.Fatalf("the first start prints no token: %s", out)
	}
	return &server{URL: first[1], Admin: account{first[2], first[3]}, http: apptest.NewClient(t)}
}

// answer is the status and the body of an answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request with an access token.
func (s *server) send(t *testing.T, method, path, token, body string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := s.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, text}
}

// want fails the test unless the answer has a status and holds some texts.
func (a answer) want(t *testing.T, status int, texts ...string) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("the answer is %d, want %d: %s", a.status, status, a.body)
	}
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			t.Errorf("the answer %s does not hold %q", a.body, text)
		}
	}
	return a
}

// read reads the answer's JSON.
func (a answer) read(t *testing.T, to any) {
	t.Helper()
	if err := json.Unmarshal(a.body, to); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

// signIn returns an access token of a client.
func (s *server) signIn(t *testing.T, c account) string {
	t.Helper()
	path := "/oauth/token?grant_type=client_credentials&client_id=" + c.ID + "&client_secret=" + c.Secret
	var granted struct {
		Token string `json:"access_token"`
	}
	s.send(t, http.MethodPost, path, "", "").want(t, http.StatusOK).read(t, &granted)
	return granted.Token
}

// create makes a client, or a source, and returns its id and secret.
func (s *server) create(t *testing.T, path, body string) account {
	t.Helper()
	var made account
	s.send(t, http.MethodPost, path, s.signIn(t, s.Admin), body).want(t, http.StatusCreated).read(t, &made)
	return made
}

// imported returns the tasks that tests list, one a line: a thousand of the
// launcher sweep, and forty in progress of the launcher patcher. Three each were
// created in the same moment.
func imported() []byte {
	kinds := []string{"CLOUD_ACCOUNT_AGGREGATION", "CLOUD_GROUP_AGGREGATION", "IDENTITY_REFRESH"}
	types := []string{"QUARTZ", "QPOC", "QUEUED_TASK"}
	statuses := []string{"SUCCESS", "WARNING", "ERROR", "TERMINATED", "TEMPERROR"}
	const wire = "2006-01-02T15:04:05.000Z"
	now := time.Now().UTC().Truncate(time.Millisecond)
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for i := range 1040 {
		created := now.Add(-time.Duration(60+i/3*37) * time.Second)
		t := map[string]any{
			// Ids in no order.
			"id": fmt.Sprintf("%08x%024x", uint32(i)*2654435761, i), "kind": kinds[i%3], "type": types[i/7%3],
			"uniqueName": fmt.Sprintf("Task %d", i), "description": "", "parentName": nil, "launcher": "sweep",
			"created": created.Format(wire), "modified": created.Format(wire), "launched": created.Format(wire),
			"completed": nil, "completionStatus": nil, "messages": []any{}, "returns": []any{}, "attributes": map[string]any{},
			"progress": nil, "percentComplete": i % 100, "target": nil, "sourceId": nil,
		}
		if i%4 != 3 {
			t["sourceId"] = fmt.Sprintf("%032x", 0xa0+i%4)
		}
		switch {
		case i%26 == 1:
			t["launcher"] = "patcher"
		case i%25 != 0:
			t["completionStatus"], t["completed"] = statuses[i%5], created.Add(30*time.Second).Format(wire)
		}
		_ = lines.Encode(t) // into memory
	}
	return out.Bytes()
}

// run runs another program and returns what it prints. A program that is missing
// fails the test.
func run(t *testing.T, dir string, env []string, in, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
	// Clients would ask a proxy even for this machine.
	cmd.Env = append(os.Environ(), append(env, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if missing, ok := errors.AsType[*exec.Error](err); ok {
		t.Fatalf("%v: run scripts/test-deps.sh", missing)
	}
	if err != nil {
		err = fmt.Errorf("%s %v: %w\n%s%s", name, args, err, out.String(), problems.String())
	}
	return out.String(), err
}

// freeAddress returns a loopback address that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
