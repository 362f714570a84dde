// Package audit describes what people did: the entries that a manual change
// leaves behind, and the chain that they form.
//
// It owns the entry, the origin of a request, how entries are linked, and what a
// head, a checkpoint and a verification are. It does not own storage: a store
// writes an entry in the transaction of the change that it tells of, so that
// neither exists without the other.
//
// Invariants: an entry is in one shard, at one number; its link depends on every
// field of it and, by the link before, on all that came before it in the shard.
// What that proves, and what it cannot, is in docs/AUDIT.md.
package audit

import (
	"encoding/json"
	"time"
)

// Action names what was done.
type Action string

// The actions.
const (
	Launch Action = "task.launch"
	Cancel Action = "task.cancel"
	Clear  Action = "task.clear"
	Import Action = "task.import"
	Expire Action = "task.expire" // by the system, at the end of a retention

	SourceCreate Action = "source.create"
	SourceUpdate Action = "source.update"
	SourceDelete Action = "source.delete"

	TokenIssue   Action = "token.issue"   // an access token, to a client
	TokenRefuse  Action = "token.refuse"  // refusals, counted
	SessionStart Action = "session.start" // of the console
	ClientCreate Action = "client.create"
	ClientRotate Action = "client.rotate" // another secret
	ClientRevoke Action = "client.revoke"
	KeyRotate    Action = "key.rotate" // another key signs access tokens

	WebhookCreate    Action = "webhook.create"
	WebhookUpdate    Action = "webhook.update"
	WebhookDelete    Action = "webhook.delete"
	WebhookRotate    Action = "webhook.rotate" // another secret signs
	WebhookTest      Action = "webhook.test"
	WebhookRedeliver Action = "webhook.redeliver"
	WebhookDisable   Action = "webhook.disable" // by the system: its receiver wants no more
)

// Origin says who asked, from where and with what.
type Origin struct {
	Actor string
	// Client is the id of the token or the application that was used, if one was.
	Client    string
	Address   string
	Agent     string
	RequestID string
}

// Launcher is who launches what names no launcher: who has signed in, or "" where
// nobody has.
func (o Origin) Launcher() string {
	if o.Client == "" {
		return ""
	}
	return o.Actor
}

// System is the origin of what Stint does by itself.
func System() Origin { return Origin{Actor: "System"} }

// Entry is one change that somebody made.
type Entry struct {
	At     time.Time
	Origin Origin
	Action Action
	// Object is the id of what was changed.
	Object string
	// Before and After are the object's JSON; nil where there is none.
	Before, After json.RawMessage
	// Words are the very words of the request, where they matter.
	Words  string
	Reason string
}

// Actions returns all actions.
func Actions() []Action {
	return []Action{
		Launch, Cancel, Clear, Import, Expire, SourceCreate, SourceUpdate, SourceDelete,
		TokenIssue, TokenRefuse, SessionStart, ClientCreate, ClientRotate, ClientRevoke, KeyRotate,
		WebhookCreate, WebhookUpdate, WebhookDelete, WebhookRotate, WebhookTest, WebhookRedeliver, WebhookDisable,
	}
}
