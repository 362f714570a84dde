package aggregation

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"stint/internal/account"
	"stint/internal/task"
)

// Bounds of what one transaction stages.
const (
	maxStaged      = 1000
	maxStagedBytes = 1 << 20
)

// maxMerged bounds the body that the rows of one account add up to: it is read
// and written whole.
const maxMerged = 1 << 20

// collect stages the rows of the upload.
func (at *attempt) collect(ctx context.Context) error {
	rows, err := at.open(ctx)
	if err != nil {
		return err
	}
	for {
		b, end, err := at.read(ctx, rows)
		if err != nil {
			return err
		}
		position := rows.Position()
		at.rate.add(b.rows)
		err = at.stage(ctx, b, func(s *account.State) {
			s.Offset, s.Line = position.Offset, position.Line
			if end {
				s.Phase, s.After = account.Comparing, ""
			}
		})
		if err != nil || end {
			return err
		}
	}
}

// open goes on reading the upload where the last transaction stopped.
func (at *attempt) open(ctx context.Context) (Rows, error) {
	s := &at.run.State
	in := &uploadReader{ctx: ctx, store: at.store, id: at.run.Upload, offset: s.Offset}
	if s.Offset == 0 {
		return at.connector.Open(in, &at.source, at.run.Class)
	}
	return at.connector.Resume(in, &at.source, at.run.Class, s.Columns, account.Position{Offset: s.Offset, Line: s.Line})
}

// read reads rows until a transaction is due. end says that they are the last.
func (at *attempt) read(ctx context.Context, rows Rows) (b *batch, end bool, err error) {
	b = newBatch(at.columns())
	for !b.full() && (b.rows == 0 || !at.due()) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return b, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		b.add(&row, rows.Position().Line)
	}
	return b, false, nil
}

// columns are those in which rows of one account may differ.
func (at *attempt) columns() []string {
	if at.run.Class == account.Entitlements {
		return nil
	}
	return at.source.File.Entitlements
}

// stage keeps a batch, merges the rows of one account, and reports those that
// cannot be merged. What was staged before may be large: it is read and written
// back a little in each transaction, and the last one sets where the run goes on.
// An attempt that is interrupted between them stages the batch again: what it
// finds already there changes nothing and counts once.
func (at *attempt) stage(ctx context.Context, b *batch, done func(*account.State)) error {
	problems := slices.Clone(b.problems)
	var left []int
	for first := true; first || len(left) > 0; first = false {
		var more []account.Problem
		var rest []int
		err := at.step(ctx, func(w account.Work, s *account.State, r *task.Report) (err error) {
			rest = left
			if first {
				if rest, err = stageNew(w, b, s); err != nil {
					return err
				}
			}
			if more, rest, err = at.mergeSome(w, b, rest, s); err != nil || len(rest) > 0 {
				return err
			}
			done(s)
			s.Rows += b.rows
			report(slices.Concat(problems, more), s, r)
			return nil
		})
		if err != nil {
			return err
		}
		problems, left = append(problems, more...), rest
	}
	return nil
}

// stageNew stages the records whose key is new, and returns the indexes of the
// others.
func stageNew(w account.Work, b *batch, s *account.State) ([]int, error) {
	clashes, err := w.Stage(b.records)
	if err != nil {
		return nil, err
	}
	for i := range b.records {
		if !b.records[i].Keep {
			s.Total++
		}
	}
	for _, i := range clashes {
		if !b.records[i].Keep {
			s.Total--
		}
	}
	return slices.DeleteFunc(clashes, func(i int) bool { return b.records[i].Known }), nil
}

// mergeSome merges records with those staged before under their keys, as many as
// one transaction should, and returns the problems with them and the rest.
func (at *attempt) mergeSome(w account.Work, b *batch, clashes []int, s *account.State) ([]account.Problem, []int, error) {
	var problems []account.Problem
	staged := map[string]*stagedRecord{}
	size := 0
	for n, i := range clashes {
		again := &b.records[i]
		first := staged[again.Key]
		if first == nil && size >= maxStagedBytes {
			return problems, clashes[n:], restage(w, staged)
		}
		if first == nil {
			var err error
			if first, err = at.staged(w, again.Key); err != nil {
				return nil, nil, err
			}
			staged[again.Key] = first
			size += len(first.Body)
		}
		if first.Keep && !again.Keep {
			s.Total++
		}
		problems = append(problems, first.merge(again, b.lines[i], at.columns())...)
	}
	return problems, nil, restage(w, staged)
}

func restage(w account.Work, staged map[string]*stagedRecord) error {
	for _, first := range staged {
		if first.changed {
			if err := w.Restage(first.Record); err != nil {
				return err
			}
		}
	}
	return nil
}

// report counts problems and lists the first.
func report(problems []account.Problem, s *account.State, r *task.Report) {
	slices.SortStableFunc(problems, func(a, b account.Problem) int { return cmp.Compare(a.Line, b.Line) })
	s.Problems += int64(len(problems))
	for _, p := range problems[:min(len(problems), maxListed-s.Listed)] {
		r.Messages = append(r.Messages, messageOf(p))
		s.Listed++
	}
}

// stagedRecord is a record that was staged, and what has become of it since.
type stagedRecord struct {
	account.Record
	likeness string
	changed  bool
}

func (at *attempt) staged(w account.Work, key string) (*stagedRecord, error) {
	r, err := w.Staged(key)
	if err != nil {
		return nil, err
	}
	return &stagedRecord{Record: r, likeness: account.Likeness(&r, at.columns())}, nil
}

// merge takes what later rows say, at their lines, or says why that cannot be.
func (first *stagedRecord) merge(again *account.Record, lines []int64, columns []string) []account.Problem {
	if again.Keep {
		return nil
	}
	likeness := account.Likeness(again, columns)
	if !first.Keep && likeness != first.likeness {
		return problemsAt(lines, "row_repeated",
			"repeats the native identity of an earlier row and says something else; the earlier one was taken")
	}
	merged, ok := account.Merge(first.Record, *again, columns)
	if !ok || !first.Keep && len(merged.Body) > maxMerged {
		return problemsAt(lines, "row_merge_too_large",
			fmt.Sprintf("repeats the native identity of earlier rows, which together hold more than %d bytes; it was not taken", maxMerged))
	}
	if first.Keep || string(merged.Body) != string(first.Body) {
		first.Record, first.likeness, first.changed = merged, likeness, true
	}
	return nil
}

func problemsAt(lines []int64, key, text string) []account.Problem {
	problems := make([]account.Problem, len(lines))
	for i, line := range lines {
		problems[i] = account.Problem{Line: line, Column: 1, Key: key, Text: text}
	}
	return problems
}

func messageOf(p account.Problem) task.Message {
	where := fmt.Sprintf("Line %d, column %d", p.Line, p.Column)
	if p.Name != "" {
		where += " (" + p.Name + ")"
	}
	return message(task.MessageWarn, p.Key, where+": "+p.Text+".", strconv.FormatInt(p.Line, 10), strconv.FormatInt(p.Column, 10))
}

// collectHeld stages the entitlements that the stored accounts hold.
func (at *attempt) collectHeld(ctx context.Context) error {
	for {
		accounts, err := at.store.AccountsAfter(ctx, &at.run, at.run.State.After, maxStaged)
		if err != nil {
			return err
		}
		h := held{at: at, b: newBatch(nil), seen: map[string]bool{}}
		for i := range accounts {
			if err := h.take(ctx, &accounts[i]); err != nil {
				return err
			}
		}
		at.rate.add(int64(len(accounts)))
		// What is staged twice counts once: only the last piece says that the accounts
		// are done.
		h.b.rows = int64(len(accounts))
		err = at.stage(ctx, h.b, func(s *account.State) {
			if len(accounts) == 0 {
				s.Phase, s.After = account.Comparing, ""
			} else {
				s.After = accounts[len(accounts)-1].Key
			}
		})
		if err != nil || len(accounts) == 0 {
			return err
		}
	}
}

// held gathers the entitlements of accounts, and stages them a piece at a time.
type held struct {
	at   *attempt
	b    *batch
	seen map[string]bool // in this piece
}

// take takes the entitlements of an account.
func (h *held) take(ctx context.Context, a *account.Record) error {
	body := []byte(account.HeldBody)
	for _, attribute := range h.at.source.File.Entitlements {
		values, err := account.EntitlementValues(a.Body, attribute)
		if err != nil {
			return fmt.Errorf("read the entitlements of an account: %w", err)
		}
		for _, v := range values {
			key := account.EntitlementKey(attribute, v)
			if h.seen[key] {
				continue
			}
			if len(h.b.records) >= maxStaged || h.b.size >= maxStagedBytes {
				if err := h.at.stage(ctx, h.b, func(*account.State) {}); err != nil {
					return err
				}
				h.b, h.seen = newBatch(nil), map[string]bool{}
			}
			h.seen[key] = true
			h.b.records = append(h.b.records, account.Record{Key: key, Name: v, Body: body, Known: true})
			h.b.size += len(key) + len(v)
		}
	}
	return nil
}

func newID(now time.Time) (task.ID, error) { return task.NewID(now, rand.Reader) }
