package apptest

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Buffer takes what a program writes while a test reads it and waits for it.
type Buffer struct {
	mu    sync.Mutex
	b     bytes.Buffer
	grown chan struct{}
}

// NewBuffer returns an empty buffer.
func NewBuffer() *Buffer { return &Buffer{grown: make(chan struct{}, 1)} }

// Write adds to the buffer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case b.grown <- struct{}{}:
	default:
	}
	return b.b.Write(p)
}

// String is all that was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Await waits until the buffer holds a text; one goroutine at a time may.
func (b *Buffer) Await(tb testing.TB, text string) {
	tb.Helper()
	timeout := time.After(30 * time.Second)
	for !strings.Contains(b.String(), text) {
		select {
		case <-b.grown:
		case <-timeout:
			tb.Fatalf("waiting for %q, got %q", text, b.String())
		}
	}
}
