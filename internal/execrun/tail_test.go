package execrun

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTailBuffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size   int
		writes []string
		want   string
	}{
		"empty":            {8, nil, ""},
		"less":             {8, []string{"abc", "def"}, "abcdef"},
		"exactly":          {6, []string{"abc", "def"}, "abcdef"},
		"more":             {4, []string{"abc", "def"}, "cdef"},
		"one long write":   {4, []string{"ab", "abcdefghij"}, "ghij"},
		"after a long one": {4, []string{"abcdefghij", "k"}, "hijk"},
		"round and round":  {3, []string{"a", "b", "c", "d", "e", "f", "g"}, "efg"},
		"cut character":    {4, []string{"aäöü"}, "öü"},
		"cut in the half":  {3, []string{"aäöü"}, "ü"},
		"not UTF-8":        {16, []string{"a\xffb"}, "a\ufffdb"},
		"NUL":              {16, []string{"a\x00b"}, "a\ufffdb"},
		"grows by escapes": {4, []string{"\x00\x00\x00\x00"}, "\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTailBuffer(c.size)
			for _, w := range c.writes {
				if n, err := b.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
			}
			if got := b.String(); got != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzTailBuffer(f *testing.F) {
	f.Add([]byte("abcdefghij"), 3, 4)
	f.Fuzz(func(t *testing.T, text []byte, piece, size int) {
		size = 1 + abs(size)%64
		b := newTailBuffer(size)
		for rest := text; len(rest) > 0; {
			n := min(1+abs(piece)%16, len(rest))
			_, _ = b.Write(rest[:n])
			rest = rest[n:]
		}
		kept := append(append([]byte(nil), b.ring[b.next:]...), b.ring[:b.next]...)
		if want := text[max(0, len(text)-size):]; !bytes.Equal(kept, want) {
			t.Fatalf("kept %q, want %q", kept, want)
		}
		got := b.String()
		if !utf8.ValidString(got) || strings.ContainsRune(got, 0) || len(got) > size {
			t.Fatalf("text %q", got)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}
