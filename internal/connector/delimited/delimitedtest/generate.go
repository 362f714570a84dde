// Package delimitedtest makes files of accounts, of any size: for tests,
// benchmarks and examples.
//
// It owns the people in them, who are invented. It does not own how a file is
// read.
package delimitedtest

import (
	"bufio"
	"io"
	"strconv"
)

// Columns returns the columns of a generated file. The first is the native
// identity, the second the name, and the last the entitlement column.
func Columns() []string {
	return []string{
		"id", "name", "firstName", "lastName", "email", "department", "title", "manager", "location", "costCenter", "status", "groups",
	}
}

// Options say what Generate makes. Equal ones make equal files.
type Options struct {
	// Rows is how many accounts there are before some go and others come.
	Rows int
	// Seed decides who they are.
	Seed uint64
	// ChangePerMille, GonePerMille and NewPerMille are how many of a thousand
	// accounts differ from those of the same seed without it: in their department,
	// their title and their cost center; by their absence; by having come since.
	ChangePerMille, GonePerMille, NewPerMille int
	// Groups gives the accounts entitlements: one to five groups in a cell. Without
	// it the cell is empty.
	Groups bool
}

// Generate writes a file of accounts.
func Generate(w io.Writer, o Options) error {
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	for i, c := range Columns() {
		if i > 0 {
			line = append(line, ',')
		}
		line = append(line, c...)
	}
	p := newPeople()
	_, err := out.Write(append(line, '\n'))
	for i := 0; err == nil && i < o.Rows+o.Rows/1000*o.NewPerMille+o.Rows%1000*o.NewPerMille/1000; i++ {
		if i < o.Rows && chosen(o.Seed, i, 'g', o.GonePerMille) {
			continue
		}
		line = p.append(line[:0], &o, i)
		_, err = out.Write(line)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// random is the generator splitmix64: small, fast, and the same everywhere.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1.
func (r *random) below(n int) int {
	return int((r.next() >> 33) % uint64(n)) //nolint:gosec // n is positive and small
}

// of returns the generator of what is drawn for one account, apart from that
// of any other and for any other use.
func of(seed uint64, account int, use byte) random {
	r := random(seed ^ uint64(use)<<56)
	r = random(r.next() ^ uint64(account)) //nolint:gosec // an index is not negative
	return random(r.next())
}

// chosen tells whether an account is one of so many in a thousand.
func chosen(seed uint64, account int, use byte, perMille int) bool {
	r := of(seed, account, use)
	return perMille > 0 && r.below(1000) < perMille
}

// id appends the native identity of an account.
func id(line []byte, account int) []byte {
	line = append(line, 'E')
	digits := strconv.Itoa(account)
	for n := len(digits); n < 8; n++ {
		line = append(line, '0')
	}
	return append(line, digits...)
}
