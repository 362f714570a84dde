package sqlite

import (
	"slices"
	"strings"
	"testing"

	"stint/internal/account"
)

// TestRunPlans holds the statements about runs against the indexes that are
// there for them.
func TestRunPlans(t *testing.T) {
	t.Parallel()
	s := openTemp(t)
	const (
		staged   = "SEARCH staged USING PRIMARY KEY (task_id=? AND key>?)"
		sources  = "SEARCH sources USING INTEGER PRIMARY KEY (rowid=?)"
		byTask   = "SEARCH runs USING PRIMARY KEY (task_id=?)"
		byUpload = "SEARCH uploads USING PRIMARY KEY (id=?)"
	)
	for _, class := range []account.Class{account.Accounts, account.Entitlements} {
		records := class.String()
		stored := "SEARCH a USING INDEX " + records + "_key (source=? AND key=?) LEFT-JOIN"
		for text, want := range map[string][]string{
			builtInSQL:      {"SEARCH tasks USING INDEX tasks_job (job>?)"},
			activeRunSQL:    {"SEARCH runs USING INDEX runs_active (source=? AND class=?)"},
			countSQL:        {staged, stored},
			differSQL:       {staged, stored},
			missingSQL:      {"SEARCH " + records + " USING INDEX " + records + "_key (source=? AND key>?)", "SEARCH s USING PRIMARY KEY (task_id=? AND key=?)"},
			bodiesSQL:       {"SEARCH accounts USING INDEX accounts_key (source=? AND key>?)"},
			readUploadSQL:   {"SEARCH u USING PRIMARY KEY (id=?)", "SEARCH c USING INDEX sqlite_autoindex_upload_chunks_1 (upload=? AND start=?) LEFT-JOIN", "SEARCH upload_chunks USING COVERING INDEX sqlite_autoindex_upload_chunks_1 (upload=? AND start<?)"},
			sweepStagedSQL:  {"SEARCH staged USING PRIMARY KEY (task_id=? AND key=?)", "SEARCH staged USING PRIMARY KEY (task_id=?)"},
			sweepChangesSQL: {"SEARCH changes USING PRIMARY KEY (task_id=? AND change=? AND key=?)", "SEARCH changes USING PRIMARY KEY (task_id=?)"},
			sweepUploadSQL:  {"SEARCH upload_chunks USING COVERING INDEX sqlite_autoindex_upload_chunks_1 (upload=? AND start=?)", "SEARCH upload_chunks USING COVERING INDEX sqlite_autoindex_upload_chunks_1 (upload=?)"},
			sweepRecordsSQL: {"SEARCH " + records + " USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH " + records + " USING COVERING INDEX " + records + "_key (source=?)"},
			stageHead + stageRow + ", " + stageRow + stageRead:                              {stored},
			stageHead + stageRow + ", " + stageRow + stageKnown:                             {stored},
			"SELECT source FROM runs WHERE task_id = ?":                                     {byTask},
			"DELETE FROM runs WHERE task_id = ? RETURNING 1":                                {byTask},
			"DELETE FROM uploads WHERE id = ? AND task_id IS NULL RETURNING 1":              {byUpload},
			"DELETE FROM @records WHERE source = ? AND key = ?":                             {"SEARCH " + records + " USING INDEX " + records + "_key (source=? AND key=?)"},
			"UPDATE @records SET name = ?, hash = ?, body = ? WHERE source = ? AND key = ?": {"SEARCH " + records + " USING INDEX " + records + "_key (source=? AND key=?)"},
			"UPDATE sources SET @records = @records + ? WHERE seq = ?":                      {sources},
			"UPDATE staged SET name = ?, hash = ?, body = ? WHERE task_id = ? AND key = ?":  {"SEARCH staged USING PRIMARY KEY (task_id=? AND key=?)"},
			"DELETE FROM garbage WHERE sort = ? AND ref = ?":                                {"SEARCH garbage USING PRIMARY KEY (sort=? AND ref=?)"},
		} {
			checkSteps(t, s, ofClass(text, class), want)
		}
	}
}

// checkSteps fails unless a plan has the steps, sorts nothing, and scans nothing
// but what the statement brings itself or has cut to a range.
func checkSteps(t *testing.T, s *Store, text string, want []string) {
	t.Helper()
	steps := explain(t, s, text)
	for _, step := range want {
		if !slices.Contains(steps, step) {
			t.Errorf("the plan of %s is %q, want %q", text, steps, step)
		}
	}
	for _, step := range steps {
		own := slices.ContainsFunc([]string{"SCAN s", "SCAN a", "SCAN r", "SCAN 2 CONSTANT ROWS"}, func(ok string) bool { return step == ok })
		if strings.Contains(step, "TEMP B-TREE") || strings.HasPrefix(step, "SCAN") && !own {
			t.Errorf("%q in the plan of %s", step, text)
		}
	}
}
