package execrun

import (
	"bytes"
	"io"
)

// maxDirective bounds a directive line; a longer one is ordinary output.
const maxDirective = 8 << 10

// lineFilter passes a program's output on and takes directive lines out of it. It holds
// back only what may become a directive: the beginning of a line that starts like one.
// Everything else is passed on within the Write that brought it.
type lineFilter struct {
	out io.Writer
	on  func(directive)
	// held is the beginning of a line that may be a directive.
	held []byte
	// inLine says that the current line is ordinary and has begun.
	inLine bool
}

// Write passes p on. An error is the output's.
func (f *lineFilter) Write(p []byte) (int, error) {
	written := len(p)
	// What is ordinary gathers in p[:end], so that a block of lines stays one write.
	end := 0
	for end < len(p) {
		if f.inLine || (len(f.held) == 0 && p[end] != directiveMark[0]) {
			i := bytes.IndexByte(p[end:], '\n')
			if f.inLine = i < 0; f.inLine {
				break
			}
			end += i + 1
			continue
		}
		if err := f.pass(p[:end]); err != nil {
			return 0, err
		}
		n, err := f.hold(p[end:])
		if err != nil {
			return 0, err
		}
		p, end = p[end+n:], 0
	}
	if err := f.pass(p); err != nil {
		return 0, err
	}
	return written, nil
}

// hold takes bytes into the held beginning until it is decided, and says how many it took.
func (f *lineFilter) hold(p []byte) (int, error) {
	n := len(p)
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		n = i + 1
	}
	n = min(n, maxDirective-len(f.held))
	f.held = append(f.held, p[:n]...)
	whole := f.held[len(f.held)-1] == '\n'
	possible, _ := couldBeDirective(bytes.TrimRight(f.held, "\r\n"))
	if possible && whole {
		return n, f.decide()
	}
	if possible && len(f.held) < maxDirective {
		return n, nil
	}
	return n, f.release()
}

// decide ends a held line: it is a directive or ordinary output.
func (f *lineFilter) decide() error {
	if d, ok := parseDirective(f.held); ok {
		f.held = f.held[:0]
		f.on(d)
		return nil
	}
	return f.release()
}

// release passes the held beginning on as ordinary output.
func (f *lineFilter) release() error {
	if len(f.held) == 0 {
		return nil
	}
	f.inLine = f.held[len(f.held)-1] != '\n'
	err := f.pass(f.held)
	f.held = f.held[:0]
	return err
}

// holding says that something is held back that a pause should release: a beginning whose
// word is not complete, which may be a prompt.
func (f *lineFilter) holding() bool {
	if len(f.held) == 0 {
		return false
	}
	_, complete := couldBeDirective(f.held)
	return !complete
}

// Close ends the output; a last line without a line feed may be a directive.
func (f *lineFilter) Close() error {
	if len(f.held) == 0 {
		return nil
	}
	return f.decide()
}

func (f *lineFilter) pass(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	_, err := f.out.Write(p)
	return err
}
