package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/task"
)

// Aggregations are the operations on aggregations. Errors are *task.Error.
type Aggregations interface {
	// Receive stores and checks a file for a source; an error of in is returned
	// wrapped. Nothing is left of what was refused or broke off.
	Receive(ctx context.Context, sourceID task.ID, class account.Class, in io.Reader) (account.Upload, error)
	// Discard forgets a file that is not used.
	Discard(ctx context.Context, u account.Upload) error
	Launch(ctx context.Context, l account.Launch, key task.IdempotencyKey, from audit.Origin) (task.Launched, error)
	// Run is of kind NotFound where the task is no aggregation of Stint's own.
	Run(ctx context.Context, id task.ID) (account.Run, error)
}

const (
	// readTimeout is how long a client may send nothing in the middle of a file.
	readTimeout = 30 * time.Second
	// leastRate is how many bytes a second keep that time from running out: lines
	// are slow, but a byte now and then holds a connection for nothing.
	leastRate = 1 << 10
	// maxField bounds a field of a form that is no file; maxFields what all take,
	// with the form's own lines.
	maxField  = 1 << 20
	maxFields = 4 << 20
)

// form is a launch as a form sends it: fields, and perhaps a file.
type form struct {
	fields map[string]string
	upload account.Upload
	sum    hash.Hash // of all that it holds
}

// formReader reads a form part by part: the file goes to storage as it comes.
type formReader struct {
	*api
	w http.ResponseWriter
	r *http.Request
	// known are the fields that mean something; others are read over.
	known []string
	// receive takes the file, given the fields that came before it.
	receive func(ctx context.Context, fields map[string]string, in io.Reader) (account.Upload, error)
	patient *patientReader
}

// read reads the whole form. The file of a form that fails is forgotten.
func (f *formReader) read(ctx context.Context) (_ *form, err error) {
	got := &form{fields: map[string]string{}, sum: sha256.New()}
	defer func() {
		if err != nil && got.upload.ID != "" {
			err = errors.Join(err, f.discard(ctx, got.upload))
		}
	}()
	if f.r.ContentLength == 0 {
		// Some clients name a type, with or without a boundary, for a body that they do not send.
		return got, nil
	}
	parts, err := f.parts()
	if err != nil {
		return nil, err
	}
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF { // one that wraps it is no end of a form
			// The next request on this connection has its own time.
			_ = http.NewResponseController(f.w).SetReadDeadline(time.Time{})
			return got, f.still(ctx)
		}
		if err != nil {
			return nil, f.broken(err)
		}
		if err := f.part(ctx, part, got); err != nil {
			return nil, err
		}
	}
}

// discard forgets an upload, whatever became of the request.
func (a *api) discard(ctx context.Context, u account.Upload) error {
	return a.aggregations.Discard(context.WithoutCancel(ctx), u)
}

// parts begins to read the body.
func (f *formReader) parts() (*multipart.Reader, error) {
	header := f.r.Header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(header)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || media != "multipart/form-data" {
		return nil, task.Errorf(task.UnsupportedMediaType, "Content-Type", "%q is not read here: multipart/form-data", task.Abbreviate(header))
	}
	if params["boundary"] == "" {
		return nil, task.Errorf(task.Syntax, "Content-Type", "multipart/form-data has no boundary")
	}
	if coding := f.r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, task.Errorf(task.UnsupportedMediaType, "Content-Encoding", "%q is not read here: send the body as it is", coding)
	}
	body := http.MaxBytesReader(f.w, f.r.Body, f.maxUpload+maxFields)
	f.patient = &patientReader{in: body, ctl: http.NewResponseController(f.w), now: f.now, left: readTimeout}
	return multipart.NewReader(&endlessReader{in: f.patient, lineEnd: "\r\n"}, params["boundary"]), nil
}

// counter counts what is written.
type counter struct {
	to io.Writer
	n  int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.to.Write(p)
}

// part reads one part.
func (f *formReader) part(ctx context.Context, part *multipart.Part, got *form) error {
	name := part.FormName()
	got.sum.Write([]byte(strconv.Quote(name)))
	hashed := &counter{to: got.sum}
	// With its length behind it, no part can pass for several.
	defer func() { fmt.Fprintf(got.sum, "\x00%d;", hashed.n) }()
	in := io.TeeReader(part, hashed)
	if name == "file" {
		if got.upload.ID != "" {
			return task.Errorf(task.Content, "file", "is given more than once")
		}
		limited := &limitedReader{in: in, left: f.maxUpload, limit: f.maxUpload}
		upload, err := f.receive(ctx, got.fields, limited)
		if err != nil {
			return f.broken(err)
		}
		got.upload = upload
		return nil
	}
	value, err := io.ReadAll(io.LimitReader(in, maxField+1))
	if err != nil {
		return f.broken(err)
	}
	if len(value) > maxField {
		return task.Errorf(task.TooLarge, shortName(name), "is too large: at most %d bytes", maxField)
	}
	for _, known := range f.known {
		if name != known {
			continue
		}
		if _, again := got.fields[name]; again {
			return task.Errorf(task.Content, name, "is given more than once")
		}
		got.fields[name] = string(value)
	}
	return nil
}

func shortName(name string) string { return task.Abbreviate(strings.ToValidUTF8(name, "?")) }

// broken says why a body could not be read; an error that is typed stays.
func (f *formReader) broken(err error) error {
	if f.patient.over {
		// Its end has cancelled the request as well; the client is still there.
		return &task.Error{Kind: task.Syntax, Field: "body", Msg: "came too slowly", Err: err}
	}
	if _, typed := errors.AsType[*task.Error](err); typed {
		return err
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return task.Errorf(task.TooLarge, "body", "is too large: at most %d bytes", tooLarge.Limit)
	}
	if cancelled := f.r.Context().Err(); cancelled != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return cancelled
	}
	return &task.Error{Kind: task.Syntax, Field: "body", Msg: "is not a form that arrived whole", Err: err}
}

// limitedReader ends with an error past the limit.
type limitedReader struct {
	in          io.Reader
	left, limit int64
}

// Read implements io.Reader.
func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, task.Errorf(task.TooLarge, "file", "is too large: at most %d bytes (--max-upload)", l.limit)
	}
	return n, err
}

// patientReader gives a client a while for each piece of a body, not for all of
// it: files are large, and lines are slow.
type patientReader struct {
	in   io.Reader
	ctl  *http.ResponseController
	now  func() time.Time
	left time.Duration // how long the client may still be waited for
	over bool          // it was not waited for any longer
}

// Read implements io.Reader.
func (p *patientReader) Read(b []byte) (int, error) {
	// Where the connection has no deadlines, it has no need of them.
	start := p.now()
	_ = p.ctl.SetReadDeadline(start.Add(p.left))
	_ = p.ctl.SetWriteDeadline(start.Add(readTimeout + writeTimeout))
	n, err := p.in.Read(b)
	waited, earned := p.now().Sub(start), time.Duration(n)*time.Second/leastRate
	p.left = min(readTimeout, p.left-waited+earned)
	p.over = p.over || errors.Is(err, os.ErrDeadlineExceeded)
	return n, err
}

// endlessReader makes the closing boundary the only end of a form: the parser
// takes a body that ends among the headers of a part for whole. It ends the last
// line, which not every client does, and then with an error.
type endlessReader struct {
	in      io.Reader
	lineEnd string // as the lines before
	last    byte
	ended   bool
}

// Read implements io.Reader.
func (e *endlessReader) Read(p []byte) (int, error) {
	if !e.ended {
		n, err := e.in.Read(p)
		e.note(p[:n])
		if err != io.EOF { // one that wraps it is no end of a body
			return n, err
		}
		e.ended = true
		if n > 0 {
			return n, nil
		}
	}
	n := copy(p, e.lineEnd)
	if e.lineEnd = e.lineEnd[n:]; n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, io.ErrUnexpectedEOF
}

// note remembers how the last line of what was read has ended.
func (e *endlessReader) note(read []byte) {
	if at := bytes.LastIndexByte(read, '\n'); at >= 0 {
		before := e.last
		if at > 0 {
			before = read[at-1]
		}
		e.lineEnd = "\n"
		if before == '\r' {
			e.lineEnd = "\r\n"
		}
	}
	if len(read) > 0 {
		e.last = read[len(read)-1]
	}
}

// truth reads a field that is true or false, in any case; absent or empty is
// false.
func (g *form) truth(name string) (bool, error) {
	v := strings.TrimSpace(g.fields[name])
	switch {
	case task.EqualFoldASCII(v, "true"):
		return true, nil
	case v == "", task.EqualFoldASCII(v, "false"):
		return false, nil
	}
	return false, task.Errorf(task.IllegalValue, name, "%q is not allowed: true or false", shortName(v))
}

// number reads a field that is a whole number; absent or empty is 0.
func (g *form) number(name string) (int64, error) {
	v := strings.TrimSpace(g.fields[name])
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, task.Errorf(task.IllegalValue, name, "%q is not allowed: a whole number, 0 or more", shortName(v))
	}
	return n, nil
}
