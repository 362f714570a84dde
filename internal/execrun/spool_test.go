package execrun

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stint/client"
)

var spoolTime = time.Date(2026, 11, 24, 23, 40, 50, 123e6, time.UTC)

func testSpool(t *testing.T) *Spool {
	t.Helper()
	return NewSpool(filepath.Join(t.TempDir(), "state", "spool"), func() time.Time { return spoolTime })
}

func testEntry(state entryState, url string) *entry {
	return &entry{
		Version: spoolVersion, State: state, URL: url, Program: "refresh.sh", Started: spoolTime,
		Delivery: &client.Delivery{Launch: &client.LaunchRequest{Type: "IDENTITY_REFRESH"}, IdempotencyKey: "key"},
	}
}

// awayClient speaks to a port that nobody listens on.
func awayClient(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New("http://127.0.0.1:1", client.Options{RetryFor: -1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSpoolEntryIsPrivateAndOwned(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	owned := s.newEntry(spoolTime)
	if err := owned.write(testEntry(stateStarted, "http://x")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{s.dir: 0o700, filepath.Join(s.dir, owned.name): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
	if _, _, err := s.take(owned.name); !errors.Is(err, errOwned) {
		t.Fatalf("taking an owned entry: %v", err)
	}
	// The owner writes it again, still owned; and once more when its owner is gone.
	if err := owned.write(testEntry(stateFinished, "http://x")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.take(owned.name); !errors.Is(err, errOwned) {
		t.Fatalf("taking a rewritten entry: %v", err)
	}
	owned.close()
	taken, e, err := s.take(owned.name)
	if err != nil {
		t.Fatal(err)
	}
	if e.State != stateFinished || e.Delivery.IdempotencyKey != "key" {
		t.Fatalf("got %+v", e)
	}
	if err := taken.remove(); err != nil {
		t.Fatal(err)
	}
	if names, err := s.names(); err != nil || len(names) != 0 {
		t.Fatalf("left: %v, %v", names, err)
	}
}

func TestFlushKeepsWhatItCannotDeliver(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	c := awayClient(t)
	if result, err := s.Flush(t.Context(), c, nil); err != nil || result != (FlushResult{}) {
		t.Fatalf("an empty spool: %+v, %v", result, err)
	}
	for i := range 3 {
		owned := s.newEntry(spoolTime.Add(time.Duration(i) * time.Second))
		url := c.URL()
		if i == 0 {
			url = "http://elsewhere:1"
		}
		if err := owned.write(testEntry(stateFinished, url)); err != nil {
			t.Fatal(err)
		}
		owned.close()
	}
	result, err := s.Flush(t.Context(), c, nil)
	// A program that another test starts has the locks of this process, too, until it
	// is that program.
	for deadline := time.Now().Add(10 * time.Second); result.Busy > 0 && time.Now().Before(deadline); {
		result, err = s.Flush(t.Context(), c, nil)
	}
	if !errors.Is(err, client.ErrUnreachable) {
		t.Fatalf("error %v", err)
	}
	if want := (FlushResult{Elsewhere: 1, Left: 2}); result != want {
		t.Fatalf("got %+v, want %+v", result, want)
	}
	if names, _ := s.names(); len(names) != 3 {
		t.Fatalf("left: %v", names)
	}
}

func TestFlushOneAtATime(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	owned := s.newEntry(spoolTime)
	if err := owned.write(testEntry(stateFinished, "http://x")); err != nil {
		t.Fatal(err)
	}
	lock, err := s.lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if _, err := s.Flush(t.Context(), awayClient(t), nil); !errors.Is(err, ErrFlushing) {
		t.Fatalf("error %v", err)
	}
}

func TestFlushSetsAsideWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"1.json": "{", "2.json": `{"version":9}`, "3.json": `{"version":1,"state":"started"}`} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	result, err := s.Flush(context.Background(), awayClient(t), nil)
	if err != nil || result.Refused != 3 {
		t.Fatalf("got %+v, %v", result, err)
	}
	for _, name := range []string{"1.json", "1.json.reason", "2.json", "3.json"} {
		if _, err := os.Stat(filepath.Join(s.dir, refusedFolder, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestSetAsideKeepsTheEntryAndTheReason(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	owned := s.newEntry(spoolTime)
	e := testEntry(stateFinished, "http://x")
	if err := owned.write(e); err != nil {
		t.Fatal(err)
	}
	if err := owned.setAside(e, "no such type"); err != nil {
		t.Fatal(err)
	}
	if names, _ := s.names(); len(names) != 0 {
		t.Fatalf("left: %v", names)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, refusedFolder, owned.name))
	if err != nil || !strings.Contains(string(text), "no such type") || !strings.Contains(string(text), `"idempotencyKey": "key"`) {
		t.Fatalf("%s, %v", text, err)
	}
}

func TestToDeliverSaysThatItIsLate(t *testing.T) {
	t.Parallel()
	finished := spoolTime.Add(time.Minute)
	e := testEntry(stateFinished, "http://x")
	e.Finished = &finished
	e.Delivery.Reports = []client.Report{{Sequence: 4, CompletionStatus: client.Success}}
	d := e.toDeliver(spoolTime.Add(time.Hour))
	last := d.Reports[0]
	if len(last.Messages) != 1 || last.Messages[0].Type != client.MessageInfo || !strings.HasPrefix(last.Messages[0].Text, "Delivered late") {
		t.Fatalf("got %+v", last)
	}
	if len(e.Delivery.Reports[0].Messages) != 0 {
		t.Fatal("the entry itself was changed")
	}

	orphan := testEntry(stateStarted, "http://x").toDeliver(spoolTime.Add(time.Hour))
	last = orphan.Reports[0]
	if last.CompletionStatus != client.TempError || last.Attributes[attributeStarted] != "2026-11-24T23:40:50.123Z" || len(last.Messages) != 2 {
		t.Fatalf("got %+v", last)
	}
}
