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
		err = at.step(ctx, func(w account.Work, s *account.State, r *task.Report) error {
			s.Offset, s.Line = position.Offset, position.Line
			if end {
				s.Phase, s.After = account.Comparing, ""
			}
			return at.stage(w, b, s, r)
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
// cannot be merged.
func (at *attempt) stage(w account.Work, b *batch, s *account.State, r *task.Report) error {
	clashes, err := w.Stage(b.records)
	if err != nil {
		return err
	}
	for i := range b.records {
		if !b.records[i].Keep {
			s.Total++
		}
	}
	problems := slices.Clone(b.problems)
	staged := map[string]*stagedRecord{}
	for _, i := range clashes {
		again := &b.records[i]
		if !again.Keep {
			s.Total--
		}
		if again.Known {
			continue
		}
		first := staged[again.Key]
		if first == nil {
			if first, err = at.staged(w, again.Key); err != nil {
				return err
			}
			staged[again.Key] = first
		}
		if first.Keep && !again.Keep {
			s.Total++
		}
		problems = append(problems, first.merge(again, b.lines[i], at.columns())...)
	}
	for _, first := range staged {
		if first.changed {
			if err := w.Restage(first.Record); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(problems, func(a, b account.Problem) int { return cmp.Compare(a.Line, b.Line) })
	s.Rows += b.rows
	s.Problems += int64(len(problems))
	for _, p := range problems[:min(len(problems), maxListed-s.Listed)] {
		r.Messages = append(r.Messages, messageOf(p))
		s.Listed++
	}
	return nil
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
		records, err := at.held(accounts)
		if err != nil {
			return err
		}
		// What is staged twice counts once: only the last piece says that the accounts
		// are done.
		for ; len(records) > maxStaged; records = records[maxStaged:] {
			if err := at.stageHeld(ctx, records[:maxStaged], nil); err != nil {
				return err
			}
		}
		at.rate.add(int64(len(accounts)))
		if err := at.stageHeld(ctx, records, accounts); err != nil || len(accounts) == 0 {
			return err
		}
	}
}

// stageHeld stages entitlements; accounts are those that are done with them.
func (at *attempt) stageHeld(ctx context.Context, records []account.Record, done []account.Record) error {
	last := records == nil && done == nil
	b := newBatch(nil)
	b.records, b.lines, b.rows = records, make([][]int64, len(records)), int64(len(done))
	return at.step(ctx, func(w account.Work, s *account.State, r *task.Report) error {
		if last {
			s.Phase, s.After = account.Comparing, ""
		} else if len(done) > 0 {
			s.After = done[len(done)-1].Key
		}
		return at.stage(w, b, s, r)
	})
}

// held returns the distinct entitlements of accounts.
func (at *attempt) held(accounts []account.Record) ([]account.Record, error) {
	var records []account.Record
	seen := map[string]bool{}
	for i := range accounts {
		for _, attribute := range at.source.File.Entitlements {
			values, err := account.EntitlementValues(accounts[i].Body, attribute)
			if err != nil {
				return nil, fmt.Errorf("read the entitlements of an account: %w", err)
			}
			for _, v := range values {
				key := account.EntitlementKey(attribute, v)
				if !seen[key] {
					seen[key] = true
					records = append(records, account.Record{Key: key, Name: v, Body: []byte(account.HeldBody), Known: true})
				}
			}
		}
	}
	return records, nil
}

func newID(now time.Time) (task.ID, error) { return task.NewID(now, rand.Reader) }
