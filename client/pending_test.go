package client

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestPendingCoalesces(t *testing.T) {
	t.Parallel()
	p := &pending{}
	p.setProgress("one")
	p.setProgress("two\x00\xff")
	p.setPercent(-3)
	p.setPercent(140)
	p.setAttribute("a", 1)
	p.setAttribute("a", map[string]any{"x": "\x00"})
	got, err := json.Marshal(p.take(Success))
	if err != nil {
		t.Fatal(err)
	}
	want := "{\"attempt\":0,\"progress\":\"two\ufffd\ufffd\",\"percentComplete\":100,\"attributes\":{\"a\":{\"x\":\"\ufffd\"}},\"completionStatus\":\"SUCCESS\"}"
	if string(got) != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if !p.empty() {
		t.Fatal("something is left")
	}
}

// A report stays below the server's bound, and only the last one ends the task.
func TestPendingSplitsLongReports(t *testing.T) {
	t.Parallel()
	p := &pending{}
	for range 10 {
		p.messages = append(p.messages, ReportMessage{Type: MessageError, Text: strings.Repeat("\x01", 64<<10)})
	}
	reports, messages := 0, 0
	for !p.empty() {
		report := p.take(Failure)
		body, err := json.Marshal(report)
		if err != nil {
			t.Fatal(err)
		}
		if len(body) > 1<<20 {
			t.Fatalf("a report of %d bytes", len(body))
		}
		if last := p.empty(); last != (report.CompletionStatus != "") {
			t.Fatalf("completion %q with the rest empty: %t", report.CompletionStatus, last)
		}
		reports++
		messages += len(report.Messages)
	}
	if reports != 5 || messages != 10 {
		t.Fatalf("%d reports with %d messages", reports, messages)
	}
}

// A launch that was stored and read again has the very same body: the server compares.
func TestStoredLaunchIsTheSame(t *testing.T) {
	t.Parallel()
	var first LaunchRequest
	if err := json.Unmarshal([]byte(`{"type":"T","arguments":{"n":1.50,"big":12345678901234567890,"t":"<&>"},"attributes":{"e":1e3}}`), &first); err != nil {
		t.Fatal(err)
	}
	stored, err := json.MarshalIndent(Delivery{Launch: &first, Reports: []Report{{Attributes: map[string]any{"n": json.Number("1.50")}}}}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var read Delivery
	if err := json.Unmarshal(stored, &read); err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(first)
	got, _ := json.Marshal(read.Launch)
	if string(got) != string(want) || read.Reports[0].Attributes["n"] != json.Number("1.50") {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab…"}, {"aäää", 6, "aä…"}, {"aäää", 7, "aäää"}} {
		if got := shorten(c.in, c.limit); got != c.want {
			t.Errorf("shorten(%q, %d) = %q, want %q", c.in, c.limit, got, c.want)
		}
	}
}
