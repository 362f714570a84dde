package auth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
)

// newSecret returns the secret of a client: 256 random bits.
func newSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// digest is what is stored of a secret. It takes the key file to compute one, so
// that a copied database says nothing about a guess.
func (k *Keyring) digest(secret string) []byte {
	mac := hmac.New(sha256.New, k.Derive(purposeSecrets))
	mac.Write([]byte(secret))
	return mac.Sum(nil)
}

// matches compares in constant time. Without a digest there is as much to do, and
// nothing matches.
func (k *Keyring) matches(secret string, digest []byte) bool {
	return hmac.Equal(k.digest(secret), digest)
}
