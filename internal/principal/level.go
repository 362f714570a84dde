package principal

import (
	"slices"
	"strings"

	"stint/internal/task"
)

// Level is a user level: what a user is in the organisation.
type Level string

// The user levels.
const (
	OrgAdmin       Level = "ORG_ADMIN"
	Helpdesk       Level = "HELPDESK"
	CertAdmin      Level = "CERT_ADMIN"
	ReportAdmin    Level = "REPORT_ADMIN"
	RoleAdmin      Level = "ROLE_ADMIN"
	RoleSubadmin   Level = "ROLE_SUBADMIN"
	SourceAdmin    Level = "SOURCE_ADMIN"
	SourceSubadmin Level = "SOURCE_SUBADMIN"
)

// Levels returns all user levels.
func Levels() []Level {
	return []Level{OrgAdmin, Helpdesk, CertAdmin, ReportAdmin, RoleAdmin, RoleSubadmin, SourceAdmin, SourceSubadmin}
}

// ParseLevel reads a user level, ASCII case ignored.
func ParseLevel(s string) (Level, bool) {
	for _, l := range Levels() {
		if task.EqualFoldASCII(s, string(l)) {
			return l, true
		}
	}
	return "", false
}

// limited reports whether a level acts only on the sources that it was given.
func (l Level) limited() bool { return l == SourceSubadmin || l == RoleSubadmin }

// Scope is what a client was allowed to ask for.
type Scope string

// The scopes that Stint knows. The names are the original's where it has one.
const (
	AllScopes          Scope = "sp:scopes:all"
	TasksRead          Scope = "idn:task-management:read"
	TasksWrite         Scope = "idn:task-management:write"
	SourcesRead        Scope = "idn:sources:read"
	SourcesManage      Scope = "idn:sources:manage"
	AccountsRead       Scope = "idn:accounts:read"
	EntitlementsRead   Scope = "idn:entitlement:read"
	EntitlementsManage Scope = "idn:entitlement:manage"
	TokensManage       Scope = "sp:all-personal-access-tokens:manage"
	ApplicationsManage Scope = "sp:oauth-client:manage"
	AuditRead          Scope = "stint:audit:read"
	WebhooksManage     Scope = "stint:webhooks:manage"
)

// Scopes returns all scopes.
func Scopes() []Scope {
	return []Scope{
		AllScopes, TasksRead, TasksWrite, SourcesRead, SourcesManage, AccountsRead, EntitlementsRead, EntitlementsManage,
		TokensManage, ApplicationsManage, AuditRead, WebhooksManage,
	}
}

// ParseScope reads a scope. Case matters (RFC 6749, section 3.3).
func ParseScope(s string) (Scope, bool) {
	return Scope(s), slices.Contains(Scopes(), Scope(s))
}

// List writes levels or scopes the way people read them.
func List[T ~string](values []T) string {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	return strings.Join(names, ", ")
}
