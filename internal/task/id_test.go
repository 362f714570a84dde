package task_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"stint/internal/task"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`)
	seen := map[task.ID]bool{}
	var ids []task.ID
	for i := range 1000 {
		id, err := task.NewID(start().Add(time.Duration(i)*time.Millisecond), rand.Reader)
		if err != nil || !form.MatchString(string(id)) || seen[id] {
			t.Fatalf("%q, %v, seen before: %v", id, err, seen[id])
		}
		if parsed, ok := task.ParseID(string(id)); !ok || parsed != id {
			t.Fatalf("%q parses to %q, %v", id, parsed, ok)
		}
		seen[id] = true
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("later ids sort before earlier ones")
	}
	for fill, want := range map[byte]task.ID{0: "018bcfe5680070008000000000000000", 0xff: "018bcfe568007fffbfffffffffffffff"} {
		id, err := task.NewID(time.UnixMilli(1_700_000_000_000), bytes.NewReader(bytes.Repeat([]byte{fill}, 10)))
		if err != nil || id != want {
			t.Errorf("got %s, %v, want %s", id, err, want)
		}
	}
	mistake := errors.New("mistake")
	for _, r := range []io.Reader{iotest.ErrReader(mistake), bytes.NewReader(make([]byte, 9))} {
		if id, err := task.NewID(start(), r); err == nil || id != "" {
			t.Errorf("no randomness, but the id %q", id)
		}
	}
}

func TestParseID(t *testing.T) {
	t.Parallel()
	const id = "20f9290025cb3783768c9c8c4686078c"
	for _, in := range []string{id, strings.ToUpper(id), "20f92900-25cb-3783-768c-9c8c4686078c", "20F92900-25CB-3783-768C-9C8C4686078C"} {
		if got, ok := task.ParseID(in); !ok || got != id {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{
		"", "abc", id[:31], id + "0", " " + id[:31], "g" + id[1:], "20f92900-25cb-3783-768c9c8c-4686078c", "20f92900-25cb-3783-768c-9c8c4686078",
		"{20f92900-25cb-3783-768c-9c8c4686078c}", "--------------------------------", "20f92900-25cb-3783-768c-9c8c-686078c", "\uff10" + id[3:], id[:31] + "\x00",
	} {
		if got, ok := task.ParseID(in); ok {
			t.Errorf("%q is taken for %q", in, got)
		}
	}
}
