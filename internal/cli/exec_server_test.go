package cli_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"stint/client"
)

func TestExecReportsARun(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	out, _ := e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--name", "nightly", "--attribute", "n:=3", "--",
		"sh", "-c", `echo a; echo '::progress 40 Reading users'; echo '::notice hello'; echo '::attribute users=12'; echo b; env | grep -c '^STINT_'`)
	if out != "a\nb\n4\n" {
		t.Fatalf("output %q", out)
	}
	task := s.one()
	if task.CompletionStatus != client.Success || task.UniqueName != "nightly" || task.Kind != "IDENTITY_REFRESH" || task.PercentComplete != 100 {
		t.Fatalf("got %s", task.Raw())
	}
	if task.Attributes["users"] != "12" || task.Attributes["n"] != json.Number("3") || task.Attributes["execFinished"] == nil {
		t.Fatalf("attributes %v", task.Attributes)
	}
	if !hasMessage(task, client.MessageInfo, "hello") || *task.Progress != "Reading users" {
		t.Fatalf("got %s", task.Raw())
	}
	if left := e.spooled(""); len(left) != 0 {
		t.Fatalf("spooled %v", left)
	}
}

func TestExecExitStatuses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	for name, c := range map[string]struct {
		command []string
		code    int
		status  client.CompletionStatus
		text    string
	}{
		"failed":         {[]string{"sh", "-c", "echo bad >&2; exit 3"}, 3, client.Failure, "exit status 3.\nLast output:\nbad\n"},
		"for now":        {[]string{"sh", "-c", "exit 75"}, 75, client.TempError, "failed for now"},
		"killed":         {[]string{"sh", "-c", "kill -9 $$"}, 137, client.Failure, "SIGKILL"},
		"not found":      {[]string{"no-such-program"}, 127, client.Failure, "could not be started"},
		"not executable": {[]string{"/etc/passwd"}, 126, client.Failure, "permission denied"},
	} {
		e.run(c.code, append([]string{"exec", "--type", "IDENTITY_REFRESH", "--launcher", name, "--"}, c.command...)...)
		tasks := s.list(client.AnyOf("launcher", name))
		if len(tasks) != 1 || tasks[0].CompletionStatus != c.status || !hasMessage(tasks[0], client.MessageError, c.text) {
			t.Fatalf("%s: got %s", name, tasks[0].Raw())
		}
	}
	e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--launcher", "warned", "--", "sh", "-c", "echo '::warning w'")
	if task := s.list(client.AnyOf("launcher", "warned"))[0]; task.CompletionStatus != client.Warning {
		t.Fatalf("got %s", task.Raw())
	}
	_, stderr := e.run(2, "exec", "--type", "NO_SUCH", "--", "sh", "-c", "echo ran >&2")
	if strings.Contains(stderr, "ran\n") || !strings.Contains(stderr, "NO_SUCH") {
		t.Fatalf("an unknown type: %q", stderr)
	}
}

func TestExecStopsWhenTheTaskIsCancelled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	// The program ignores TERM, and so does what it started: only KILL to the group ends it.
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--heartbeat-limit", "3s", "--grace", "1s", "--",
		"sh", "-c", `trap '' TERM; sleep 300 & echo child $!; while :; do sleep 1; done`)
	c.start()
	c.stdout.Await(t, "child ")
	id := s.one().ID
	s.awaitTask(id, func(task *client.Task) bool { return task.State == client.Running })
	e.run(0, "task", "cancel", id, "--reason", "not now")
	c.wait(137)
	task := s.awaitTask(id, (*client.Task).Done)
	if task.CompletionStatus != client.Terminated || !hasMessage(task, client.MessageInfo, "Stopped on request") {
		t.Fatalf("got %s", task.Raw())
	}
	if !strings.Contains(c.stderr.String(), "the task was cancelled") {
		t.Errorf("the cause is not told: %q", c.stderr)
	}
	pid, err := strconv.Atoi(strings.Fields(c.stdout.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	awaitGone(t, pid)
}

// awaitGone waits until a process has ended, whether or not its parent has taken note.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if syscall.Kill(pid, 0) != nil {
			return
		}
		if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		<-tick.C
	}
	t.Error("what the program started is still there")
}

func TestExecStopsWhenTheTaskIsCleared(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--heartbeat-limit", "3s", "--", "sleep", "300")
	c.start()
	var id string
	for id == "" {
		if tasks := s.list(""); len(tasks) == 1 && tasks[0].State == client.Running {
			id = tasks[0].ID
		}
	}
	e.run(0, "task", "clear", id, "--status", "error", "--reason", "stuck")
	c.wait(143)
	if task := s.one(); task.CompletionStatus != client.Failure || !strings.Contains(string(task.Raw()), "stuck") {
		t.Fatalf("got %s", task.Raw())
	}
	if left := append(e.spooled(""), e.spooled("refused")...); len(left) != 0 {
		t.Fatalf("spooled %v", left)
	}
}

func TestExecWithoutServerIsDeliveredLater(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	_, stderr := e.run(3, "exec", "--type", "IDENTITY_REFRESH", "--name", "first", "--arg", "n:=1.50", "--deliver-timeout", "100ms", "--",
		"sh", "-c", "echo '::progress 40 half'; echo '::warning w'; exit 3")
	if !strings.Contains(stderr, "kept in") || len(e.spooled("")) != 1 {
		t.Fatalf("spool %v: %s", e.spooled(""), stderr)
	}
	e.run(2, "exec", "--flush")
	s.start()
	// The next run delivers it, though it has its own to do.
	e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--name", "second", "--", "true")
	if left := e.spooled(""); len(left) != 0 {
		t.Fatalf("left in the spool: %v", left)
	}
	tasks := s.list("")
	if len(tasks) != 2 {
		t.Fatalf("%d tasks", len(tasks))
	}
	for _, task := range tasks {
		if task.UniqueName == "second" {
			continue
		}
		if task.CompletionStatus != client.Failure || task.PercentComplete != 40 || !hasMessage(task, client.MessageInfo, "Delivered late") ||
			!hasMessage(task, client.MessageWarn, "w") || !hasMessage(task, client.MessageError, "exit status 3") {
			t.Fatalf("got %s", task.Raw())
		}
		for _, name := range []string{"execStarted", "execFinished"} {
			at, err := time.Parse("2006-01-02T15:04:05.000Z", task.Attributes[name].(string))
			if err != nil || !at.Before(task.Created) {
				t.Fatalf("%s: %s, %v, created %s", name, at, err, task.Created)
			}
		}
	}
}

func TestExecSurvivesARestartOfTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--", "sh", "-c", "echo '::progress 10 a'; echo ready; read x; echo '::progress 60 b'; echo '::error e'")
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	c.stdout.Await(t, "ready")
	s.kill()
	if _, err := stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	s.start()
	c.wait(0)
	task := s.one()
	if task.CompletionStatus != client.Warning || *task.Progress != "b" || !hasMessage(task, client.MessageError, "e") {
		t.Fatalf("got %s", task.Raw())
	}
}

func TestExecLaunchesOnceTheServerComes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--", "sh", "-c", "echo '::notice early'; echo ready; read x")
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	c.stdout.Await(t, "ready")
	if len(e.spooled("")) != 1 {
		t.Fatalf("spooled %v", e.spooled(""))
	}
	s.start()
	s.awaitTask(awaitOne(s).ID, func(task *client.Task) bool { return hasMessage(task, client.MessageInfo, "early") })
	if _, err := stdin.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	c.wait(0)
	if task := s.one(); task.CompletionStatus != client.Success || !hasMessage(task, client.MessageInfo, "Delivered late") {
		t.Fatalf("got %s", task.Raw())
	}
	if left := e.spooled(""); len(left) != 0 {
		t.Fatalf("left in the spool: %v", left)
	}
}

func awaitOne(s *server) *client.Task {
	s.t.Helper()
	for {
		if tasks := s.list(""); len(tasks) > 0 {
			return tasks[0]
		}
	}
}

func TestKilledExecIsNotLost(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--name", "victim", "--", "sh", "-c", "echo ready; exec sleep 300")
	c.start()
	c.stdout.Await(t, "ready")
	if err := c.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.wait(-1)
	s.start()
	out, _ := e.run(0, "exec", "--flush")
	if !strings.HasPrefix(out, "1 delivered") {
		t.Fatalf("flush says %q", out)
	}
	task := s.one()
	if task.UniqueName != "victim" || task.CompletionStatus != client.TempError || !hasMessage(task, client.MessageError, "not known") {
		t.Fatalf("got %s", task.Raw())
	}
	out, _ = e.run(0, "exec", "--flush")
	if !strings.HasPrefix(out, "0 delivered") || len(s.list("")) != 1 {
		t.Fatalf("a second flush says %q", out)
	}
}

func TestRefusedSpoolIsSetAside(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	e.run(0, "exec", "--type", "NO_SUCH_TYPE", "--deliver-timeout", "50ms", "--", "true")
	e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--deliver-timeout", "50ms", "--", "true")
	s.start()
	out, stderr := e.run(0, "exec", "--flush")
	if !strings.HasPrefix(out, "1 delivered, 1 refused, 0 left") || !strings.Contains(stderr, "set aside") {
		t.Fatalf("flush says %q, %q", out, stderr)
	}
	aside := e.spooled("refused")
	if len(aside) != 1 || len(e.spooled("")) != 0 {
		t.Fatalf("spool %v, aside %v", e.spooled(""), aside)
	}
	text, err := os.ReadFile(aside[0])
	if err != nil || !strings.Contains(string(text), `"refused": {`) || !strings.Contains(string(text), "NO_SUCH_TYPE") {
		t.Fatalf("%s, %v", text, err)
	}
}

func TestTwoFlushesDeliverOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	const runs = 5
	for range runs {
		e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--deliver-timeout", "10ms", "--", "true")
	}
	s.start()
	var all []*command
	for range 4 {
		c := e.command("exec", "--type", "IDENTITY_REFRESH", "--", "true")
		c.start()
		all = append(all, c)
	}
	for _, c := range all {
		c.wait(0)
	}
	e.run(0, "exec", "--flush")
	tasks := s.list("")
	if len(tasks) != runs+len(all) || len(e.spooled("")) != 0 {
		t.Fatalf("%d tasks, spool %v", len(tasks), e.spooled(""))
	}
	for _, task := range tasks {
		if task.CompletionStatus != client.Success {
			t.Errorf("got %s", task.Raw())
		}
	}
}

// A program may report with stint task report beside its directives.
func TestExecProgramReportsItself(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--", "sh", "-c",
		"stint task report --sequence 500 --progress self --percent 30 --info own && echo '::notice after'")
	task := s.one()
	if task.CompletionStatus != client.Success || *task.Progress != "self" || !hasMessage(task, client.MessageInfo, "own") || !hasMessage(task, client.MessageInfo, "after") {
		t.Fatalf("got %s", task.Raw())
	}
}
