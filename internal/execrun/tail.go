package execrun

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// tailBuffer keeps the last bytes of what is written to it. Its memory is its size, whatever
// is written. It may be used from several goroutines.
type tailBuffer struct {
	mu   sync.Mutex
	ring []byte
	size int
	// next is where the next byte goes once the ring is full.
	next int
}

func newTailBuffer(size int) *tailBuffer { return &tailBuffer{size: size} }

// Write never fails.
func (t *tailBuffer) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	written := len(p)
	if len(p) >= t.size {
		t.ring, t.next = append(t.ring[:0], p[len(p)-t.size:]...), 0
		return written, nil
	}
	n := min(len(p), t.size-len(t.ring))
	t.ring = append(t.ring, p[:n]...)
	for p = p[n:]; len(p) > 0; p = p[n:] {
		n = copy(t.ring[t.next:], p)
		t.next = (t.next + n) % t.size
	}
	return written, nil
}

// String is what was kept, as text that every JSON store takes: valid UTF-8 without U+0000,
// not longer than the buffer's size in bytes.
func (t *tailBuffer) String() string {
	t.mu.Lock()
	raw := string(t.ring[t.next:]) + string(t.ring[:t.next])
	full := len(t.ring) == t.size
	t.mu.Unlock()
	// Where the beginning was cut off, it may be the middle of a character.
	for i := 0; full && i < utf8.UTFMax-1 && raw != "" && !utf8.RuneStart(raw[0]); i++ {
		raw = raw[1:]
	}
	text := strings.ReplaceAll(strings.ToValidUTF8(raw, "\ufffd"), "\x00", "\ufffd")
	if len(text) > t.size {
		text = text[len(text)-t.size:]
		for text != "" && !utf8.RuneStart(text[0]) {
			text = text[1:]
		}
	}
	return text
}
