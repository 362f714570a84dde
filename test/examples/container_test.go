package examples

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// build runs the command of the Dockerfile that builds the program.
func build(into string) error {
	text, err := os.ReadFile(repository("Dockerfile"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		command, found := strings.CutPrefix(strings.TrimSpace(line), "RUN CGO_ENABLED=0 go build ")
		if !found {
			continue
		}
		command = "CGO_ENABLED=0 go build " + strings.Replace(command, "/out/stint", "'"+into+"'", 1)
		cmd := exec.Command("sh", "-c", command) //nolint:noctx // it ends
		cmd.Dir = repository()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, out)
		}
		return nil
	}
	return errors.New("the Dockerfile builds nothing")
}

// TestImage holds the program against what an image from scratch has: nothing.
func TestImage(t *testing.T) {
	f, err := elf.Open(program)
	if err != nil {
		t.Skipf("this system's programs are other than an image's: %v", err)
	}
	defer f.Close()
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %q, %v", libraries, err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a loader")
		}
	}
	if os.Geteuid() != 0 {
		t.Log("only root can run it in an empty folder")
		return
	}
	image := t.TempDir()
	if err := os.Link(program, filepath.Join(image, "stint")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/stint", "version")
	cmd.Path, cmd.Dir, cmd.Env = "/stint", "/", []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: image, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "stint") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestImageHasNoSecrets holds back what a checkout may have beside the sources.
func TestImageHasNoSecrets(t *testing.T) {
	ignored := read(t, ".dockerignore")
	for _, name := range []string{".stint", "**/*.key", "**/*.db", "**/secrets", ".git"} {
		if !strings.Contains(ignored, "\n"+name+"\n") {
			t.Errorf(".dockerignore lets %s into the build", name)
		}
	}
	if lines := strings.Split(strings.TrimSpace(read(t, "Dockerfile")), "\n"); !strings.Contains(strings.Join(lines, "\n"), "\nUSER 65532:65532\n") {
		t.Error("the image runs as root")
	}
}
