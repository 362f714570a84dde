package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	tasksPath = "/stint/v1/tasks"
	// maxPage is the server's largest page.
	maxPage = 250
	// maxWait is the longest that one request waits for a task.
	maxWait = 300 * time.Second
	// endlessPoll is the length of one request of a wait without an end: shorter than what
	// proxies cut off.
	endlessPoll = 50 * time.Second
)

// ListOptions choose elements of a list, such as tasks.
type ListOptions struct {
	// Filter is an expression of the filter language; see [Quote], [AnyOf] and [AllOf].
	Filter string
	// Sorters is the order; for tasks one of created, completed, durationMs, uniqueName,
	// target.name, launcher, type and completionStatus, with "-" before it the other way round.
	// The default is "-created", newest first.
	Sorters string
	// Limit is the most elements wanted. Zero means the server's own limit for one page, and no
	// limit for an iterator.
	Limit int
	// Offset skips that many.
	Offset int
	// Count asks for the number of all that match.
	Count bool
	// Cursor, from [TaskPage.Next], asks for the page behind another one of the same list, in
	// place of Offset. Only tasks have it.
	Cursor string
}

// TaskPage is one page of a list.
type TaskPage struct {
	Tasks []Task
	// Total is the number of all tasks that match, -1 where it was not asked for.
	Total int
	// Next is the [ListOptions.Cursor] of the page behind this one, empty on the last.
	Next string
}

// ListTasks lists one page of tasks.
func (c *Client) ListTasks(ctx context.Context, opts ListOptions) (TaskPage, error) {
	query := opts.values()
	if opts.Limit > 0 {
		query.Set("limit", strconv.Itoa(opts.Limit))
	}
	return c.list(ctx, query, opts.Count)
}

// CountTasks says how many tasks match a filter.
func (c *Client) CountTasks(ctx context.Context, filter string) (int, error) {
	query := ListOptions{Filter: filter, Count: true}.values()
	query.Set("limit", "0")
	page, err := c.list(ctx, query, true)
	return page.Total, err
}

// Tasks goes through all tasks, page by page: each page is asked for by where the one before
// it ended, so that none is missed and none comes twice, whatever is launched meanwhile. An
// error is the last thing that comes.
func (c *Client) Tasks(ctx context.Context, opts ListOptions) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		left := opts.Limit
		for {
			page := opts
			page.Count, page.Limit = false, maxPage
			if opts.Limit > 0 {
				page.Limit = min(left, maxPage)
			}
			got, err := c.ListTasks(ctx, page)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range got.Tasks {
				if !yield(&got.Tasks[i], nil) {
					return
				}
			}
			left -= len(got.Tasks)
			if got.Next == "" || opts.Limit > 0 && left <= 0 {
				return
			}
			opts.Offset, opts.Cursor = 0, got.Next
		}
	}
}

func (o ListOptions) values() url.Values {
	query := url.Values{}
	if o.Filter != "" {
		query.Set("filters", o.Filter)
	}
	if o.Sorters != "" {
		query.Set("sorters", o.Sorters)
	}
	if o.Offset > 0 {
		query.Set("offset", strconv.Itoa(o.Offset))
	}
	if o.Count {
		query.Set("count", "true")
	}
	if o.Cursor != "" {
		query.Set("cursor", o.Cursor)
	}
	return query
}

func (c *Client) list(ctx context.Context, query url.Values, count bool) (TaskPage, error) {
	page := TaskPage{Total: -1}
	header, err := c.do(ctx, request{method: http.MethodGet, path: tasksPath, query: query, repeatable: true}, &page.Tasks)
	if err != nil {
		return page, err
	}
	if page.Next, err = nextCursor(header.Get("Link")); err != nil {
		return page, err
	}
	if count {
		page.Total, err = totalOf(header)
	}
	return page, err
}

// nextCursor reads the cursor from the header Link of a page.
func nextCursor(link string) (string, error) {
	target, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	if !ok {
		return "", nil
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", fmt.Errorf("the address of the next page: %w", err)
	}
	return u.Query().Get("cursor"), nil
}

// GetTask gets one task with its history.
func (c *Client) GetTask(ctx context.Context, id string) (*Task, error) {
	return c.task(ctx, request{method: http.MethodGet, path: taskPath(id, ""), repeatable: true})
}

// Cancel asks a task to stop. A queued one ends at once; a running one is told with its next
// report. Asking twice has no second effect.
func (c *Client) Cancel(ctx context.Context, id, reason string) (*Task, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	return c.task(ctx, request{method: http.MethodPost, path: taskPath(id, "/cancel"), body: body, repeatable: true})
}

// Wait waits until the task is complete or the timeout is over, and answers the task as it
// is then; see [Task.Done]. A timeout of zero or less never ends. Fractions of a second are
// rounded up.
func (c *Client) Wait(ctx context.Context, id string, timeout time.Duration) (*Task, error) {
	deadline := c.now().Add(timeout)
	for {
		poll := endlessPoll
		if timeout > 0 {
			poll = min(max(deadline.Sub(c.now()), 0), maxWait)
			poll = (poll + time.Second - 1).Truncate(time.Second)
		}
		t, err := c.task(ctx, request{
			method: http.MethodGet, path: taskPath(id, "/wait"), repeatable: true, wait: poll,
			query: url.Values{"timeout": {strconv.Itoa(int(poll / time.Second))}},
		})
		if err != nil || t.Done() || (timeout > 0 && !c.now().Before(deadline)) {
			return t, err
		}
	}
}

// ClearRequest says how a stuck task is to end.
type ClearRequest struct {
	// Status is how it ended; required.
	Status CompletionStatus
	// Completed is when it ended; nil means now.
	Completed *time.Time
	// Reason is kept in the audit trail.
	Reason string
}

// Clear ends a stuck task for good: its work is cancelled and nothing can report to it any
// more. The same clear again is harmless; another one of a completed task is refused.
func (c *Client) Clear(ctx context.Context, id string, clear ClearRequest) (*Task, error) {
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value"`
	}
	patch := []operation{{"replace", "/completionStatus", string(clear.Status)}}
	if clear.Completed != nil {
		patch = append(patch, operation{"replace", "/completed", clear.Completed.UTC().Format("2006-01-02T15:04:05.000Z07:00")})
	}
	return c.task(ctx, request{
		method: http.MethodPatch, path: "/task-status/v1/" + url.PathEscape(id), content: "application/json-patch+json",
		header: map[string]string{"Stint-Reason": headerText(clear.Reason)}, body: patch, repeatable: true,
	})
}

// ClearManyRequest says which tasks in progress are to end, and how.
type ClearManyRequest struct {
	// Filter selects them; required.
	Filter string `json:"filters"`
	// Status is how they ended, Reason why: required, unless it is a dry run.
	Status CompletionStatus `json:"completionStatus,omitempty"`
	Reason string           `json:"reason,omitempty"`
	// Completed is when they ended; nil means now.
	Completed *time.Time `json:"completed,omitempty"`
	// Limit is how many are cleared at most, the oldest first; 0 is the server's default.
	Limit int `json:"limit,omitempty"`
	// DryRun changes nothing: the answer says what would be cleared.
	DryRun bool `json:"dryRun,omitempty"`
}

// ClearedMany says what became of the tasks.
type ClearedMany struct {
	DryRun bool `json:"dryRun"`
	// Matched is how many tasks in progress the filter selected, More whether they were
	// more than the limit.
	Matched int  `json:"matched"`
	Cleared int  `json:"cleared"`
	More    bool `json:"more"`

	Tasks []ClearedTask `json:"tasks"`

	raw json.RawMessage
}

// ClearedTask is what became of one of them.
type ClearedTask struct {
	ID         string    `json:"id"`
	Kind       string    `json:"kind"`
	UniqueName string    `json:"uniqueName"`
	Launcher   string    `json:"launcher"`
	SourceID   *string   `json:"sourceId"`
	Created    time.Time `json:"created"`
	State      State     `json:"state"`
	// Outcome is wouldClear, cleared, changed (it had ended, or was no longer selected, when
	// its turn came) or refused; Message says why.
	Outcome string  `json:"outcome"`
	Message *string `json:"message"`

	raw json.RawMessage
}

// Raw is the part of the answer as the server sent it.
func (t *ClearedTask) Raw() json.RawMessage { return t.raw }

// UnmarshalJSON keeps the text beside the fields.
func (t *ClearedTask) UnmarshalJSON(text []byte) error {
	type plain ClearedTask
	var p plain
	if err := json.Unmarshal(text, &p); err != nil {
		return err
	}
	p.raw = bytes.Clone(text)
	*t = ClearedTask(p)
	return nil
}

// Raw is the answer as the server sent it.
func (c *ClearedMany) Raw() json.RawMessage { return c.raw }

// ClearMany ends all stuck tasks that a filter selects. It is not repeated by itself: its
// repeat has no second effect, but says so.
func (c *Client) ClearMany(ctx context.Context, r ClearManyRequest) (*ClearedMany, error) {
	var raw json.RawMessage
	_, err := c.do(ctx, request{method: http.MethodPost, path: tasksPath + "/clear", body: r, repeatable: r.DryRun}, &raw)
	if err != nil {
		return nil, err
	}
	cleared := &ClearedMany{raw: raw}
	return cleared, json.Unmarshal(raw, cleared)
}

// Definitions lists what can be launched.
func (c *Client) Definitions(ctx context.Context) ([]Definition, error) {
	var definitions []Definition
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/stint/v1/definitions", repeatable: true}, &definitions)
	return definitions, err
}

func (c *Client) task(ctx context.Context, r request) (*Task, error) {
	t := new(Task)
	if _, err := c.do(ctx, r, t); err != nil {
		return nil, err
	}
	return t, nil
}

func taskPath(id, rest string) string {
	return tasksPath + "/" + url.PathEscape(id) + rest
}

// headerText makes a text fit for a header line.
func headerText(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd")))
}
