package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const statisticsPath = "/stint/v1/statistics"

// StatisticsOptions say what is summed up. The zero value is the last seven days, by type
// and source.
type StatisticsOptions struct {
	// From and To bound when the tasks have ended; zero is the server's default.
	From, To time.Time
	// By is what groups are made by: "type", "source", "status", "day".
	By []string
	// TimeZone is whose days, by its name in the IANA database; empty is UTC.
	TimeZone string
	// Filter is a filter expression.
	Filter string
}

// Statistics is how tasks have ended.
type Statistics struct {
	From     time.Time         `json:"from"`
	To       time.Time         `json:"to"`
	TimeZone string            `json:"timeZone"`
	GroupBy  []string          `json:"groupBy"`
	Groups   []StatisticsGroup `json:"groups"`

	raw json.RawMessage
}

// Raw is what the server sent, members this package does not know included.
func (s *Statistics) Raw() json.RawMessage { return s.raw }

// UnmarshalJSON keeps the text beside the fields.
func (s *Statistics) UnmarshalJSON(text []byte) error {
	type plain Statistics
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*s = Statistics(p)
	return nil
}

// StatisticsGroup is what was summed up of some tasks. What groups are not made by is nil.
type StatisticsGroup struct {
	Type             *string          `json:"type"`
	TypeName         *string          `json:"typeName"`
	SourceID         *string          `json:"sourceId"`
	SourceName       *string          `json:"sourceName"`
	CompletionStatus CompletionStatus `json:"completionStatus"`
	Day              *string          `json:"day"`
	// Runs is how many have ended; Failures of them with ERROR or TEMPERROR.
	Runs       int `json:"runs"`
	Failures   int `json:"failures"`
	Warnings   int `json:"warnings"`
	Terminated int `json:"terminated"`
	// DurationMs is nil where none of them ever started.
	DurationMs *Durations `json:"durationMs"`
	// LastGoodRun is the last that ended with SUCCESS or WARNING, or nil.
	LastGoodRun *Run `json:"lastGoodRun"`
	LastRun     Run  `json:"lastRun"`
}

// Durations are percentiles, by the nearest rank, and the mean, in milliseconds.
type Durations struct {
	P50  int64 `json:"p50"`
	P90  int64 `json:"p90"`
	P95  int64 `json:"p95"`
	P99  int64 `json:"p99"`
	Max  int64 `json:"max"`
	Mean int64 `json:"mean"`
}

// Run is a task in brief.
type Run struct {
	ID               string           `json:"id"`
	State            State            `json:"state"`
	CompletionStatus CompletionStatus `json:"completionStatus"`
	Created          time.Time        `json:"created"`
	Launched         *time.Time       `json:"launched"`
	Completed        *time.Time       `json:"completed"`
	// DurationMs is nil until it has ended, and where it never started.
	DurationMs *int64 `json:"durationMs"`
}

// LatestRuns is the newest tasks of each type and source.
type LatestRuns struct {
	// Last is how many of the newest there are of each at the most.
	Last int `json:"last"`
	// More says that there are other types and sources.
	More   bool          `json:"more"`
	Groups []LatestGroup `json:"groups"`

	raw json.RawMessage
}

// Raw is what the server sent, members this package does not know included.
func (l *LatestRuns) Raw() json.RawMessage { return l.raw }

// UnmarshalJSON keeps the text beside the fields.
func (l *LatestRuns) UnmarshalJSON(text []byte) error {
	type plain LatestRuns
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*l = LatestRuns(p)
	return nil
}

// LatestGroup is the newest tasks of a type and a source.
type LatestGroup struct {
	Type       string  `json:"type"`
	TypeName   string  `json:"typeName"`
	SourceID   *string `json:"sourceId"`
	SourceName *string `json:"sourceName"`
	// InProgress is how many are, of all.
	InProgress int `json:"inProgress"`
	// UsualDurationMs is the median of those of Runs that ended well, or nil.
	UsualDurationMs *int64  `json:"usualDurationMs"`
	LastRun         LastRun `json:"lastRun"`
	LastGoodRun     *Run    `json:"lastGoodRun"`
	// Runs are the newest, the newest first; at least one.
	Runs []Run `json:"runs"`
}

// LastRun is the newest task of a type and a source.
type LastRun struct {
	Run

	UniqueName      string `json:"uniqueName"`
	PercentComplete int    `json:"percentComplete"`
}

// Statistics sums up how tasks have ended.
func (c *Client) Statistics(ctx context.Context, opts StatisticsOptions) (*Statistics, error) {
	query := url.Values{}
	for name, at := range map[string]time.Time{"from": opts.From, "to": opts.To} {
		if !at.IsZero() {
			query.Set(name, at.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
	}
	for name, text := range map[string]string{"groupBy": strings.Join(opts.By, ","), "timeZone": opts.TimeZone, "filters": opts.Filter} {
		if text != "" {
			query.Set(name, text)
		}
	}
	s := &Statistics{}
	_, err := c.do(ctx, request{method: http.MethodGet, path: statisticsPath, query: query, repeatable: true}, s)
	return s, err
}

// LatestRuns gets the newest tasks of each type and source, up to last of each; 0 is the
// server's default.
func (c *Client) LatestRuns(ctx context.Context, last int) (*LatestRuns, error) {
	query := url.Values{}
	if last > 0 {
		query.Set("last", strconv.Itoa(last))
	}
	l := &LatestRuns{}
	_, err := c.do(ctx, request{method: http.MethodGet, path: statisticsPath + "/runs", query: query, repeatable: true}, l)
	return l, err
}
