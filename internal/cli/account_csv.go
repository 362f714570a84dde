package cli

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"

	"stint/client"
)

// The separator of several values in a cell, where nobody knows the source's any more.
const defaultSeparator = ","

// writeAccounts writes accounts as CSV. Which columns there are is known only when the last
// account has come: until then they are kept in a temporary file, so that there may be more of
// them than fit in memory, and a list that breaks off leaves no file that looks whole.
func (s *session) writeAccounts(ctx context.Context, c *client.Client, accounts iter.Seq2[*client.Account, error]) (err error) {
	spool, err := os.CreateTemp("", "stint-accounts-*.ndjson")
	if err != nil {
		return fmt.Errorf("keep the list in a temporary file: %w", err)
	}
	defer func() { err = errors.Join(err, spool.Close(), os.Remove(spool.Name())) }()
	columns, err := gather(spool, accounts)
	if err != nil {
		return err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the temporary file: %w", err)
	}
	out := csv.NewWriter(s.Out)
	if err := out.Write(s.safeCells(append([]string{"sourceId", "nativeIdentity", "name"}, columns...))); err != nil {
		return err
	}
	separators := map[string]string{}
	in := json.NewDecoder(bufio.NewReader(spool))
	for {
		var a client.Account
		if err := in.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read the temporary file: %w", err)
		}
		separator, known := separators[a.SourceID]
		if !known {
			if separator, err = separatorOf(ctx, c, a.SourceID); err != nil {
				return err
			}
			separators[a.SourceID] = separator
		}
		if err := out.Write(s.safeCells(accountCells(&a, columns, separator))); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// gather writes accounts to a file, one a line, and returns the names of all their attributes.
func gather(to io.Writer, accounts iter.Seq2[*client.Account, error]) ([]string, error) {
	names := map[string]bool{}
	w := bufio.NewWriter(to)
	for a, err := range accounts {
		if err != nil {
			return nil, err
		}
		for name := range a.Attributes {
			names[name] = true
		}
		if _, err := w.Write(append(oneLine(a.Raw()), '\n')); err != nil {
			return nil, fmt.Errorf("write a temporary file: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write a temporary file: %w", err)
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func separatorOf(ctx context.Context, c *client.Client, sourceID string) (string, error) {
	src, err := c.Source(ctx, sourceID)
	if errors.Is(err, client.ErrNotFound) {
		return defaultSeparator, nil // deleted since its accounts were listed
	}
	if err != nil {
		return "", err
	}
	return src.ConnectorAttributes.MultiValueSeparator, nil
}

func accountCells(a *client.Account, columns []string, separator string) []string {
	cells := []string{a.SourceID, a.NativeIdentity, a.Name}
	for _, name := range columns {
		cells = append(cells, attributeText(a.Attributes[name], separator))
	}
	return cells
}

// attributeText returns an attribute as the text of one cell; empty where there is none.
func attributeText(value any, separator string) string {
	switch value := value.(type) {
	case nil:
		return ""
	case string:
		return value
	case []any:
		texts := make([]string, len(value))
		for i, v := range value {
			texts[i] = attributeText(v, separator)
		}
		return strings.Join(texts, separator)
	}
	return fmt.Sprint(value)
}

// safeCells puts a quote before what a spreadsheet would take for a formula. A terminal gets
// nothing that it would obey.
func (s *session) safeCells(cells []string) []string {
	terminal := isTerminal(s.Out)
	for i, cell := range cells {
		if cell != "" && strings.IndexByte("=+-@\t\r", cell[0]) >= 0 {
			cell = "'" + cell
		}
		if terminal {
			cell = escapeLine(cell)
		}
		cells[i] = cell
	}
	return cells
}
