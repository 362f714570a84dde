package cli_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/internal/apptest"
)

// guarded is a server that asks for tokens.
type guarded struct {
	*server
	out *apptest.Buffer // what it printed
}

func startGuarded(t *testing.T, s *server) *guarded {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{s, apptest.NewBuffer()}
	log := apptest.NewBuffer()
	g.cmd = exec.CommandContext(t.Context(), path, "serve", "--db", g.db, "--listen", g.addr, "--ops-listen", "127.0.0.1:0", "--log-level", "debug")
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.Env = g.out, log, []string{"HOME=" + t.TempDir()}
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", log)
		}
		if secret := secretIn(g.out.String()); secret != "" && strings.Contains(log.String(), secret) {
			t.Error("the secret stands in the log")
		}
	})
	log.Await(t, "msg=serving")
	return g
}

func secretIn(text string) string {
	found := regexp.MustCompile(`STINT_CLIENT_SECRET=([0-9a-f]{64})`).FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1]
}

func idIn(text string) string {
	found := regexp.MustCompile(`STINT_CLIENT_ID=([0-9a-f]{32})`).FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return found[1]
}

// made is what token create -o json prints.
type made struct {
	ID     string   `json:"id"`
	Secret string   `json:"secret"`
	User   string   `json:"user"`
	Levels []string `json:"levels"`
}

func (e *env) create(args ...string) made {
	e.t.Helper()
	out, _ := e.run(0, append(args, "-o", "json")...)
	var m made
	if err := json.Unmarshal([]byte(out), &m); err != nil || len(m.ID) != 32 || len(m.Secret) != 64 {
		e.t.Fatalf("%v made %q, %v", args, out, err)
	}
	return m
}

// as runs a command with the id and the secret of a client.
func (e *env) as(m made, code int, args ...string) (stdout, stderr string) {
	e.t.Helper()
	c := e.command(args...)
	c.cmd.Env = append(c.cmd.Env, "STINT_CLIENT_ID="+m.ID, "STINT_CLIENT_SECRET="+m.Secret)
	return c.finish(code)
}

func (c *command) finish(code int) (stdout, stderr string) {
	c.t.Helper()
	c.start()
	c.wait(code)
	return c.stdout.String(), c.stderr.String()
}

// says expects a text in what a command said when it failed.
func says(t *testing.T, text string) func(stdout, stderr string) {
	t.Helper()
	return func(_, stderr string) {
		t.Helper()
		if !strings.Contains(stderr, text) {
			t.Errorf("it says %q, want %q", stderr, text)
		}
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	g := startGuarded(t, s)
	e := newEnv(t, s)
	g.out.Await(t, "oauth/token")
	first := made{ID: idIn(g.out.String()), Secret: secretIn(g.out.String())}
	if first.ID == "" || first.Secret == "" {
		t.Fatalf("the first start printed\n%s", g.out)
	}
	e.as(first, 0, "task", "list")
	says(t, "STINT_CLIENT_ID")(e.run(2, "task", "list"))
	for _, name := range []string{s.db, s.db + ".key"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	g.stop()
	if again := startGuarded(t, s); again.out.String() != "" {
		t.Errorf("the second start printed\n%s", again.out)
	}
	e.as(first, 0, "task", "list")
}

// TestClientsBesideAServer makes, rotates and revokes clients in the database that
// a server has open.
func TestClientsBesideAServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	startGuarded(t, s)
	e := newEnv(t, s)
	admin := e.create("token", "create", "--db", s.db, "--user", "ann", "--level", "org_admin", "--name", "Ann's", "--expires", "30d")
	jobs := e.create("application", "create", "--db", s.db, "--name", "jobs", "--scope", "idn:task-management:write")
	if admin.User != "ann" || len(admin.Levels) != 1 || admin.Levels[0] != "ORG_ADMIN" {
		t.Errorf("made %+v", admin)
	}
	launched, _ := e.as(jobs, 0, "task", "launch", "--type", "IDENTITY_REFRESH")
	launched = regexp.MustCompile("[0-9a-f]{32}").FindString(launched)
	says(t, "user")(e.as(jobs, 2, "task", "clear", launched, "--status", "ERROR"))
	e.as(admin, 0, "task", "clear", launched, "--status", "ERROR")

	// A secret is good until there is another.
	old := admin
	rotated := e.create("token", "rotate", "--db", s.db, admin.ID)
	admin.Secret = rotated.Secret
	says(t, "do not belong together")(e.as(old, 2, "task", "list"))
	e.as(admin, 0, "task", "list")

	// From files that others cannot read.
	file := filepath.Join(e.home, "secret")
	write(t, file, admin.Secret+"\n")
	c := e.command("task", "list")
	c.cmd.Env = append(c.cmd.Env, "STINT_CLIENT_ID="+admin.ID, "STINT_CLIENT_SECRET_FILE="+file)
	c.finish(0)
	profile := filepath.Join(e.home, ".config", "stint", "profile.json")
	if err := os.MkdirAll(filepath.Dir(profile), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, profile, `{"url":"`+s.url+`","id":"`+admin.ID+`","secret":"`+admin.Secret+`"}`)
	c = e.command("task", "list")
	c.cmd.Env = []string{"HOME=" + e.home}
	c.finish(0)
	if err := os.Chmod(profile, 0o640); err != nil {
		t.Fatal(err)
	}
	says(t, "others can read it")(e.run(2, "task", "list"))
	if err := os.Remove(profile); err != nil {
		t.Fatal(err)
	}

	// Tokens in flight stay good when the keys are rotated, and are not when their
	// client is revoked.
	token, _ := e.as(admin, 0, "access-token")
	token = strings.TrimSpace(token)
	e.run(0, "keys", "rotate", "--db", s.db)
	if status := s.get(token); status != http.StatusOK {
		t.Errorf("after the keys were rotated: %d", status)
	}
	e.run(0, "token", "revoke", "--db", s.db, admin.ID, "--reason", "left")
	says(t, "revoked")(e.as(admin, 2, "task", "list"))
	deadline := time.Now().Add(10 * time.Second)
	for s.get(token) != http.StatusUnauthorized {
		if time.Now().After(deadline) {
			t.Fatal("the access token of a revoked client is still good")
		}
		time.Sleep(100 * time.Millisecond)
	}
	list, _ := e.run(0, "token", "list", "--db", s.db)
	if !strings.Contains(list, admin.ID+"\tAnn's\tann\tORG_ADMIN\trevoked") || strings.Contains(list, admin.Secret) {
		t.Errorf("the list is\n%s", list)
	}
}

// get asks for task statuses with an access token.
func (s *server) get(token string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+"/task-status/v1", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestManyMakeClientsAtOnce begins with no database: one makes it, and all make
// their client.
func TestManyMakeClientsAtOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t, newServer(t))
	db := filepath.Join(e.home, "new.db")
	const many = 8
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() { e.create("token", "create", "--db", db, "--user", "ann", "--level", "HELPDESK") })
	}
	wg.Wait()
	list, _ := e.run(0, "token", "list", "--db", db)
	if got := strings.Count(list, "\n"); got != many {
		t.Errorf("%d clients, want %d", got, many)
	}
}

func TestClientsThatCannotBeMade(t *testing.T) {
	t.Parallel()
	e := newEnv(t, newServer(t))
	db := filepath.Join(e.home, "x.db")
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no user":        {[]string{"token", "create", "--level", "HELPDESK"}, "--user"},
		"no level":       {[]string{"token", "create", "--user", "ann"}, "--level"},
		"a level":        {[]string{"token", "create", "--user", "ann", "--level", "KING"}, `"KING"`},
		"a scope":        {[]string{"token", "create", "--user", "ann", "--level", "HELPDESK", "--scope", "all"}, `"all"`},
		"sources of all": {[]string{"token", "create", "--user", "ann", "--level", "ORG_ADMIN", "--source", "x"}, "--source"},
		"a time":         {[]string{"token", "create", "--user", "ann", "--level", "HELPDESK", "--expires", "soon"}, "--expires"},
		"no name":        {[]string{"application", "create"}, "--name"},
		"no database":    {[]string{"token", "list"}, "no such file"},
		"nothing to end": {[]string{"token", "revoke", strings.Repeat("0", 32)}, "no such file"},
		"no keys":        {[]string{"keys", "rotate"}, "no such file"},
		"no id":          {[]string{"token", "revoke", "x"}, `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			e := &env{t: t, home: e.home, url: e.url}
			says(t, tc.says)(e.run(2, append(tc.args, "--db", db)...))
		})
	}
}
