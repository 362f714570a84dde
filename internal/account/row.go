package account

// Row is one row of a source's file.
type Row struct {
	Record Record
	// Problem says why the row is not to be taken, or nil. Where its Record has a
	// key, and Keep, the stored record of that key stays as it is.
	Problem *Problem
}

// Problem says what is wrong with a row. It never holds a value of the row:
// people with few rights read it.
type Problem struct {
	// Line is the physical line of the file, Column the number of the cell in its
	// row; both count from 1.
	Line, Column int64
	Name         string // the column's header; may be empty
	Key          string // for programs
	Text         string // for people
}

// Position is where reading a file may go on.
type Position struct {
	// Offset is the offset in bytes of the next row.
	Offset int64
	// Line is the number of the last line read.
	Line int64
}
