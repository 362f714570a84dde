package apptest_test

import (
	"testing"

	"stint/internal/apptest"
)

const (
	legacyText = `{"id":"00eebcf881994e419d72e757fd30dc0e","type":"QUARTZ","name":"Cloud Account Aggregation","description":"",
"parentName":null,"launcher":"System","created":"2026-11-24T23:40:50.123Z","launched":null,"completed":"2026-11-24T23:40:50.123Z",
"completionStatus":"ERROR","messages":[{"type":"ERROR","error":true,"warning":false,"key":"k","localizedText":"m"}],"progress":null,
"attributes":{"total":1,"appId":"x"},"returns":[{"displayLabel":"TOTAL","attributeName":"total"}]}`
	statusText = `{"start":"2026-11-24T23:40:50.123Z","status":"COMPLETED","totalAccounts":4,"processedAccounts":3,
"totalAccountsMarkedForDeletion":2,"deletedAccounts":1}`
)

func TestLegacyDecoders(t *testing.T) {
	t.Parallel()
	envelope := `{"success":true,"task":` + legacyText + `}`
	for name, err := range map[string]error{
		"an account aggregation":     apptest.DecodeAccountsLoading([]byte(envelope)),
		"an entitlement aggregation": apptest.DecodeLegacyTask([]byte(legacyText)),
		"a status":                   apptest.DecodeAggregationStatus([]byte(statusText)),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, change := range [][2]string{
		{`"QUARTZ"`, `"Quartz"`},
		{`"name":"Cloud Account Aggregation"`, `"uniqueName":"Cloud Account Aggregation"`},
		{`"2026-11-24T23:40:50.123Z","launched"`, `1764027650123,"launched"`},
		{`"progress":null,`, ``},
		{`"progress":null,`, `"progress":null,"percentComplete":0,`},
		{`"completionStatus":"ERROR"`, `"completionStatus":null`},
		{`"error":true`, `"error":false`},
		{`"warning":false`, `"warning":true`},
		{`"localizedText":"m"`, `"localizedText":{"locale":"en","message":"m"}`},
		{`"displayLabel":"TOTAL"`, `"name":"TOTAL"`},
		{`{"total":1,`, `{`},
		{`"messages":[`, `"messages":[null,`},
	} {
		if apptest.DecodeLegacyTask(altered(t, legacyText, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
	for _, change := range [][2]string{{`"success":true`, `"success":false`}, {`"success":true,`, ``}, {`"task"`, `"taskResult"`}} {
		if apptest.DecodeAccountsLoading(altered(t, envelope, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
	for _, change := range [][2]string{
		{`COMPLETED`, `SUCCESS`},
		{`.123Z`, `Z`},
		{`"totalAccounts":4`, `"totalAccounts":2`},
		{`"deletedAccounts":1`, `"deletedAccounts":3`},
		{`"processedAccounts":3`, `"processedAccounts":0`},
		{`"totalAccounts":4`, `"totalAccounts":-1`},
		{`,"processedAccounts":3`, ``},
	} {
		if apptest.DecodeAggregationStatus(altered(t, statusText, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
}
