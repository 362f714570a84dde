package apptest_test

import (
	"testing"

	"stint/internal/apptest"
)

const entryText = `{"id":"0000000000000003000000000000002a","created":"2026-11-24T23:40:50.123Z","action":"task.clear","actor":"ann","client":"",
"address":"::1","agent":"","requestId":"","object":"x","reason":"","words":"[]","before":null,"after":{"a":[1]}}`

func TestAuditDecoders(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"an entry": apptest.DecodeAuditEntry([]byte(entryText)),
		"a list":   apptest.DecodeAuditList([]byte("[" + entryText + "]")),
		"nothing":  apptest.DecodeAuditList([]byte("[]")),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, change := range [][2]string{
		{`"client":""`, `"client":null`},
		{`"reason":"",`, ``},
		{`"before":null`, `"before":"{}"`},
		{`"before":null,`, ``},
		{`"after":{"a":[1]}`, `"after":null`},
		{`task.clear`, `clear`},
		{`"actor":"ann"`, `"actor":""`},
		{`50.123Z`, `50Z`},
		{`"words":"[]"`, `"words":[]`},
		{`"object":"x"`, `"object":"x","link":""`},
	} {
		if apptest.DecodeAuditEntry(altered(t, entryText, change[0], change[1])) == nil {
			t.Errorf("%s instead of %s passes", change[1], change[0])
		}
	}
	if apptest.DecodeAuditList([]byte("["+entryText+","+entryText+"]")) == nil {
		t.Error("an id that is there twice passes")
	}
}
