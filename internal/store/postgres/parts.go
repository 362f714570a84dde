package postgres

import "stint/internal/store/chunk"

// parts are what other files keep in a Store.
type parts struct {
	chunks *chunk.Codec
}

func (p *parts) openParts() (err error) {
	p.chunks, err = chunk.New()
	return err
}

func (p *parts) closeParts() { p.chunks.Close() }
