package delimited

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"stint/internal/account"
	"stint/internal/connector/delimited/delimitedtest"
	"stint/internal/source"
)

const benchmarkRows = 100_000

func generated(tb testing.TB, o delimitedtest.Options) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := delimitedtest.Generate(&b, o); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func generatedSettings() Settings {
	return Settings{
		Class: account.Accounts,
		File:  source.File{AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"}, Delimiter: ",", MultiValueSeparator: ","},
	}
}

func BenchmarkCheck(b *testing.B) {
	file := generated(b, delimitedtest.Options{Rows: benchmarkRows, Seed: 1, Groups: true})
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Check(bytes.NewReader(file), generatedSettings()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchmarkRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkNext(b *testing.B) {
	file := generated(b, delimitedtest.Options{Rows: benchmarkRows, Seed: 1, Groups: true})
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(bytes.NewReader(file), generatedSettings())
		for err == nil {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchmarkRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkGenerate(b *testing.B) {
	for b.Loop() {
		if err := delimitedtest.Generate(io.Discard, delimitedtest.Options{Rows: benchmarkRows, Seed: 1, Groups: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(benchmarkRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
