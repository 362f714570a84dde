package principal_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"stint/internal/principal"
	"stint/internal/task"
)

func endTasks() *principal.Right {
	return &principal.Right{
		Doing: "end a task", Scopes: []principal.Scope{principal.TasksWrite},
		Levels: []principal.Level{principal.OrgAdmin, principal.SourceSubadmin, principal.RoleSubadmin},
	}
}

func user(scopes []principal.Scope, levels ...principal.Level) *principal.Principal {
	return &principal.Principal{Client: "c", Name: "u", User: true, Levels: levels, Scopes: scopes}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	write, all := []principal.Scope{principal.TasksWrite}, []principal.Scope{principal.AllScopes}
	open := endTasks()
	open.Applications = true
	app := &principal.Principal{Name: "a", Scopes: write}
	disguised := &principal.Principal{Name: "a", Scopes: write, Levels: []principal.Level{principal.OrgAdmin}}
	for name, test := range map[string]struct {
		right *principal.Right
		who   *principal.Principal
		says  string // "" lets through
	}{
		"everybody":                         {&principal.Right{Public: true}, &principal.Principal{}, ""},
		"the zero right":                    {&principal.Right{}, user(all, principal.OrgAdmin), "nobody may do this"},
		"levels without scopes":             {&principal.Right{Levels: principal.Levels()}, user(all, principal.OrgAdmin), "nobody may do this"},
		"scopes without levels":             {&principal.Right{Scopes: write}, user(all, principal.OrgAdmin), "user levels"},
		"scope and level":                   {endTasks(), user(write, principal.OrgAdmin), ""},
		"all scopes":                        {endTasks(), user(all, principal.OrgAdmin), ""},
		"one level of two":                  {endTasks(), user(all, principal.Helpdesk, principal.OrgAdmin), ""},
		"another scope":                     {endTasks(), user([]principal.Scope{principal.TasksRead}, principal.OrgAdmin), "idn:task-management:write, sp:scopes:all; the token has idn:task-management:read"},
		"no scope":                          {endTasks(), user(nil, principal.OrgAdmin), "the token has none"},
		"another level":                     {endTasks(), user(write, principal.Helpdesk), "ORG_ADMIN, SOURCE_SUBADMIN, ROLE_SUBADMIN; the token has HELPDESK"},
		"no level":                          {endTasks(), user(write), "the token has none"},
		"an application":                    {endTasks(), app, "use a personal access token"},
		"an application, with levels":       {endTasks(), disguised, "use a personal access token"},
		"an application that may":           {open, app, ""},
		"a user where applications may":     {open, user(write, principal.Helpdesk), "user levels"},
		"nobody in particular":              {endTasks(), &principal.Principal{}, "scope"},
		"who asks a server without a token": {endTasks(), principal.Anyone(), ""},
	} {
		err := test.right.Check(test.who)
		if (err == nil) != (test.says == "") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (task.KindOf(err) != task.Forbidden || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, test.says)
		}
	}
}

func TestCheckSource(t *testing.T) {
	t.Parallel()
	all := []principal.Scope{principal.AllScopes}
	const own, dashed = "0123456789abcdef0123456789abcdef", "01234567-89AB-CDEF-0123-456789ABCDEF"
	with := func(p *principal.Principal, sources ...string) *principal.Principal {
		p.Sources = sources
		return p
	}
	open := endTasks()
	open.Applications = true
	for name, test := range map[string]struct {
		right  *principal.Right
		who    *principal.Principal
		source string
		says   string
	}{
		"unlimited":                  {endTasks(), user(all, principal.OrgAdmin), "x", ""},
		"unlimited, no source":       {endTasks(), user(all, principal.OrgAdmin), "", ""},
		"limited, its own":           {endTasks(), with(user(all, principal.SourceSubadmin), "x", own), own, ""},
		"limited, in another form":   {endTasks(), with(user(all, principal.RoleSubadmin), own), dashed, ""},
		"the other way round":        {endTasks(), with(user(all, principal.RoleSubadmin), dashed), own, ""},
		"limited, in another case":   {endTasks(), with(user(all, principal.SourceSubadmin), "HR"), "hr", ""},
		"limited, another":           {endTasks(), with(user(all, principal.SourceSubadmin), own), "x", "this belongs to source x; the token is for " + own},
		"limited, none of its own":   {endTasks(), user(all, principal.SourceSubadmin), own, "the token is for none"},
		"limited, no source":         {endTasks(), with(user(all, principal.SourceSubadmin), own), "", "belongs to no source"},
		"limited, nothing for all":   {endTasks(), with(user(all, principal.SourceSubadmin), ""), "", "belongs to no source"},
		"limited and unlimited":      {endTasks(), with(user(all, principal.SourceSubadmin, principal.OrgAdmin), own), "x", ""},
		"unlimited by a wrong level": {endTasks(), with(user(all, principal.SourceSubadmin, principal.Helpdesk), own), "x", "as SOURCE_SUBADMIN takes a token for the source"},
		"without the right":          {endTasks(), with(user(nil, principal.SourceSubadmin), own), own, "scopes"},
		"an application":             {open, &principal.Principal{Scopes: all}, "x", ""},
	} {
		err := test.right.CheckSource(test.who, test.source)
		if (err == nil) != (test.says == "") || err != nil && (task.KindOf(err) != task.Forbidden || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
	}
}

// Nobody passes without a scope and, being a user, a level.
func TestNobodyPassesWithoutScopeAndLevel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		scopes := rapid.SliceOfN(rapid.SampledFrom(principal.Scopes()), 0, 4)
		levels := rapid.SliceOfN(rapid.SampledFrom(principal.Levels()), 0, 4)
		sources := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ""}), 0, 2)
		right := principal.Right{
			Doing: "do it", Scopes: scopes.Draw(r, "needed"), Levels: levels.Draw(r, "of"), Applications: rapid.Bool().Draw(r, "applications"),
		}
		p := principal.Principal{User: rapid.Bool().Draw(r, "user"), Scopes: scopes.Draw(r, "scopes"), Levels: levels.Draw(r, "levels"), Sources: sources.Draw(r, "sources")}
		source := rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(r, "source")

		hasScope := slices.ContainsFunc(p.Scopes, func(s principal.Scope) bool {
			return s == principal.AllScopes || slices.Contains(right.Scopes, s)
		})
		giving := slices.DeleteFunc(slices.Clone(p.Levels), func(l principal.Level) bool { return !slices.Contains(right.Levels, l) })
		may := len(right.Scopes) > 0 && hasScope && (p.User && len(giving) > 0 || !p.User && right.Applications)
		if err := right.Check(&p); may != (err == nil) {
			r.Fatalf("check: %v, want %v", err, may)
		}
		limited := p.User && !slices.ContainsFunc(giving, func(l principal.Level) bool {
			return l != principal.SourceSubadmin && l != principal.RoleSubadmin
		})
		mayHere := may && (!limited || source != "" && slices.Contains(p.Sources, source))
		if err := right.CheckSource(&p, source); mayHere != (err == nil) {
			r.Fatalf("check of the source: %v, want %v", err, mayHere)
		}
	})
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, l := range principal.Levels() {
		for _, s := range []string{string(l), strings.ToLower(string(l))} {
			if got, ok := principal.ParseLevel(s); !ok || got != l {
				t.Errorf("level %q is %q, %v", s, got, ok)
			}
		}
	}
	for _, s := range []string{"", " ORG_ADMIN", "ADMIN", "ORG_ADMIN\x00", "ORG\u212aADMIN", "ROLE_\u017fUBADMIN"} {
		if got, ok := principal.ParseLevel(s); ok || got != "" {
			t.Errorf("level %q is %q", s, got)
		}
	}
	for _, scope := range principal.Scopes() {
		if got, ok := principal.ParseScope(string(scope)); !ok || got != scope {
			t.Errorf("scope %q is %q, %v", scope, got, ok)
		}
		if _, ok := principal.ParseScope(strings.ToUpper(string(scope))); ok {
			t.Errorf("the case of %q does not matter", scope)
		}
	}
	for _, s := range []string{"", "*", "sp:scopes", "sp:scopes:all "} {
		if _, ok := principal.ParseScope(s); ok {
			t.Errorf("%q is a scope", s)
		}
	}
}

func TestClientCheck(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 24, 23, 40, 50, 0, time.UTC)
	pat := principal.Client{
		Sort: principal.PersonalAccessToken, Name: "n", User: "u", Levels: []principal.Level{principal.SourceSubadmin},
		Scopes: []principal.Scope{principal.TasksRead}, Sources: []string{"s"}, Created: created,
	}
	app := principal.Client{Sort: principal.Application, Name: "n", Scopes: pat.Scopes, Created: created}
	for name, test := range map[string]struct {
		of     principal.Client
		change func(*principal.Client)
		field  string // "" is good
	}{
		"token":                   {pat, func(*principal.Client) {}, ""},
		"application":             {app, func(*principal.Client) {}, ""},
		"longest name":            {pat, func(c *principal.Client) { c.Name = strings.Repeat("é", 128) }, ""},
		"most sources":            {pat, func(c *principal.Client) { c.Sources = slices.Repeat([]string{"s"}, 1000) }, ""},
		"expires":                 {pat, func(c *principal.Client) { c.Expires = created.Add(time.Millisecond) }, ""},
		"no name":                 {pat, func(c *principal.Client) { c.Name = "" }, "name"},
		"blank name":              {app, func(c *principal.Client) { c.Name = "\t " }, "name"},
		"long name":               {pat, func(c *principal.Client) { c.Name = strings.Repeat("é", 129) }, "name"},
		"name of another coding":  {pat, func(c *principal.Client) { c.Name = "\xff" }, "name"},
		"name with an escape":     {pat, func(c *principal.Client) { c.Name = "a\x1b[2J" }, "name"},
		"name with a rubout":      {pat, func(c *principal.Client) { c.Name = "a\x7f" }, "name"},
		"no user":                 {pat, func(c *principal.Client) { c.User = "" }, "user"},
		"user with NUL":           {pat, func(c *principal.Client) { c.User = "a\x00" }, "user"},
		"no levels":               {pat, func(c *principal.Client) { c.Levels = nil }, "levels"},
		"no scopes":               {pat, func(c *principal.Client) { c.Scopes = nil }, "scopes"},
		"too many sources":        {pat, func(c *principal.Client) { c.Sources = slices.Repeat([]string{"s"}, 1001) }, "sources"},
		"empty source":            {pat, func(c *principal.Client) { c.Sources = []string{"s", ""} }, "sources"},
		"sources that limit none": {pat, func(c *principal.Client) { c.Levels = []principal.Level{principal.OrgAdmin} }, "sources"},
		"expires when it is made": {pat, func(c *principal.Client) { c.Expires = created }, "expires"},
		"application for a user":  {app, func(c *principal.Client) { c.User = "u" }, "user"},
		"application of a level":  {app, func(c *principal.Client) { c.Levels = pat.Levels }, "levels"},
		"application of a source": {app, func(c *principal.Client) { c.Sources = pat.Sources }, "sources"},
	} {
		c := test.of
		test.change(&c)
		err := c.Check()
		if (err == nil) != (test.field == "") || err != nil && !strings.HasPrefix(err.Error(), test.field) {
			t.Errorf("%s: %v, want one about %q", name, err, test.field)
		}
	}
}

func TestClientWithin(t *testing.T) {
	t.Parallel()
	type scopes = []principal.Scope
	for _, test := range []struct {
		maker, made scopes
		good        bool
	}{
		{scopes{principal.AllScopes}, scopes{principal.AllScopes, principal.AuditRead}, true},
		{scopes{principal.TasksRead, principal.TokensManage}, scopes{principal.TasksRead}, true},
		{scopes{principal.TokensManage}, scopes{principal.TasksRead}, false},
		{scopes{principal.TokensManage}, scopes{principal.TokensManage, principal.AllScopes}, false},
		{nil, scopes{principal.TasksRead}, false},
	} {
		c := principal.Client{Scopes: test.made}
		if err := c.Within(user(test.maker)); (err == nil) != test.good || err != nil && task.KindOf(err) != task.Forbidden {
			t.Errorf("%v makes %v: %v", test.maker, test.made, err)
		}
	}
}

func TestClientLive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 23, 40, 50, 0, time.UTC)
	for name, test := range map[string]struct {
		client principal.Client
		live   bool
	}{
		"for ever":       {principal.Client{}, true},
		"a moment still": {principal.Client{Expires: now.Add(1)}, true},
		"expired now":    {principal.Client{Expires: now}, false},
		"revoked":        {principal.Client{Revoked: now.Add(-1)}, false},
		"revoked later":  {principal.Client{Revoked: now.Add(time.Hour)}, false}, // by a clock that is ahead
	} {
		if got := test.client.Live(now); got != test.live {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestContextCarriesThePrincipal(t *testing.T) {
	t.Parallel()
	if p := principal.Of(t.Context()); p != nil {
		t.Errorf("nobody is %+v", p)
	}
	p := user(nil)
	if got := principal.Of(principal.In(t.Context(), p)); got != p {
		t.Errorf("got %+v", got)
	}
}
