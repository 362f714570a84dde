package task

import (
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
)

// ID identifies a task: 32 lower-case hex digits. Nothing may rely on the order
// of ids; order is always (created, id).
type ID string

// NewID returns a UUIDv7 (RFC 9562) as 32 hex digits, so that new rows stay at
// the right edge of an index. It takes the clock and the randomness from its
// caller.
func NewID(now time.Time, random io.Reader) (ID, error) {
	var b [16]byte
	if _, err := io.ReadFull(random, b[6:]); err != nil {
		return "", fmt.Errorf("read random bytes for an id: %w", err)
	}
	ms := now.UnixMilli()
	for i := range 6 {
		b[i] = byte(ms >> (40 - 8*i)) //nolint:gosec // the truncation to one byte is the point
	}
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return ID(hex.EncodeToString(b[:])), nil
}

// ParseID reads an id as clients write it: ASCII case and the dashes of a UUID
// do not matter. It reports false for what cannot be an id.
func ParseID(s string) (ID, bool) {
	if len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' {
		s = strings.ReplaceAll(s, "-", "")
	}
	if len(s) != 32 {
		return "", false
	}
	s = LowerASCII(s)
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", false
		}
	}
	return ID(s), true
}
