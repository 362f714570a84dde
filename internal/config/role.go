package config

// Role says what a process does.
type Role string

// The roles. Of several processes on one database, each does what its role says:
// serve the API, carry out tasks, or both. The loops that are run once for all of
// them run in any.
const (
	RoleAll    Role = "all"
	RoleAPI    Role = "api"
	RoleWorker Role = "worker"
)

// ServesAPI reports whether the process serves the API.
func (r Role) ServesAPI() bool { return r != RoleWorker }

// RunsTasks reports whether the process carries out tasks.
func (r Role) RunsTasks() bool { return r != RoleAPI }

func (r Role) known() bool { return r == RoleAll || r == RoleAPI || r == RoleWorker }
