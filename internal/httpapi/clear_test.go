package httpapi_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"stint/internal/apptest"
)

const clearPath = "/stint/v1/tasks/clear"

// outcomes returns how often each was.
func outcomes(t *testing.T, answer apptest.Answer) map[string]int {
	t.Helper()
	wantStatus(t, answer, 200)
	var body struct {
		Cleared int
		Tasks   []struct{ Outcome string }
	}
	if err := json.Unmarshal([]byte(answer.Text(t)), &body); err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, one := range body.Tasks {
		all[one.Outcome]++
	}
	if all["cleared"] != body.Cleared {
		t.Errorf("%d are cleared, and %d of them", body.Cleared, all["cleared"])
	}
	return all
}

func TestClearsWhatAFilterSelects(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	var stuck []string
	for i := range 7 {
		id, token := launch(t, server, fmt.Sprintf(`{"type":"IDENTITY_REFRESH","uniqueName":"stuck %d"}`, i))
		wantStatus(t, report(t, server, id, token, `{"attempt":1}`), 200)
		stuck = append(stuck, id)
	}
	other, _ := launch(t, server, `{"type":"CLOUD_REFRESH_ROLE","uniqueName":"stuck, but another"}`)
	ended, token := launch(t, server, `{"type":"IDENTITY_REFRESH","uniqueName":"stuck once"}`)
	wantStatus(t, report(t, server, ended, token, `{"attempt":1,"completionStatus":"SUCCESS"}`), 200)
	const filters = `"filters":"type eq IDENTITY_REFRESH and uniqueName sw stuck"`

	// A dry run says what would be done, and does nothing.
	wantSubset(t, post(t, server, clearPath, `{`+filters+`,"dryRun":true,"limit":3}`), 200, `{"dryRun":true,"matched":7,"cleared":0,"more":true,
"tasks":[{"id":"`+stuck[0]+`","kind":"IDENTITY_REFRESH","uniqueName":"stuck 0","state":"running","outcome":"wouldClear","message":null},{"id":"`+stuck[1]+`"},{"id":"`+stuck[2]+`"}]}`)
	for _, id := range stuck {
		wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"running"}`)
	}

	const why = `,"completionStatus":"error","reason":"the host died"`
	wantSubset(t, post(t, server, clearPath, `{`+filters+why+`,"limit":3}`), 200, `{"dryRun":false,"matched":7,"cleared":3,"more":true,
"tasks":[{"id":"`+stuck[0]+`","outcome":"cleared"},{"id":"`+stuck[1]+`"},{"id":"`+stuck[2]+`"}]}`)
	if got := outcomes(t, post(t, server, clearPath, `{`+filters+why+`}`)); got["cleared"] != 4 || len(got) != 1 {
		t.Errorf("the rest: %v", got)
	}
	wantSubset(t, post(t, server, clearPath, `{`+filters+why+`}`), 200, `{"matched":0,"cleared":0,"more":false,"tasks":[]}`)
	for _, id := range stuck {
		wantSubset(t, get(t, server, stintTask(id)), 200, `{"completionStatus":"ERROR","percentComplete":0}`)
		audited, _ := auditList(t, server, `object eq "`+id+`" and action eq task.clear`)
		if len(audited) != 1 || audited[0].Reason != "the host died" {
			t.Errorf("the audit of %s: %v", id, audited)
		}
	}
	wantSubset(t, get(t, server, stintTask(other)), 200, `{"state":"queued"}`)
	wantSubset(t, get(t, server, stintTask(ended)), 200, `{"completionStatus":"SUCCESS"}`)
}

// TestClearsOfManyAtOnce ends each task once, whoever is first.
func TestClearsOfManyAtOnce(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for range 60 {
		launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	}
	var wg sync.WaitGroup
	sums := make([]map[string]int, 3)
	for i := range sums {
		wg.Go(func() {
			sums[i] = outcomes(t, post(t, server, clearPath, `{"filters":"completionStatus isnull","completionStatus":"TERMINATED","reason":"r"}`))
		})
	}
	wg.Wait()
	cleared := 0
	for _, sum := range sums {
		cleared += sum["cleared"]
		if sum["refused"] > 0 || sum["wouldClear"] > 0 {
			t.Errorf("%v", sum)
		}
	}
	if cleared != 60 {
		t.Errorf("%d were cleared, want 60", cleared)
	}
	if audited, _ := auditList(t, server, "action eq task.clear"); len(audited) != 60 {
		t.Errorf("%d entries of the audit, want 60", len(audited))
	}
}

func TestClearOfManyRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, _ := launch(t, server, `{"type":"IDENTITY_REFRESH"}`)
	const all = `"filters":"completionStatus isnull","completionStatus":"ERROR","reason":"r"`
	for body, want := range map[string][]string{
		`{}`: {missing, "/completionStatus", "is required"},
		`{"completionStatus":"ERROR","reason":"r"}`:                                    {missing, "/filters", "completionStatus isnull"},
		`{"filters":"  ","completionStatus":"ERROR","reason":"r"}`:                     {missing, "/filters"},
		`{"filters":"completionStatus isnull","completionStatus":"ERROR"}`:             {missing, "/reason"},
		`{"filters":"completionStatus isnull","completionStatus":"DONE","reason":"r"}`: {illegalValue, "/completionStatus", "DONE", "TERMINATED"},
		`{` + all + `,"limit":1001}`:                                                   {illegalValue, "/limit", "1001", "1 to 1000"},
		`{` + all + `,"limit":0}`:                                                      {illegalValue, "/limit"},
		`{` + all + `,"completed":"soon"}`:                                             {illegalValue, "/completed", "soon"},
		`{` + all + `,"completed":"2999-01-01T00:00:00Z"}`:                             {illegalValue, "completed", "24 hours"},
		`{"filters":"nonsense eq 1","dryRun":true}`:                                    {content, "nonsense", "position 1"},
		`{` + all + `,"dry":true}`:                                                     {illegalValue, "/dry"},
	} {
		wantError(t, post(t, server, clearPath, body), 400, want[0], want[1:]...)
	}
	wantSubset(t, get(t, server, stintTask(id)), 200, `{"state":"queued"}`)
}
