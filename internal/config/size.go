package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes that may be written with a unit: 64KiB, 512MiB,
// 1GiB; also in powers of ten, as 10MB.
type Size int64

// units are those of a size, the longest first.
func units() []struct {
	name  string
	bytes int64
} {
	return []struct {
		name  string
		bytes int64
	}{
		{"GiB", 1 << 30},
		{"MiB", 1 << 20},
		{"KiB", 1 << 10},
		{"GB", 1e9},
		{"MB", 1e6},
		{"KB", 1e3},
		{"B", 1},
	}
}

// Set reads a flag's value.
func (s *Size) Set(text string) error {
	digits, factor := text, int64(1)
	for _, u := range units() {
		if rest, ok := strings.CutSuffix(text, u.name); ok {
			digits, factor = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	const most = 1 << 50
	if err != nil || n < 0 || n > most/factor {
		return fmt.Errorf("%q is not a size: like 64KiB, 512MiB or 1GiB", text)
	}
	*s = Size(n * factor)
	return nil
}

// String writes the size in the greatest unit of which it is a whole number.
func (s Size) String() string {
	for _, u := range units()[:3] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// Type names the type in help texts.
func (s Size) Type() string { return "size" }
