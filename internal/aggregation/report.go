package aggregation

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"stint/internal/account"
	"stint/internal/task"
)

// rate tells how fast a phase of this attempt goes.
type rate struct {
	start time.Time
	done  int64
}

func (r *rate) add(n int64) { r.done += n }

// perSecond returns how many there are a second, or "" before that can be told.
func (r *rate) perSecond(now time.Time) string {
	elapsed := now.Sub(r.start)
	if elapsed < 50*time.Millisecond || r.done == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s per second)", grouped(int64(float64(r.done)/elapsed.Seconds())))
}

// progress says how far a run has come, in words and in per cent.
func (at *attempt) progress(s *account.State) (text string, percent int) {
	class, speed := at.run.Class.String(), ""
	if s.Phase == at.run.State.Phase {
		speed = at.rate.perSecond(at.now())
	}
	switch s.Phase {
	case account.Collecting:
		what := class
		if s.Held {
			what = account.Accounts.String()
		}
		return fmt.Sprintf("Scanned %s %s%s", grouped(s.Rows), what, speed), part(0, 50, s.Offset, s.Bytes)
	case account.Comparing:
		return fmt.Sprintf("Comparing %s %s with what is stored", grouped(s.Total), class), 50
	case account.Applying:
		if s.ToChange() == 0 {
			return "Nothing has changed", 99
		}
		return fmt.Sprintf("Recorded %s of %s changes%s", grouped(s.Changed()), grouped(s.ToChange()), speed), part(55, 99, s.Changed(), s.ToChange())
	case account.Deleting:
		return fmt.Sprintf("Deleted %s of %s %s%s", grouped(s.Deleted), grouped(s.Missing), class, speed), part(55, 99, s.Changed(), s.ToChange())
	case account.Finished:
	}
	return at.summary(s), 99
}

// part returns how far done of all lies between two percentages.
func part(from, to int, done, all int64) int {
	if all <= 0 {
		return from
	}
	return from + int(min(done, all)*int64(to-from)/all)
}

// summary says what a run has done.
func (at *attempt) summary(s *account.State) string {
	text := fmt.Sprintf("%s %s: %s created, %s updated, %s unchanged, %s deleted", grouped(s.Total), at.run.Class,
		grouped(s.Created), grouped(s.Updated), grouped(s.Unchanged), grouped(s.Deleted))
	if s.Withheld > 0 {
		text += fmt.Sprintf(", %s deletions withheld", grouped(s.Withheld))
	}
	if s.Problems > 0 {
		text += fmt.Sprintf(", %s rows with problems", grouped(s.Problems))
	}
	return text
}

// compared is the line of the history about what a comparison found.
func (at *attempt) compared(s *account.State) string {
	text := fmt.Sprintf("compared with %d stored %s: %d new, %d changed, %d unchanged, %d missing",
		s.Stored, at.run.Class, s.New, s.Differing, s.Unchanged, s.Missing)
	if s.Withheld > 0 {
		text += fmt.Sprintf("; %d deletions withheld: %s", s.Withheld, s.Why)
	} else if s.Missing > 0 && s.AllowDeletions > 0 {
		text += fmt.Sprintf("; %d deletions were allowed", s.AllowDeletions)
	}
	return text
}

// outcome is the report that completes the task.
func (at *attempt) outcome() (task.Report, error) {
	s := &at.run.State
	r := task.Report{Completion: task.Success}
	if err := at.describe(s, &r); err != nil {
		return r, err
	}
	if more := s.Problems - int64(s.Listed); more > 0 {
		r.Messages = append(r.Messages, message(task.MessageWarn, "more_rows",
			fmt.Sprintf("%s more rows have problems; the first %d are listed.", grouped(more), s.Listed), strconv.FormatInt(more, 10)))
	}
	if s.Withheld > 0 {
		r.Messages = append(r.Messages, at.withheld(s))
	}
	if s.Problems > 0 || s.Withheld > 0 {
		r.Completion = task.Warning
	}
	r.Messages = append(r.Messages, message(task.MessageInfo, "aggregated", at.summary(s)+"."))
	return r, nil
}

func (at *attempt) withheld(s *account.State) task.Message {
	n := strconv.FormatInt(s.Withheld, 10)
	text := fmt.Sprintf("%s stored %s were not read any more, and none was deleted: %s. "+
		"If they are to go, aggregate the same file again and allow it: stint source aggregate NAME FILE --allow-deletions %s, "+
		"or the form field allowDeletions=%s.", grouped(s.Withheld), at.run.Class, s.Why, n, n)
	if at.run.Class == account.Entitlements {
		text = fmt.Sprintf("%s stored %s were not read any more, and none was deleted: %s. "+
			"If they are to go, aggregate again and allow it: stint source aggregate NAME [FILE] --entitlements --allow-deletions %s, "+
			"or the form field allowDeletions=%s.", grouped(s.Withheld), at.run.Class, s.Why, n, n)
	}
	return message(task.MessageWarn, "deletions_withheld", text, n)
}

func message(severity task.MessageType, key, text string, parameters ...string) task.Message {
	m := task.Message{Type: severity, Key: key, Locale: "en", Text: text}
	for _, p := range parameters {
		raw, _ := json.Marshal(p) //nolint:errchkjson // a string always encodes
		m.Parameters = append(m.Parameters, raw)
	}
	return m
}

// grouped writes a number with commas between its thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
