package sqlrow

import (
	"time"

	"stint/internal/task"
)

// EndedColumns are those of a task.Brief that has ended, in the order of ScanEnded;
// BriefColumns those of one of a task.Pair, in the order of ScanBrief.
const (
	EndedColumns = "id, kind, source_id, status, created, launched, completed"
	BriefColumns = EndedColumns + ", unique_name, target_name, percent"
)

// ScanEnded reads EndedColumns.
func ScanEnded(row Scanner) (task.Brief, error) { return scanBrief(row) }

// ScanBrief reads BriefColumns.
func ScanBrief(row Scanner) (task.Brief, error) {
	var name string
	var target *string
	var percent int
	b, err := scanBrief(row, &name, &target, &percent)
	b.UniqueName, b.TargetName, b.PercentComplete = name, orEmpty(target), percent
	return b, err
}

func scanBrief(row Scanner, more ...any) (task.Brief, error) {
	var (
		b                   task.Brief
		id                  []byte
		source, status      *string
		created             int64
		launched, completed *int64
	)
	err := row.Scan(append([]any{&id, &b.Kind, &source, &status, &created, &launched, &completed}, more...)...)
	b.ID, b.SourceID, b.Status = ID(id), orEmpty(source), task.CompletionStatus(orEmpty(status))
	b.Created, b.Launched, b.Completed = time.UnixMilli(created).UTC(), Time(launched), Time(completed)
	return b, err
}
