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

// batch is what the next transaction stages.
type batch struct {
	records  []account.Record
	lines    []int64 // of each record; 0 where there is none
	problems []account.Problem
	rows     int64
	size     int
}

func (b *batch) full() bool { return b.rows >= maxStaged || b.size >= maxStagedBytes }

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
func (at *attempt) read(ctx context.Context, rows Rows) (b batch, end bool, err error) {
	for !b.full() && (b.rows == 0 || !at.due()) {
		if err := ctx.Err(); err != nil {
			return b, false, err
		}
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return b, true, nil
		}
		if err != nil {
			return b, false, err
		}
		b.rows++
		line := rows.Position().Line
		if row.Problem != nil {
			b.problems = append(b.problems, *row.Problem)
			line = row.Problem.Line
		}
		if row.Problem == nil || row.Record.Key != "" {
			b.records = append(b.records, row.Record)
			b.lines = append(b.lines, line)
			b.size += len(row.Record.Key) + len(row.Record.Body)
		}
	}
	return b, false, nil
}

// stage keeps a batch, merges the rows of one account, and reports those that
// cannot be merged.
func (at *attempt) stage(w account.Work, b batch, s *account.State, r *task.Report) error {
	clashes, err := w.Stage(b.records)
	if err != nil {
		return err
	}
	problems := slices.Clone(b.problems)
	for i := range b.records {
		if !b.records[i].Keep {
			s.Total++
		}
	}
	for _, i := range clashes {
		again := b.records[i]
		if !again.Keep {
			s.Total--
		}
		if again.Known {
			continue
		}
		problem, err := at.merge(w, again, b.lines[i], s)
		if err != nil {
			return err
		}
		if problem != nil {
			problems = append(problems, *problem)
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

// merge makes one record of two rows, or says why that cannot be.
func (at *attempt) merge(w account.Work, again account.Record, line int64, s *account.State) (*account.Problem, error) {
	first, err := w.Staged(again.Key)
	if err != nil {
		return nil, err
	}
	merged, ok := account.Merge(first, again, at.source.File.Entitlements)
	if !ok {
		return &account.Problem{
			Line: line, Column: 1, Key: "row_repeated",
			Text: "repeats the native identity of an earlier row and says something else; the earlier one was taken",
		}, nil
	}
	if merged.Keep == first.Keep && merged.Name == first.Name && string(merged.Body) == string(first.Body) {
		return nil, nil //nolint:nilnil // no problem, no fault
	}
	if first.Keep && !merged.Keep {
		s.Total++
	}
	return nil, w.Restage(merged)
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
		b := batch{rows: int64(len(accounts))}
		if b.records, err = at.held(accounts); err != nil {
			return err
		}
		b.lines = make([]int64, len(b.records))
		at.rate.add(b.rows)
		err = at.step(ctx, func(w account.Work, s *account.State, r *task.Report) error {
			if len(accounts) == 0 {
				s.Phase, s.After = account.Comparing, ""
			} else {
				s.After = accounts[len(accounts)-1].Key
			}
			return at.stage(w, b, s, r)
		})
		if err != nil || len(accounts) == 0 {
			return err
		}
	}
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
					records = append(records, account.Record{Key: key, Name: v, Body: []byte("{}"), Known: true})
				}
			}
		}
	}
	return records, nil
}

func newID(now time.Time) (task.ID, error) { return task.NewID(now, rand.Reader) }
