package httpapi

import (
	"net/http"
	"strings"

	"stint/internal/principal"
	"stint/internal/task"
)

// Route is one method of one path.
type Route struct {
	Method      string
	Path        string // as http.ServeMux patterns and OpenAPI write it
	OperationID string
	// Right is what a caller needs; what it launches, or whose source it is, may take
	// more.
	Right principal.Right
}

type handlerFunc func(w http.ResponseWriter, r *http.Request) error

type endpoint struct {
	Route
	handle handlerFunc
	form   string // of the answer, a media type
}

// The forms of answers.
const (
	formJSON   = "application/json"
	formEvents = "text/event-stream"
)

// addRoute adds a route to the list.
type addRoute func(method, path, operation string, right principal.Right, h handlerFunc)

// endpoints is the only list of routes. HEAD goes wherever GET does.
func (a *api) endpoints() []endpoint {
	var all []endpoint
	add := func(method, path, operation string, right principal.Right, h handlerFunc) {
		all = append(all, endpoint{Route{method, path, operation, right}, h, formJSON})
	}
	a.originalRoutes(add)
	add(http.MethodGet, "/stint/v1/tasks/events", "followTasks", readTasks(), a.followTasks)
	all[len(all)-1].form = formEvents
	a.ownRoutes(add)
	a.signInRoutes(add)
	a.webhookRoutes(add)
	return all
}

// originalRoutes are those of the original.
func (a *api) originalRoutes(add addRoute) {
	for _, s := range spellings() {
		add(http.MethodGet, s.path, "getTaskStatusList"+s.suffix, readTasks(), a.listStatuses)
		add(http.MethodGet, s.path+"/{id}", "getTaskStatus"+s.suffix, readTasks(), a.getStatus)
		add(http.MethodPatch, s.path+"/{id}", "updateTaskStatus"+s.suffix, endTasks(), a.patchStatus)
		if s.pending {
			add(http.MethodGet, s.path+"/pending-tasks", "getPendingTasks"+s.suffix, readTasks(), a.listPending)
		}
	}
	for _, s := range sourceSpellings() {
		add(http.MethodPost, s.path+"/load-accounts", "importAccounts"+s.suffix, loadAccounts(), a.loadAccounts)
		add(http.MethodPost, s.path+"/load-entitlements", "importEntitlements"+s.suffix, loadEntitlements(), a.loadEntitlements)
	}
	for _, s := range aggregationSpellings() {
		add(http.MethodGet, s.path+"/status", "getAccountAggregationStatus"+s.suffix, readAggregations(), a.aggregationStatus)
	}
}

// ownRoutes are Stint's own.
func (a *api) ownRoutes(add addRoute) {
	add(http.MethodGet, "/stint/v1/tasks", "listTasks", readTasks(), a.listTasks)
	add(http.MethodPost, "/stint/v1/tasks", "launchTask", launchTasks(), a.launchTask)
	add(http.MethodPost, "/stint/v1/tasks/clear", "clearTasks", endTasks(), a.clearTasks)
	add(http.MethodGet, "/stint/v1/tasks/{id}", "getTask", readTasks(), a.getTask)
	add(http.MethodPost, "/stint/v1/tasks/{id}/report", "reportTask", runTasks(), a.reportTask)
	add(http.MethodPost, "/stint/v1/tasks/{id}/cancel", "cancelTask", endTasks(), a.cancelTask)
	add(http.MethodGet, "/stint/v1/tasks/{id}/wait", "waitForTask", readTasks(), a.waitForTask)
	add(http.MethodGet, "/stint/v1/tasks/{id}/changes", "listTaskChanges", readAccounts(), a.listTaskChanges)
	add(http.MethodGet, "/stint/v1/statistics", "getStatistics", readTasks(), a.getStatistics)
	add(http.MethodGet, "/stint/v1/statistics/runs", "getLatestRuns", readTasks(), a.getLatestRuns)
	add(http.MethodGet, "/stint/v1/accounts", "listAccounts", readAccounts(), a.listAccounts)
	add(http.MethodGet, "/stint/v1/accounts/{id}", "getAccount", readAccounts(), a.getAccount)
	add(http.MethodGet, "/stint/v1/entitlements", "listEntitlements", readEntitlements(), a.listEntitlements)
	add(http.MethodGet, "/stint/v1/entitlements/{id}", "getEntitlement", readEntitlements(), a.getEntitlement)
	add(http.MethodGet, "/stint/v1/definitions", "listDefinitions", readTasks(), a.listDefinitions)
	add(http.MethodGet, "/stint/v1/sources", "listSources", readSources(), a.listSources)
	add(http.MethodPost, "/stint/v1/sources", "createSource", manageSources(), a.createSource)
	add(http.MethodGet, "/stint/v1/sources/{id}", "getSource", readSources(), a.getSource)
	add(http.MethodPatch, "/stint/v1/sources/{id}", "patchSource", changeSources(), a.patchSource)
	add(http.MethodDelete, "/stint/v1/sources/{id}", "deleteSource", manageSources(), a.deleteSource)
	add(http.MethodGet, "/stint/v1/audit", "listAudit", readAudit(), a.listAudit)
	add(http.MethodGet, "/stint/v1/audit/{id}", "getAuditEntry", readAudit(), a.getAuditEntry)
}

// signInRoutes are those of who signs in, and with what.
func (a *api) signInRoutes(add addRoute) {
	add(http.MethodGet, "/stint/v1/session", "getSession", anyRight(), a.getSession)
	add(http.MethodPost, "/stint/v1/session", "startSession", public(), a.startSession)
	add(http.MethodDelete, "/stint/v1/session", "endSession", public(), a.endSession)
	add(http.MethodGet, "/stint/v1/session/ways", "listSessionWays", public(), a.sessionWays)
	add(http.MethodGet, providerPath, "leaveForProvider", public(), a.leaveForProvider)
	add(http.MethodGet, providerPath+"/callback", "returnFromProvider", public(), a.returnFromProvider)
	add(http.MethodPost, "/oauth/token", "issueToken", public(), a.issueToken)
	add(http.MethodGet, "/oauth/info", "getOAuthInfo", public(), a.oauthInfo)
	add(http.MethodGet, "/oauth/jwks", "getPublicKeys", public(), a.publicKeys)
	add(http.MethodGet, "/.well-known/openid-configuration", "getDiscovery", public(), a.discovery)
	for _, c := range []struct {
		clientAPI
		name  string
		right principal.Right
	}{
		{a.clientsOf(principal.PersonalAccessToken), "Token", manageTokens()},
		{a.clientsOf(principal.Application), "Application", manageApplications()},
	} {
		add(http.MethodGet, c.path, "list"+c.name+"s", c.right, c.list)
		add(http.MethodPost, c.path, "create"+c.name, c.right, c.create)
		add(http.MethodGet, c.path+"/{id}", "get"+c.name, c.right, c.get)
		add(http.MethodDelete, c.path+"/{id}", "revoke"+c.name, c.right, c.revoke)
		add(http.MethodPost, c.path+"/{id}/rotate", "rotate"+c.name, c.right, c.rotate)
	}
}

// webhookRoutes are those of who is told of tasks that have ended.
func (a *api) webhookRoutes(add addRoute) {
	hooks := func(method, path, operation string, h handlerFunc) {
		add(method, "/stint/v1/webhooks"+path, operation, manageWebhooks(), h)
	}
	hooks(http.MethodGet, "", "listWebhooks", a.listWebhooks)
	hooks(http.MethodPost, "", "createWebhook", a.createWebhook)
	hooks(http.MethodGet, "/{id}", "getWebhook", a.getWebhook)
	hooks(http.MethodPatch, "/{id}", "patchWebhook", a.patchWebhook)
	hooks(http.MethodDelete, "/{id}", "deleteWebhook", a.deleteWebhook)
	hooks(http.MethodPost, "/{id}/rotate", "rotateWebhook", a.rotateWebhook)
	hooks(http.MethodPost, "/{id}/test", "testWebhook", a.testWebhook)
	hooks(http.MethodGet, "/{id}/deliveries", "listDeliveries", a.listDeliveries)
	hooks(http.MethodPost, "/{id}/deliveries/{deliveryId}/redeliver", "redeliver", a.redeliver)
}

// spelling is one of the paths under which the original has had the task
// statuses. All behave alike.
type spelling struct {
	path, suffix string
	pending      bool // has pending-tasks
}

func spellings() []spelling {
	return []spelling{
		{"/task-status/v1", "V1", false},
		{"/beta/task-status", "Beta", true},
		{"/v2024/task-status", "V2024", true},
		{"/v2025/task-status", "V2025", true},
		{"/v2026/task-status", "V2026", false},
	}
}

// sourceSpellings are the paths under which the original has had a source.
func sourceSpellings() []spelling {
	return []spelling{
		{"/sources/v1/{id}", "V1", false},
		{"/beta/sources/{id}", "Beta", false},
		{"/v3/sources/{id}", "V3", false},
		{"/v2024/sources/{id}", "V2024", false},
		{"/v2025/sources/{id}", "V2025", false},
		{"/v2026/sources/{id}", "V2026", false},
	}
}

// aggregationSpellings are the paths under which the original has had an account
// aggregation.
func aggregationSpellings() []spelling {
	return []spelling{
		{"/account-aggregations/v1/{id}", "V1", false},
		{"/beta/account-aggregations/{id}", "Beta", false},
		{"/v2024/account-aggregations/{id}", "V2024", false},
		{"/v2025/account-aggregations/{id}", "V2025", false},
		{"/v2026/account-aggregations/{id}", "V2026", false},
	}
}

// Routes lists what the API serves, for tests and documents.
func Routes() []Route {
	var routes []Route
	for _, e := range (&api{}).endpoints() {
		routes = append(routes, e.Route)
	}
	return routes
}

// mux builds the router: a path of its own for each resource, so that an
// unknown method gets our 405 and not the router's.
func (a *api) mux() *http.ServeMux {
	mux := http.NewServeMux()
	byPath := map[string]map[string]endpoint{}
	for _, e := range a.endpoints() {
		if byPath[e.Path] == nil {
			byPath[e.Path] = map[string]endpoint{}
		}
		byPath[e.Path][e.Method] = e
	}
	for path, methods := range byPath {
		mux.Handle(path, a.resource(path, methods))
	}
	mux.Handle("/", a.adapt(func(w http.ResponseWriter, r *http.Request) error {
		if a.isConsole(r) {
			found(r, "console", false)
			a.console.ServeHTTP(w, r)
			return nil
		}
		if _, err := a.authenticate(r); err != nil {
			return err
		}
		return unknownPath(r.URL.Path)
	}))
	return mux
}

// resource dispatches on the method, and lets nobody in who may not.
func (a *api) resource(path string, methods map[string]endpoint) http.Handler {
	var allowed []string
	everybody := false
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete} {
		e, ok := methods[m]
		if ok {
			allowed = append(allowed, m)
		}
		if m == http.MethodGet && ok {
			allowed = append(allowed, http.MethodHead)
		}
		everybody = everybody || e.Right.Public
	}
	allow := strings.Join(allowed, ", ")
	return a.adapt(func(w http.ResponseWriter, r *http.Request) error {
		e, ok := methods[r.Method]
		found(r, path, e.form == formEvents)
		if !ok {
			if _, err := a.authenticate(r); err != nil && !everybody {
				return err
			}
			err := task.Errorf(task.MethodNotAllowed, "", "%s is not allowed here: %s", r.Method, allow)
			err.Allow = allow
			return err
		}
		if !accepts(r.Header.Values("Accept"), e.form) {
			return task.Errorf(task.NotAcceptable, "Accept", "%q excludes %s, the only form there is",
				strings.Join(r.Header.Values("Accept"), ", "), e.form)
		}
		r, err := a.permit(r, e.Right)
		if err != nil {
			return err
		}
		return e.handle(w, r)
	})
}

// adapt turns a handler that returns an error into one that answers with it.
func (a *api) adapt(h handlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			a.writeError(w, r, err)
		}
	})
}

// unknownPath names the right path to those who typed one that never existed.
func unknownPath(path string) error {
	for _, never := range []string{"/v3/task-status", "/latest/task-status"} {
		if rest, ok := strings.CutPrefix(path, never); ok && (rest == "" || rest[0] == '/') {
			return task.Errorf(task.NotFound, "", "%s never existed; the path is /task-status/v1%s", never, rest)
		}
	}
	if strings.HasSuffix(path, "/load-uncorrelated-accounts") {
		return task.Errorf(task.NotFound, "", "uncorrelated accounts cannot be loaded yet: this version knows no identities; load-accounts and load-entitlements are there")
	}
	return task.Errorf(task.NotFound, "", "there is nothing at %q", path)
}
