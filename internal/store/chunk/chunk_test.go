package chunk_test

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"testing"

	"stint/internal/store/chunk"
)

func newCodec(tb testing.TB) *chunk.Codec {
	tb.Helper()
	c, err := chunk.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func TestChunksComeBack(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	noise := make([]byte, chunk.MaxBytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	text := bytes.Repeat([]byte("u1,Ann,\"a;b\"\n"), chunk.MaxBytes/13)
	var wg sync.WaitGroup
	for _, data := range [][]byte{{}, {0}, noise[:1000], noise, text} {
		wg.Go(func() {
			packed := c.Pack(data)
			if got, err := c.Unpack(packed); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes come back as %d, %v", len(data), len(got), err)
			}
			if len(packed) > len(data)+len(data)/100+64 {
				t.Errorf("%d bytes are stored as %d", len(data), len(packed))
			}
		})
	}
	wg.Wait()
	if packed := c.Pack(text); len(packed) > len(text)/10 {
		t.Errorf("a file of %d bytes is stored as %d", len(text), len(packed))
	}
}

func TestDamagedChunksAreRefused(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	packed := c.Pack([]byte("u1,Ann\nu2,Bob\n"))
	cut := packed[:len(packed)-1]
	flipped := bytes.Clone(packed)
	flipped[len(flipped)-6] ^= 1
	// What would fill the memory is no chunk of ours.
	bomb := c.Pack(make([]byte, 8*chunk.MaxBytes))
	for name, data := range map[string][]byte{"cut": cut, "flipped": flipped, "no frame": []byte("u1,Ann"), "too large": bomb} {
		if got, err := c.Unpack(data); err == nil {
			t.Errorf("%s: it is read as %d bytes", name, len(got))
		}
	}
}
