package apptest_test

import (
	"testing"

	"stint/internal/apptest"
)

const sourceText = `{"id":"00eebcf881994e419d72e757fd30dc0e","name":"HR","description":"","type":"DelimitedFile",
"connectorAttributes":{"accountId":"id","displayName":null,"entitlements":["groups"],"multiValueSeparator":",","delimiter":",","columns":[]},
"deletionThreshold":{"percent":10,"minimum":10},"accountCount":0,"entitlementCount":0,
"created":"2026-11-24T23:40:50.123Z","modified":"2026-11-24T23:40:50.123Z"}`

func TestSourceDecoders(t *testing.T) {
	t.Parallel()
	deletion := `{"source":` + sourceText + `,"deletedAccounts":1,"deletedEntitlements":0,"terminatedTasks":["00eebcf881994e419d72e757fd30dc0e"],"text":"gone"}`
	for name, err := range map[string]error{
		"a source":   apptest.DecodeSource([]byte(sourceText)),
		"a list":     apptest.DecodeSourceList([]byte("[" + sourceText + "]")),
		"a deletion": apptest.DecodeSourceDeletion([]byte(deletion)),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, change := range [][2]string{
		{`"displayName":null`, `"displayName":""`},
		{`"displayName":null,`, ``},
		{`["groups"]`, `null`},
		{`["groups"]`, `["groups "]`},
		{`"percent":10`, `"percent":101`},
		{`"minimum":10`, `"minimum":1e1`},
		{`"accountCount":0`, `"accountCount":-1`},
		{`"accountCount":0`, `"accountCount":0,"owner":null`},
		{`"DelimitedFile"`, `"LDAP"`},
		{`"name":"HR"`, `"name":""`},
		{`"modified":"2026`, `"modified":"2025`},
	} {
		if apptest.DecodeSource(altered(t, sourceText, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
	if apptest.DecodeSourceList([]byte("["+sourceText+","+sourceText+"]")) == nil {
		t.Error("an id that is there twice passes")
	}
	for _, change := range [][2]string{{`"text":"gone"`, `"text":""`}, {`"terminatedTasks":[`, `"terminatedTasks":["x",`}, {`"deletedAccounts":1,`, ``}} {
		if apptest.DecodeSourceDeletion(altered(t, deletion, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
}
