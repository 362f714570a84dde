package cli

import (
	"bytes"
	"testing"
	"time"

	"stint/client"
)

func TestUploadLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		width int
		total int64
		want  string
	}{
		{0, 4 << 20, "uploading a\\x1b.csv: 2.0 MiB of 4.0 MiB\n"},
		{0, -1, "uploading a\\x1b.csv: 2.0 MiB\n"},
		{200, 4 << 20, "\r[============            ] uploading a\\x1b.csv: 2.0 MiB of 4.0 MiB\x1b[K\r\x1b[K"},
		{200, -1, "\ruploading a\\x1b.csv: 2.0 MiB\x1b[K\r\x1b[K"},
	} {
		var out bytes.Buffer
		now := time.Date(2026, 11, 24, 23, 40, 50, 0, time.UTC)
		s := &session{Stdio: Stdio{Err: &out}, now: func() time.Time { return now }}
		u := &uploadLine{progressLine: progressLine{s: s, width: test.width}, name: "a\x1b.csv", shown: now}
		u.sent(1000, test.total) // too early
		now = now.Add(uploadNote)
		u.sent(2<<20, test.total)
		u.sent(3<<20, test.total) // too soon
		u.end()
		if out.String() != test.want {
			t.Errorf("width %d, total %d: %q, want %q", test.width, test.total, out.String(), test.want)
		}
	}
}

func TestShortSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB", 3 << 29: "1.5 GiB"} {
		if got := shortSize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestChangeText(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]client.Change{
		"CREATED  1a2b  James Smith":                {Change: "CREATED", NativeIdentity: "1a2b", Name: "James Smith"},
		"UPDATED  1a2b  James  (department, title)": {Change: "UPDATED", NativeIdentity: "1a2b", Name: "James", ChangedAttributes: []string{"department", "title"}},
		"DELETED  groups=a":                         {Change: "DELETED", Attribute: "groups", NativeIdentity: "a", Name: "a"},
	} {
		if got := changeText(&c); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
