package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"stint/internal/audit"
	"stint/internal/task"
)

// BenchmarkImport tells how fast tasks are imported; the fill of each size is
// one import.
func BenchmarkImport(b *testing.B) {
	each(b, func(b *testing.B, s *server) {
		b.Helper()
		for b.Loop() {
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(s.n)/s.filled.Seconds(), "tasks/s")
		b.ReportMetric(s.filled.Seconds(), "s")
	})
}

// BenchmarkReport measures reports, each on disk before it is answered, from
// one client and from 64 at once. Every report says something else: a page that
// does not change costs less.
func BenchmarkReport(b *testing.B) {
	each(b, func(b *testing.B, s *server) {
		b.Helper()
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { report(b, s, clients) })
		}
	})
}

func report(b *testing.B, s *server, clients int) {
	b.Helper()
	ctx := context.Background()
	definition := task.NewCatalog().Definitions()[0]
	var launched []task.Launched
	for range clients {
		l, err := s.tasks.Launch(ctx, task.Launch{Definition: definition}, task.IdempotencyKey{}, audit.Origin{Actor: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		launched = append(launched, l)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				progress := fmt.Sprintf("Read %d users", i)
				r := task.Report{Attempt: 1, Sequence: i, Progress: &progress}
				if _, err := s.tasks.Report(ctx, launched[c].Task.ID, launched[c].ReportToken, r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}

// BenchmarkLaunch measures launches, each on disk before it is answered, into a store
// that begins empty.
func BenchmarkLaunch(b *testing.B) {
	for _, kind := range kinds {
		for _, clients := range []int{1, 8, 32} {
			b.Run(fmt.Sprintf("store=%s/clients=%d", kind, clients), func(b *testing.B) {
				s := open(b, kind, filepath.Join(b.TempDir(), "launch.db"))
				defer s.store.Close()
				launch(b, s, clients)
			})
		}
	}
}

func launch(b *testing.B, s *server, clients int) {
	b.Helper()
	definition := task.NewCatalog().Definitions()[0]
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range clients {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				_, err := s.tasks.Launch(context.Background(), task.Launch{Definition: definition}, task.IdempotencyKey{}, audit.Origin{Actor: "bench"})
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "launches/s")
}
