package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"stint/internal/app"
)

// maxHeadFile bounds the file of a head, in bytes.
const maxHeadFile = 64 << 10

func newAuditVerifyCommand(s *session) *cobra.Command {
	var f auditFlags
	var head string
	var output *outputFlag
	cmd := &cobra.Command{
		Use:   "verify --db PATH [--head FILE]",
		Short: "Tell whether the audit of a database was altered",
		Long: "Hold every entry of the audit against its chain: what was altered, inserted or taken away between others is\n" +
			"named by its place. Entries that were cut off the end show only against a head that was exported before\n" +
			"(stint audit head) and kept elsewhere. A server may be using the database.\n\n" +
			"Exit status: 0 the audit is whole, 1 it was altered, 2 it could not be verified.",
		Example: "  stint audit verify --db stint.db --head /mnt/witness/audit-2026-11-24.head",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flagsFromEnv(s, cmd.Flags()); err != nil {
				return err
			}
			o := app.AuditOptions{DB: f.db, KeyFile: f.keyFile, Now: s.now}
			if head != "" {
				var err error
				if o.Head, err = s.readHead(head); err != nil {
					return err
				}
			}
			report, err := app.VerifyAudit(cmd.Context(), o)
			if err != nil {
				return err
			}
			if output.value == "json" {
				err = s.writeVerdictJSON(report)
			} else {
				err = writeVerdict(s.Out, report)
			}
			if err == nil && !report.Whole() {
				return &exitCodeError{code: exitNegative}
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&head, "head", "", "file of a head that was exported before; - is standard input")
	output = addOutputFlag(cmd, "text", "text", "json")
	return cmd
}

func (s *session) readHead(path string) ([]byte, error) {
	in, err := s.open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxHeadFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(text) > maxHeadFile {
		return nil, fmt.Errorf("%s is not the head of an audit: it is larger than any", path)
	}
	return text, nil
}

func entriesAs(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return strconv.FormatInt(n, 10) + " entries"
}

// writeVerdict says what was found to people.
func writeVerdict(w io.Writer, r *app.AuditReport) error {
	var b strings.Builder
	if r.Whole() {
		fmt.Fprintf(&b, "The audit is whole: %s", entriesAs(r.Entries))
	} else {
		fmt.Fprintf(&b, "The audit was ALTERED: %s in %s", countedAs(int64(r.Wrong), "finding"), entriesAs(r.Entries))
	}
	fmt.Fprintf(&b, " of the deployment %s.\n", escapeLine(string(r.Deployment)))
	for _, f := range r.Findings {
		b.WriteString("  " + escapeLine(f.String()) + "\n")
	}
	if more := r.Wrong - len(r.Findings); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	if r.Deleted > 0 {
		fmt.Fprintf(&b, "Retention has deleted %s, from %s or before; signed checkpoints stand in their place.\n",
			entriesAs(r.Deleted), wireTime(r.Until))
	}
	switch {
	case r.Head == nil:
		b.WriteString("Without a head (--head) nothing shows that the end was not cut off.\n")
	case r.Whole():
		fmt.Fprintf(&b, "It goes on from the head of %s: %s then, %d since.\n",
			wireTime(r.Head.Time), entriesAs(r.Head.Entries()), r.SinceHead)
		if r.BeyondHead > 0 {
			fmt.Fprintf(&b, "In %s retention has deleted past the head: there it proves nothing; export a newer one.\n",
				countedAs(int64(r.BeyondHead), "chain"))
		}
	}
	fmt.Fprintf(&b, "Public key of heads and checkpoints: %s\n", r.PublicKey)
	_, err := io.WriteString(w, b.String())
	return err
}

// verdictJSON is what was found, for programs.
type verdictJSON struct {
	Whole      bool          `json:"whole"`
	Deployment string        `json:"deployment"`
	Entries    int64         `json:"entries"`
	Deleted    int64         `json:"deleted"`
	Until      *string       `json:"deletedUntil"`
	Head       *string       `json:"head"`
	SinceHead  *int64        `json:"sinceHead"`
	BeyondHead *int          `json:"chainsPastHead"`
	Wrong      int           `json:"wrong"`
	Findings   []findingJSON `json:"findings"`
	PublicKey  string        `json:"publicKey"`
}

type findingJSON struct {
	ID    *string `json:"id"`
	Where *string `json:"where"`
	What  string  `json:"what"`
}

func (s *session) writeVerdictJSON(r *app.AuditReport) error {
	v := verdictJSON{
		Whole: r.Whole(), Deployment: string(r.Deployment), Entries: r.Entries, Deleted: r.Deleted, Wrong: r.Wrong,
		Findings: []findingJSON{}, PublicKey: r.PublicKey.String(),
	}
	if r.Deleted > 0 {
		until := wireTime(r.Until)
		v.Until = &until
	}
	if r.Head != nil {
		at := wireTime(r.Head.Time)
		v.Head, v.SinceHead, v.BeyondHead = &at, &r.SinceHead, &r.BeyondHead
	}
	for _, f := range r.Findings {
		found := findingJSON{What: f.What}
		if f.Shard >= 0 {
			where := f.Place.String()
			found.Where = &where
			if f.Number > 0 {
				id := string(f.ID())
				found.ID = &id
			}
		}
		v.Findings = append(v.Findings, found)
	}
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return s.writeJSON(append(text, '\n'))
}
