package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"sync"
	"time"
)

var (
	errStalled = errors.New("the connection stands still")
	errOver    = errors.New("the upload is over")
	errShrunk  = errors.New("it became shorter meanwhile")
)

// upload is the launch of an aggregation as a form: its field, then its file.
type upload struct {
	key         string
	contentType string
	head, tail  []byte // of the form, around the file
	file        io.Reader
	// begin is where the file is sent from; size is what there is from there, -1 where that
	// cannot be told. seeker is nil where the file can be read once only.
	seeker      io.Seeker
	begin, size int64
	sent        func(sent, total int64)
	// body is the last try's.
	body *uploadBody
}

func newUpload(a *Aggregation) (*upload, error) {
	u := &upload{file: a.File, size: -1, sent: a.Sent, key: a.IdempotencyKey}
	if u.key == "" {
		u.key = NewIdempotencyKey()
	}
	launch, err := json.Marshal(a.launch())
	if err != nil {
		return nil, fmt.Errorf("encoding the launch: %w", err)
	}
	name := a.FileName
	if name == "" {
		name = "file"
	}
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	u.contentType = w.FormDataContentType()
	// A buffer takes all that it is given.
	_ = w.WriteField("launch", string(launch))
	_, _ = w.CreateFormFile("file", name)
	u.head = bytes.Clone(form.Bytes())
	_ = w.Close()
	u.tail = form.Bytes()[len(u.head):]
	u.measure()
	return u, nil
}

// measure looks whether the file can be read again, and how long it is. A pipe has the methods
// for it, but they fail.
func (u *upload) measure() {
	seeker, ok := u.file.(io.Seeker)
	if !ok {
		return
	}
	begin, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		return
	}
	end, err := seeker.Seek(0, io.SeekEnd)
	if err != nil || end <= begin {
		// A device says that it ends where it begins.
		_, _ = seeker.Seek(begin, io.SeekStart)
		return
	}
	if _, err := seeker.Seek(begin, io.SeekStart); err != nil {
		return
	}
	u.seeker, u.begin, u.size = seeker, begin, end-begin
}

// may says whether the upload may be sent again after an error.
func (u *upload) may(err error) bool {
	begun, fault := u.body.state()
	return fault == nil && (u.seeker != nil || !begun) && mayRetry(err, true)
}

// upload sends a form, again where that can be. The client's patience counts from the first time
// that it failed: what an upload takes is no sign of trouble.
func (c *Client) upload(ctx context.Context, u *upload, out any) (http.Header, error) {
	var failed time.Time
	may := func(err error) bool {
		if failed.IsZero() {
			failed = c.now()
		}
		return c.now().Sub(failed) < c.retryFor && u.may(err)
	}
	return c.retryWhile(ctx, 0, may, func() (http.Header, error) { return c.uploadOnce(ctx, u, out) })
}

// uploadOnce sends the form. However long that takes, it goes on while the server takes more; the
// client's timeout bounds how long it may stand still.
func (c *Client) uploadOnce(ctx context.Context, u *upload, out any) (http.Header, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	const op = http.MethodPost + " " + tasksPath
	if u.seeker != nil {
		if _, err := u.seeker.Seek(u.begin, io.SeekStart); err != nil {
			return nil, fmt.Errorf("%s: reading the file: %w", op, err)
		}
	}
	u.body = newUploadBody(ctx, u, c.timeout, func() { cancel(fmt.Errorf("%w for %s", errStalled, c.timeout)) })
	defer u.body.abandon()
	r := request{method: http.MethodPost, path: tasksPath, content: u.contentType, header: map[string]string{"Idempotency-Key": u.key}}
	req, err := c.newRequest(ctx, r, u.body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = -1
	if u.size >= 0 {
		req.ContentLength = int64(len(u.head)) + u.size + int64(len(u.tail))
	}
	header, err := c.exchange(req, op, out)
	if err == nil {
		return header, nil
	}
	// Whoever sends it again signs in first.
	_ = c.forgets(req, err)
	var answer *Error
	switch _, fault := u.body.state(); {
	case errors.As(err, &answer):
		// The server may refuse a file before it has all of it.
	case fault != nil:
		err = fmt.Errorf("%s: reading the file: %w", op, fault)
	case ctx.Err() != nil:
		err = &networkError{url: c.base, op: op, err: context.Cause(ctx)}
	}
	return header, err
}

// uploadBody is the body of one try. The transport reads it, from another goroutine, and perhaps
// still when the try is over: by then it must leave the file alone, which the next try reads.
type uploadBody struct {
	file    io.Reader
	again   bool // the file is read again where the try fails
	size    int64
	sent    func(sent, total int64)
	stall   *time.Timer
	timeout time.Duration

	reading sync.Mutex // held while the file is read; guards in and left
	in      io.Reader
	left    int64 // of the file; negative: not known

	mu    sync.Mutex
	done  int64
	begun bool // the file was read from
	over  bool
	err   error // of the file
}

func newUploadBody(ctx context.Context, u *upload, timeout time.Duration, stalled func()) *uploadBody {
	b := &uploadBody{
		file: u.file, again: u.seeker != nil, size: u.size, left: u.size, sent: u.sent,
		timeout: timeout, stall: time.AfterFunc(timeout, stalled),
	}
	if !b.again {
		b.file = &interruptible{file: u.file, done: ctx.Done(), buf: make([]byte, 32<<10), got: make(chan readResult, 1)}
	}
	b.in = io.MultiReader(bytes.NewReader(u.head), readerFunc(b.readFile), bytes.NewReader(u.tail))
	return b
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements io.Reader. To wait for the file is not to stand still: the clock runs from the
// end of one read to the next.
func (b *uploadBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if !b.note(func() { b.stall.Stop() }) {
		return 0, errOver
	}
	n, err := b.in.Read(p)
	b.note(func() { b.stall.Reset(b.timeout) })
	return n, err
}

// Close implements io.Closer; the file stays open.
func (b *uploadBody) Close() error { return nil }

// readFile reads from the file, no more than there was at the beginning where that is known.
func (b *uploadBody) readFile(p []byte) (int, error) {
	b.note(func() { b.begun = true })
	if b.left >= 0 {
		p = p[:min(int64(len(p)), b.left)]
		if len(p) == 0 {
			return 0, io.EOF
		}
	}
	n, err := b.file.Read(p)
	if b.left >= 0 {
		b.left -= int64(n)
		if errors.Is(err, io.EOF) && b.left > 0 {
			err = errShrunk
		}
	}
	b.note(func() {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errOver) {
			b.err = err
		}
		if b.done += int64(n); b.sent != nil && n > 0 {
			b.sent(b.done, b.size)
		}
	})
	return n, err
}

// note does something unless the try is over.
func (b *uploadBody) note(do func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		do()
	}
	return !b.over
}

// state returns whether the file was read from at all, and what that failed with.
func (b *uploadBody) state() (begun bool, fault error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.begun, b.err
}

// interruptible reads a file whose reads may take for ever, such as a pipe, until done: the
// transport waits for a read under way before it lets anyone go.
type interruptible struct {
	file io.Reader
	done <-chan struct{}
	buf  []byte // of a read that may outlive the upload
	rest []byte // of buf, not handed on yet
	got  chan readResult
	err  error
}

type readResult struct {
	n   int
	err error
}

// Read implements io.Reader.
func (i *interruptible) Read(p []byte) (int, error) {
	if len(i.rest) == 0 && i.err == nil {
		go func() {
			n, err := i.file.Read(i.buf)
			i.got <- readResult{n, err}
		}()
		select {
		case <-i.done:
			i.err = errOver
		case got := <-i.got:
			i.rest, i.err = i.buf[:got.n], got.err
		}
	}
	n := copy(p, i.rest)
	if i.rest = i.rest[n:]; len(i.rest) > 0 {
		return n, nil
	}
	return n, i.err
}

// abandon ends the try. A read that is under way is waited for only where another try follows: one
// of a terminal or a pipe may never end.
func (b *uploadBody) abandon() {
	b.mu.Lock()
	b.over = true
	b.stall.Stop()
	b.mu.Unlock()
	if b.again {
		b.reading.Lock()
		defer b.reading.Unlock()
	}
}
