package auth

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"stint/internal/secretfile"
	"stint/internal/task"
)

// keySize is that of the key file's key and of those derived from it.
const keySize = 32

// keyLabel begins a key file, so that another file is not taken for one.
const keyLabel = "stint-key-1:"

// The purposes of derived keys. Changing one makes what it protects unreadable.
const (
	purposeSecrets = "client secrets"
	purposeSigning = "signing keys"
	purposeFirst   = "the id of the first client"
	purposeHooks   = "webhook secrets"
	purposeSession = "sessions of the console"
	// PurposeReports is that of the key of report tokens, PurposeAudit of the chain
	// of audit entries, PurposeAuditHead of the signature of its head.
	PurposeReports   = "report tokens"
	PurposeAudit     = "audit chain"
	PurposeAuditHead = "audit head"
)

// Keyring derives keys from the key of a file. It is safe for concurrent use.
type Keyring struct{ master []byte }

// OpenKeyFile reads the key file, or makes it, with mode 0600, where there is
// none. A file that others may read is refused; see package secretfile.
func OpenKeyFile(path string) (*Keyring, error) {
	k, err := ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := makeKeyFile(path); err != nil {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	return ReadKeyFile(path)
}

// NewKeyring returns the keyring of a key of 32 bytes.
func NewKeyring(master []byte) (*Keyring, error) {
	if len(master) != keySize {
		return nil, fmt.Errorf("a key of %d bytes, want %d", len(master), keySize)
	}
	return &Keyring{bytes.Clone(master)}, nil
}

// ReadKeyFile reads the key file. The error wraps fs.ErrNotExist where there is
// none.
func ReadKeyFile(path string) (*Keyring, error) {
	data, err := secretfile.Read(path)
	if err != nil {
		return nil, fmt.Errorf("the key file: %w", err)
	}
	text, ok := bytes.CutPrefix(bytes.TrimSpace(data), []byte(keyLabel))
	if !ok {
		return nil, fmt.Errorf("%s is not a key file of Stint: it does not begin with %s", path, keyLabel)
	}
	master, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(master) != keySize {
		return nil, fmt.Errorf("the key file %s is damaged", path)
	}
	return NewKeyring(master)
}

// makeKeyFile makes the file whole or not at all: whoever comes second finds the
// first one's.
func makeKeyFile(path string) error {
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".stint-key-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.WriteString(keyLabel + base64.StdEncoding.EncodeToString(key) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// Derive returns the key of a purpose (HKDF with SHA-256, RFC 5869).
func (k *Keyring) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, k.master, nil, "stint "+purpose, keySize)
	if err != nil {
		panic("derive a key: " + err.Error()) // only for lengths that are not ours
	}
	return key
}

// seal encrypts a text so that it cannot be taken for another's of the same
// purpose (AES-256-GCM).
func (k *Keyring) seal(purpose, id string, text []byte) ([]byte, error) {
	aead, err := k.aead(purpose)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, text, []byte(id)), nil //nolint:gosec // it makes a random nonce itself
}

func (k *Keyring) open(purpose, id string, sealed []byte) ([]byte, error) {
	aead, err := k.aead(purpose)
	if err != nil {
		return nil, err
	}
	return aead.Open(nil, nil, sealed, []byte(id))
}

// WebhookSecrets seals the secrets of webhooks.
type WebhookSecrets struct{ keyring *Keyring }

// WebhookSecrets returns what seals the secrets of webhooks.
func (k *Keyring) WebhookSecrets() WebhookSecrets { return WebhookSecrets{k} }

// Seal encrypts the secret of a webhook so that it cannot be taken for another's.
func (s WebhookSecrets) Seal(id task.ID, secret []byte) ([]byte, error) {
	return s.keyring.seal(purposeHooks, string(id), secret)
}

// Open decrypts what Seal has encrypted. It fails under another key file.
func (s WebhookSecrets) Open(id task.ID, sealed []byte) ([]byte, error) {
	return s.keyring.open(purposeHooks, string(id), sealed)
}

func (k *Keyring) aead(purpose string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k.Derive(purpose))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
