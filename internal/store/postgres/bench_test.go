package postgres

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/postgres/pgtest"
	"stint/internal/task"
)

func openBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Options{URL: pgtest.URL(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkCreate launches tasks from many callers at once.
func BenchmarkCreate(b *testing.B) {
	s := openBench(b)
	tk := busy(1)[0]
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			own := tk
			own.ID = task.ID(fmt.Sprintf("%032x", n.Add(1)))
			if _, _, err := s.Create(b.Context(), task.Change{Task: own, Changed: true}, task.IdempotencyKey{}, audit.Entry{Object: string(own.ID)}); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkUpdate reports on tasks from many callers at once.
func BenchmarkUpdate(b *testing.B) {
	s := openBench(b)
	tasks := busy(1000)
	load(b, s, tasks)
	var n atomic.Int64
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, err := s.Update(b.Context(), tasks[n.Add(1)%1000].ID, time.Time{}, func(tk task.Task) (audit.Change, error) {
				tk.Sequence++
				return audit.Change{Change: task.Change{Task: tk, Changed: true}}, nil
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	s := openBench(b)
	tasks := busy(1000)
	load(b, s, tasks)
	for i := 0; b.Loop(); i++ {
		if _, err := s.Get(b.Context(), tasks[i%1000].ID, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList(b *testing.B) {
	s := openBench(b)
	load(b, s, busy(20_000))
	for name, page := range map[string]query.Page{
		"all":     {},
		"counted": {Count: true},
		"far":     {Offset: 15_000},
		"source":  {Filter: query.Compare{Field: query.FieldSource, Values: []string{"source-3"}}},
		"sources": {Filter: query.Compare{Field: query.FieldSource, Values: []string{"source-3", "source-4", "source-5"}}},
	} {
		b.Run(name, func(b *testing.B) {
			page.Limit, page.Sort = 50, []query.Sorter{{Field: query.FieldCreated, Desc: true}}
			for b.Loop() {
				if _, _, err := s.List(b.Context(), page, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
