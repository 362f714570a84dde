package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
)

// AuditOptions say which audit to verify.
type AuditOptions struct {
	DB      string
	KeyFile string // empty: beside the database
	// Head, where there is one, is the file of an exported head to hold the audit
	// against.
	Head []byte
	Now  func() time.Time
}

// AuditReport is what a verification found, and under which key.
type AuditReport struct {
	audit.Verdict
	PublicKey audit.PublicKey
	// Head is that of the options, or the one that was made.
	Head *audit.Head
}

// VerifyAudit holds the audit of a database, which a server may be using, against
// its chain, and against a head. An error says that it could not be verified.
func VerifyAudit(ctx context.Context, o AuditOptions) (*AuditReport, error) {
	report, _, err := verifyAudit(ctx, o)
	return report, err
}

// ExportAuditHead verifies the audit of a database and makes the file of its head.
// There is none where something is wrong: a head says that all was well.
func ExportAuditHead(ctx context.Context, o AuditOptions) (*AuditReport, []byte, error) {
	report, signer, err := verifyAudit(ctx, o)
	if err != nil || !report.Whole() {
		return report, nil, err
	}
	report.Head = &audit.Head{Deployment: report.Deployment, Time: o.Now().UTC().Truncate(time.Millisecond), Tips: report.Tips}
	signer.SignHead(report.Head)
	file, err := audit.MarshalHead(report.Head)
	if err != nil {
		return nil, nil, fmt.Errorf("render the head: %w", err)
	}
	return report, file, nil
}

func verifyAudit(ctx context.Context, o AuditOptions) (*AuditReport, *audit.Signer, error) {
	var head *audit.Head
	if o.Head != nil {
		var err error
		if head, err = audit.ParseHead(o.Head); err != nil {
			return nil, nil, fmt.Errorf("the head %w", err)
		}
	}
	if err := config.CheckDatabase(o.DB, o.KeyFile); err != nil {
		return nil, nil, err
	}
	// A key that is made now has verified nothing.
	path := config.KeyFilePath(o.DB, o.KeyFile)
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("the key file: %w", err)
	}
	keys, err := auth.OpenKeyFile(path)
	if err != nil {
		return nil, nil, err
	}
	signer, err := audit.NewSigner(keys.Derive(auth.PurposeAuditHead))
	if err != nil {
		return nil, nil, err
	}
	store, err := openStore(ctx, o.DB, opening{readOnly: true})
	if err != nil {
		return nil, nil, err
	}
	defer store.Close()
	v := audit.NewVerifier(keys.Derive(auth.PurposeAudit), signer.Public(), head)
	if err := store.WalkAudit(ctx, v.Begin, v.Entry); err != nil {
		return nil, nil, fmt.Errorf("read the audit: %w", err)
	}
	verdict := v.End()
	if verdict.Foreign {
		return nil, nil, fmt.Errorf("the key of %s is not the one that the audit was begun with, or what tells so was altered; nothing could be verified", path)
	}
	return &AuditReport{Verdict: verdict, PublicKey: signer.Public(), Head: head}, signer, nil
}
