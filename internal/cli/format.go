package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"stint/client"
)

// wireTime is a time as the API writes it.
func wireTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// shortTime is a time for people: how long ago while that is short, then the local time.
func (s *session) shortTime(t time.Time) string {
	now := s.now()
	switch ago := now.Sub(t); {
	case ago < 0 && ago > -time.Minute:
		return "now"
	case ago < 0:
	case ago < time.Minute:
		return strconv.Itoa(int(ago.Seconds())) + "s ago"
	case ago < time.Hour:
		return strconv.Itoa(int(ago.Minutes())) + "m ago"
	case ago < 24*time.Hour:
		return strconv.Itoa(int(ago.Hours())) + "h ago"
	}
	t = t.In(s.local)
	if t.Year() == now.In(s.local).Year() {
		return t.Format("Jan _2 15:04")
	}
	return t.Format("2006-01-02")
}

// longTime is a time with its zone and how long ago it was.
func (s *session) longTime(t time.Time) string {
	text := t.In(s.local).Format("2006-01-02 15:04:05 MST")
	if short := s.shortTime(t); strings.HasSuffix(short, "ago") {
		text += " (" + short + ")"
	}
	return text
}

// shortDuration is a duration for people, two units long.
func shortDuration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Truncate(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// taskDuration is how long a task ran or has been running; false while it is queued.
func (s *session) taskDuration(t *client.Task) (time.Duration, bool) {
	begin := t.Launched
	if begin == nil {
		if t.Completed == nil {
			return 0, false
		}
		begin = &t.Created
	}
	end := s.now()
	if t.Completed != nil {
		end = *t.Completed
	}
	return max(0, end.Sub(*begin)), true
}

// statusWord is how a task ended, or queued or running.
func statusWord(t *client.Task) string {
	switch {
	case t.Done():
		return string(t.CompletionStatus)
	case t.State != "":
		return string(t.State)
	case t.Launched == nil:
		return string(client.Queued)
	}
	return string(client.Running)
}

// statusText is the status with what is known about the progress.
func statusText(t *client.Task) string {
	text := statusWord(t)
	if t.Done() {
		return text
	}
	if t.CancelRequested != nil {
		text += ", cancel requested"
	}
	if t.PercentComplete > 0 {
		text += " " + strconv.Itoa(t.PercentComplete) + "%"
	}
	switch {
	case t.Progress != nil && *t.Progress != "":
		text += " " + *t.Progress
	case t.Waiting != nil && *t.Waiting != "":
		text += ": " + *t.Waiting
	}
	return text
}

// kindOf is the sort of work, which people see as the type.
func kindOf(t *client.Task) string {
	switch {
	case t.Kind != "":
		return t.Kind
	case t.Definition != nil:
		return t.Definition.UniqueName
	}
	return t.BodyType
}

// parseSince reads a duration (90m, 24h, 7d) before now, or a time.
func (s *session) parseSince(text string) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseFloat(days, 64); err == nil && n >= 0 && n < 100000 {
			return s.now().Add(-time.Duration(n * 24 * float64(time.Hour))), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return s.now().Add(-d), nil
	}
	t, err := s.parseTime(text)
	if err != nil {
		return t, usagef("%q is neither a duration (90m, 24h, 7d) nor a time (2006-01-02T15:04:05Z)", text)
	}
	return t, nil
}

// parseTime reads a time; one without a zone is local.
func (s *session) parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, s.local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("%q is not a time of the form 2006-01-02T15:04:05Z", text)
}
