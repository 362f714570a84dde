package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/task"
)

// Uploads is how files that were received are kept for their runs.
type Uploads interface {
	// BeginUpload makes an empty upload.
	BeginUpload(ctx context.Context, id task.ID, now time.Time) error
	// AppendUpload adds up to a megabyte to an upload that holds start bytes;
	// NotFound where it was dropped.
	AppendUpload(ctx context.Context, id task.ID, start int64, data []byte, now time.Time) error
	// DropUpload forgets an upload, unless a task has it; one that is not there is
	// none to forget.
	DropUpload(ctx context.Context, id task.ID) error
	// ReadUpload returns some bytes from an offset on; io.EOF at the end, NotFound
	// where the upload was dropped: a part of a file is never taken for the whole.
	ReadUpload(ctx context.Context, id task.ID, offset int64) ([]byte, error)
}

// upload stores a file.
func upload(tb fataler, s Store, id task.ID, chunks ...string) {
	tb.Helper()
	if err := s.BeginUpload(tb.Context(), id, start()); err != nil {
		tb.Fatalf("begin upload: %v", err)
	}
	length := int64(0)
	for _, c := range chunks {
		if err := s.AppendUpload(tb.Context(), id, length, []byte(c), start()); err != nil {
			tb.Fatalf("append to upload: %v", err)
		}
		length += int64(len(c))
	}
}

// contents reads a whole file.
func contents(tb fataler, s Store, id task.ID) string {
	tb.Helper()
	var all strings.Builder
	for reads := 0; ; reads++ {
		data, err := s.ReadUpload(tb.Context(), id, int64(all.Len()))
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil || len(data) == 0 || reads > 1000 {
			tb.Fatalf("read upload at %d: %d bytes, %v", all.Len(), len(data), err)
		}
		all.Write(data)
	}
}

// testUploads reads back files from offsets around the ends of their chunks.
func testUploads(t trial) {
	s := t.store
	upload(t, s, idOf(1), "of another")
	for n, sizes := range [][]int{{}, {1}, {1, 1, 1}, {7, 1000, 1, 99_999}, {1 << 20}, {1 << 20, 1<<20 - 1, 3}, {3, 1 << 20, 1 << 20}} {
		var chunks []string
		offsets := []int64{0}
		length := int64(0)
		for i, size := range sizes {
			b := bytes.Repeat([]byte("a,b\n"), size)[:size]
			if i%2 == 0 { // what does not compress
				_, _ = rand.NewChaCha8([32]byte{byte(n), byte(i)}).Read(b)
			}
			chunks = append(chunks, string(b))
			length += int64(size)
			offsets = append(offsets, length-int64(size)/2, length-1, length, length+1)
		}
		file, id := strings.Join(chunks, ""), idOf(10+n)
		upload(t, s, id, chunks...)
		if contents(t, s, id) != file {
			t.Errorf("chunks of %v: the file is another", sizes)
		}
		for _, offset := range offsets {
			data, err := s.ReadUpload(t.Context(), id, offset)
			switch {
			case offset >= length:
				if !errors.Is(err, io.EOF) || len(data) > 0 {
					t.Errorf("chunks of %v, at the end: %d bytes, %v", sizes, len(data), err)
				}
			case err != nil || len(data) == 0 || !strings.HasPrefix(file[offset:], string(data)):
				t.Errorf("chunks of %v, at %d: %d bytes, %v", sizes, offset, len(data), err)
			}
		}
	}
}

func testUploadDropped(t trial) {
	s := t.store
	long := strings.Repeat("x", 1000)
	upload(t, s, idOf(1), long, long, long)
	upload(t, s, idOf(2), "kept")
	if err := s.BeginUpload(t.Context(), idOf(1), start()); err == nil {
		t.Error("an upload was begun twice")
	}
	for _, id := range []task.ID{idOf(1), idOf(1), idOf(9), ""} {
		if err := s.DropUpload(t.Context(), id); err != nil {
			t.Errorf("drop %q: %v", id, err)
		}
	}
	gone := func(id task.ID) {
		t.Helper()
		for _, offset := range []int64{0, 1500, 3000} {
			_, err := s.ReadUpload(t.Context(), id, offset)
			_ = wantKind(t, err, task.NotFound)
		}
		_ = wantKind(t, s.AppendUpload(t.Context(), id, 3000, []byte("more"), start()), task.NotFound)
	}
	gone(idOf(1))
	gone(idOf(9))
	for more := true; more; {
		var err error
		if more, err = s.Sweep(t.Context(), start(), 100); err != nil {
			t.Fatal(err)
		}
		gone(idOf(1)) // also while it goes, a little at a time
	}
	// What a task has is its own.
	run, c := runOf(t, 10, account.Accounts, createSource(t, s, sourceOf(1)))
	run.Upload = idOf(2)
	beginRun(t, s, run, c)
	if err := s.DropUpload(t.Context(), idOf(2)); err != nil {
		t.Error(err)
	}
	sweepAll(t, s, at(1_000_000), 100)
	if got := contents(t, s, idOf(2)); got != "kept" {
		t.Errorf("the upload of a task is %q", got)
	}
}
