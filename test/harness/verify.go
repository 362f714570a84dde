package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"stint/client"
)

// VerifyOutcome holds a task that nobody ended by hand against what it had to do.
func VerifyOutcome(tb testing.TB, task *Launched, done *client.Task, want Outcome) {
	tb.Helper()
	status := client.Success
	if len(want.bad) > 0 || want.withheld > 0 {
		status = client.Warning
	}
	if done.CompletionStatus != status || done.PercentComplete != map[bool]int{true: 100, false: 99}[status == client.Success] {
		tb.Errorf("task %s is %s at %d %%, want %s: %+v", task.ID, done.CompletionStatus, done.PercentComplete, status, done.Messages)
	}
	numbers := map[string]int{"total": want.total, "groupsCreated": want.created, "groupsUpdated": want.updated, "groupsDeleted": want.deleted}
	if task.Class == Accounts {
		numbers = map[string]int{
			"total": want.total, "created": want.created, "updated": want.updated, "deleted": want.deleted,
			"optimized": want.unchanged, "ignored": len(want.bad),
		}
	}
	for name, n := range numbers {
		if got := fmt.Sprint(done.Attributes[name]); got != strconv.Itoa(n) {
			tb.Errorf("task %s of %s: %s is %s, want %d", task.ID, task.Class, name, got, n)
		}
	}
	verifyMessages(tb, task, done, want)
}

// verifyMessages: every bad row has one message, up to a hundred of them.
func verifyMessages(tb testing.TB, task *Launched, done *client.Task, want Outcome) {
	tb.Helper()
	more, withheld, listed := 0, 0, map[int64]bool{}
	for i := range done.Messages {
		m := &done.Messages[i]
		var n int64
		if len(m.Parameters) > 0 {
			var err error
			if n, err = strconv.ParseInt(fmt.Sprint(m.Parameters[0]), 10, 64); err != nil {
				tb.Errorf("task %s: the message %+v", task.ID, m)
			}
		}
		switch m.Key {
		case "aggregated":
			if i != len(done.Messages)-1 {
				tb.Errorf("task %s: the summary is message %d of %d", task.ID, i+1, len(done.Messages))
			}
		case "more_rows":
			more += int(n)
		case "deletions_withheld":
			withheld += int(n)
		default:
			if listed[n] || !want.bad[n] {
				tb.Errorf("task %s: a message about line %d (listed before: %t, bad: %t): %s", task.ID, n, listed[n], want.bad[n], m.Key)
			}
			listed[n] = true
		}
	}
	if len(listed) != min(100, len(want.bad)) || more != len(want.bad)-len(listed) || withheld != want.withheld {
		tb.Errorf("task %s: %d lines are listed and %d more counted, want %d in all; %d deletions withheld, want %d",
			task.ID, len(listed), more, len(want.bad), withheld, want.withheld)
	}
}

// VerifyChanges holds what a task says it has changed against what it had to.
func (k *Keeper) VerifyChanges(tb testing.TB, task *Launched, want map[string]Change) {
	tb.Helper()
	got := map[string]Change{}
	k.each(tb, "/stint/v1/tasks/"+task.ID+"/changes", "", func(element json.RawMessage) {
		var c client.Change
		if err := json.Unmarshal(element, &c); err != nil {
			tb.Error(err)
		}
		key := c.NativeIdentity
		if task.Class == Entitlements {
			key = c.Attribute + "\x1f" + key
		}
		if _, twice := got[key]; twice {
			tb.Errorf("task %s: %q changed twice", task.ID, key)
		}
		got[key] = Change{c.Change, strings.Join(c.ChangedAttributes, " ")}
	})
	verifySame(tb, "task "+task.ID+": the changes", got, want)
}

// verifySame compares two maps and tells of a few differences.
func verifySame[V comparable](tb testing.TB, what string, got, want map[string]V) {
	tb.Helper()
	told := 0
	tell := func(key string) {
		if told++; told <= 5 {
			tb.Errorf("%s of %q: got %v, want %v", what, key, got[key], want[key])
		}
	}
	for key, g := range got {
		if w, ok := want[key]; !ok || g != w {
			tell(key)
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			tell(key)
		}
	}
	if told > 5 {
		tb.Errorf("%s: %d differ in all, of %d", what, told, len(want))
	}
}

// text is a record as one text, to be compared byte for byte.
func (s Said) text() string {
	var b strings.Builder
	b.WriteString(s.name)
	for _, name := range slices.Sorted(maps.Keys(s.members)) {
		fmt.Fprintf(&b, "\n%s: %s", name, s.members[name])
	}
	return b.String()
}

func texts(s State) map[string]string {
	all := make(map[string]string, len(s))
	for key, one := range s {
		all[key] = one.text()
	}
	return all
}

// VerifyStored holds what the API shows of a source against what must be there.
func (k *Keeper) VerifyStored(tb testing.TB, class string) {
	tb.Helper()
	verifySame(tb, class, texts(k.Read(tb, class)), texts(k.Stored[class]))
}

// Read reads all accounts or entitlements of the source.
func (k *Keeper) Read(tb testing.TB, class string) State {
	tb.Helper()
	got := State{}
	k.each(tb, "/stint/v1/"+class, fmt.Sprintf("sourceId eq %q", k.ID), func(element json.RawMessage) {
		var r struct {
			Attribute, NativeIdentity, Name string
			DisplayName, Description        json.RawMessage
			Attributes                      map[string]json.RawMessage
		}
		if err := json.Unmarshal(element, &r); err != nil {
			tb.Error(err)
		}
		s, key := Said{name: r.Name, members: map[string]string{}}, r.NativeIdentity
		for name, value := range r.Attributes {
			s.members[name] = string(value)
		}
		if class == Entitlements {
			key = r.Attribute + "\x1f" + key
			if r.DisplayName != nil {
				s.members["displayName"] = string(r.DisplayName)
			}
			if string(r.Description) != `""` {
				s.members["description"] = string(r.Description)
			}
		}
		if _, twice := got[key]; twice {
			tb.Errorf("%q is listed twice", key)
		}
		got[key] = s
	})
	return got
}

// each goes through a list, page by page, over as many kills as it takes.
func (k *Keeper) each(tb testing.TB, path, filter string, fn func(json.RawMessage)) {
	tb.Helper()
	const limit = 250
	for offset := 0; ; {
		var page []json.RawMessage
		k.UntilAnswered(tb, path, func() (err error) {
			page, err = k.page(tb.Context(), path, url.Values{
				"filters": {filter}, "limit": {strconv.Itoa(limit)}, "offset": {strconv.Itoa(offset)},
			})
			return err
		})
		for _, element := range page {
			fn(element)
		}
		if offset += len(page); len(page) < limit {
			return
		}
	}
}

func (k *Keeper) page(ctx context.Context, path string, query url.Values) (page []json.RawMessage, err error) {
	if query.Get("filters") == "" {
		query.Del("filters")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.Client().URL()+path+"?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, &client.Error{Op: path, Status: answer.StatusCode}
	}
	return page, json.NewDecoder(answer.Body).Decode(&page)
}

// verifyHalf: a task that a person ended has left every record as it was or as it
// had to be, and says which. What is there now is what the next run begins with.
func (k *Keeper) verifyHalf(tb testing.TB, task *Launched, done *client.Task, want Outcome) {
	tb.Helper()
	if done.CompletionStatus != task.Ended {
		tb.Errorf("task %s is %s, %s was answered", task.ID, done.CompletionStatus, task.Ended)
	}
	before, now := k.Stored[task.Class], k.Read(tb, task.Class)
	changes, counted := map[string]Change{}, map[string]int{}
	for key, c := range want.Changes {
		old, was := before[key]
		made, is := now[key]
		if was == is && (!is || old.equal(made)) {
			continue // not done
		}
		changes[key] = c
		counted[c.Change]++
		if next, shall := want.Next[key]; shall != is || is && !next.equal(made) {
			tb.Errorf("task %s left %q neither as it was nor as it had to be: %v", task.ID, key, made)
		}
	}
	for key := range now {
		if _, touched := want.Changes[key]; !touched && !now[key].equal(before[key]) {
			tb.Errorf("task %s touched %q", task.ID, key)
		}
	}
	for key := range before {
		if _, is := now[key]; !is && changes[key].Change != "DELETED" {
			tb.Errorf("task %s lost %q", task.ID, key)
		}
	}
	k.VerifyChanges(tb, task, changes)
	for change, names := range map[string][2]string{
		"CREATED": {"created", "groupsCreated"}, "UPDATED": {"updated", "groupsUpdated"}, "DELETED": {"deleted", "groupsDeleted"},
	} {
		name := names[0]
		if task.Class == Entitlements {
			name = names[1]
		}
		if got := fmt.Sprint(done.Attributes[name]); got != strconv.Itoa(counted[change]) {
			tb.Errorf("task %s: %s is %s, it did so with %d", task.ID, name, got, counted[change])
		}
	}
	k.Stored[task.Class] = now
	if len(changes) > 0 && len(changes) < len(want.Changes) {
		k.Halves++
	}
}
