package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"stint/internal/apptest"
	"stint/internal/audit"
	"stint/internal/store/sqlite"
)

const (
	sourcesPath = "/stint/v1/sources"
	mergePatch  = "application/merge-patch+json"
	leastSource = `{"name":"HR","type":"DelimitedFile","connectorAttributes":{"accountId":"id"}}`
)

func createSource(t *testing.T, server *apptest.Server, body string, pairs ...string) (id string, answer apptest.Answer) {
	t.Helper()
	answer = post(t, server, sourcesPath, body, pairs...)
	wantStatus(t, answer, 201)
	id, _ = member(decoded(t, answer), "id").(string)
	if location := answer.Header.Get("Location"); location != sourcesPath+"/"+id {
		t.Errorf("Location is %q", location)
	}
	return id, answer
}

// patchSource sends a patch; contentType "" sends none.
func patchSource(t *testing.T, server *apptest.Server, id, contentType, body string, pairs ...string) apptest.Answer {
	t.Helper()
	h := header(pairs...)
	if contentType != "" {
		h["Content-Type"] = contentType
	}
	return server.Send(t, apptest.Request{Method: "PATCH", Target: sourcesPath + "/" + id, Header: h, Body: body})
}

func deleteSource(t *testing.T, server *apptest.Server, id string, pairs ...string) apptest.Answer {
	t.Helper()
	return server.Send(t, apptest.Request{Method: "DELETE", Target: sourcesPath + "/" + id, Header: header(pairs...)})
}

// fixed starts a server whose clock stands still.
func fixed(t *testing.T) *apptest.Server {
	t.Helper()
	now := time.Date(2026, 11, 24, 23, 40, 50, 123456789, time.UTC)
	return apptest.Start(t, apptest.Options{Now: func() time.Time { return now }})
}

// golden compares bodies with a file of testdata/golden; UPDATE_GOLDEN=1 writes
// it. Ids are made anew each time.
func golden(t *testing.T, name string, body []byte, ids ...string) {
	t.Helper()
	text := string(body)
	for i, id := range ids {
		text = strings.ReplaceAll(text, id, fmt.Sprintf("{id %d}", i+1))
	}
	var indented strings.Builder
	enc := json.NewEncoder(&indented)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(json.RawMessage(text)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "golden", name+".json")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(indented.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), indented.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestSourceBodies(t *testing.T) {
	t.Parallel()
	server := fixed(t)
	least, answer := createSource(t, server, leastSource)
	golden(t, "source-least", answer.Body, least)
	full, answer := createSource(t, server, `{"name":"Личный <&> \u0022состав\u0022","description":"two\nlines","type":"delimitedFILE",
"connectorAttributes":{"accountId":"id","displayName":"name","entitlements":["groups","roles"],"multiValueSeparator":"|","delimiter":"\t",
"columns":["roles","groups","name","id"]},"deletionThreshold":{"percent":5.0,"minimum":0}}`)
	golden(t, "source-full", answer.Body, full)
	if again := get(t, server, sourcesPath+"/"+strings.ToUpper(full)); string(again.Body) != string(answer.Body) {
		t.Errorf("got %s, created %s", again.Body, answer.Body)
	}
	golden(t, "source-list", get(t, server, sourcesPath).Body, least, full)
	golden(t, "source-deletion", deleteSource(t, server, full).Body, full)
	golden(t, "source-list-empty", get(t, server, sourcesPath+"?limit=0").Body)
}

func TestSourceDefaults(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	defaults := `{"description":"","connectorAttributes":{"accountId":"id","displayName":null,"entitlements":[],"multiValueSeparator":",","delimiter":",",
"columns":[]},"deletionThreshold":{"percent":10,"minimum":10},"accountCount":0,"entitlementCount":0}`
	id, answer := createSource(t, server, `{"name":"nulls","description":null,"type":"DelimitedFile","connectorAttributes":{"accountId":"id","displayName":null,
"entitlements":null,"multiValueSeparator":null,"delimiter":null,"columns":null},"deletionThreshold":null}`)
	wantSubset(t, answer, 201, defaults)
	_, answer = createSource(t, server, strings.Replace(leastSource, `}}`, `},"deletionThreshold":{"percent":null,"minimum":0}}`, 1))
	wantSubset(t, answer, 201, `{"deletionThreshold":{"percent":10,"minimum":0}}`)
	// Taking everything away leads back to the defaults.
	wantStatus(t, patchSource(t, server, id, mergePatch, `{"description":"d","connectorAttributes":{"displayName":"n","entitlements":["g"],
"delimiter":";","multiValueSeparator":"|","columns":["id","n","g"]},"deletionThreshold":{"percent":1,"minimum":1}}`), 200)
	wantSubset(t, patchSource(t, server, id, mergePatch, `{"description":null,"connectorAttributes":{"displayName":null,"entitlements":null,
"delimiter":null,"multiValueSeparator":null,"columns":null},"deletionThreshold":null}`), 200, defaults)
}

func TestSourcesThatAreRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	with := func(member, value string) string { // a good source but for one member
		fields := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(leastSource), &fields); err != nil {
			t.Fatal(err)
		}
		set := map[string]json.RawMessage{member: json.RawMessage(value)}
		if attribute, ok := strings.CutPrefix(member, "connectorAttributes."); ok {
			attributes := map[string]json.RawMessage{"accountId": json.RawMessage(`"id"`), attribute: json.RawMessage(value)}
			set = map[string]json.RawMessage{"connectorAttributes": []byte(marshal(t, attributes))}
		}
		maps.Copy(fields, set)
		return marshal(t, fields)
	}
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	columns := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"c%d"`, i)
		}
		return "[" + strings.Join(names, ",") + "]"
	}
	for name, test := range map[string]struct {
		body, detailCode string
		says             []string
	}{
		"empty":                   {``, missing, []string{"body"}},
		"not JSON":                {`{"name":`, syntax, []string{"position"}},
		"more than one":           {leastSource + leastSource, syntax, []string{"position"}},
		"an array":                {`[` + leastSource + `]`, illegalValue, []string{"object"}},
		"null":                    {`null`, missing, []string{"name"}},
		"nothing":                 {`{}`, missing, []string{"name"}},
		"unknown member":          {with("owner", `"me"`), illegalValue, []string{"/owner", "known"}},
		"another case":            {with("Name", `"x"`), illegalValue, []string{"/Name"}},
		"read-only id":            {with("id", long(32)), illegalValue, []string{"/id"}},
		"a member twice":          {`{"name":"a","name":"b"}`, syntax, []string{"twice"}},
		"name: number":            {with("name", `5`), illegalValue, []string{"/name", "string"}},
		"name: null":              {with("name", `null`), missing, []string{"name"}},
		"name: empty":             {with("name", `""`), missing, []string{"name"}},
		"name: blank":             {with("name", `"  "`), missing, []string{"name"}},
		"name: white space":       {with("name", `" HR"`), illegalValue, []string{"name", `" HR"`}},
		"name: long":              {with("name", long(129)), illegalValue, []string{"name", "128"}},
		"name: an id":             {with("name", `"9315DF38-7AD1-6C49-20C9-47A67932C2A4"`), illegalValue, []string{"name", "id"}},
		"name: U+0000":            {with("name", `"a\u0000b"`), illegalValue, []string{"/name", "U+0000"}},
		"name: lone surrogate":    {with("name", `"a\ud800b"`), syntax, nil},
		"description: array":      {with("description", `[]`), illegalValue, []string{"/description", "string"}},
		"description: long":       {with("description", long(4097)), illegalValue, []string{"description", "4096"}},
		"type: missing":           {`{"name":"a","connectorAttributes":{"accountId":"id"}}`, missing, []string{"type", "DelimitedFile"}},
		"type: unknown":           {with("type", `"LDAP"`), illegalValue, []string{"type", `"LDAP"`, "DelimitedFile"}},
		"type: bool":              {with("type", `true`), illegalValue, []string{"/type", "string"}},
		"attributes: missing":     {`{"name":"a","type":"DelimitedFile"}`, missing, []string{"connectorAttributes.accountId"}},
		"attributes: text":        {with("connectorAttributes", `"id"`), illegalValue, []string{"/connectorAttributes", "object"}},
		"attributes: unknown":     {with("connectorAttributes.quote", `"x"`), illegalValue, []string{"/connectorAttributes/quote"}},
		"accountId: missing":      {with("connectorAttributes", `{}`), missing, []string{"connectorAttributes.accountId"}},
		"accountId: empty":        {with("connectorAttributes.accountId", `""`), missing, []string{"connectorAttributes.accountId"}},
		"accountId: white space":  {with("connectorAttributes.accountId", `"id "`), illegalValue, []string{"connectorAttributes.accountId"}},
		"accountId: number":       {with("connectorAttributes.accountId", `1`), illegalValue, []string{"/connectorAttributes/accountId", "string"}},
		"accountId: long":         {with("connectorAttributes.accountId", long(257)), illegalValue, []string{"connectorAttributes.accountId", "256"}},
		"displayName: object":     {with("connectorAttributes.displayName", `{}`), illegalValue, []string{"/connectorAttributes/displayName"}},
		"displayName: long":       {with("connectorAttributes.displayName", long(257)), illegalValue, []string{"connectorAttributes.displayName"}},
		"entitlements: text":      {with("connectorAttributes.entitlements", `"groups"`), illegalValue, []string{"/connectorAttributes/entitlements", "array"}},
		"entitlements: numbers":   {with("connectorAttributes.entitlements", `[1]`), illegalValue, []string{"/connectorAttributes/entitlements/0", "string"}},
		"entitlements: null":      {with("connectorAttributes.entitlements", `[null]`), illegalValue, []string{"connectorAttributes.entitlements"}},
		"entitlements: accountId": {with("connectorAttributes.entitlements", `["groups","id"]`), illegalValue, []string{"connectorAttributes.entitlements", `"id"`}},
		"entitlements: twice":     {with("connectorAttributes.entitlements", `["g","h","g"]`), illegalValue, []string{"connectorAttributes.entitlements", `"g"`}},
		"entitlements: many":      {with("connectorAttributes.entitlements", columns(1001)), illegalValue, []string{"connectorAttributes.entitlements", "1000"}},
		"separator: empty":        {with("connectorAttributes.multiValueSeparator", `""`), missing, []string{"connectorAttributes.multiValueSeparator"}},
		"separator: long":         {with("connectorAttributes.multiValueSeparator", long(17)), illegalValue, []string{"connectorAttributes.multiValueSeparator", "16"}},
		"separator: array":        {with("connectorAttributes.multiValueSeparator", `[","]`), illegalValue, []string{"/connectorAttributes/multiValueSeparator"}},
		"delimiter: two":          {with("connectorAttributes.delimiter", `";;"`), illegalValue, []string{"connectorAttributes.delimiter", `";;"`, "one character"}},
		"delimiter: none":         {with("connectorAttributes.delimiter", `""`), illegalValue, []string{"connectorAttributes.delimiter"}},
		"delimiter: a quote":      {with("connectorAttributes.delimiter", `"\""`), illegalValue, []string{"connectorAttributes.delimiter"}},
		"delimiter: U+0000":       {with("connectorAttributes.delimiter", `"\u0000"`), illegalValue, []string{"U+0000"}},
		"delimiter: number":       {with("connectorAttributes.delimiter", `9`), illegalValue, []string{"/connectorAttributes/delimiter"}},
		"columns: object":         {with("connectorAttributes.columns", `{"id":1}`), illegalValue, []string{"/connectorAttributes/columns", "array"}},
		"columns: twice":          {with("connectorAttributes.columns", `["id","x","id"]`), illegalValue, []string{"connectorAttributes.columns", `"id"`}},
		"columns: without id":     {with("connectorAttributes.columns", `["x"]`), illegalValue, []string{"connectorAttributes.accountId", `"id"`}},
		"columns: empty name":     {with("connectorAttributes.columns", `["id",""]`), illegalValue, []string{"connectorAttributes.columns"}},
		"columns: many":           {with("connectorAttributes.columns", columns(1001)), illegalValue, []string{"connectorAttributes.columns", "1000"}},
		"threshold: number":       {with("deletionThreshold", `10`), illegalValue, []string{"/deletionThreshold", "object"}},
		"threshold: unknown":      {with("deletionThreshold", `{"maximum":1}`), illegalValue, []string{"/deletionThreshold/maximum"}},
		"percent: text":           {with("deletionThreshold", `{"percent":"10"}`), illegalValue, []string{"/deletionThreshold/percent"}},
		"percent: a fraction":     {with("deletionThreshold", `{"percent":1.5}`), illegalValue, []string{"/deletionThreshold/percent"}},
		"percent: above":          {with("deletionThreshold", `{"percent":101}`), illegalValue, []string{"deletionThreshold.percent", "101"}},
		"percent: huge":           {with("deletionThreshold", `{"percent":4294967306}`), illegalValue, []string{"deletionThreshold.percent"}},
		"minimum: below":          {with("deletionThreshold", `{"minimum":-1}`), illegalValue, []string{"deletionThreshold.minimum", "-1"}},
		"minimum: beyond":         {with("deletionThreshold", `{"minimum":1e300}`), illegalValue, []string{"/deletionThreshold/minimum"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, post(t, server, sourcesPath, test.body), 400, test.detailCode, test.says...)
		})
	}
	t.Cleanup(func() {
		if list := get(t, server, sourcesPath).Text(t); list != "[]" {
			t.Errorf("something was created: %s", list)
		}
	})
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestSourceRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, _ := createSource(t, server, leastSource)
	huge := `{"name":"` + strings.Repeat("x", 2<<20) + `"}`
	wantError(t, post(t, server, sourcesPath, huge), 413, "413.0 Content Too Large", "1048576")
	wantError(t, patchSource(t, server, id, mergePatch, huge), 413, "413.0 Content Too Large")
	wantError(t, post(t, server, sourcesPath, leastSource, "Content-Type", "text/csv"), 415, "", "application/json")
	wantError(t, patchSource(t, server, id, "text/plain", `{}`), 415, "", mergePatch, jsonPatch)
	wantError(t, post(t, server, sourcesPath, leastSource, "Stint-Reason", strings.Repeat("x", 2000)), 400, "", "Stint-Reason")
	wantError(t, patchSource(t, server, id, mergePatch, `{"name":"x"}`, "Stint-Reason", "\xff"), 400, "", "Stint-Reason")
	wantError(t, deleteSource(t, server, id, "Stint-Reason", "\xff"), 400, "", "Stint-Reason")
	for _, unknown := range []string{unknownID, "HR", "x%00y", strings.Repeat("f", 33), "%FF"} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			answer := server.Send(t, apptest.Request{Method: method, Target: sourcesPath + "/" + unknown, Body: `{}`, Header: header("Content-Length", "2")})
			wantError(t, answer, 404, "404.0 Not Found")
		}
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		wantStatus(t, server.Send(t, apptest.Request{Method: method, Target: sourcesPath}), 405)
	}
	for _, method := range []string{"PUT", "POST"} {
		wantStatus(t, server.Send(t, apptest.Request{Method: method, Target: sourcesPath + "/" + id}), 405)
	}
	for query, says := range map[string]string{
		"limit=251": "limit", "sorters=id": "name", "sorters=name,name": "more than once", "filters=launcher+eq+x": "id, name, type",
		"filters=type+eq+LDAP": "DelimitedFile", "filters=name+sw+x": "name",
	} {
		wantError(t, get(t, server, sourcesPath+"?"+query), 400, "", says)
	}
	wantSubset(t, get(t, server, sourcesPath+"/"+id), 200, leastSource)
}

func TestSourceNames(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, _ := createSource(t, server, leastSource)
	other, _ := createSource(t, server, strings.Replace(leastSource, "HR", "hr 2", 1))
	wantError(t, post(t, server, sourcesPath, strings.Replace(leastSource, "HR", "hR", 1)), 409, "409.0 Conflict", "name", id)
	wantError(t, patchSource(t, server, other, mergePatch, `{"name":"hr"}`), 409, "409.0 Conflict", "name", id)
	wantSubset(t, patchSource(t, server, other, mergePatch, `{"name":"HR 2"}`), 200, `{"name":"HR 2"}`)
	wantStatus(t, deleteSource(t, server, id), 200)
	wantSubset(t, patchSource(t, server, other, mergePatch, `{"name":"hr"}`), 200, `{"name":"hr"}`)
}

func TestSourceNameAtOnce(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for round := range 5 {
		var wg sync.WaitGroup
		statuses := make([]int, 2)
		for i := range statuses {
			body := strings.Replace(leastSource, "HR", fmt.Sprintf("%s %d", []string{"Round", "ROUND"}[i], round), 1)
			wg.Go(func() { statuses[i] = post(t, server, sourcesPath, body).Status })
		}
		wg.Wait()
		if statuses[0]+statuses[1] != 201+409 {
			t.Errorf("round %d: %v, want exactly one 201", round, statuses)
		}
	}
}

func TestSourceList(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	ids := map[string]string{}
	for _, name := range []string{"b", "C", "a", "É"} {
		ids[name], _ = createSource(t, server, strings.Replace(leastSource, "HR", name, 1))
	}
	for query, want := range map[string]string{
		"":                              "a b C É",
		"sorters=-name":                 "É C b a",
		"sorters=created,name":          "b C a É",
		"sorters=-created&limit=2":      "É a",
		"limit=2&offset=1":              "b C",
		"offset=9":                      "",
		`filters=name eq "c"`:           "C",
		`filters=name in ("A","É","é")`: "a É",
		`filters=not name eq "a"`:       "b C É",
		`filters=type eq delimitedfile and id in ("` + ids["b"] + `","x")`: "b",
		`filters=id eq "` + unknownID + `"`:                                "",
	} {
		answer := get(t, server, sourcesPath+"?count=true&"+strings.ReplaceAll(url.PathEscape(query), "+", "%2B"))
		wantStatus(t, answer, 200)
		list, _ := decoded(t, answer).([]any)
		names := make([]string, len(list))
		for i, s := range list {
			names[i], _ = member(s, "name").(string)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
		if strings.HasPrefix(query, "limit") && answer.Header.Get("X-Total-Count") != "4" {
			t.Errorf("%s: counted %q", query, answer.Header.Get("X-Total-Count"))
		}
	}
}

func TestSourcePatch(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	for name, test := range map[string]struct{ contentType, body, want string }{
		"merge":               {mergePatch, `{"name":"NAME","description":"d"}`, `{"name":"NAME","description":"d"}`},
		"merge, deep":         {mergePatch, `{"connectorAttributes":{"delimiter":";"}}`, `{"connectorAttributes":{"accountId":"id","delimiter":";"}}`},
		"merge as JSON":       {"application/json", `{"description":"d"}`, `{"description":"d"}`},
		"merge, no type":      {"", ` {"description":"d"}`, `{"description":"d"}`},
		"merge to nothing":    {mergePatch, `{}`, `{}`},
		"merge, unknown gone": {mergePatch, `{"owner":null}`, `{}`},
		"merge, same type":    {mergePatch, `{"type":"DelimitedFile","accountCount":0}`, `{"type":"DelimitedFile"}`},
		"patch":               {jsonPatch, `[{"op":"replace","path":"/description","value":"d"}]`, `{"description":"d"}`},
		"patch as JSON":       {"application/json; charset=utf-8", `[{"op":"add","path":"/connectorAttributes/entitlements/-","value":"g"}]`, `{"connectorAttributes":{"entitlements":["g"]}}`},
		"patch, no type":      {"", ` [{"op":"remove","path":"/deletionThreshold"}]`, `{"deletionThreshold":{"percent":10,"minimum":10}}`},
		"patch, test":         {jsonPatch, `[{"op":"test","path":"/accountCount","value":0},{"op":"replace","path":"/deletionThreshold/percent","value":0}]`, `{"deletionThreshold":{"percent":0,"minimum":10}}`},
		"patch, move":         {jsonPatch, `[{"op":"move","from":"/connectorAttributes/accountId","path":"/connectorAttributes/displayName"},{"op":"add","path":"/connectorAttributes/accountId","value":"key"}]`, `{"connectorAttributes":{"accountId":"key","displayName":"id"}}`},
		"patch, columns":      {jsonPatch, `[{"op":"add","path":"/connectorAttributes/columns","value":["id","x"]}]`, `{"connectorAttributes":{"columns":["id","x"]}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, _ := createSource(t, server, strings.Replace(leastSource, "HR", name, 1))
			body := strings.ReplaceAll(test.body, "NAME", name+" 2")
			want := strings.ReplaceAll(test.want, "NAME", name+" 2")
			answer := patchSource(t, server, id, test.contentType, body)
			wantSubset(t, answer, 200, want)
			if again := get(t, server, sourcesPath+"/"+id); string(again.Body) != string(answer.Body) || again.Header.Get("ETag") != answer.Header.Get("ETag") {
				t.Errorf("got %s, patched %s", again.Body, answer.Body)
			}
		})
	}
}

func TestSourcePatchesThatAreRefused(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, created := createSource(t, server, leastSource)
	replace := func(path, value string) string {
		return `[{"op":"replace","path":"` + path + `","value":` + value + `}]`
	}
	for name, test := range map[string]struct {
		contentType, body, detailCode string
		says                          []string
	}{
		"empty":                   {mergePatch, ``, missing, []string{"body"}},
		"blank":                   {"", "  ", missing, []string{"body"}},
		"not JSON":                {mergePatch, `{"name":`, syntax, nil},
		"a text":                  {"application/json", `"HR"`, content, []string{"6902", "7396"}},
		"null":                    {mergePatch, `null`, content, []string{"7396"}},
		"an array to merge":       {mergePatch, `[]`, content, []string{"7396"}},
		"an object of operations": {jsonPatch, `{"op":"remove","path":"/name"}`, content, []string{"6902"}},
		"no operation":            {jsonPatch, `[]`, content, []string{"1 to 100"}},
		"unknown operation":       {jsonPatch, `[{"op":"set","path":"/name","value":"x"}]`, illegalValue, []string{"/0/op"}},
		"no such path":            {jsonPatch, `[{"op":"remove","path":"/owner"}]`, illegalUpdate, []string{"/owner"}},
		"a test that fails":       {jsonPatch, `[{"op":"test","path":"/name","value":"X"},{"op":"replace","path":"/description","value":"d"}]`, content, []string{"/name"}},
		"id":                      {jsonPatch, replace("/id", `"`+unknownID+`"`), illegalUpdate, []string{"/id"}},
		"id removed":              {jsonPatch, `[{"op":"remove","path":"/id"}]`, illegalUpdate, []string{"/id"}},
		"id, merged":              {mergePatch, `{"id":null}`, illegalUpdate, []string{"/id"}},
		"type":                    {mergePatch, `{"type":"LDAP"}`, illegalUpdate, []string{"/type"}},
		"type removed":            {mergePatch, `{"type":null}`, illegalUpdate, []string{"/type"}},
		"created":                 {mergePatch, `{"created":"2020-01-01T00:00:00.000Z"}`, illegalUpdate, []string{"/created"}},
		"modified":                {mergePatch, `{"modified":null}`, illegalUpdate, []string{"/modified"}},
		"accountCount":            {mergePatch, `{"accountCount":1}`, illegalUpdate, []string{"/accountCount"}},
		"entitlementCount":        {jsonPatch, replace("/entitlementCount", `"0"`), illegalUpdate, []string{"/entitlementCount"}},
		"the whole":               {jsonPatch, replace("", `{}`), illegalUpdate, []string{"/id"}},
		"the whole to null":       {jsonPatch, replace("", `null`), illegalUpdate, nil},
		"the whole to a list":     {jsonPatch, replace("", `[]`), illegalUpdate, nil},
		"unknown member":          {mergePatch, `{"owner":"me"}`, illegalValue, []string{"/owner"}},
		"unknown member, deep":    {mergePatch, `{"connectorAttributes":{"owner":"me"}}`, illegalValue, []string{"/connectorAttributes/owner"}},
		"wrong type":              {mergePatch, `{"name":{"a":1}}`, illegalValue, []string{"/name"}},
		"name removed":            {mergePatch, `{"name":null}`, missing, []string{"name"}},
		"attributes removed":      {mergePatch, `{"connectorAttributes":null}`, missing, []string{"connectorAttributes.accountId"}},
		"attributes a list":       {mergePatch, `{"connectorAttributes":[]}`, illegalValue, []string{"/connectorAttributes"}},
		"accountId removed":       {jsonPatch, `[{"op":"remove","path":"/connectorAttributes/accountId"}]`, missing, []string{"connectorAttributes.accountId"}},
		"accountId a right":       {mergePatch, `{"connectorAttributes":{"entitlements":["id"]}}`, illegalValue, []string{"connectorAttributes.entitlements"}},
		"columns without it":      {mergePatch, `{"connectorAttributes":{"columns":["x"]}}`, illegalValue, []string{"connectorAttributes.accountId"}},
		"two delimiters":          {mergePatch, `{"connectorAttributes":{"delimiter":"ab"}}`, illegalValue, []string{"connectorAttributes.delimiter"}},
		"U+0000":                  {mergePatch, `{"description":"\u0000"}`, illegalValue, []string{"U+0000"}},
		"U+0000 in a name":        {mergePatch, `{"\u0000":1}`, illegalValue, []string{"U+0000"}},
		"a member twice":          {mergePatch, `{"name":"a","name":"b"}`, syntax, []string{"twice"}},
		"deep":                    {mergePatch, strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "", nil},
		"too deep":                {mergePatch, strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), syntax, nil},
		"copies": {
			jsonPatch, "[" + strings.TrimSuffix(strings.Repeat(`{"op":"copy","from":"/connectorAttributes","path":"/connectorAttributes/columns"},`, 99), ",") + "]", "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantError(t, patchSource(t, server, id, test.contentType, test.body), 400, test.detailCode, test.says...)
		})
	}
	t.Cleanup(func() {
		if now := get(t, server, sourcesPath+"/"+id); string(now.Body) != string(created.Body) {
			t.Errorf("the source changed: %s, was %s", now.Body, created.Body)
		}
	})
}

func TestSourceIsModifiedWhenItChanges(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(1_800_000_000_000)
	server := apptest.Start(t, apptest.Options{Now: func() time.Time { return time.UnixMilli(clock.Load()) }})
	id, _ := createSource(t, server, leastSource)
	const created, later = `"created":"2027-01-15T08:00:00.000Z"`, `"modified":"2027-01-15T08:00:05.000Z"`
	for _, step := range []struct {
		after int64
		patch string
		want  string
	}{
		{5000, `{"description":"d"}`, later},
		{5000, `{"description":"d"}`, later},
		{-20000, `{"description":"the clock went back"}`, later},
	} {
		clock.Add(step.after)
		wantSubset(t, patchSource(t, server, id, mergePatch, step.patch), 200, "{"+created+","+step.want+"}")
	}
}

func TestSourceTags(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, created := createSource(t, server, leastSource)
	first := created.Header.Get("ETag")
	path := sourcesPath + "/" + id
	wantStatus(t, get(t, server, path, "If-None-Match", first), 304)
	wantStatus(t, head(t, server, path, "If-None-Match", `"x"`), 200)
	const rename = `{"name":"Renamed"}`
	wantError(t, patchSource(t, server, id, mergePatch, rename, "If-Match", `"x"`), 412, "", "If-Match", first)
	renamed := patchSource(t, server, id, mergePatch, rename, "If-Match", first)
	wantSubset(t, renamed, 200, rename)
	second := renamed.Header.Get("ETag")
	// The repeat of what was applied changes nothing, whatever its tag.
	again := patchSource(t, server, id, mergePatch, rename, "If-Match", first)
	if wantStatus(t, again, 200); string(again.Body) != string(renamed.Body) {
		t.Errorf("the repeat changed the source: %s", again.Body)
	}
	wantError(t, patchSource(t, server, id, mergePatch, `{"description":"d"}`, "If-Match", first), 412, "")
	wantError(t, patchSource(t, server, id, mergePatch, `{"id":"x"}`, "If-Match", first), 412, "")
	wantError(t, deleteSource(t, server, id, "If-Match", first), 412, "", second)
	wantStatus(t, get(t, server, path), 200)
	wantStatus(t, deleteSource(t, server, id, "If-Match", second), 200)
	wantStatus(t, get(t, server, path), 404)
	wantStatus(t, deleteSource(t, server, id), 404)
}

func TestDeletedSourceKeepsItsTasks(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, _ := createSource(t, server, leastSource)
	taskID, _ := launch(t, server, `{"type":"IDENTITY_REFRESH","sourceId":"`+id+`"}`)
	wantSubset(t, deleteSource(t, server, id), 200, `{"source":{"id":"`+id+`"},"deletedAccounts":0,"deletedEntitlements":0,"terminatedTasks":[]}`)
	wantSubset(t, get(t, server, stintTask(taskID)), 200, `{"sourceId":"`+id+`","state":"queued"}`)
	createSource(t, server, leastSource)
}

// audited returns what the audit trail says of an object.
func audited(t *testing.T, server *apptest.Server, object string) []audit.Entry {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: server.DB, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.Audit(t.Context(), object)
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestSourceAudit(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, apptest.Options{})
	id, created := createSource(t, server, leastSource, "Stint-Reason", "new system", "User-Agent", "test/1")
	const words = ` {"description":"d"}`
	patched := patchSource(t, server, id, mergePatch, words, "Stint-Reason", "why not", "X-Request-Id", unknownID)
	wantStatus(t, patchSource(t, server, id, mergePatch, words, "Stint-Reason", "again"), 200)
	wantStatus(t, patchSource(t, server, id, mergePatch, `{"id":"x"}`), 400)
	wantStatus(t, deleteSource(t, server, id, "Stint-Reason", "gone"), 200)
	entries := audited(t, server, id)
	want := []audit.Entry{
		{Action: audit.SourceCreate, After: created.Body, Reason: "new system"},
		{Action: audit.SourceUpdate, Before: created.Body, After: patched.Body, Words: words, Reason: "why not"},
		{Action: audit.SourceDelete, Before: patched.Body, Reason: "gone"},
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(entries), len(want), entries)
	}
	if o := entries[0].Origin; o.Agent != "test/1" || o.Address == "" || o.Actor == "" || entries[1].Origin.RequestID != unknownID {
		t.Errorf("the origins are %+v and %+v", o, entries[1].Origin)
	}
	for i := range entries {
		if entries[i].At.IsZero() || entries[i].Object != id {
			t.Errorf("entry %d is of %v about %q", i, entries[i].At, entries[i].Object)
		}
		entries[i].At, entries[i].Origin, entries[i].Object = time.Time{}, audit.Origin{}, ""
	}
	if diff := cmp.Diff(want, entries, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
}
