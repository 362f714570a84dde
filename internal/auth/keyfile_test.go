package auth

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"stint/internal/audit"
	"stint/internal/principal"
	"stint/internal/task"
)

func TestKeyFileIsMadeOnceAndReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stint.key")
	first, err := OpenKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	again, err := OpenKeyFile(path)
	if err != nil || !bytes.Equal(first.master, again.master) || len(first.master) != keySize {
		t.Errorf("read again it is another key (%v)", err)
	}
	other, err := OpenKeyFile(filepath.Join(t.TempDir(), "stint.key"))
	if err != nil || bytes.Equal(first.master, other.master) {
		t.Errorf("two files have one key (%v)", err)
	}
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(found) != 1 {
		t.Errorf("the directory holds %v, %v", found, err)
	}
}

func TestKeyFileAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "stint.key")
	keyrings := make([]*Keyring, 50)
	var wg sync.WaitGroup
	for i := range keyrings {
		wg.Go(func() {
			k, err := OpenKeyFile(path)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			keyrings[i] = k
		})
	}
	wg.Wait()
	for _, k := range keyrings {
		if k == nil || !bytes.Equal(k.master, keyrings[0].master) {
			t.Fatal("not all have the same key")
		}
	}
	if found, err := os.ReadDir(dir); err != nil || len(found) != 1 {
		t.Errorf("the directory holds %v, %v", found, err)
	}
}

func TestKeyFileRefused(t *testing.T) {
	t.Parallel()
	good := keyLabel + base64.StdEncoding.EncodeToString(make([]byte, keySize))
	for name, test := range map[string]struct {
		content string
		mode    fs.FileMode
		says    string
	}{
		"readable by the group": {good, 0o640, "0640"},
		"readable by all":       {good, 0o604, "chmod 600"},
		"writable by all":       {good, 0o602, "0602"},
		"empty":                 {"", 0o600, "not a key file"},
		"something else":        {"-----BEGIN PRIVATE KEY-----", 0o600, "not a key file"},
		"without its label":     {strings.TrimPrefix(good, keyLabel), 0o600, "not a key file"},
		"cut off":               {good[:len(good)-8], 0o600, "damaged"},
		"too long":              {keyLabel + base64.StdEncoding.EncodeToString(make([]byte, keySize+1)), 0o600, "damaged"},
		"no base64":             {good[:20] + "!" + good[21:], 0o600, "damaged"},
		"twice":                 {good + "\n" + good, 0o600, "damaged"},
	} {
		path := filepath.Join(t.TempDir(), "stint.key")
		if err := os.WriteFile(path, []byte(test.content), test.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		_, err := OpenKeyFile(path)
		if err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names the file and says %q", name, err, test.says)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != test.content {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
	if _, err := OpenKeyFile(filepath.Join(t.TempDir(), "no", "such", "stint.key")); err == nil {
		t.Error("a file in no directory was made")
	}
	if _, err := OpenKeyFile(t.TempDir()); err == nil {
		t.Error("a directory is a key file")
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := NewKeyring(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes is accepted", n)
		}
	}
}

func TestKeysOfOnePurposeServeNoOther(t *testing.T) {
	t.Parallel()
	k, other := someKeyring(t, 1), someKeyring(t, 2)
	seen := map[string]string{}
	for _, purpose := range []string{purposeSecrets, purposeSigning, PurposeReports, PurposeAudit, PurposeAuditHead} {
		for name, key := range map[string][]byte{purpose: k.Derive(purpose), purpose + " of another file": other.Derive(purpose)} {
			if was, taken := seen[string(key)]; taken || len(key) != keySize {
				t.Errorf("%s and %s have the same key of %d bytes", name, was, len(key))
			}
			seen[string(key)] = name
		}
		if !bytes.Equal(k.Derive(purpose), k.Derive(purpose)) {
			t.Errorf("the key of %s changes", purpose)
		}
	}
	sealed, err := k.seal(purposeSigning, "id", []byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := k.open(purposeSigning, "id", sealed); err != nil || string(text) != "text" {
		t.Errorf("opened it is %q, %v", text, err)
	}
	if _, err := k.open(purposeSigning, "another id", sealed); err == nil {
		t.Error("it opens under another id")
	}
	if _, err := k.open(purposeSecrets, "id", sealed); err == nil {
		t.Error("it opens for another purpose")
	}
	if _, err := other.open(purposeSigning, "id", sealed); err == nil {
		t.Error("it opens with another key file")
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := k.open(purposeSigning, "id", broken); err == nil {
			t.Errorf("it opens with a changed byte %d", i)
		}
	}
}

func TestDatabaseWithAnotherKeyFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := someKeyring(t, 9)
	_, err := NewService(t.Context(), Options{Store: b.store, Keyring: other, Issuer: issuer, Now: b.clock.Now})
	if !errors.Is(err, ErrOtherKeyFile) {
		t.Errorf("start: %v, want ErrOtherKeyFile", err)
	}
	if _, err := RotateKeys(t.Context(), b.store, other, b.clock.Now(), audit.System()); !errors.Is(err, ErrOtherKeyFile) {
		t.Errorf("rotate: %v, want ErrOtherKeyFile", err)
	}
	if stored, err := b.store.SigningKeys(t.Context()); err != nil || len(stored) != 1 {
		t.Errorf("%d keys, %v; want the first alone", len(stored), err)
	}
	b.signIn(t, b.client(t))
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	seen := map[string]bool{}
	for range 1000 {
		s := newSecret()
		if len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" || seen[s] {
			t.Fatalf("a secret is %q", s)
		}
		seen[s] = true
	}
	c := b.client(t)
	if len(c.Digest) != 32 || bytes.Contains(c.Digest, []byte(c.secret)) || !bytes.Equal(c.Digest, b.keyring.digest(c.secret)) {
		t.Errorf("the digest is %x", c.Digest)
	}
	if bytes.Equal(c.Digest, someKeyring(t, 2).digest(c.secret)) {
		t.Error("it takes no key file to compute a digest")
	}
	for name, secret := range map[string]string{
		"none": "", "another": newSecret(), "in upper case": strings.ToUpper(c.secret), "cut off": c.secret[:63], "with a blank": c.secret + " ",
		"its digest": string(c.Digest), "its id": string(c.ID),
	} {
		if b.keyring.matches(secret, c.Digest) || b.keyring.matches(secret, nil) {
			t.Errorf("%s matches", name)
		}
	}
	if !b.keyring.matches(c.secret, c.Digest) {
		t.Error("the secret does not match")
	}
	rotated, secret, err := b.Rotate(t.Context(), principal.PersonalAccessToken, c.ID, "", person())
	if err != nil || secret == c.secret || bytes.Equal(rotated.Digest, c.Digest) {
		t.Fatalf("rotated: %v", err)
	}
	_, err = b.SignIn(t.Context(), string(c.ID), c.secret, "", person())
	wantKind(t, err, task.Unauthenticated)
	b.signIn(t, made{rotated, secret})
}
