package delimitedtest_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"stint/internal/account"
	"stint/internal/connector/delimited"
	"stint/internal/connector/delimited/delimitedtest"
	"stint/internal/source"
)

// accounts reads what is generated, by native identity.
func accounts(t *testing.T, o delimitedtest.Options) map[string]account.Record {
	t.Helper()
	var file bytes.Buffer
	if err := delimitedtest.Generate(&file, o); err != nil {
		t.Fatal(err)
	}
	columns := delimitedtest.Columns()
	r, err := delimited.Open(&file, delimited.Settings{Class: account.Accounts, File: source.File{
		AccountID: columns[0], DisplayName: columns[1], Entitlements: columns[len(columns)-1:], Columns: columns,
	}})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]account.Record{}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil || row.Problem != nil {
			t.Fatal(err, row.Problem)
		}
		if _, twice := all[row.Record.Key]; twice {
			t.Fatalf("%s comes twice", row.Record.Key)
		}
		all[row.Record.Key] = row.Record
	}
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	const rows = 5_000
	before := delimitedtest.Options{Rows: rows, Seed: 7, Groups: true}
	after := before
	after.ChangePerMille, after.GonePerMille, after.NewPerMille = 50, 20, 10
	old, now := accounts(t, before), accounts(t, after)
	if len(old) != rows {
		t.Fatalf("%d accounts", len(old))
	}
	var changed, gone, created int
	for key, a := range old {
		b, ok := now[key]
		if !ok {
			gone++
			continue
		}
		if !bytes.Equal(a.Hash(), b.Hash()) {
			changed++
		}
	}
	for key := range now {
		if _, ok := old[key]; !ok {
			created++
		}
	}
	for name, c := range map[string]struct{ got, want int }{
		"changed": {changed, rows * 50 / 1000}, "gone": {gone, rows * 20 / 1000}, "new": {created, rows * 10 / 1000},
	} {
		if c.got < c.want*7/10 || c.got > c.want*13/10 {
			t.Errorf("%d are %s, want about %d", c.got, name, c.want)
		}
	}
	other := before
	other.Seed++
	same := 0
	for key, a := range accounts(t, other) {
		if b := old[key]; b.Name == a.Name {
			same++
		}
	}
	if same > rows/100 {
		t.Errorf("%d of another seed have the same name", same)
	}
}

// TestGenerateIsFixed: the same options make the same file, on every machine.
func TestGenerateIsFixed(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := delimitedtest.Generate(&file, delimitedtest.Options{Rows: 2, Seed: 1, Groups: true}); err != nil {
		t.Fatal(err)
	}
	const want = `id,name,firstName,lastName,email,department,title,manager,location,costCenter,status,groups
E00000000,Xenia Hofer,Xenia,Hofer,u0@example.com,Operations,Manager,,Porto,CC158,active,"wiki-edit,build,deploy"
E00000001,Petra Winter,Petra,Winter,u1@example.com,Engineering,Specialist,E00000000,Osaka,CC101,active,"stock,helpdesk,contractors,board"
`
	if got := file.String(); got != want {
		t.Fatalf("got\n%s", got)
	}
}
