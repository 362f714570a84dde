package task_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"stint/internal/task"
)

func TestPositionsReadBackAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := task.Position{
			Changed: rapid.Int64Min(0).Draw(t, "changed"), ID: task.ID(rapid.StringMatching("[0-9a-f]{32}").Draw(t, "id")),
		}
		copy(p.Feed[:], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "feed"))
		if got, ok := task.ParsePosition(p.String()); !ok || got != p {
			t.Fatalf("%+v is written %s and read %+v, %v", p, p, got, ok)
		}
	})
	first := task.Position{Changed: 7}
	if got, ok := task.ParsePosition(first.String()); !ok || got.ID != task.ID(strings.Repeat("0", 32)) {
		t.Errorf("the position before all ids is read as %+v, %v", got, ok)
	}
}

func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{"", "x", task.Position{}.String(), strings.Repeat("_", 43), strings.Repeat("A", 44)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := task.ParsePosition(text)
		if b, err := base64.RawURLEncoding.DecodeString(text); ok && (err != nil || len(b) != 32) {
			t.Errorf("%q is taken for a position", text)
		}
		// One position has one form, but for line ends, which base64 passes over.
		if ok && p.String() != strings.NewReplacer("\r", "", "\n", "").Replace(text) {
			t.Errorf("%q is read as %+v, which is written %s", text, p, p)
		}
	})
}
