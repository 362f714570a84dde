package cli_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"stint/client"
)

// lossyProxy stands before a real server and loses every second answer to a POST: the request
// arrived, the client cannot know.
func lossyProxy(t *testing.T, s *server) *client.Client {
	t.Helper()
	var posts atomic.Int64
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward, err := http.NewRequestWithContext(r.Context(), r.Method, s.url+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		forward.Header = r.Header.Clone()
		resp, err := http.DefaultClient.Do(forward)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		if r.Method == http.MethodPost && posts.Add(1)%2 == 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(proxy.Close)
	c, err := client.New(proxy.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func messageCount(task *client.Task, text string) (n int) {
	for _, m := range task.Messages {
		if m.LocalizedText.Message == text {
			n++
		}
	}
	return n
}

func TestLostAnswersDoNothingTwice(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := lossyProxy(t, s)
	launched, err := c.Launch(t.Context(), client.LaunchRequest{Type: "IDENTITY_REFRESH"})
	if err != nil {
		t.Fatal(err)
	}
	result, err := c.Report(t.Context(), launched.ID, launched.ReportToken, client.Report{
		Attempt: 1, Sequence: 1, Messages: []client.ReportMessage{{Type: client.MessageInfo, Text: "once"}},
	})
	if err != nil || !result.Repeated {
		t.Fatalf("got %+v, %v", result, err)
	}
	// Without a number the message could be added twice: it is not sent again.
	if _, err := c.Report(t.Context(), launched.ID, launched.ReportToken, client.Report{
		Attempt: 1, Messages: []client.ReportMessage{{Type: client.MessageInfo, Text: "unnumbered"}},
	}); err == nil {
		t.Fatal("a lost answer was no error")
	}
	task := s.one()
	if messageCount(task, "once") != 1 || messageCount(task, "unnumbered") != 1 {
		t.Fatalf("got %s", task.Raw())
	}
}

func TestReporterWithLostAnswers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r, err := client.NewReporter(t.Context(), lossyProxy(t, s), client.ReporterOptions{
		Launch: &client.LaunchRequest{Type: "IDENTITY_REFRESH"}, Interval: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	<-r.Launched()
	id, _ := r.Identity()
	for _, text := range []string{"a", "b", "c"} {
		r.Info(text)
		s.awaitTask(id.TaskID, func(task *client.Task) bool { return messageCount(task, text) == 1 })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := r.Complete(ctx, client.Success, client.ReportMessage{Type: client.MessageInfo, Text: "d"}); err != nil {
		t.Fatal(err)
	}
	task := s.one()
	for _, text := range []string{"a", "b", "c", "d"} {
		if messageCount(task, text) != 1 {
			t.Errorf("message %q %d times", text, messageCount(task, text))
		}
	}
	if task.CompletionStatus != client.Success || r.Undelivered() != nil {
		t.Fatalf("got %s, left %+v", task.Raw(), r.Undelivered())
	}
}

// A stint exec that dies between delivering and deleting leaves an entry that was delivered.
func TestDeliveringTwiceIsHarmless(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	e := newEnv(t, s)
	e.run(1, "exec", "--type", "IDENTITY_REFRESH", "--arg", "n:=1.50", "--deliver-timeout", "20ms", "--", "sh", "-c", "echo '::notice n'; exit 1")
	name := e.spooled("")[0]
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s.start()
	for range 2 {
		if out, stderr := e.run(0, "exec", "--flush"); !strings.HasPrefix(out, "1 delivered") {
			t.Fatalf("flush says %q, %q", out, stderr)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if task := s.one(); messageCount(task, "n") != 1 || task.CompletionStatus != client.Failure {
		t.Fatalf("got %s", task.Raw())
	}
}

// A server that takes connections and never answers must not keep programs from running.
func TestExecWithAServerThatHangs(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	e := &env{t: t, home: t.TempDir(), url: "http://" + listener.Addr().String()}
	e.spool = e.home + "/.local/state/stint/spool"
	begin := time.Now()
	out, _ := e.run(0, "exec", "--type", "IDENTITY_REFRESH", "--deliver-timeout", "500ms", "--", "echo", "ran")
	if out != "ran\n" || len(e.spooled("")) != 1 || time.Since(begin) > 15*time.Second {
		t.Fatalf("output %q, spool %v after %s", out, e.spooled(""), time.Since(begin))
	}
}

func TestExecIsRunningAtOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	e := newEnv(t, s)
	c := e.command("exec", "--type", "IDENTITY_REFRESH", "--heartbeat-limit", "1h", "--", "cat")
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.start()
	s.awaitTask(awaitOne(s).ID, func(task *client.Task) bool { return task.State == client.Running })
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	c.wait(0)
}
