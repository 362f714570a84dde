package sqlrow

import (
	"encoding/json"
	"fmt"
	"time"

	"stint/internal/source"
	"stint/internal/task"
)

// SourceColumns are those of a source, in the order of ScanSource.
const SourceColumns = `seq, id, name, type, created, modified, settings, accounts, entitlements`

// sourceSettings is what the column settings holds, as JSON. Its members are
// kept for as long as a file may have them.
type sourceSettings struct {
	Description  string   `json:"description,omitempty"`
	AccountID    string   `json:"accountId,omitempty"`
	DisplayName  string   `json:"displayName,omitempty"`
	Entitlements []string `json:"entitlements,omitempty"`
	Separator    string   `json:"separator,omitempty"`
	Delimiter    string   `json:"delimiter,omitempty"`
	Columns      []string `json:"columns,omitempty"`
	Percent      int      `json:"percent"`
	Minimum      int64    `json:"minimum"`
}

// SourceSettings returns what a source has in its column settings.
func SourceSettings(s *source.Source) ([]byte, error) {
	return json.Marshal(sourceSettings{
		Description: s.Description, AccountID: s.File.AccountID, DisplayName: s.File.DisplayName,
		Entitlements: s.File.Entitlements, Separator: s.File.MultiValueSeparator, Delimiter: s.File.Delimiter,
		Columns: s.File.Columns, Percent: s.Deletions.Percent, Minimum: s.Deletions.Minimum,
	})
}

// ScanSource reads a source, with its row number.
func ScanSource(row Scanner) (int64, source.Source, error) {
	var (
		seq, created, modified int64
		id, settings           []byte
		s                      source.Source
		stored                 sourceSettings
	)
	err := row.Scan(&seq, &id, &s.Name, &s.Type, &created, &modified, &settings, &s.Accounts, &s.Entitlements)
	if err != nil {
		return 0, s, err
	}
	if err := json.Unmarshal(settings, &stored); err != nil {
		return 0, s, fmt.Errorf("read the settings of a source: %w", err)
	}
	s.ID, s.Description = ID(id), stored.Description
	s.Created, s.Modified = time.UnixMilli(created).UTC(), time.UnixMilli(modified).UTC()
	s.File = source.File{
		AccountID: stored.AccountID, DisplayName: stored.DisplayName, Entitlements: stored.Entitlements,
		MultiValueSeparator: stored.Separator, Delimiter: stored.Delimiter, Columns: stored.Columns,
	}
	s.Deletions = source.Threshold{Percent: stored.Percent, Minimum: stored.Minimum}
	return seq, s, nil
}

// NoSource is the error of a look-up that may have found nothing.
func NoSource(id task.ID, err error) error { return none(err, "source", id) }
