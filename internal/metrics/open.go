package metrics

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"stint/internal/task"
)

// scrapeTimeout bounds what a scrape may ask of storage: it comes again soon.
const scrapeTimeout = 5 * time.Second

// openTasks reads what is in progress when it is scraped: the exact numbers, which
// are those of all nodes.
type openTasks struct {
	store     Store
	now       func() time.Time
	log       *slog.Logger
	metrics   *Metrics
	tasks     *prometheus.Desc
	oldest    *prometheus.Desc
	succeeded *prometheus.Desc
}

func newOpenTasks(o Options, m *Metrics) *openTasks {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &openTasks{
		store: o.Store, now: o.Now, log: o.Log, metrics: m,
		tasks:     desc("stint_tasks_in_progress", "Tasks in progress on all nodes, by type and state.", "type", "state"),
		oldest:    desc("stint_tasks_in_progress_oldest_age_seconds", "How long ago the oldest task in progress was created, by state.", "state"),
		succeeded: desc("stint_tasks_in_progress_readable", "1 where the tasks in progress could be read for this page."),
	}
}

// Describe implements prometheus.Collector.
func (c *openTasks) Describe(to chan<- *prometheus.Desc) {
	to <- c.tasks
	to <- c.oldest
	to <- c.succeeded
}

// Collect implements prometheus.Collector.
func (c *openTasks) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	open, err := c.store.Open(ctx)
	if err != nil {
		c.log.WarnContext(ctx, "cannot count the tasks in progress for the metrics", slog.Any("error", err))
		gauge(c.succeeded, 0)
		return
	}
	gauge(c.succeeded, 1)
	type key struct {
		kind  string
		state task.State
	}
	n := map[key]int{}
	age := map[task.State]time.Duration{task.Queued: 0, task.Running: 0}
	for kind := range c.metrics.kinds {
		n[key{string(kind), task.Queued}], n[key{string(kind), task.Running}] = 0, 0
	}
	for _, o := range open {
		n[key{c.metrics.kind(o.Kind), o.State}] += o.Tasks
		age[o.State] = max(age[o.State], c.now().Sub(o.Oldest))
	}
	for k, tasks := range n {
		gauge(c.tasks, float64(tasks), k.kind, string(k.state))
	}
	for state, oldest := range age {
		gauge(c.oldest, oldest.Seconds(), string(state))
	}
}
