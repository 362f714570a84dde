package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"
)

func TestFitColumns(t *testing.T) {
	t.Parallel()
	columns := taskColumns()
	natural := []int{32, 25, 40, 30, 12, 7, 8}
	for name, c := range map[string]struct {
		width int
		want  []int
	}{
		"room for all":         {200, []int{32, 25, 40, 30, 12, 7, 8}},
		"exactly":              {166, []int{32, 25, 40, 30, 12, 7, 8}},
		"the widest gives way": {150, []int{32, 25, 27, 27, 12, 7, 8}},
		"usual terminal":       {120, []int{32, 16, 16, 17, 12, 7, 8}},
		"old terminal":         {80, []int{32, 11, 11, 11, 0, 7, 0}},
		"narrow":               {40, []int{32, 0, 0, 0, 0, 0, 0}},
		"narrower than the id": {20, []int{32, 0, 0, 0, 0, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := fitColumns(columns, natural, c.width)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("widths (-want +got):\n%s", diff)
			}
			if total := totalWidth(got); total > max(c.width, 32) {
				t.Errorf("%d cells in a terminal of %d", total, c.width)
			}
		})
	}
}

func TestCutText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in    string
		width int
		want  string
	}{
		{"short", 5, "short"},
		{"longer", 5, "long…"},
		{"日本語テキスト", 7, "日本語…"},
		{"日本語", 6, "日本語"},
		{"日本語", 4, "日…"},
		{"ä", 0, ""},
	} {
		if got := cutText(c.in, c.width); got != c.want || text.StringWidth(got) > c.width {
			t.Errorf("cutText(%q, %d) = %q, want %q", c.in, c.width, got, c.want)
		}
	}
}

func TestWriteTableFits(t *testing.T) {
	t.Parallel()
	rows := [][]string{
		{strings.Repeat("0", 32), "CLOUD_ACCOUNT_AGGREGATION", strings.Repeat("name ", 20), "running 40% 日本語テキスト", "me", "now", "1m02s"},
		{strings.Repeat("1", 32), "X", "n", "SUCCESS", "System", "5m ago", ""},
	}
	for width := 33; width < 200; width++ {
		var b bytes.Buffer
		if err := writeTable(&b, taskColumns(), rows, width); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Fatalf("width %d: %d lines:\n%s", width, len(lines), b.String())
		}
		for _, line := range lines {
			if got := text.StringWidth(line); got > width {
				t.Fatalf("width %d: a line of %d: %q", width, got, line)
			}
		}
	}
}
