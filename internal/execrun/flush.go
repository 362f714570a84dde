package execrun

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"stint/client"
)

// FlushResult says what a delivery of the spool did.
type FlushResult struct {
	// Delivered and Refused count entries that are done with; refused ones were set aside.
	Delivered, Refused int
	// Elsewhere counts entries for another server, Busy those of runs that go on.
	Elsewhere, Busy int
	// Left counts entries that could not be delivered now.
	Left int
}

// ErrFlushing says that another process delivers the spool at this moment.
var ErrFlushing = errors.New("another stint exec delivers the spool")

// Flush delivers what the spool holds for the client's server, oldest first. It stops at the
// first sign that the server is away, and returns that error. say, if not nil, hears what
// people should know.
func (s *Spool) Flush(ctx context.Context, c *client.Client, say func(string)) (FlushResult, error) {
	var result FlushResult
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return result, err
	}
	lock, err := s.lock()
	if errors.Is(err, errLocked) {
		return result, ErrFlushing
	}
	if err != nil {
		return result, fmt.Errorf("locking the spool: %w", err)
	}
	defer func() { _ = lock.Close() }()
	s.removeOldTemps()
	// Read again: what was there before the lock may have been delivered by its last holder.
	if names, err = s.names(); err != nil {
		return result, err
	}
	for i, name := range names {
		if err := s.flushOne(ctx, c, name, &result, say); err != nil {
			result.Left += len(names) - i
			return result, err
		}
	}
	return result, nil
}

func (s *Spool) flushOne(ctx context.Context, c *client.Client, name string, result *FlushResult, say func(string)) error {
	owned, e, err := s.take(name)
	if owned != nil {
		defer owned.close()
	}
	switch {
	case errors.Is(err, errOwned):
		result.Busy++
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errCorrupt):
		result.Refused++
		return s.setAsideRaw(name, err.Error())
	case err != nil:
		return fmt.Errorf("reading a spool entry: %w", err)
	case e.URL != c.URL():
		result.Elsewhere++
		return nil
	}
	_, err = c.Deliver(ctx, e.toDeliver(s.now()))
	if err == nil {
		result.Delivered++
		return owned.remove()
	}
	if !client.RefusedForGood(err) {
		return err
	}
	result.Refused++
	if say != nil {
		say(fmt.Sprintf("a kept run of %s was refused for good and set aside in %s: %v", e.Program, s.dir+"/"+refusedFolder, err))
	}
	return owned.setAside(e, err.Error())
}

const (
	attributeStarted  = "execStarted"
	attributeFinished = "execFinished"
)

// timeText is a time as the API writes it.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// toDeliver is the entry's delivery with what its lateness adds: a message, and an end for a
// run whose end nobody saw.
func (e *entry) toDeliver(now time.Time) *client.Delivery {
	d := *e.Delivery
	d.Reports = append([]client.Report(nil), d.Reports...)
	if e.State == stateStarted {
		d.Reports = []client.Report{{
			Sequence:         1,
			CompletionStatus: client.TempError,
			Attributes:       map[string]any{attributeStarted: timeText(e.Started)},
			Messages: []client.ReportMessage{{Type: client.MessageError, Key: keyUnknown, Text: fmt.Sprintf(
				"%s was started at %s. How it ended is not known: stint exec was killed or the machine went down.",
				e.Program, timeText(e.Started))}},
		}}
	}
	if len(d.Reports) == 0 {
		return &d
	}
	text := fmt.Sprintf("Delivered late, at %s: the server could not be reached when the program started at %s",
		timeText(now), timeText(e.Started))
	if d.Launch == nil {
		text = fmt.Sprintf("Delivered late, at %s: the server could not be reached when the program ended", timeText(now))
	}
	if e.Finished != nil {
		if d.Launch == nil {
			text += " at " + timeText(*e.Finished)
		} else {
			text += " and ended at " + timeText(*e.Finished)
		}
	}
	last := &d.Reports[len(d.Reports)-1]
	last.Messages = append(append([]client.ReportMessage(nil), last.Messages...),
		client.ReportMessage{Type: client.MessageInfo, Key: keyLate, Text: text + "."})
	return &d
}
