package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"stint/internal/connector/delimited/delimitedtest"
)

// BenchmarkAggregation measures aggregations of a file of 12 columns by the
// program itself, in a process of its own, so that its memory can be told: the
// first run, one without a change, and one with a change to one account in a
// hundred. STINT_BENCH_ACCOUNTS sets how many accounts there are.
func BenchmarkAggregation(b *testing.B) {
	n := 1_000_000
	if testing.Short() {
		n = 5000
	}
	if given, err := strconv.Atoi(os.Getenv("STINT_BENCH_ACCOUNTS")); err == nil {
		n = given
	}
	for _, kind := range kinds {
		b.Run("store="+kind, func(b *testing.B) { aggregations(b, kind, n) })
	}
}

func aggregations(b *testing.B, kind string, n int) {
	b.Helper()
	p := startProgram(b, kind)
	id := p.post(b, "/stint/v1/sources", "application/json", strings.NewReader(
		`{"name":"HR","type":"DelimitedFile","connectorAttributes":{"accountId":"id","displayName":"name","entitlements":["groups"]}}`)).ID
	for _, run := range []struct {
		name    string
		changed int
	}{{"first", 0}, {"unchanged", 0}, {"changed", 10}} {
		b.Run(fmt.Sprintf("run=%s/accounts=%d", run.name, n), func(b *testing.B) {
			for b.Loop() {
				upload, aggregated := p.aggregate(b, id, delimitedtest.Options{Rows: n, Seed: 7, ChangePerMille: run.changed})
				b.ReportMetric(upload.Seconds(), "upload-s")
				b.ReportMetric(float64(n)/aggregated.Seconds(), "accounts/s")
			}
			b.ReportMetric(p.peak(b)/(1<<20), "peak-MB")
		})
	}
}

// program is the real program in a process of its own.
type program struct {
	url string
	pid int
}

func startProgram(b *testing.B, kind string) *program {
	b.Helper()
	dir := b.TempDir()
	binary := filepath.Join(dir, "stint")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "stint/cmd/stint").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	address, ops := freeAddress(b), freeAddress(b)
	db := filepath.Join(dir, "stint.db")
	if kind == "postgres" {
		db = postgresURL(b)
	}
	cmd := exec.CommandContext(context.WithoutCancel(b.Context()), binary, "serve", "--db", db, "--key-file", filepath.Join(dir, "key"),
		"--listen", address, "--ops-listen", ops, "--insecure-no-auth", "--log-level", "warn")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the program: %v", err)
		}
	})
	p := &program{url: "http://" + address, pid: cmd.Process.Pid}
	for range 1000 {
		if answer, err := http.Get("http://" + ops + "/readyz"); err == nil { //nolint:noctx // a probe
			_ = answer.Body.Close()
			return p
		}
		pause(10 * time.Millisecond)
	}
	b.Fatal("the program does not get ready")
	return nil
}

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func pause(d time.Duration) { <-time.After(d) }

type answered struct {
	ID               string
	CompletionStatus *string
	Messages         []struct{ LocalizedText struct{ Message string } }
	Task             struct{ ID string }
}

func (p *program) post(b *testing.B, path, contentType string, body io.Reader) answered {
	b.Helper()
	answer, err := http.Post(p.url+path, contentType, body) //nolint:noctx // the benchmark ends it
	if err != nil {
		b.Fatal(err)
	}
	return decode(b, answer)
}

func decode(b *testing.B, answer *http.Response) answered {
	b.Helper()
	defer answer.Body.Close()
	var a answered
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode > 299 {
		b.Fatalf("%s %v: %s", answer.Status, err, text)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		b.Fatal(err)
	}
	return a
}

// aggregate uploads a file and waits for its aggregation; it returns how long
// each took.
func (p *program) aggregate(b *testing.B, source string, o delimitedtest.Options) (upload, aggregated time.Duration) {
	b.Helper()
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if _, err := form.CreateFormFile("file", "accounts.csv"); err != nil {
		b.Fatal(err)
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(delimitedtest.Generate(w, o)) }()
	start := time.Now()
	task := p.post(b, "/sources/v1/"+source+"/load-accounts", form.FormDataContentType(), io.MultiReader(&head, r, strings.NewReader(tail))).Task.ID
	upload = time.Since(start)
	for {
		answer, err := http.Get(p.url + "/stint/v1/tasks/" + task + "/wait?timeout=60") //nolint:noctx // the benchmark ends it
		if err != nil {
			b.Fatal(err)
		}
		if t := decode(b, answer); t.CompletionStatus != nil {
			if *t.CompletionStatus != "SUCCESS" {
				b.Fatalf("ended %s: %+v", *t.CompletionStatus, t.Messages)
			}
			return upload, time.Since(start) - upload
		}
	}
}

// peak returns the most memory that the program has had, in bytes.
func (p *program) peak(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.pid) + "/status")
	if err != nil {
		return 0 // not Linux
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib * 1024
		}
	}
	return 0
}
