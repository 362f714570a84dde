package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

const columnGap = 2

// column is a column of a table for people.
type column struct {
	title string
	// least is the width it may be cut down to; 0 means that it is never cut.
	least int
	// keep is its weight when there is no room for all: the lowest goes first.
	keep int
}

// fitColumns decides how wide each column is in a terminal, given the widths of what is in
// them; 0 means that the column is left out. What never fits stays too wide: an identity
// that is cut is worth nothing.
func fitColumns(columns []column, natural []int, width int) []int {
	widths := slices.Clone(natural)
	for {
		over := totalWidth(widths) - width
		if over <= 0 {
			return widths
		}
		// The widest cell above its least gives way, one step at a time, so that all suffer
		// alike.
		widest := -1
		for i, w := range widths {
			if w > 0 && columns[i].least > 0 && w > columns[i].least && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest >= 0 {
			widths[widest]--
			continue
		}
		weakest := -1
		for i, w := range widths {
			if w > 0 && columns[i].least > 0 && (weakest < 0 || columns[i].keep < columns[weakest].keep) {
				weakest = i
			}
		}
		if weakest < 0 {
			return widths
		}
		// With a column less the others may have their full width back.
		without := slices.Clone(natural)
		for i := range without {
			if widths[i] == 0 || i == weakest {
				without[i] = 0
			}
		}
		widths = without
	}
}

func totalWidth(widths []int) int {
	total := 0
	for _, w := range widths {
		if w > 0 {
			total += w + columnGap
		}
	}
	return max(0, total-columnGap)
}

// cutText shortens text to a width in terminal cells.
func cutText(s string, width int) string {
	if text.StringWidth(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	var b strings.Builder
	used := 0
	for _, r := range s {
		w := text.RuneWidth(r)
		if used+w > width-1 {
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String() + "…"
}

// writeTable prints rows of escaped cells that fit a terminal.
func writeTable(w io.Writer, columns []column, rows [][]string, width int) error {
	natural := make([]int, len(columns))
	for i, c := range columns {
		natural[i] = text.StringWidth(c.title)
		for _, row := range rows {
			natural[i] = max(natural[i], text.StringWidth(row[i]))
		}
	}
	widths := fitColumns(columns, natural, width)
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", strings.Repeat(" ", columnGap)
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	cells := func(row []string) table.Row {
		var shown table.Row
		for i, cell := range row {
			if widths[i] > 0 {
				shown = append(shown, cutText(cell, widths[i]))
			}
		}
		return shown
	}
	titles := make([]string, len(columns))
	for i, c := range columns {
		titles[i] = c.title
	}
	t.AppendHeader(cells(titles))
	for _, row := range rows {
		t.AppendRow(cells(row))
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
