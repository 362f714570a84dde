package task

import (
	"crypto/sha256"
	"encoding/hex"
)

// Kind is the sort of work. The filter word "type" means it; the body's "type"
// is Type.
type Kind string

// The kinds that exist from the start (contract, section 2).
const (
	AccountAggregation          Kind = "CLOUD_ACCOUNT_AGGREGATION"
	GroupAggregation            Kind = "CLOUD_GROUP_AGGREGATION"
	ProcessUncorrelatedAccounts Kind = "CLOUD_PROCESS_UNCORRELATED_ACCOUNTS"
	RefreshRole                 Kind = "CLOUD_REFRESH_ROLE"
	SourceApplicationDiscovery  Kind = "SOURCE_APPLICATION_DISCOVERY"
	AIAgentAggregation          Kind = "AI_AGENT_AGGREGATION"
	EntitlementImport           Kind = "CLOUD_ENTITLEMENT_IMPORT"
	UncorrelatedRefresh         Kind = "CLOUD_UNCORRELATED_REFRESH"
	IdentityAggregation         Kind = "CLOUD_IDENTITY_AGGREGATION"
	AttributeSynchronization    Kind = "CLOUD_ATTRIBUTE_SYNCHRONIZATION"
	IdentityRefresh             Kind = "IDENTITY_REFRESH"
	ApplicationDiscovery        Kind = "APPLICATION_DISCOVERY"
	MachineIdentityAggregation  Kind = "MACHINE_IDENTITY_AGGREGATION"
	MachineIdentityDeletion     Kind = "MACHINE_IDENTITY_DELETION"
	AccountDeletion             Kind = "ACCOUNT_DELETION"
)

// The executors: someone else runs the work and reports it, or Stint does.
const (
	ExecutorExternal = "external"
	ExecutorBuiltIn  = "builtin"
)

// Definition describes a launchable kind.
type Definition struct {
	Kind        Kind
	DisplayName string
	Description string
	// Executor names what carries the task out.
	Executor string
}

// ID returns the definition's stable id: 32 hex digits made from its kind.
func (d Definition) ID() string {
	sum := sha256.Sum256([]byte("task definition " + d.Kind))
	return hex.EncodeToString(sum[:16])
}

// Catalog holds the known definitions. It is immutable and safe for concurrent
// use.
type Catalog struct {
	ordered []Definition
	byName  map[string]int // lower-case kind and display name
}

// NewCatalog returns a catalog of the built-in definitions and the given ones.
// The first definition of a kind or name wins.
func NewCatalog(more ...Definition) *Catalog {
	c := &Catalog{byName: map[string]int{}}
	for _, d := range append(builtIn(), more...) {
		if _, known := c.byName[LowerASCII(string(d.Kind))]; known {
			continue
		}
		c.ordered = append(c.ordered, d)
		c.byName[LowerASCII(string(d.Kind))] = len(c.ordered) - 1
		name := LowerASCII(d.DisplayName)
		if _, taken := c.byName[name]; !taken {
			c.byName[name] = len(c.ordered) - 1
		}
	}
	return c
}

// Definitions returns all definitions in their fixed order.
func (c *Catalog) Definitions() []Definition {
	return append([]Definition(nil), c.ordered...)
}

// Lookup finds a definition by kind or display name; case does not matter.
func (c *Catalog) Lookup(name string) (Definition, bool) {
	i, ok := c.byName[LowerASCII(name)]
	if !ok {
		return Definition{}, false
	}
	return c.ordered[i], true
}

// Kinds returns the kinds in their fixed order, for messages that list what is
// allowed.
func (c *Catalog) Kinds() []string {
	kinds := make([]string, len(c.ordered))
	for i, d := range c.ordered {
		kinds[i] = string(d.Kind)
	}
	return kinds
}

func builtIn() []Definition {
	const aggregates = "Aggregates from the specified application."
	def := func(k Kind, name, description string) Definition {
		return Definition{Kind: k, DisplayName: name, Description: description, Executor: ExecutorExternal}
	}
	return []Definition{
		def(AccountAggregation, "Cloud Account Aggregation", aggregates),
		def(GroupAggregation, "Cloud Group Aggregation", aggregates),
		def(ProcessUncorrelatedAccounts, "Cloud Process Uncorrelated Accounts", "Processes accounts that belong to no identity."),
		def(RefreshRole, "Cloud Refresh Role", "Refreshes the members of roles."),
		def(SourceApplicationDiscovery, "Source Application Discovery", "Discovers applications from the specified source."),
		def(AIAgentAggregation, "AI Agent Aggregation", "Aggregates AI agents from the specified source."),
		def(EntitlementImport, "Cloud Entitlement Import", "Imports entitlements from a file."),
		def(UncorrelatedRefresh, "Cloud Uncorrelated Refresh", "Refreshes accounts that belong to no identity."),
		def(IdentityAggregation, "Cloud Identity Aggregation", "Aggregates identities from the specified source."),
		def(AttributeSynchronization, "Cloud Attribute Synchronization", "Synchronizes identity attributes to accounts."),
		def(IdentityRefresh, "Identity Refresh", "Refreshes identities."),
		def(ApplicationDiscovery, "Application Discovery", "Discovers applications."),
		def(MachineIdentityAggregation, "Machine Identity Aggregation", "Aggregates machine identities from the specified source."),
		def(MachineIdentityDeletion, "Machine Identity Deletion", "Deletes machine identities."),
		def(AccountDeletion, "Account Deletion", "Deletes accounts."),
	}
}
