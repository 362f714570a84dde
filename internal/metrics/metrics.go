// Package metrics is what a server tells Prometheus about itself.
//
// It owns the names, labels and help texts of all metrics and the page that shows
// them. It does not own what is counted: others tell it, or it asks them when it is
// scraped.
//
// Invariants: its registry is its own; labels have few values, whatever is asked of
// the server: never an id, a name or a path as it was sent; what cannot be read when
// it is scraped is left out, and the rest is shown.
package metrics

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stint/internal/task"
)

// Options are what metrics are made from.
type Options struct {
	Store   Store
	Catalog *task.Catalog
	Now     func() time.Time
	Log     *slog.Logger
	Version string
	// Leads says whether this node does what is done once for all.
	Leads func() bool
	// Streams says how many streams of events are open.
	Streams func() int
	// Working says how many tasks are run here now, of Workers at the most.
	Working func() int
	Workers int
}

// Store is what is asked when metrics are scraped.
type Store interface {
	// Open returns how many tasks are queued, and running, of each kind.
	Open(ctx context.Context) ([]task.Open, error)
	// Faults returns how many reads and writes the database has failed.
	Faults() (reads, writes uint64)
}

// Metrics counts. All methods are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	kinds    map[task.Kind]bool

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	launched *prometheus.CounterVec
	ended    *prometheus.CounterVec
}

// other is the label of what is none of those that are known.
const other = "other"

// New returns metrics of nothing yet.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), kinds: map[task.Kind]bool{}}
	for _, d := range o.Catalog.Definitions() {
		m.kinds[d.Kind] = true
	}
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stint_http_requests_total", Help: "Requests that were answered, by route, method and status.",
	}, []string{"route", "method", "code"})
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "stint_http_request_duration_seconds", Help: "How long answers took, streams of events left out.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"route", "method"})
	m.inFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stint_http_requests_in_flight", Help: "Requests that are being answered, streams of events included.",
	})
	m.launched = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stint_tasks_launched_total", Help: "Tasks that were launched through this node, by type.",
	}, []string{"type"})
	m.ended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "stint_tasks_completed_total", Help: "Tasks whose end this node has stored, by type and status.",
	}, []string{"type", "status"})
	// What counts nothing yet is 0, not absent: a rate begins with the first.
	for kind := range m.kinds {
		m.launched.WithLabelValues(string(kind))
		for _, status := range task.CompletionStatuses() {
			m.ended.WithLabelValues(string(kind), string(status))
		}
	}
	m.registry.MustRegister(m.requests, m.duration, m.inFlight, m.launched, m.ended,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newOpenTasks(o, m))
	m.register(o)
	return m
}

// register adds what is asked for when it is scraped, and costs nothing.
func (m *Metrics) register(o Options) {
	gauge := func(name, help string, value func() int) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) }))
	}
	gauge("stint_event_streams", "Streams of events that are open.", o.Streams)
	gauge("stint_workers", "How many tasks this node runs itself at the most.", func() int { return o.Workers })
	gauge("stint_workers_busy", "How many tasks this node runs itself now.", o.Working)
	gauge("stint_node_leads", "1 where this node does what is done once for all nodes.", func() int {
		if o.Leads() {
			return 1
		}
		return 0
	})
	for operation, value := range map[string]func() uint64{
		"read":  func() uint64 { reads, _ := o.Store.Faults(); return reads },
		"write": func() uint64 { _, writes := o.Store.Faults(); return writes },
	} {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "stint_store_errors_total", Help: "Reads and writes that the database has failed.",
			ConstLabels: prometheus.Labels{"operation": operation},
		}, func() float64 { return float64(value()) }))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "stint_build_info", Help: "1, with what this program is.",
		ConstLabels: prometheus.Labels{"version": o.Version, "goversion": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(build)
}

// Handler serves the page. The error of a collector leaves its metrics out.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: maxScrapes, Registry: nil,
	})
}

// maxScrapes is how many pages are made at once.
const maxScrapes = 4

// Steps counts tasks that were launched, and that have ended.
func (m *Metrics) Steps(steps []task.Step) {
	for _, s := range steps {
		if s.Status == task.InProgress {
			m.launched.WithLabelValues(m.kind(s.Kind)).Inc()
			continue
		}
		m.ended.WithLabelValues(m.kind(s.Kind), string(s.Status)).Inc()
	}
}

// kind is the label of a kind: files of import may hold any.
func (m *Metrics) kind(k task.Kind) string {
	if m.kinds[k] {
		return string(k)
	}
	return other
}
