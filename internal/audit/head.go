package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"stint/internal/task"
)

// Signer signs heads and checkpoints. It is safe for concurrent use.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner returns the signer of a seed of 32 bytes.
func NewSigner(seed []byte) (*Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("a seed of %d bytes, want %d", len(seed), ed25519.SeedSize)
	}
	return &Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

// Public is the key that tells what this signer has signed.
func (s *Signer) Public() PublicKey {
	return PublicKey(s.key.Public().(ed25519.PublicKey)) //nolint:forcetypeassert // it is of no other type
}

// PublicKey tells what a signer has signed.
type PublicKey []byte

// String writes a public key in hex.
func (k PublicKey) String() string { return hex.EncodeToString(k) }

func (k PublicKey) verifies(message, signature []byte) bool {
	return len(k) == ed25519.PublicKeySize && ed25519.Verify(ed25519.PublicKey(k), message, signature)
}

// Head says how far the audit of a deployment had come at a time. Whoever keeps
// one elsewhere can tell later whether anything before it was changed.
type Head struct {
	Deployment task.ID
	Time       time.Time
	// Tips are those of the shards, in their order.
	Tips      [Shards]Tip
	PublicKey PublicKey
	Signature []byte
}

// Entries is how many entries there had been, deleted ones included.
func (h *Head) Entries() int64 {
	var n int64
	for _, tip := range h.Tips {
		n += tip.Number
	}
	return n
}

// SignHead completes a head.
func (s *Signer) SignHead(h *Head) {
	h.PublicKey = s.Public()
	h.Signature = ed25519.Sign(s.key, h.message())
}

// Signed reports whether a head is as the owner of a key signed it.
func (h *Head) Signed(by PublicKey) bool {
	return bytes.Equal(h.PublicKey, by) && by.verifies(h.message(), h.Signature)
}

func (h *Head) message() []byte {
	return message("head", func(f fields) {
		f.text(string(h.Deployment))
		f.number(h.Time.UnixMilli())
		for _, tip := range h.Tips {
			f.number(tip.Number)
			f.bytes(tip.Link[:])
		}
	})
}

// Checkpoint says how far retention has deleted a shard: up to and with the entry
// at Place, whose link it keeps, so that what follows can be verified.
type Checkpoint struct {
	Place
	Link Link
	// Made is when it was made; Until is the time up to which entries were deleted.
	Made, Until time.Time
	Signature   []byte
}

// SignCheckpoint completes a checkpoint of a deployment.
func (s *Signer) SignCheckpoint(deployment task.ID, c *Checkpoint) {
	c.Signature = ed25519.Sign(s.key, c.message(deployment))
}

// Signed reports whether a checkpoint is as the owner of a key signed it.
func (c *Checkpoint) Signed(deployment task.ID, by PublicKey) bool {
	return by.verifies(c.message(deployment), c.Signature)
}

func (c *Checkpoint) message(deployment task.ID) []byte {
	return message("checkpoint", func(f fields) {
		f.text(string(deployment))
		f.number(int64(c.Shard))
		f.number(c.Number)
		f.bytes(c.Link[:])
		f.number(c.Made.UnixMilli())
		f.number(c.Until.UnixMilli())
	})
}

// message is what is signed for a purpose.
func message(purpose string, write func(fields)) []byte {
	sum := sha256.New()
	f := fields{sum}
	f.text("stint audit 1: signed " + purpose)
	write(f)
	return sum.Sum(nil)
}

// headFormat begins the file of a head, so that another file is not taken for
// one.
const headFormat = "stint-audit-head-1"

// MaxHeadFile bounds the file of a head, in bytes.
const MaxHeadFile = 64 << 10

type headFile struct {
	Format     string     `json:"format"`
	Deployment string     `json:"deployment"`
	Time       string     `json:"time"`
	Entries    int64      `json:"entries"`
	Shards     []fileTip  `json:"shards"`
	PublicKey  hexPayload `json:"publicKey"`
	Signature  hexPayload `json:"signature"`
}

type fileTip struct {
	Number int64      `json:"number"`
	Link   hexPayload `json:"link"`
}

// hexPayload is bytes as JSON holds them here.
type hexPayload []byte

// MarshalText implements encoding.TextMarshaler.
func (h hexPayload) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexPayload) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// MarshalHead writes the file of a head.
func MarshalHead(h *Head) ([]byte, error) {
	f := headFile{
		Format: headFormat, Deployment: string(h.Deployment), Time: task.FormatTime(h.Time), Entries: h.Entries(),
		PublicKey: hexPayload(h.PublicKey), Signature: h.Signature,
	}
	for i := range h.Tips {
		f.Shards = append(f.Shards, fileTip{h.Tips[i].Number, h.Tips[i].Link[:]})
	}
	text, err := json.MarshalIndent(f, "", "  ")
	return append(text, '\n'), err
}

// ParseHead reads the file of a head. It does not check the signature.
func ParseHead(text []byte) (*Head, error) {
	var f headFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("is not the head of an audit: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is not the head of an audit: more follows behind it")
	}
	if f.Format != headFormat {
		return nil, fmt.Errorf("is not the head of an audit: its format is %q, want %q", task.Abbreviate(f.Format), headFormat)
	}
	deployment, ok := task.ParseID(f.Deployment)
	at, ok2 := task.ParseTime(f.Time)
	if !ok || !ok2 || len(f.Shards) != Shards {
		return nil, fmt.Errorf("is damaged: it needs a deployment, a time and %d shards", Shards)
	}
	h := &Head{Deployment: deployment, Time: at, PublicKey: PublicKey(f.PublicKey), Signature: f.Signature}
	for i, tip := range f.Shards {
		link, err := ParseLink(tip.Link)
		if err != nil || tip.Number < 0 {
			return nil, fmt.Errorf("is damaged in shard %d", i)
		}
		h.Tips[i] = Tip{tip.Number, link}
	}
	if h.Entries() != f.Entries {
		return nil, fmt.Errorf("is damaged: it says %d entries, its shards have %d", f.Entries, h.Entries())
	}
	return h, nil
}
