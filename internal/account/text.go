package account

import (
	"maps"
	"slices"
)

// AppendText appends s to dst as canonical JSON: what encoding/json writes
// without its escapes for HTML.
func AppendText(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			continue
		}
		if c >= 0x7f {
			if c == 0x7f || c < 0xe2 || s[i:] < "\u2028" || s[i:] >= "\u202a" {
				continue
			}
			dst = append(dst, s[from:i]...)
			dst = append(dst, '\\', 'u', '2', '0', '2', digits[s[i+2]&0xf])
			i += 2
			from = i + 1
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&0xf])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// AppendTexts appends an array of texts to dst, as AppendText writes them.
func AppendTexts(dst []byte, texts []string) []byte {
	dst = append(dst, '[')
	for i, s := range texts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendText(dst, s)
	}
	return append(dst, ']')
}

// Append appends the body to dst, canonical.
func (b *EntitlementBody) Append(dst []byte) []byte {
	start := len(dst)
	member := func(name string) {
		if len(dst) == start {
			dst = append(dst, '{')
		} else {
			dst = append(dst, ',')
		}
		dst = append(AppendText(dst, name), ':')
	}
	if b.DisplayName != "" {
		member("displayName")
		dst = AppendText(dst, b.DisplayName)
	}
	if b.Description != "" {
		member("description")
		dst = AppendText(dst, b.Description)
	}
	if len(b.Attributes) > 0 {
		member("attributes")
		dst = appendAttributes(dst, b.Attributes, AppendText)
	}
	if len(dst) == start {
		dst = append(dst, '{')
	}
	return append(dst, '}')
}

// appendAttributes appends an object, its members sorted by the bytes of their
// names.
func appendAttributes[V any](dst []byte, attributes map[string]V, value func([]byte, V) []byte) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(attributes)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = value(append(AppendText(dst, name), ':'), attributes[name])
	}
	return append(dst, '}')
}
