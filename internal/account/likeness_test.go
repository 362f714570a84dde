package account_test

import (
	"testing"

	"pgregory.net/rapid"

	"stint/internal/account"
)

// Two records of one key can be one exactly where their likeness is the same:
// who compares the texts need not try to merge.
func TestLikenessTellsWhatMerges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		columns := rapid.SampledFrom([][]string{nil, {"g"}, {"g", "h"}}).Draw(t, "columns")
		draw := func(label string) account.Record {
			return account.Record{
				Key: "k", Name: rapid.SampledFrom([]string{"a", "b"}).Draw(t, label+" name"),
				Body: []byte(rapid.SampledFrom([]string{
					`{}`, `{"g":["x"]}`, `{"g":["y"],"n":"1"}`, `{"n":"1"}`, `{"h":["z"],"n":"1"}`, `{"n":"2"}`,
				}).Draw(t, label+" body")),
			}
		}
		first, second := draw("first"), draw("second")
		_, merges := account.Merge(first, second, columns)
		if alike := account.Likeness(&first, columns) == account.Likeness(&second, columns); alike != merges {
			t.Fatalf("alike %v, merges %v: %s %s and %s %s", alike, merges, first.Name, first.Body, second.Name, second.Body)
		}
	})
}
