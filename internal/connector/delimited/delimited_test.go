package delimited

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/source"
	"stint/internal/task"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// settings are those of the small files: accounts or entitlements.
func settings(class account.Class) Settings {
	return Settings{Class: class, File: source.File{
		AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"}, Delimiter: ",", MultiValueSeparator: ",",
	}}
}

// read is what there is in a file: its rows and the position behind each.
type read struct {
	Rows []Row
	At   []Position
	Err  error
}

// drain reads rows to the end or the first error; Err is nil at the end.
func drain(r *Reader) read {
	var all read
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			all.Err = err
			return all
		}
		all.Rows = append(all.Rows, row)
		all.At = append(all.At, r.Position())
	}
}

// typed fails unless err is a refusal of the file.
func typed(tb testing.TB, err error) {
	tb.Helper()
	var e *task.Error
	if !errors.As(err, &e) || e.Kind != task.IllegalValue || e.Field != fileField {
		tb.Fatalf("got %v, want a task.Error of the file", err)
	}
}

// describe writes what was read as lines.
func describe(all read) string {
	var b strings.Builder
	for i, row := range all.Rows {
		if p := row.Problem; p != nil {
			fmt.Fprintf(&b, "line %d, cell %d %q: %s: %s; keep %q %t\n", p.Line, p.Column, p.Name, p.Key, p.Text, row.Record.Key, row.Record.Keep)
		} else {
			fmt.Fprintf(&b, "%q %q %s\n", row.Record.Key, row.Record.Name, row.Record.Body)
		}
		fmt.Fprintf(&b, "  then offset %d, line %d\n", all.At[i].Offset, all.At[i].Line)
	}
	return b.String()
}

func TestFiles(t *testing.T) {
	t.Parallel()
	semicolon := settings(account.Accounts)
	semicolon.File.Delimiter, semicolon.File.Entitlements = ";", nil
	people := settings(account.Accounts)
	people.File.DisplayName = "full name"
	for name, s := range map[string]Settings{
		"people": people, "semicolon": semicolon, "problems": settings(account.Accounts),
		"entitlements": settings(account.Entitlements), "entitlement-names": {Class: account.Entitlements},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", name+".csv")
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = file.Close() }()
			r, err := Open(file, s)
			if err != nil {
				t.Fatal(err)
			}
			all := drain(r)
			if all.Err != nil {
				t.Fatal(all.Err)
			}
			for _, row := range all.Rows {
				if p := row.Problem; p != nil && strings.Contains(p.Text+p.Name, "SECRET") {
					t.Errorf("the problem holds a cell: %+v", p)
				}
			}
			got := fmt.Sprintf("%q\n%s", r.Columns(), describe(all))
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Fatal(diff)
			}
			checkSummary(t, path, s, Summary{Columns: r.Columns(), Rows: int64(len(all.Rows))})
		})
	}
}

func checkSummary(t *testing.T, path string, s Settings, want Summary) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	want.Bytes = info.Size()
	got, err := Check(iotest.OneByteReader(file), s)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// TestShortEntitlement: a row too short to have the id is not that of the
// entitlement whose id is this name.
func TestShortEntitlement(t *testing.T) {
	t.Parallel()
	r, err := Open(strings.NewReader("name,id,x\na\na,\na,1\n"), Settings{Class: account.Entitlements})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, row := range drain(r).Rows {
		keys = append(keys, row.Record.Key)
	}
	want := []string{"", account.EntitlementKey("group", "a"), account.EntitlementKey("group", "1")}
	if diff := cmp.Diff(want, keys); diff != "" {
		t.Fatal(diff)
	}
}
