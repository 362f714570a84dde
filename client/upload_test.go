package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const launchedTask = `{"id":"00eebcf881994e419d72e757fd30dc0e","type":"QUARTZ"}`

// launches takes launches as a server does, and remembers them.
type launches struct {
	mu    sync.Mutex
	forms []string
	keys  []string
	// fail, if not nil, takes a request away before it is read; it has answered then.
	fail func(n int, w http.ResponseWriter, r *http.Request) bool
	n    int
}

func (l *launches) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	l.keys = append(l.keys, r.Header.Get("Idempotency-Key"))
	if l.fail != nil && l.fail(l.n, w, r) {
		return
	}
	var form strings.Builder
	fmt.Fprintf(&form, "known length: %v", r.ContentLength > 0)
	parts, err := r.MultipartReader()
	for err == nil {
		part, next := parts.NextPart()
		if errors.Is(next, io.EOF) {
			break
		}
		if err = next; err == nil {
			content, wrong := io.ReadAll(part)
			fmt.Fprintf(&form, "\n%s (%s): %s", part.FormName(), part.FileName(), content)
			err = wrong
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.forms = append(l.forms, form.String())
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, launchedTask)
}

func (l *launches) client(t *testing.T) *Client {
	t.Helper()
	server := httptest.NewServer(l)
	t.Cleanup(server.Close)
	c, err := New(server.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// cut reads a little and breaks the connection.
func cut(w http.ResponseWriter, r *http.Request) {
	_, _ = io.ReadFull(r.Body, make([]byte, 100))
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// once hides that a file can be read again.
type once struct{ io.Reader }

func TestAggregateSendsAForm(t *testing.T) {
	t.Parallel()
	l := &launches{}
	c := l.client(t)
	var last [2]int64
	sent := func(sent, total int64) {
		if sent < last[0] {
			t.Errorf("%d sent after %d", sent, last[0])
		}
		last = [2]int64{sent, total}
	}
	file := strings.NewReader("skipped;id\n1\n")
	if _, err := file.Seek(8, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	a := Aggregation{SourceID: "s", File: file, FileName: "a \"b\".csv", DisableOptimization: true, AllowDeletions: 7, UniqueName: "n", Launcher: "me", Sent: sent}
	launched, err := c.Aggregate(t.Context(), a)
	if err != nil || launched.ID == "" || launched.Replayed || last != [2]int64{5, 5} {
		t.Fatalf("got %+v, %v, sent %v", launched, err, last)
	}
	last = [2]int64{}
	_, err = c.Aggregate(t.Context(), Aggregation{
		SourceID: "s", Entitlements: true, File: once{strings.NewReader("id\n")}, IdempotencyKey: "k", Sent: sent,
	})
	if err != nil || last != [2]int64{3, -1} {
		t.Fatalf("%v, sent %v", err, last)
	}
	want := []string{
		`known length: true
launch (): {"type":"CLOUD_ACCOUNT_AGGREGATION","uniqueName":"n","launcher":"me","sourceId":"s","arguments":{"allowDeletions":7,"disableOptimization":true},"executor":"builtin"}
file (a "b".csv): id` + "\n1\n",
		`known length: false
launch (): {"type":"CLOUD_GROUP_AGGREGATION","sourceId":"s","executor":"builtin"}
file (file): id` + "\n",
	}
	if got := strings.Join(l.forms, "\n---\n"); got != strings.Join(want, "\n---\n") {
		t.Errorf("sent %s\nwant %s", got, strings.Join(want, "\n---\n"))
	}
	if l.keys[0] == "" || l.keys[1] != "k" {
		t.Errorf("keys %q", l.keys)
	}
}

func TestAggregateAgainWhereTheFileCanBeReadAgain(t *testing.T) {
	t.Parallel()
	content := "id\n" + strings.Repeat("1234567\n", 1<<17)
	for name, test := range map[string]struct {
		file  io.Reader
		fail  func(w http.ResponseWriter, r *http.Request)
		tries int
		fails bool
	}{
		"broken":                  {strings.NewReader(content), cut, 3, false},
		"broken, a stream":        {once{strings.NewReader(content)}, cut, 1, true},
		"not now":                 {strings.NewReader(content), notNow, 3, false},
		"not now, a stream":       {once{strings.NewReader(content)}, notNow, 1, true},
		"not now for a long time": {strings.NewReader(content), muchLater, 1, true},
		"refused":                 {strings.NewReader(content), refuse, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &launches{fail: func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n > 2 {
					return false
				}
				test.fail(w, r)
				return true
			}}
			_, err := l.client(t).Aggregate(t.Context(), Aggregation{SourceID: "s", File: test.file})
			l.mu.Lock()
			defer l.mu.Unlock()
			if (err != nil) != test.fails || l.n != test.tries {
				t.Fatalf("%d tries: %v", l.n, err)
			}
			for _, key := range l.keys {
				if key != l.keys[0] {
					t.Errorf("keys %q", l.keys)
				}
			}
			if !test.fails && !strings.HasSuffix(l.forms[0], content) {
				t.Errorf("the file did not come whole: %d bytes", len(l.forms[0]))
			}
		})
	}
}

func notNow(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }

func muchLater(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "3600")
	w.WriteHeader(http.StatusServiceUnavailable)
}

func refuse(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }

// A server says what is wrong with the header of a file before it has all of it.
func TestAggregateHearsAnEarlyRefusal(t *testing.T) {
	t.Parallel()
	l := &launches{fail: func(_ int, w http.ResponseWriter, r *http.Request) bool {
		_, _ = io.ReadFull(r.Body, make([]byte, 1000))
		http.Error(w, "no such column", http.StatusBadRequest)
		return true
	}}
	c := l.client(t)
	for range 10 {
		_, err := c.Aggregate(t.Context(), Aggregation{SourceID: "s", File: bytes.NewReader(make([]byte, 64<<20))})
		var answer *Error
		if !errors.As(err, &answer) || answer.Status != 400 || !strings.Contains(err.Error(), "no such column") {
			t.Fatalf("got %v", err)
		}
	}
}

// faulty fails after some bytes.
type faulty struct {
	io.ReadSeeker
	left int
	err  error
}

func (f *faulty) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.err
	}
	n, err := f.ReadSeeker.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

func TestAggregateOfAFileThatFails(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("no such disk"), io.EOF} {
		l := &launches{}
		_, got := l.client(t).Aggregate(t.Context(), Aggregation{
			SourceID: "s", File: &faulty{bytes.NewReader(make([]byte, 1000)), 500, err},
		})
		l.mu.Lock()
		if got == nil || errors.Is(got, ErrUnreachable) || !strings.Contains(got.Error(), "reading the file") || len(l.forms) > 0 {
			t.Errorf("%v: %v", err, got)
		}
		l.mu.Unlock()
	}
}

// roundTrip is a server without a network.
type roundTrip func(r *http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func accepted() *http.Response {
	return &http.Response{StatusCode: http.StatusAccepted, Body: io.NopCloser(strings.NewReader(launchedTask)), Header: http.Header{}}
}

func aggregateOver(t *testing.T, f roundTrip, file io.Reader) error {
	t.Helper()
	c, err := New("http://127.0.0.1", Options{HTTPClient: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Aggregate(t.Context(), Aggregation{SourceID: "s", File: file})
	return err
}

// slowly waits before each read.
type slowly struct {
	io.Reader
	wait time.Duration
}

func (s *slowly) Read(p []byte) (int, error) {
	time.Sleep(s.wait)
	return s.Reader.Read(p[:min(len(p), 10)])
}

func TestAggregateTakesItsTime(t *testing.T) {
	t.Parallel()
	const content = "a file of a hundred bytes or so: ----------------------------------------------------------------"
	t.Run("a slow line", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			err := aggregateOver(t, func(r *http.Request) (*http.Response, error) {
				_, err := io.Copy(io.Discard, &slowly{r.Body, 20 * time.Second})
				return accepted(), err
			}, strings.NewReader(content))
			if took := time.Since(start); err != nil || took < 5*time.Minute {
				t.Errorf("after %s: %v", took, err)
			}
		})
	})
	t.Run("a slow file", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			err := aggregateOver(t, func(r *http.Request) (*http.Response, error) {
				_, err := io.Copy(io.Discard, r.Body)
				return accepted(), err
			}, &slowly{strings.NewReader(content), 5 * time.Minute})
			if err != nil {
				t.Error(err)
			}
		})
	})
	for name, n := range map[string]int64{"a line that stands still": 1000, "no answer": 10_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				err := aggregateOver(t, func(r *http.Request) (*http.Response, error) {
					_, _ = io.CopyN(io.Discard, r.Body, n)
					<-r.Context().Done()
					return nil, r.Context().Err()
				}, once{strings.NewReader(strings.Repeat(content, 50))})
				if took := time.Since(start); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "stands still for 30s") || took != 30*time.Second {
					t.Errorf("after %s: %v", took, err)
				}
			})
		})
	}
}

// A stream may be sent again as long as nothing of it was read.
func TestAggregateOfAStreamBeforeItsBeginning(t *testing.T) {
	t.Parallel()
	tries := 0
	err := aggregateOver(t, func(r *http.Request) (*http.Response, error) {
		if tries++; tries < 3 {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		}
		_, err := io.Copy(io.Discard, r.Body)
		return accepted(), err
	}, once{strings.NewReader("id\n")})
	if err != nil || tries != 3 {
		t.Errorf("%d tries: %v", tries, err)
	}
}

// Whoever waits for a pipe can be called off.
func TestAggregateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := &launches{}
	c := l.client(t)
	in, out := io.Pipe()
	defer in.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(out, "id\n")
		cancel()
	}()
	if _, err := c.Aggregate(ctx, Aggregation{SourceID: "s", File: in}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The memory that an upload takes does not depend on its length.
func TestAggregateIsAStream(t *testing.T) { //nolint:paralleltest // it measures memory
	const size = 256 << 20
	received := make(chan int64, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		received <- n
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, launchedTask)
	}))
	defer server.Close()
	c, err := New(server.URL, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = c.Aggregate(t.Context(), Aggregation{SourceID: "s", File: io.LimitReader(zeros{}, size)})
	runtime.ReadMemStats(&after)
	if n := <-received; err != nil || n < size {
		t.Fatalf("%d bytes arrived: %v", n, err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
		t.Errorf("it took %d bytes of memory", took)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
