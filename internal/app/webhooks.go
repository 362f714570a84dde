package app

import (
	"net/http"
	"time"

	"stint/internal/auth"
	"stint/internal/courier"
	"stint/internal/engine"
	"stint/internal/httpapi"
	"stint/internal/query"
	"stint/internal/task"
)

// newWebhooks makes those who are told of tasks that have ended.
func (a *App) newWebhooks(keys *auth.Keyring, catalog *task.Catalog, now func() time.Time) *engine.Webhooks {
	a.courier = courier.New(courier.Options{Agent: "Stint-Webhooks", Proxy: http.ProxyFromEnvironment})
	return engine.NewWebhooks(engine.WebhookOptions{
		Store: a.store, Tasks: a.store, Feed: a.store, Parse: query.StintTasks(catalog).ParseFilter, Render: httpapi.TaskBody,
		Sealer: keys.WebhookSecrets(), Courier: a.courier, Now: now, Log: a.log,
	})
}
