package apptest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// answerTimeout is how long an answer may take: more than the longest wait that
// any test asks for.
const answerTimeout = 60 * time.Second

// NewClient returns a client that reports to tb whatever breaks the contract in
// an answer. It follows no redirect, since no resource answers one, and leaves
// compression to its caller.
func NewClient(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     Checked(tb, transport),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Checked returns a RoundTripper that passes requests on to next and reports to
// tb whatever breaks the contract in an answer. The answer is passed back as it
// came.
func Checked(tb testing.TB, next http.RoundTripper) http.RoundTripper {
	tb.Helper()
	return &checkedTransport{tb: tb, next: next}
}

type checkedTransport struct {
	tb   testing.TB
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c *checkedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if err := response.Body.Close(); err != nil {
		return nil, fmt.Errorf("close the body: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	if err := Check(r, response, body); err != nil {
		c.tb.Errorf("%s %s: the answer breaks the contract: %v\n%s %.500q", r.Method, r.URL.RequestURI(), err, response.Status, body)
	}
	return response, nil
}

// Request is a request to the letter: Target goes into the request line as it
// is written, which an http.Request would tidy up.
type Request struct {
	Method string
	Target string
	Header map[string]string
	Body   string
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // as it came, perhaps compressed

	breach error // what Check said
}

// Text returns the body as it is before compression.
func (a Answer) Text(tb testing.TB) string {
	tb.Helper()
	text, err := plainBody(a.Header, a.Body)
	if err != nil {
		tb.Fatalf("decompress: %v", err)
	}
	return string(text)
}

// Send sends a request to a server at addr on a connection of its own and
// reports to tb whatever breaks the contract in the answer.
func Send(tb testing.TB, addr string, r Request) Answer {
	tb.Helper()
	answer, err := exchange(tb, addr, r)
	if err != nil {
		tb.Fatalf("%s %.200s: %v", r.Method, r.Target, err)
	}
	if answer.breach != nil {
		tb.Errorf("%s %.200s: the answer breaks the contract: %v\n%d %.500q", r.Method, r.Target, answer.breach, answer.Status, answer.Body)
	}
	return answer
}

// SendUnchecked sends a request whose answer is not the API's own: one that the
// HTTP server itself refuses, or a question about other sites' pages.
func SendUnchecked(tb testing.TB, addr string, r Request) Answer {
	tb.Helper()
	answer, err := exchange(tb, addr, r)
	if err != nil {
		tb.Fatalf("%.20s %.200s: %v", r.Method, r.Target, err)
	}
	return answer
}

func exchange(tb testing.TB, addr string, r Request) (Answer, error) {
	tb.Helper()
	// Clean-ups send requests too, when the context of their test is over.
	conn, err := (&net.Dialer{}).DialContext(context.WithoutCancel(tb.Context()), "tcp", addr)
	if err != nil {
		return Answer{}, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerTimeout)); err != nil {
		return Answer{}, fmt.Errorf("set a deadline: %w", err)
	}
	written := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, wireForm(addr, r))
		written <- err
	}()
	request := &http.Request{Method: r.Method, Header: http.Header{}}
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	request.URL = targetURL(r.Target)
	// A server may answer before it has read a body that is too large.
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", errors.Join(err, writeError(written)))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read the body: %w", err)
	}
	return Answer{
		Status: response.StatusCode, Header: response.Header, Body: body,
		breach: Check(request, response, body),
	}, nil
}

func writeError(written <-chan error) error {
	select {
	case err := <-written:
		return err
	default:
		return nil
	}
}

func wireForm(addr string, r Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nConnection: close\r\n", r.Method, r.Target)
	if _, given := r.Header["Host"]; !given {
		b.WriteString("Host: " + addr + "\r\n")
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	hasLength := false
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\r\n", name, r.Header[name])
		hasLength = hasLength || strings.EqualFold(name, "Content-Length") || strings.EqualFold(name, "Transfer-Encoding")
	}
	if !hasLength && (r.Body != "" || r.Method == http.MethodPost || r.Method == http.MethodPatch) {
		b.WriteString("Content-Length: " + strconv.Itoa(len(r.Body)) + "\r\n")
	}
	b.WriteString("\r\n" + r.Body)
	return b.String()
}
