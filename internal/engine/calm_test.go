package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestTheQueueIsCalm(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	clock := newClock()
	log := slog.New(newCalm(slog.NewTextHandler(&out, nil), clock.Now)).With(slog.Int("a", 1)).WithGroup("g")
	log.Info("daily life")
	for range 3 {
		log.Error("away")
		log.Warn("slow")
	}
	clock.Add(calmInterval)
	log.Error("away")
	for text, want := range map[string]int{"daily": 0, "away": 2, "slow": 1, "a=1": 3} {
		if got := strings.Count(out.String(), text); got != want {
			t.Errorf("%q stands there %d times, want %d:\n%s", text, got, want, &out)
		}
	}
}
