package httpapi

import (
	"errors"
	"testing"
	"time"

	"stint/internal/source"
	"stint/internal/task"
)

// FuzzSourcePatch: whatever arrives as a patch of a source is an error that a
// client may see, or makes a valid source of the same id, type and times.
func FuzzSourcePatch(f *testing.F) {
	for _, body := range []string{
		`{"name":"x","connectorAttributes":{"entitlements":["a"],"displayName":null},"deletionThreshold":{"percent":5.0}}`,
		`{"connectorAttributes":null,"x":{"y":null}}`, `{"deletionThreshold":{"minimum":1e12},"id":null}`, `{}`, `null`, `[`, `"x"`, ``,
		`[{"op":"add","path":"/connectorAttributes/columns/-","value":"id"},{"op":"test","path":"/accountCount","value":0}]`,
		`[{"op":"move","from":"/name","path":"/description"},{"op":"copy","from":"/description","path":"/name"}]`,
		`[{"op":"replace","path":"","value":null},{"op":"copy","from":"/0","path":"/name"}]`,
	} {
		for _, media := range []string{"", mediaJSONPatch, mediaMergePatch} {
			f.Add(media, []byte(body))
		}
	}
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	before := source.Source{
		ID: "034039a400723b4e35e45d4704c3a0a7", Name: "fuzz", Type: source.DelimitedFile, Deletions: source.DefaultThreshold(),
		File:    source.File{AccountID: "id", Entitlements: []string{"g"}, MultiValueSeparator: ",", Delimiter: ","},
		Created: at, Modified: at, Accounts: 3,
	}
	f.Fuzz(func(t *testing.T, media string, body []byte) {
		doc, err := marshalSource(&before)
		if err != nil {
			t.Fatal(err)
		}
		after := before
		p, err := parseSourcePatch(media, body)
		if err == nil {
			after, err = p.source(before, doc)
		}
		if err != nil {
			if typed, ok := errors.AsType[*task.Error](err); !ok || typed.Kind == task.Internal {
				t.Fatalf("got %v, want an error for clients", err)
			}
			return
		}
		if err := after.Validate(); err != nil {
			t.Fatalf("a patch made what is not valid: %v", err)
		}
		if after.ID != before.ID || after.Type != before.Type || after.Accounts != 3 || !after.Created.Equal(at) || !after.Modified.Equal(at) {
			t.Fatalf("a patch made %+v", after)
		}
	})
}
