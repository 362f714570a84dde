package execrun

import (
	"io"
	"os"
)

// input is the program's standard input.
type input struct {
	file *os.File
	// own says that file is ours to close, and feed what to write into the other end.
	own  bool
	feed func()
}

// openInput hands a file on as it is, so that the program reads it itself and stint takes
// nothing out of it. Another reader is copied through a pipe.
func openInput(from io.Reader) (*input, error) {
	if file, ok := from.(*os.File); ok {
		return &input{file: file}, nil
	}
	if from == nil {
		null, err := os.Open(os.DevNull)
		return &input{file: null, own: true}, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &input{file: reader, own: true, feed: func() {
		_, _ = io.Copy(writer, from)
		_ = writer.Close()
	}}, nil
}

// started gives up the end that the program has now and begins to feed it.
func (i *input) started() {
	if i.own {
		_ = i.file.Close()
	}
	if i.feed != nil {
		// It ends when the program closes its input or the reader ends; nobody waits for it.
		go i.feed()
	}
}
