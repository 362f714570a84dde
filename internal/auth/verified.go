package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxVerified bounds how many tokens are remembered.
const maxVerified = 4096

// verified remembers tokens of our own whose signature and claims were good, until
// they expire: to verify one takes longer than most requests. What its client may
// do is looked up every time.
type verified struct {
	mu    sync.Mutex
	bySum map[[sha256.Size]byte]verifiedToken
}

type verifiedToken struct {
	client, scope string
	until         time.Time
}

func (v *verified) find(sum [sha256.Size]byte, now time.Time) (verifiedToken, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t, ok := v.bySum[sum]
	return t, ok && now.Before(t.until)
}

func (v *verified) add(sum [sha256.Size]byte, t verifiedToken) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.bySum == nil || len(v.bySum) >= maxVerified {
		v.bySum = map[[sha256.Size]byte]verifiedToken{}
	}
	v.bySum[sum] = t
}
