// Package chunk packs the chunks that uploads are stored in.
//
// It owns their compression: a chunk is a zstd frame of its own, so that reading
// goes on anywhere. It does not own storage.
package chunk

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// MaxBytes is the most that one chunk of an upload holds.
const MaxBytes = 1 << 20

// Codec packs and unpacks chunks: one for all uploads of a store, for each holds
// megabytes. It works on one chunk at a time and is safe for concurrent use.
type Codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// New makes a Codec. Close ends it.
func New() (*Codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("compress uploads: %w", err)
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*MaxBytes))
	if err != nil {
		return nil, fmt.Errorf("decompress uploads: %w", err)
	}
	return &Codec{encoder, decoder}, nil
}

// Pack returns data as it is stored.
func (c *Codec) Pack(data []byte) []byte { return c.encoder.EncodeAll(data, nil) }

// Unpack is the reverse of Pack.
func (c *Codec) Unpack(packed []byte) ([]byte, error) {
	data, err := c.decoder.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress an upload: %w", err)
	}
	return data, nil
}

// Close ends the use of a Codec.
func (c *Codec) Close() { c.decoder.Close() }
