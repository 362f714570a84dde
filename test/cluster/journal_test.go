package cluster

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"stint/client"
)

// journal keeps what the schedule did, in order.
type journal struct {
	began time.Time
	mu    sync.Mutex
	lines []line
	count map[string]int
}

type line struct {
	at   time.Time
	id   string // of the task that it is about; empty for faults and the like
	text string
}

func newJournal() *journal { return &journal{began: time.Now(), count: map[string]int{}} }

// note keeps one line.
func (j *journal) note(id, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line{time.Now(), id, fmt.Sprintf(format, args...)})
}

// add counts something.
func (j *journal) add(what string, n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.count[what] += n
}

func (j *journal) counts() map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	counts := make(map[string]int, len(j.count))
	for what, n := range j.count {
		counts[what] = n
	}
	return counts
}

func (j *journal) format(l line) string {
	return fmt.Sprintf("%s (%7.3f s) %s %s\n", l.at.UTC().Format("15:04:05.000"), l.at.Sub(j.began).Seconds(), l.id, l.text)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var b strings.Builder
	for _, l := range j.lines {
		b.WriteString(j.format(l))
	}
	return b.String()
}

// about returns the last lines about a task, and the faults among them.
func (j *journal) about(id string, most int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var told []string
	for i := len(j.lines) - 1; i >= 0 && len(told) < most; i-- {
		if l := j.lines[i]; l.id == "" || l.id == id {
			told = append(told, j.format(l))
		}
	}
	var b strings.Builder
	for i := len(told) - 1; i >= 0; i-- {
		b.WriteString(told[i])
	}
	return b.String()
}

// judge is a test that tells with each failure what is known of the task that it is
// about.
type judge struct {
	testing.TB
	c    *cluster
	seed uint64

	mu   sync.Mutex
	told int
}

var anID = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

// Errorf implements testing.TB.
func (g *judge) Errorf(format string, args ...any) {
	g.Helper()
	text := fmt.Sprintf(format, args...)
	g.mu.Lock()
	g.told++
	told := g.told
	g.mu.Unlock()
	if told > 20 {
		g.Fail()
		return
	}
	id := anID.FindString(text)
	g.TB.Errorf("seed %d: %s\nhistory:\n%sschedule:\n%s", g.seed, text, g.history(id), g.c.journal.about(id, 40))
}

// Error implements testing.TB.
func (g *judge) Error(args ...any) {
	g.Helper()
	g.Errorf("%s", fmt.Sprintln(args...))
}

// history asks any node for the history of a task.
func (g *judge) history(id string) string {
	if id == "" {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, n := range g.c.nodes {
		plain, err := client.New("http://"+n.addr, client.Options{RetryFor: -1, Timeout: 2 * time.Second})
		if err != nil {
			continue
		}
		t, err := plain.GetTask(ctx, id)
		if err != nil {
			continue
		}
		var b strings.Builder
		for _, h := range t.History {
			fmt.Fprintf(&b, "%s attempt %d %s x%d %s: %s\n", h.At.Format("15:04:05.000"), h.Attempt, h.Event, h.Count, h.Actor, h.Text)
		}
		return b.String()
	}
	return "nobody answers\n"
}
