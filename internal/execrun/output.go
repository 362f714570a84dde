package execrun

import (
	"errors"
	"io"
	"os"
	"reflect"
	"sync"
	"time"
)

const (
	// promptPause is how long the beginning of a line that may be a directive is held back.
	promptPause = 200 * time.Millisecond
	// drainPause is how long output may pause after the program's end before it counts as
	// over: something the program left running may hold it open for ever.
	drainPause = 500 * time.Millisecond
	// drainLimit bounds the draining as a whole.
	drainLimit = 10 * time.Second
	copySize   = 32 << 10
)

// outputs are the program's output streams on their way through.
type outputs struct {
	now     func() time.Time
	tail    *tailBuffer
	readers []*os.File
	writers []*os.File
	stdout  *os.File
	stderr  *os.File
	work    sync.WaitGroup
	ended   chan struct{}

	mu sync.Mutex
	// exited is when the program ended; zero while it runs.
	exited time.Time
	// failed is the first fault in passing output on.
	failed error
}

// openOutputs makes the pipes. Where standard output and error are the same file they stay
// one stream, so that their order is kept.
func openOutputs(stdout, stderr io.Writer, tail *tailBuffer, now func() time.Time, on func(directive)) (*outputs, error) {
	o := &outputs{now: now, tail: tail, ended: make(chan struct{})}
	var err error
	if o.stdout, err = o.stream(stdout, on); err != nil {
		return nil, err
	}
	if o.stderr = o.stdout; !sameFile(stdout, stderr) {
		if o.stderr, err = o.stream(stderr, on); err != nil {
			o.close()
			return nil, err
		}
	}
	return o, nil
}

func sameFile(a, b io.Writer) bool {
	if reflect.TypeOf(a).Comparable() && a == b {
		return true
	}
	fileA, okA := a.(*os.File)
	fileB, okB := b.(*os.File)
	if !okA || !okB {
		return false
	}
	infoA, errA := fileA.Stat()
	infoB, errB := fileB.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

func (o *outputs) stream(to io.Writer, on func(directive)) (*os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o.readers, o.writers = append(o.readers, reader), append(o.writers, writer)
	o.work.Add(1)
	go func() {
		defer o.work.Done()
		// Closing is what tells the program that nobody reads any more, as a pipe does.
		defer func() { _ = reader.Close() }()
		o.copy(reader, &lineFilter{out: &teeWriter{to: to, tail: o.tail}, on: on})
	}()
	return writer, nil
}

// started closes the ends that the program has now, so that its end is seen.
func (o *outputs) started() {
	for _, w := range o.writers {
		_ = w.Close()
	}
	go func() {
		o.work.Wait()
		close(o.ended)
	}()
}

// close gives up pipes that no program was given.
func (o *outputs) close() {
	o.started()
	<-o.ended
}

// finish tells the copying that the program has ended, waits for the rest of its output, and
// returns the first fault in passing it on.
func (o *outputs) finish() error {
	o.mu.Lock()
	o.exited = o.now()
	for _, r := range o.readers {
		_ = r.SetReadDeadline(o.exited.Add(drainPause))
	}
	o.mu.Unlock()
	<-o.ended
	return o.failed
}

func (o *outputs) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		o.failed = err
	}
}

func (o *outputs) copy(from *os.File, filter *lineFilter) {
	buffer := make([]byte, copySize)
	for {
		o.setDeadline(from, filter.holding())
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := filter.Write(buffer[:n]); err != nil {
				o.fail(err)
				return
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			if o.over() {
				o.closeFilter(filter)
				return
			}
			if err := filter.release(); err != nil {
				o.fail(err)
				return
			}
		default:
			o.closeFilter(filter)
			return
		}
	}
}

func (o *outputs) closeFilter(filter *lineFilter) {
	if err := filter.Close(); err != nil {
		o.fail(err)
	}
}

func (o *outputs) setDeadline(from *os.File, holding bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var deadline time.Time
	if holding {
		deadline = o.now().Add(promptPause)
	}
	if !o.exited.IsZero() {
		deadline = o.now().Add(drainPause)
		if last := o.exited.Add(drainLimit); last.Before(deadline) {
			deadline = last
		}
	}
	_ = from.SetReadDeadline(deadline)
}

func (o *outputs) over() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.exited.IsZero()
}

// teeWriter passes output on and keeps its end.
type teeWriter struct {
	to   io.Writer
	tail *tailBuffer
}

func (w *teeWriter) Write(p []byte) (int, error) {
	if w.tail != nil {
		_, _ = w.tail.Write(p)
	}
	return w.to.Write(p)
}
