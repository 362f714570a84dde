package bench

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"

	"stint/internal/query"
	"stint/internal/statistics"
	"stint/internal/task"
)

// reads are what people ask for most, and what used to be slow elsewhere.
func reads() []struct{ name, query string } {
	filter := func(f string) string { return "filters=" + url.QueryEscape(f) }
	return []struct{ name, query string }{
		{"newest 250", ""},
		{"newest 250 counted", "count=true"},
		{"in progress by kind", filter(`type eq "CLOUD_ACCOUNT_AGGREGATION" and completionStatus isnull`)},
		{"by source counted", "count=true&" + filter(`sourceId eq "00000000000000000000000000000007"`)},
		{"failures of a source counted", "count=true&" + filter(`sourceId eq "00000000000000000000000000000007" and completionStatus eq "ERROR"`)},
		{"offset 0", "limit=250&offset=0"},
		{"offset nine tenths", "limit=250&offset=OFFSET"},
		{"offset nine tenths oldest first", "limit=250&sorters=created&offset=OFFSET"},
	}
}

func (s *server) query(q string) string {
	if len(q) > 6 && q[len(q)-6:] == "OFFSET" {
		return q[:len(q)-6] + strconv.Itoa(s.n/10*9)
	}
	return q
}

// BenchmarkStoreRead measures the store alone.
func BenchmarkStoreRead(b *testing.B) {
	table := query.Tasks(task.NewCatalog())
	each(b, func(b *testing.B, s *server) {
		b.Helper()
		since := time.Now().Add(-90 * 24 * time.Hour)
		b.Run("get", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if _, err := s.store.Get(context.Background(), s.ids[i%len(s.ids)], since); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, r := range reads() {
			b.Run(r.name, func(b *testing.B) {
				page, err := table.ParsePage(s.query(r.query))
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, _, err := s.store.List(context.Background(), page, since); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}

// BenchmarkStatistics measures what is summed up, and the newest tasks of each type
// and source.
func BenchmarkStatistics(b *testing.B) {
	each(b, func(b *testing.B, s *server) {
		b.Helper()
		ctx, now := context.Background(), time.Now()
		since := now.Add(-90 * 24 * time.Hour)
		for name, days := range map[string]int{"a day": 1, "a week": 7, "all": 90} {
			b.Run(name, func(b *testing.B) {
				n := 0
				for b.Loop() {
					sums := statistics.New([]statistics.By{statistics.ByType, statistics.BySource}, time.UTC)
					n = 0
					err := s.store.EachEnded(ctx, nil, since, now.AddDate(0, 0, -days), now.AddDate(0, 0, 1), func(t task.Brief) error {
						n++
						return sums.Add(&t)
					})
					if err != nil {
						b.Fatal(err)
					}
					sums.Groups()
				}
				b.ReportMetric(float64(n), "tasks")
			})
		}
		b.Run("newest of pairs", func(b *testing.B) {
			n := 0
			for b.Loop() {
				pairs, _, err := s.store.NewestOfPairs(ctx, since, 30, 2000)
				if err != nil {
					b.Fatal(err)
				}
				n = len(pairs)
			}
			b.ReportMetric(float64(n), "pairs")
		})
	})
}

// BenchmarkHTTPRead measures the whole handler, without the network.
func BenchmarkHTTPRead(b *testing.B) {
	each(b, func(b *testing.B, s *server) {
		b.Helper()
		b.Run("get", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.get(b, "/task-status/v1/"+string(s.ids[i%len(s.ids)]))
			}
		})
		for _, r := range reads() {
			b.Run(r.name, func(b *testing.B) {
				for b.Loop() {
					s.get(b, "/task-status/v1?"+s.query(r.query))
				}
			})
		}
	})
}

func (s *server) get(b *testing.B, path string) {
	b.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil))
	if w.Code != http.StatusOK {
		b.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
}
