package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"

	"stint/internal/task"
)

// Shards is how many chains there are beside each other: writers that change
// different things need not wait for each other's link. It never changes.
const Shards = 16

// Link is what one entry adds to the chain of its shard.
type Link [sha256.Size]byte

// String writes a link in hex.
func (l Link) String() string { return hex.EncodeToString(l[:]) }

// ParseLink reads a link of exactly its size.
func ParseLink(b []byte) (Link, error) {
	if len(b) != sha256.Size {
		return Link{}, fmt.Errorf("a link of %d bytes, want %d", len(b), sha256.Size)
	}
	return Link(b), nil
}

// Place is where an entry stands: the Number-th, from 1, of its shard.
type Place struct {
	Shard  int
	Number int64
}

// ID is a place as the API writes it. Its order is not that of time.
func (p Place) ID() task.ID { return task.ID(fmt.Sprintf("%016x%016x", p.Shard, p.Number)) }

// String is a place for people.
func (p Place) String() string { return fmt.Sprintf("shard %d, number %d", p.Shard, p.Number) }

// ParsePlace reads the id of an entry. It reports false for what is none.
func ParsePlace(s string) (Place, bool) {
	id, ok := task.ParseID(s)
	if !ok {
		return Place{}, false
	}
	shard, err := strconv.ParseUint(string(id[:16]), 16, 64)
	number, err2 := strconv.ParseInt(string(id[16:]), 16, 64)
	if err != nil || err2 != nil || shard >= Shards || number < 1 {
		return Place{}, false
	}
	return Place{int(shard), number}, true
}

// Tip is the end of a chain: its last entry's number and link.
type Tip struct {
	Number int64
	Link   Link
}

// Recorded is an entry as it is stored.
type Recorded struct {
	Entry
	Place
	Link Link
}

// ShardOf returns the shard of the entries about an object, so that what
// happened to one thing is in one chain.
func ShardOf(object string) int {
	sum := sha256.Sum256([]byte(object))
	return int(sum[0]) % Shards
}

// Chain makes the links of one deployment. It is safe for concurrent use.
type Chain struct {
	key        []byte
	deployment task.ID
}

// NewChain returns the chain of a deployment under a key. Under an empty key
// anybody can make links: the chain then shows mistakes, but proves nothing.
func NewChain(key []byte, deployment task.ID) *Chain {
	return &Chain{append([]byte(nil), key...), deployment}
}

// Of returns the chain of another deployment under the same key.
func (c *Chain) Of(deployment task.ID) *Chain { return &Chain{c.key, deployment} }

// KeyCheck is stored where a chain begins, so that another key is told from an
// altered chain. It says nothing about the key.
func (c *Chain) KeyCheck() Link {
	return c.sum("key check", func(f fields) { f.text(string(c.deployment)) })
}

// Begin is the tip of a shard that has no entry yet.
func (c *Chain) Begin(shard int) Tip {
	return Tip{Link: c.sum("begin", func(f fields) {
		f.text(string(c.deployment))
		f.number(int64(shard))
	})}
}

// Next is the tip of a shard once e has followed after.
func (c *Chain) Next(shard int, after Tip, e *Entry) Tip {
	next := Tip{Number: after.Number + 1}
	next.Link = c.sum("entry", func(f fields) {
		f.number(int64(shard))
		f.number(next.Number)
		f.bytes(after.Link[:])
		e.write(f)
	})
	return next
}

// write writes every field of an entry. An absent Before is an empty one: no
// JSON is.
func (e *Entry) write(f fields) {
	f.number(e.At.UnixMilli())
	for _, s := range []string{
		string(e.Action), e.Origin.Actor, e.Origin.Client, e.Origin.Address, e.Origin.Agent, e.Origin.RequestID, e.Object,
	} {
		f.text(s)
	}
	f.bytes(e.Before)
	f.bytes(e.After)
	f.text(e.Words)
	f.text(e.Reason)
}

// sum authenticates fields under the key. The purpose comes first, so that a sum
// for one purpose is none for another.
func (c *Chain) sum(purpose string, write func(fields)) Link {
	mac := hmac.New(sha256.New, c.key)
	f := fields{mac}
	f.text("stint audit 1: " + purpose)
	write(f)
	return Link(mac.Sum(nil))
}

// fields writes fields so that no two sequences of them are the same bytes: each
// text is preceded by its length.
type fields struct{ to hash.Hash }

func (f fields) number(n int64) {
	_, _ = f.to.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) //nolint:gosec // the bits are what counts
}

func (f fields) bytes(b []byte) {
	f.number(int64(len(b)))
	_, _ = f.to.Write(b)
}

func (f fields) text(s string) { f.bytes([]byte(s)) }
