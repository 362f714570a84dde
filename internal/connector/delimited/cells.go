package delimited

import "bytes"

// cellCounter counts the cells of a record while it is being read: those of what
// was handed on before the last read. Only a record that spans reads costs
// anything.
type cellCounter struct {
	delimiter []byte
	// last is what was handed on last, at an offset in the file.
	last []byte
	at   int64
	// begin is where the record that is counted begins, delimiters how many were
	// found outside of quotes.
	begin      int64
	delimiters int
	quoted     bool
}

// keep takes what is handed on.
func (c *cellCounter) keep(p []byte, at int64) {
	c.last = append(c.last[:0], p...)
	c.at = at
}

// count returns how many cells the record that begins at an offset has at
// least. All that was handed on from there belongs to it.
func (c *cellCounter) count(begin int64) int {
	if begin != c.begin {
		c.begin, c.delimiters, c.quoted = begin, 0, false
	}
	rest := c.last[min(max(begin-c.at, 0), int64(len(c.last))):]
	c.last = c.last[:0]
	for len(rest) > 0 {
		piece, after, found := bytes.Cut(rest, []byte{'"'})
		if !c.quoted {
			c.delimiters += bytes.Count(piece, c.delimiter)
		}
		c.quoted = c.quoted != found // a doubled quote changes it twice
		rest = after
	}
	return c.delimiters + 1
}
