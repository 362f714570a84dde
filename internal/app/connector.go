package app

import (
	"io"

	"stint/internal/account"
	"stint/internal/aggregation"
	"stint/internal/connector/delimited"
	"stint/internal/source"
)

// delimitedFiles plugs the connector of delimited files into aggregations.
type delimitedFiles struct{}

// Check implements aggregation.Connector.
func (delimitedFiles) Check(in io.Reader, s *source.Source, class account.Class) (account.Upload, error) {
	sum, err := delimited.Check(in, delimited.Settings{File: s.File, Class: class})
	return account.Upload{Columns: sum.Columns, Rows: sum.Rows, Bytes: sum.Bytes}, err
}

// Open implements aggregation.Connector.
func (delimitedFiles) Open(in io.Reader, s *source.Source, class account.Class) (aggregation.Rows, error) {
	return delimited.Open(in, delimited.Settings{File: s.File, Class: class})
}

// Resume implements aggregation.Connector.
func (delimitedFiles) Resume(
	in io.Reader, s *source.Source, class account.Class, columns []string, at account.Position,
) (aggregation.Rows, error) {
	return delimited.Resume(in, delimited.Settings{File: s.File, Class: class}, columns, at)
}
