package httpapi

import (
	"context"
	"net/http"
	"slices"

	"stint/internal/principal"
	"stint/internal/task"
)

// The rights that routes ask for. Source: contract, section 7; what is Stint's own
// follows it.

func public() principal.Right { return principal.Right{Public: true} }

// anyRight is everybody's who is known.
func anyRight() principal.Right {
	return principal.Right{
		Doing: "see who you are", Scopes: principal.Scopes(), Levels: principal.Levels(), Applications: true,
	}
}

func readTasks() principal.Right {
	return principal.Right{
		Doing: "read tasks", Scopes: []principal.Scope{principal.TasksRead, principal.TasksWrite},
		Levels: principal.Levels(), Applications: true,
	}
}

// allBut returns the user levels except some.
func allBut(not ...principal.Level) []principal.Level {
	return slices.DeleteFunc(principal.Levels(), func(l principal.Level) bool { return slices.Contains(not, l) })
}

func endTasks() principal.Right {
	return principal.Right{
		Doing: "end a task", Scopes: []principal.Scope{principal.TasksWrite}, Levels: allBut(principal.Helpdesk),
	}
}

// runTasks is the right of programs that run tasks and report them.
func runTasks() principal.Right {
	return principal.Right{
		Doing: "run tasks and report them", Scopes: []principal.Scope{principal.TasksWrite},
		Levels: allBut(principal.Helpdesk), Applications: true,
	}
}

// launchTasks is what any launch takes; what is launched takes a right of its own.
func launchTasks() principal.Right {
	r := runTasks()
	r.Doing = "launch tasks"
	r.Scopes = append(r.Scopes, principal.SourcesManage, principal.EntitlementsManage)
	return r
}

func launchers() []principal.Level {
	return []principal.Level{principal.OrgAdmin, principal.SourceAdmin, principal.SourceSubadmin}
}

func loadAccounts() principal.Right {
	return principal.Right{
		Doing: "aggregate accounts", Scopes: []principal.Scope{principal.SourcesManage}, Levels: launchers(),
	}
}

func loadEntitlements() principal.Right {
	return principal.Right{
		Doing: "aggregate entitlements", Scopes: []principal.Scope{principal.EntitlementsManage}, Levels: launchers(),
	}
}

func readAggregations() principal.Right {
	r := readTasks()
	r.Doing = "read aggregations"
	r.Scopes = append(r.Scopes, principal.SourcesRead, principal.SourcesManage)
	return r
}

func readSources() principal.Right {
	return principal.Right{
		Doing: "read sources", Scopes: []principal.Scope{principal.SourcesRead, principal.SourcesManage},
		Levels: principal.Levels(), Applications: true,
	}
}

func manageSources() principal.Right {
	return principal.Right{
		Doing: "manage sources", Scopes: []principal.Scope{principal.SourcesManage},
		Levels: []principal.Level{principal.OrgAdmin, principal.SourceAdmin},
	}
}

// changeSources is the right to change a source that is there.
func changeSources() principal.Right {
	r := manageSources()
	r.Doing, r.Levels = "change a source", launchers()
	return r
}

func readAccounts() principal.Right {
	return principal.Right{
		Doing: "read accounts", Scopes: []principal.Scope{principal.AccountsRead, principal.SourcesManage},
		Levels: []principal.Level{
			principal.OrgAdmin, principal.Helpdesk, principal.ReportAdmin, principal.SourceAdmin, principal.SourceSubadmin,
		},
		Applications: true,
	}
}

func readEntitlements() principal.Right {
	return principal.Right{
		Doing: "read entitlements", Scopes: []principal.Scope{principal.EntitlementsRead, principal.EntitlementsManage},
		Levels: principal.Levels(), Applications: true,
	}
}

func manageTokens() principal.Right {
	return principal.Right{
		Doing: "manage personal access tokens", Scopes: []principal.Scope{principal.TokensManage},
		Levels: []principal.Level{principal.OrgAdmin},
	}
}

func manageApplications() principal.Right {
	return principal.Right{
		Doing: "manage applications", Scopes: []principal.Scope{principal.ApplicationsManage},
		Levels: []principal.Level{principal.OrgAdmin},
	}
}

func manageWebhooks() principal.Right {
	return principal.Right{
		Doing: "manage webhooks", Scopes: []principal.Scope{principal.WebhooksManage},
		Levels: []principal.Level{principal.OrgAdmin},
	}
}

func readAudit() principal.Right {
	return principal.Right{
		Doing: "read the audit", Scopes: []principal.Scope{principal.AuditRead},
		Levels: []principal.Level{principal.OrgAdmin, principal.ReportAdmin}, Applications: true,
	}
}

// permit lets a request through that has the right; from then on its context says
// who asks.
func (a *api) permit(r *http.Request, right principal.Right) (*http.Request, error) {
	ctx := context.WithValue(r.Context(), rightKey, right)
	if right.Public {
		return r.WithContext(ctx), nil
	}
	p, err := a.authenticate(r)
	if err != nil {
		return r, err
	}
	ctx = principal.In(ctx, p)
	return r.WithContext(ctx), right.Check(p)
}

// onSource refuses what the caller may do to other sources only.
func onSource(ctx context.Context, sourceID string) error { return onSources(ctx)(sourceID) }

// onSources is onSource for a source that is not known yet.
func onSources(ctx context.Context) func(sourceID string) error {
	right, _ := ctx.Value(rightKey).(principal.Right)
	return func(sourceID string) error { return alsoNeeds(ctx, right, sourceID) }
}

// alsoNeeds refuses a caller that lacks another right than the route's.
func alsoNeeds(ctx context.Context, right principal.Right, sourceID string) error {
	p := principal.Of(ctx)
	if p == nil {
		return task.Errorf(task.Forbidden, "", "nobody is known to ask")
	}
	return right.CheckSource(p, sourceID)
}
