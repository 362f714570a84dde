package engine

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
)

func TestAuditRetention(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	signer, err := audit.NewSigner(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	keep := time.Hour
	retention := NewAuditRetention(b.store, signer, keep, b.clock.Now, discard())
	const n = 2*auditBatch + 50
	b.launchMany(t, n, 0, false)
	b.clock.Add(time.Second)
	b.launch(t, 0)
	want := func(want int64) {
		t.Helper()
		_, total, err := b.store.ListAudit(t.Context(), query.Page{Count: true, Sort: []query.Sorter{{Field: query.FieldCreated}}})
		if err != nil || total != want {
			t.Fatalf("%d entries are left, %v, want %d", total, err, want)
		}
		v := audit.NewVerifier(nil, signer.Public(), nil)
		if err := b.store.WalkAudit(t.Context(), v.Begin, v.Entry); err != nil {
			t.Fatal(err)
		}
		if verdict := v.End(); !verdict.Whole() || verdict.Entries != want {
			t.Fatalf("%d entries are verified, want %d; wrong is %v", verdict.Entries, want, verdict.Findings)
		}
	}
	b.clock.Add(keep - time.Second - time.Millisecond)
	retention.runOnce(t.Context())
	want(n + 1)
	b.clock.Add(time.Millisecond)
	NewAuditRetention(b.store, signer, 0, b.clock.Now, discard()).runOnce(t.Context()) // for ever
	retention.runOnce(cancelled(t))
	want(n + 1)
	retention.runOnce(t.Context())
	want(1)
}

func TestAuditRetentionSaysWhatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	signer, err := audit.NewSigner(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	retention := NewAuditRetention(b.store, signer, time.Hour, b.clock.Now, slog.New(slog.NewTextHandler(&out, nil)))
	if err := errors.Join(b.store.Close()); err != nil {
		t.Fatal(err)
	}
	retention.runOnce(t.Context())
	if !strings.Contains(out.String(), "cannot delete old audit entries") {
		t.Errorf("the log says %q", out.String())
	}
}
