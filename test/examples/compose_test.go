package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// readCompose reads the file as Compose does: held against its schema, merged, with
// every name that it refers to.
func readCompose(t *testing.T) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{repository("examples", "compose", "compose.yaml")}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// composed returns the services that run Stint's server.
func composed(project *types.Project) []process {
	var found []process
	for _, s := range project.Services {
		if s.Image != "stint" || s.Name == "admin" {
			continue
		}
		p := process{name: s.Name, args: s.Command, env: map[string]string{}}
		for name, value := range s.Environment {
			p.env[name] = *value
		}
		found = append(found, p)
	}
	return found
}

func TestComposeStarts(t *testing.T) {
	processes := composed(readCompose(t))
	roles := map[string]int{}
	for _, p := range processes {
		roles[p.flag("role")]++
	}
	if roles["api"] != 2 || roles["worker"] != 1 {
		t.Errorf("it starts %v", roles)
	}
	all(t, processes)
}

func TestComposeFile(t *testing.T) {
	project := readCompose(t)
	for _, p := range composed(project) {
		s := project.Services[p.name]
		if grace := time.Duration(*s.StopGracePeriod); grace < p.stops(t)+5*time.Second {
			t.Errorf("%s is killed after %v, and may take %v to stop", p.name, grace, p.stops(t))
		}
		if !s.ReadOnly || len(s.CapDrop) == 0 {
			t.Errorf("%s may do more than it needs", p.name)
		}
		for _, name := range []string{"STINT_DB_FILE", "STINT_KEY_FILE"} {
			given := false
			for _, secret := range s.Secrets {
				given = given || p.env[name] == "/run/secrets/"+secret.Source
			}
			if !given {
				t.Errorf("%s: %s is %s, which is none of its secrets", p.name, name, p.env[name])
			}
		}
		if address := project.Services["proxy"].Networks["inside"].Ipv4Address; p.flag("role") == "api" && p.flag("trusted-proxies") != address {
			t.Errorf("%s trusts %s, the proxy is %s", p.name, p.flag("trusted-proxies"), address)
		}
		if conf := read(t, "examples", "compose", "haproxy.cfg"); p.flag("role") == "api" &&
			(!strings.Contains(conf, "server "+p.name+" "+p.name+p.port("listen")+"\n") || !strings.Contains(conf, " check port "+p.port("ops-listen")[1:]+" ")) {
			t.Errorf("the proxy does not know %s, or does not ask it", p.name)
		}
	}
}

// TestComposeSecrets makes them, and reads the key and the URL as the nodes would.
func TestComposeSecrets(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "secrets.sh")
	if err := os.WriteFile(script, []byte(read(t, "examples", "compose", "secrets.sh")), 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	project := readCompose(t)
	for name, secret := range project.Secrets {
		if _, err := os.Stat(filepath.Join(dir, "secrets", filepath.Base(secret.File))); err != nil {
			t.Errorf("the script does not make %s: %v", name, err)
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, "secrets", "password"))
	if err != nil {
		t.Fatal(err)
	}
	url, err := os.ReadFile(filepath.Join(dir, "secrets", "database"))
	if err != nil || !strings.Contains(string(url), "//stint:"+string(password)+"@postgres:5432/stint?") || len(password) < 32 {
		t.Errorf("the URL is of another password: %v", err)
	}
	d := newDeployment(t)
	key, err := os.ReadFile(filepath.Join(dir, "secrets", "key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.dir, "key"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	d.serves(t, composed(project)[0])
	if out, err := exec.CommandContext(t.Context(), script).CombinedOutput(); err == nil {
		t.Errorf("a second run makes another key: %s", out)
	}
}
