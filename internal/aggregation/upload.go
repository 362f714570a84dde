package aggregation

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"stint/internal/account"
	"stint/internal/task"
)

const (
	// chunkSize is how much of an upload is stored at once.
	chunkSize = 1 << 20
	// maxReceiving is how many files are received at once: each takes memory, up to
	// several times the longest row that is allowed. Others wait for turnWait.
	maxReceiving = 6
	turnWait     = 20 * time.Second
)

// Receive stores a file for a source, durably, and checks it meanwhile. The
// error is a *task.Error where the source does not exist or the file has to be
// refused, of kind Unavailable where too many others arrive; one of in is
// returned wrapped. Nothing is left of a file that was not received whole or was
// refused.
func (a *Aggregator) Receive(ctx context.Context, sourceID task.ID, class account.Class, in io.Reader) (_ account.Upload, err error) {
	src, err := a.store.Source(ctx, sourceID)
	if err != nil {
		return account.Upload{}, err
	}
	if err := a.takeTurn(ctx); err != nil {
		return account.Upload{}, err
	}
	defer func() { <-a.receiving }()
	id, err := task.NewID(a.now(), rand.Reader)
	if err != nil {
		return account.Upload{}, fmt.Errorf("receive a file: %w", err)
	}
	w := &uploadWriter{ctx: ctx, store: a.store, id: id, now: a.now}
	defer func() { //nolint:contextcheck // the writer has the context of this call
		if err != nil {
			err = errors.Join(err, w.drop())
		}
	}()
	upload, err := a.connector.Check(io.TeeReader(in, w), &src, class)
	if err != nil {
		return account.Upload{}, err
	}
	if err := w.flush(); err != nil {
		return account.Upload{}, err
	}
	upload.ID, upload.File = id, src.File
	return upload, nil
}

// takeTurn waits until another file may be received.
func (a *Aggregator) takeTurn(ctx context.Context) error {
	wait := time.NewTimer(turnWait)
	defer wait.Stop()
	select {
	case a.receiving <- struct{}{}:
		return nil
	case <-wait.C:
		return &task.Error{
			Kind: task.Unavailable, Msg: fmt.Sprintf("%d files are being received already", maxReceiving), RetryAfter: turnWait,
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Discard forgets a file that was received for a launch that did not come.
func (a *Aggregator) Discard(ctx context.Context, u account.Upload) error {
	return a.store.DropUpload(context.WithoutCancel(ctx), u.ID)
}

// uploadWriter stores what is written to it, a chunk at a time. Nothing is stored
// before the first chunk is full: a file that is refused for its header leaves
// no trace.
type uploadWriter struct {
	ctx    context.Context //nolint:containedctx // io.Writer has no place for one; it lives as long as one call
	store  Store
	id     task.ID
	now    func() time.Time
	begun  bool
	stored int64
	buf    []byte
}

// Write implements io.Writer.
func (w *uploadWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), chunkSize-len(w.buf))
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
		if len(w.buf) == chunkSize {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (w *uploadWriter) flush() error {
	if !w.begun {
		if err := w.store.BeginUpload(w.ctx, w.id, w.now()); err != nil {
			return err
		}
		w.begun = true
	}
	if len(w.buf) == 0 {
		return nil
	}
	if err := w.store.AppendUpload(w.ctx, w.id, w.stored, w.buf, w.now()); err != nil {
		return err
	}
	w.stored += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

func (w *uploadWriter) drop() error {
	if !w.begun {
		return nil
	}
	return w.store.DropUpload(context.WithoutCancel(w.ctx), w.id)
}

// uploadReader reads a stored upload from an offset on.
type uploadReader struct {
	ctx    context.Context //nolint:containedctx // io.Reader has no place for one; it lives as long as one attempt
	store  Store
	id     task.ID
	offset int64
	buf    []byte
}

// Read implements io.Reader.
func (r *uploadReader) Read(p []byte) (int, error) {
	if len(r.buf) == 0 {
		var err error
		if r.buf, err = r.store.ReadUpload(r.ctx, r.id, r.offset); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	r.offset += int64(n)
	return n, nil
}
