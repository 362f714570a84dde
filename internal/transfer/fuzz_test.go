package transfer_test

import (
	"bytes"
	"errors"
	"testing"

	"stint/internal/apptest"
	"stint/internal/task"
	"stint/internal/transfer"
)

// FuzzRead: what is read is a task that the contract allows, and says the same
// when it is written and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"id":"034039a400723b4e35e45d4704c3a0a7","kind":"IDENTITY_REFRESH","type":"QUARTZ","uniqueName":"a","launcher":"b",` +
		`"created":"2026-11-24 23:40:50+0000","completed":1750000000000,"completionStatus":"error","messages":[{"type":"INFO","key":"k",` +
		`"localizedText":null,"parameters":["x",{"a":1}]}],"returns":[{"name":"n","attributeName":"a"}],"attributes":{"a":1e3},` +
		`"target":{"id":"x","type":"APPLICATION","name":"y"}}`))
	f.Add([]byte("\xef\xbb\xbf{}\r\n[1]"))
	catalog := task.NewCatalog()
	f.Fuzz(func(t *testing.T, data []byte) {
		for read, err := range transfer.Read(bytes.NewReader(data), catalog) {
			if err != nil {
				var typed *task.Error
				if !errors.As(err, &typed) || typed.Kind == task.Internal {
					t.Fatalf("got %v, want a typed error", err)
				}
				return
			}
			row, err := task.NewRow(&read)
			if err != nil {
				t.Fatal(err)
			}
			if err := apptest.DecodeTaskStatus(row.Wire); err != nil {
				t.Fatalf("%v: %s", err, row.Wire)
			}
			var out bytes.Buffer
			if err := transfer.Write(&out, row); err != nil {
				t.Fatal(err)
			}
			for again, err := range transfer.Read(&out, catalog) {
				if err != nil {
					t.Fatalf("what was written cannot be read: %v", err)
				}
				second, err := task.NewRow(&again)
				if err != nil || !bytes.Equal(second.Wire, row.Wire) || second.Kind != row.Kind || second.SourceID != row.SourceID {
					t.Fatalf("changed by a round trip:\n%s\n%s", row.Wire, second.Wire)
				}
			}
		}
	})
}
