package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The kinds of aggregations that the server runs itself.
const (
	AccountAggregation     = "CLOUD_ACCOUNT_AGGREGATION"
	EntitlementAggregation = "CLOUD_GROUP_AGGREGATION"
)

// Aggregation describes an aggregation of a source to launch.
type Aggregation struct {
	// SourceID is the id of the source; required.
	SourceID string
	// Entitlements aggregates the source's entitlements instead of its accounts.
	Entitlements bool
	// File is what to read, to its end, and is not closed. It is sent as it is read. Where it is
	// an [io.Seeker], a broken upload is sent again from where File stands now; else an upload
	// is sent once. Nil, for entitlements only, means those that the stored accounts hold.
	File io.Reader
	// FileName is told to the server, which makes nothing of it; empty means "file".
	FileName string
	// DisableOptimization processes unchanged records too.
	DisableOptimization bool
	// AllowDeletions lets so many deletions pass, whatever the source's threshold.
	AllowDeletions int64

	UniqueName  string
	Description string
	ParentName  string
	Launcher    string
	// IdempotencyKey makes launching again harmless; one is made where none is given. It stands
	// for the very bytes of File too.
	IdempotencyKey string
	// Sent, if not nil, hears how much of File has been sent, and how much there is, -1 where
	// that is not known. Where the upload begins again, so do its numbers.
	Sent func(sent, total int64)
}

// launch is the aggregation as the launch of a task.
func (a *Aggregation) launch() LaunchRequest {
	l := LaunchRequest{
		Type: AccountAggregation, Executor: ExecutorBuiltIn, SourceID: a.SourceID, UniqueName: a.UniqueName, Description: a.Description,
		ParentName: a.ParentName, Launcher: a.Launcher, Arguments: map[string]any{}, IdempotencyKey: a.IdempotencyKey,
	}
	if a.Entitlements {
		l.Type = EntitlementAggregation
	}
	if a.DisableOptimization {
		l.Arguments["disableOptimization"] = true
	}
	if a.AllowDeletions != 0 {
		l.Arguments["allowDeletions"] = a.AllowDeletions
	}
	return l
}

// Aggregate launches an aggregation, which the server then runs itself: see [Client.Wait] for its
// end and [Client.Changes] for what it did. Where the source has one of the same sort in progress,
// the launched task has ended with ERROR already.
func (c *Client) Aggregate(ctx context.Context, a Aggregation) (*Launched, error) {
	if a.File == nil {
		return c.Launch(ctx, a.launch())
	}
	u, err := newUpload(&a)
	if err != nil {
		return nil, err
	}
	launched := new(Launched)
	header, err := c.upload(ctx, u, launched)
	if err != nil {
		return nil, err
	}
	launched.Replayed = strings.EqualFold(header.Get("Idempotency-Replayed"), "true")
	return launched, nil
}

// AggregationStatus is how an account aggregation stands.
type AggregationStatus struct {
	Start time.Time `json:"start"`
	// Status is STARTED, ACCOUNTS_COLLECTED, COMPLETED, CANCELLED, RETRIED or TERMINATED.
	Status string `json:"status"`
	// The totals count accounts that are new, changed or gone, and no others.
	TotalAccounts                  int64 `json:"totalAccounts"`
	ProcessedAccounts              int64 `json:"processedAccounts"`
	TotalAccountsMarkedForDeletion int64 `json:"totalAccountsMarkedForDeletion"`
	DeletedAccounts                int64 `json:"deletedAccounts"`
}

// AggregationStatus says how the account aggregation with a task's id stands. [ErrNotFound] says
// that the task is none, or not run by the server.
func (c *Client) AggregationStatus(ctx context.Context, taskID string) (*AggregationStatus, error) {
	s := new(AggregationStatus)
	path := "/account-aggregations/v1/" + url.PathEscape(taskID) + "/status"
	if _, err := c.do(ctx, request{method: http.MethodGet, path: path, repeatable: true}, s); err != nil {
		return nil, err
	}
	return s, nil
}
