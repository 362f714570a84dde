package config_test

import (
	"strings"
	"testing"

	"stint/internal/config"
)

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		bytes   int64
		written string
	}{
		"0": {0, "0"}, "1": {1, "1"}, "1B": {1, "1"}, "1023": {1023, "1023"}, "1024": {1024, "1KiB"}, "64KiB": {64 << 10, "64KiB"},
		"1536KiB": {1536 << 10, "1536KiB"}, "1024KiB": {1 << 20, "1MiB"}, "512MiB": {512 << 20, "512MiB"}, "512 MiB": {512 << 20, "512MiB"},
		"1GiB": {1 << 30, "1GiB"}, "2048MiB": {2 << 30, "2GiB"}, "10KB": {10_000, "10000"}, "10MB": {10_000_000, "10000000"},
		"1GB": {1_000_000_000, "1000000000"}, "1024GB": {1_024_000_000_000, "1000000000KiB"}, "1048576GiB": {1 << 50, "1048576GiB"},
		"1125899906842624": {1 << 50, "1048576GiB"}, "1125899GB": {1125899e9, "1125899000000000"},
	} {
		var s config.Size
		if err := s.Set(in); err != nil || int64(s) != want.bytes || s.String() != want.written {
			t.Errorf("%q: got %d, written %q, %v; want %d, %q", in, s, s, err, want.bytes, want.written)
		}
		var again config.Size
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%q: written %q, which is read as %d, %v", in, s, again, err)
		}
	}
	for _, in := range []string{
		"", " ", "B", "MiB", "-1", "-1MiB", "1.5GiB", "1e9", "0x10", "1_000", "1gib", "1KiBB", "1K", "1TiB", "1 2", "1048577GiB",
		"1125899906842625", "9223372036854775807GiB", "9223372036854775808", "18446744073709551617", "１",
	} {
		s := config.Size(7)
		err := s.Set(in)
		if err == nil || s != 7 {
			t.Errorf("%q: got %d, %v; want an error, and the value left", in, s, err)
		} else if !strings.Contains(err.Error(), `"`+in+`"`) || !strings.Contains(err.Error(), "GiB") {
			t.Errorf("%q: the error is %q; want the value and what is allowed", in, err)
		}
	}
}

func TestWorkersAndUploadsAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*config.Config)
		says   []string // nothing: it is allowed
	}{
		"no workers":       {func(c *config.Config) { c.Workers = 0 }, []string{"--workers 0", "1 to 1000"}},
		"negative workers": {func(c *config.Config) { c.Workers = -1 }, []string{"--workers -1"}},
		"one worker":       {func(c *config.Config) { c.Workers = 1 }, nil},
		"most workers":     {func(c *config.Config) { c.Workers = 1000 }, nil},
		"too many workers": {func(c *config.Config) { c.Workers = 1001 }, []string{"--workers 1001", "1 to 1000"}},
		"no upload":        {func(c *config.Config) { c.MaxUpload = 0 }, []string{"--max-upload 0"}},
		"least upload":     {func(c *config.Config) { c.MaxUpload = 1 }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config.Default()
			c.InsecureNoAuth = true
			test.change(&c)
			err := c.Validate()
			if (err == nil) != (test.says == nil) {
				t.Fatalf("got %v", err)
			}
			for _, text := range test.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %q, want it to say %q", err, text)
				}
			}
		})
	}
}
