package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"stint/internal/task"
)

// The headers of a message. Source: Standard Webhooks.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

const (
	secretSize   = 32
	secretPrefix = "whsec_"
)

// NewSecret returns the key of a webhook's signatures: 256 random bits.
func NewSecret() []byte {
	b := make([]byte, secretSize)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// ShowSecret writes a key as receivers take it.
func ShowSecret(secret []byte) string {
	return secretPrefix + base64.StdEncoding.EncodeToString(secret)
}

// Headers returns what says whose a message is, signed with each of the keys.
func Headers(id task.ID, now time.Time, body []byte, secrets ...[]byte) map[string]string {
	at := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, secret := range secrets {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(string(id) + "." + at + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return map[string]string{HeaderID: string(id), HeaderTimestamp: at, HeaderSignature: strings.Join(signatures, " ")}
}
