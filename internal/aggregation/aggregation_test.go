package aggregation_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"stint/internal/account"
	"stint/internal/aggregation"
	"stint/internal/audit"
	"stint/internal/connector/delimited"
	"stint/internal/query"
	"stint/internal/source"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// files is the connector of delimited files.
type files struct{}

func (files) Check(in io.Reader, s *source.Source, class account.Class) (account.Upload, error) {
	sum, err := delimited.Check(in, delimited.Settings{File: s.File, Class: class})
	return account.Upload{Columns: sum.Columns, Rows: sum.Rows, Bytes: sum.Bytes}, err
}

func (files) Open(in io.Reader, s *source.Source, class account.Class) (aggregation.Rows, error) {
	return delimited.Open(in, delimited.Settings{File: s.File, Class: class})
}

func (files) Resume(in io.Reader, s *source.Source, class account.Class, columns []string, at account.Position) (aggregation.Rows, error) {
	return delimited.Resume(in, delimited.Settings{File: s.File, Class: class}, columns, at)
}

// bench is a source in a store of its own, and the aggregator that reads it.
type bench struct {
	*testing.T
	store      *sqlite.Store
	aggregator *aggregation.Aggregator
	source     source.Source
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "stint.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	b := &bench{T: t, store: store, aggregator: aggregation.New(aggregation.Options{
		Store: store, Connector: files{}, Catalog: task.NewCatalog(), Now: time.Now,
	})}
	id, err := task.NewID(time.Now(), strings.NewReader(strings.Repeat("x", 16)))
	if err != nil {
		t.Fatal(err)
	}
	now := task.Millis(time.Now())
	b.source = source.Source{
		ID: id, Name: "HR", Type: source.DelimitedFile, Deletions: source.DefaultThreshold(), Created: now, Modified: now,
		File: source.File{
			AccountID: "id", DisplayName: "name", Entitlements: []string{"groups"}, Delimiter: ",", MultiValueSeparator: ";",
		},
	}
	if err := store.CreateSource(t.Context(), b.source, audit.Entry{At: now}); err != nil {
		t.Fatal(err)
	}
	return b
}

// aggregate reads a file to its end; an empty one is no file.
func (b *bench) aggregate(class account.Class, file string, o account.Options) (task.Report, account.State) {
	b.Helper()
	l := account.Launch{SourceID: b.source.ID, Class: class, Options: o}
	if file != "" {
		var err error
		if l.Upload, err = b.aggregator.Receive(b.Context(), b.source.ID, class, strings.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
	launched, err := b.aggregator.Launch(b.Context(), l, task.IdempotencyKey{}, audit.Origin{Actor: "test"})
	if err != nil {
		b.Fatal(err)
	}
	report, err := b.aggregator.Execute(b.Context(), launched.Task)
	if err != nil {
		b.Fatal(err)
	}
	run, err := b.store.Run(b.Context(), launched.Task.ID)
	if err != nil {
		b.Fatal(err)
	}
	report.Attempt = 1
	_, err = b.store.Update(b.Context(), launched.Task.ID, time.Time{}, func(t task.Task) (audit.Change, error) {
		return audit.Change{Change: t.ApplyReport(report, time.Now())}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return report, run.State
}

// stored returns what is stored, one line each: key, name, body.
func (b *bench) stored(class account.Class) []string {
	b.Helper()
	list, table := b.store.ListAccounts, query.Accounts()
	if class == account.Entitlements {
		list, table = b.store.ListEntitlements, query.Entitlements()
	}
	page, err := table.ParsePage("")
	if err != nil {
		b.Fatal(err)
	}
	found, _, err := list(context.WithoutCancel(b.Context()), page)
	if err != nil {
		b.Fatal(err)
	}
	lines := []string{}
	for i := range found {
		lines = append(lines, strings.ReplaceAll(found[i].Key, "\x1f", "=")+" "+found[i].Name+" "+string(found[i].Body))
	}
	return lines
}

func (b *bench) want(class account.Class, want ...string) {
	b.Helper()
	if got := b.stored(class); !slices.Equal(got, want) {
		b.Errorf("stored\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func keysOf(messages []task.Message) []string {
	keys := []string{}
	for i := range messages {
		keys = append(keys, messages[i].Key)
	}
	return keys
}

// filler separates rows so far that they are staged in different transactions.
func filler(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%05d,F,\n", i)
	}
	return b.String()
}

// Rows of one account become one wherever they stand: beside each other, or in
// transactions far apart. What contradicts an earlier row is not taken.
func TestRowsOfOneAccount(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]string{"together": "", "apart": filler(2500)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			report, state := b.aggregate(account.Accounts, "id,name,groups\n"+
				"1,Ann,b\n2,Bob,\n"+between+
				"1,Other,z\n1,Ann,a;b\n1,Other,y\n2,Bob,g\n3\n"+between+
				"1,Ann,c\n3,Cy,\n2\n", account.Options{})
			fillers := int64(strings.Count(between, "\n"))
			// The second run of fillers repeats the first.
			if state.Total != 3+fillers || state.Problems != 4 || state.Created != 3+fillers {
				t.Errorf("%+v", state)
			}
			if report.Completion != task.Warning {
				t.Errorf("completed as %s", report.Completion)
			}
			if fillers == 0 {
				b.want(account.Accounts,
					`1 Ann {"groups":["a","b","c"],"id":"1","name":"Ann"}`, `2 Bob {"groups":["g"],"id":"2","name":"Bob"}`,
					`3 Cy {"id":"3","name":"Cy"}`)
			} else if got := b.stored(account.Accounts)[:3]; !slices.Equal(got, []string{
				`1 Ann {"groups":["a","b","c"],"id":"1","name":"Ann"}`, `2 Bob {"groups":["g"],"id":"2","name":"Bob"}`,
				`3 Cy {"id":"3","name":"Cy"}`,
			}) {
				t.Errorf("stored %q", got)
			}
		})
	}
}

// One account of very many rows takes time that grows with the rows, and what
// its rows add up to is bounded.
func TestAnAccountOfManyRows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var file strings.Builder
	file.WriteString("id,groups,name\n")
	const rows = 20_000
	for i := range rows {
		fmt.Fprintf(&file, "1,g%05d,Ann\n", i)
	}
	_, state := b.aggregate(account.Accounts, file.String(), account.Options{})
	if state.Total != 1 || state.Problems != 0 || state.Rows != rows {
		t.Errorf("%+v", state)
	}
	if got := strings.Count(b.stored(account.Accounts)[0], "g0") + strings.Count(b.stored(account.Accounts)[0], "g1"); got != rows {
		t.Errorf("%d groups", got)
	}

	var large strings.Builder
	large.WriteString("id,groups,name\n")
	for i := range 3 {
		var values []string
		for j := range 60_000 {
			values = append(values, strconv.Itoa(i)+strconv.Itoa(100_000+j))
		}
		fmt.Fprintf(&large, "1,%s,Ann\n", strings.Join(values, ";"))
	}
	if _, state = b.aggregate(account.Accounts, large.String(), account.Options{}); state.Total != 1 || state.Problems != 2 {
		t.Errorf("%+v", state)
	}
}

// A row that cannot be read whole protects what is stored of its account.
func TestABadRowDeletesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.aggregate(account.Accounts, "id,name,groups\n1,Ann,\n2,Bob,\n3,Cy,\n", account.Options{})
	_, state := b.aggregate(account.Accounts, "id,name,groups\n1,Anna,\n2\n", account.Options{})
	if state.Updated != 1 || state.Deleted != 1 || state.Problems != 1 || state.Total != 1 {
		t.Errorf("%+v", state)
	}
	b.want(account.Accounts, `1 Anna {"id":"1","name":"Anna"}`, `2 Bob {"id":"2","name":"Bob"}`)
}

// The threshold lets a tenth pass, and ten in any case; nothing read lets none
// pass; who allows as many as there are gets them.
func TestDeletions(t *testing.T) {
	t.Parallel()
	file := func(n int) string {
		var b strings.Builder
		b.WriteString("id,name,groups\n")
		for i := range n {
			fmt.Fprintf(&b, "%04d,N,\n", i)
		}
		return b.String()
	}
	for name, test := range map[string]struct {
		before, after int
		allow         int64
		deleted       int64
	}{
		"ten of eleven":      {11, 1, 0, 10},
		"eleven of twelve":   {12, 1, 0, 0},
		"a tenth":            {200, 180, 0, 20},
		"more than a tenth":  {200, 179, 0, 0},
		"nothing read":       {3, 0, 0, 0},
		"too few allowed":    {200, 100, 99, 0},
		"just enough":        {200, 100, 100, 100},
		"nothing read, let":  {3, 0, 3, 3},
		"nothing is missing": {5, 5, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.aggregate(account.Accounts, file(test.before), account.Options{})
			report, state := b.aggregate(account.Accounts, file(test.after), account.Options{AllowDeletions: test.allow})
			if state.Deleted != test.deleted {
				t.Errorf("deleted %d, want %d: %+v", state.Deleted, test.deleted, state)
			}
			missing := int64(test.before - test.after)
			withheld := slices.Contains(keysOf(report.Messages), "deletions_withheld")
			if want := missing > test.deleted; withheld != want || state.Withheld != missing-test.deleted || (report.Completion == task.Warning) != want {
				t.Errorf("withheld %v (%d), completed as %s", withheld, state.Withheld, report.Completion)
			}
			if got := int64(len(b.stored(account.Accounts))); got != min(250, int64(test.before)-test.deleted) {
				t.Errorf("%d are stored", got)
			}
		})
	}
}

// What a file says of entitlements survives an aggregation of what accounts
// hold; what was only found there goes with its last account.
func TestHeldEntitlements(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.aggregate(account.Accounts, "id,name,groups\n1,Ann,a;b\n2,Bob,b;c\n", account.Options{})
	b.aggregate(account.Entitlements, "id,displayName,description\na,Alpha,The first\nd,,\n", account.Options{})
	_, state := b.aggregate(account.Entitlements, "", account.Options{})
	if state.Created != 2 || state.Updated != 0 || state.Deleted != 0 || state.Total != 3 {
		t.Errorf("%+v", state)
	}
	b.want(account.Entitlements, `groups=a Alpha {"displayName":"Alpha","description":"The first"}`,
		`groups=b b {"held":true}`, `groups=c c {"held":true}`, `groups=d d {}`)
	b.aggregate(account.Accounts, "id,name,groups\n1,Ann,\n2,Bob,b\n", account.Options{})
	_, state = b.aggregate(account.Entitlements, "", account.Options{})
	if state.Deleted != 1 || state.Created != 0 {
		t.Errorf("%+v", state)
	}
	b.want(account.Entitlements, `groups=a Alpha {"displayName":"Alpha","description":"The first"}`,
		`groups=b b {"held":true}`, `groups=d d {}`)
}

// Unchanged accounts are left alone, unless all are to be processed.
func TestOptimization(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	file := "id,name,groups\n1,Ann,a\n2,Bob,\n"
	b.aggregate(account.Accounts, file, account.Options{})
	if _, state := b.aggregate(account.Accounts, "id,name,groups\n2,Bob,\n1,Ann,a\n", account.Options{}); state.Unchanged != 2 || state.Changed() != 0 {
		t.Errorf("%+v", state)
	}
	if _, state := b.aggregate(account.Accounts, file, account.Options{DisableOptimization: true}); state.Unchanged != 0 || state.Updated != 2 {
		t.Errorf("%+v", state)
	}
}

// Each file that arrives takes memory: only some arrive at once, the others wait
// for one to end, and not for ever.
func TestManyFilesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		receive := func(in io.Reader) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := b.aggregator.Receive(t.Context(), b.source.ID, account.Accounts, in)
				done <- err
			}()
			return done
		}
		var pipes []*io.PipeWriter
		var slow []<-chan error
		for range 6 {
			r, w := io.Pipe()
			pipes, slow = append(pipes, w), append(slow, receive(r))
		}
		synctest.Wait()
		err := <-receive(strings.NewReader("id,name,groups\n1,Ada,a\n"))
		if e, ok := errors.AsType[*task.Error](err); !ok || e.Kind != task.Unavailable || e.RetryAfter <= 0 {
			t.Fatalf("one more than at once: %v, want Unavailable and when to come back", err)
		}
		waiting := receive(strings.NewReader("id,name,groups\n1,Ada,a\n"))
		synctest.Wait()
		_ = pipes[0].CloseWithError(errors.New("hung up"))
		if err := <-slow[0]; err == nil {
			t.Error("a file that broke off was received")
		}
		if err := <-waiting; err != nil {
			t.Errorf("once another had ended: %v", err)
		}
		for i, w := range pipes[1:] {
			_ = w.Close() // an empty file
			if err := <-slow[1+i]; err == nil {
				t.Error("an empty file was received")
			}
		}
	})
}

// interrupted is a store whose first transaction of an attempt is its last.
type interrupted struct {
	*sqlite.Store
	stop context.CancelFunc
}

func (s interrupted) Work(
	ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error),
) (task.Task, error) {
	defer s.stop()
	return s.Store.Work(ctx, id, attempt, now, fn)
}

// A file is read to its end as it was checked, whatever becomes of the settings of
// its source between two attempts.
func TestSettingsChangedBetweenAttempts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var file strings.Builder
	file.WriteString("id,name,groups\n")
	for i := range 3000 {
		fmt.Fprintf(&file, "a%04d,b%04d,x;y\n", i, i)
	}
	upload, err := b.aggregator.Receive(t.Context(), b.source.ID, account.Accounts, strings.NewReader(file.String()))
	if err != nil {
		t.Fatal(err)
	}
	launch := func() (task.Launched, error) {
		return b.aggregator.Launch(t.Context(), account.Launch{SourceID: b.source.ID, Class: account.Accounts, Upload: upload},
			task.IdempotencyKey{}, audit.Origin{Actor: "test"})
	}
	// A file that was checked for other settings than the launch finds is refused.
	b.configure(func(f *source.File) { f.MultiValueSeparator = "|" })
	if _, err := launch(); task.KindOf(err) != task.Conflict {
		t.Fatalf("the launch of a file that was checked for other settings: %v, want Conflict", err)
	}
	b.configure(func(f *source.File) { f.MultiValueSeparator = ";" })
	launched, err := launch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	cut := aggregation.New(aggregation.Options{
		Store: interrupted{b.store, stop}, Connector: files{}, Catalog: task.NewCatalog(), Now: time.Now,
	})
	if _, err := cut.Execute(ctx, launched.Task); !errors.Is(err, context.Canceled) {
		t.Fatalf("the first attempt ended with %v", err)
	}
	b.configure(func(f *source.File) { f.AccountID, f.Delimiter, f.Entitlements = "name", ";", nil })
	if _, err := b.aggregator.Execute(t.Context(), launched.Task); err != nil {
		t.Fatal(err)
	}
	src, err := b.store.Source(t.Context(), b.source.ID)
	if err != nil || src.Accounts != 3000 {
		t.Fatalf("%d accounts, %v; want 3000", src.Accounts, err)
	}
	page, err := query.Accounts().ParsePage("count=true&filters=" + url.QueryEscape(`nativeIdentity sw "a" and attributes.groups eq "y"`))
	if err != nil {
		t.Fatal(err)
	}
	if _, n, err := b.store.ListAccounts(t.Context(), page); err != nil || n != 3000 {
		t.Errorf("%d accounts were read as the file was checked, %v; want 3000", n, err)
	}
}

// configure changes how the files of the source are read.
func (b *bench) configure(change func(*source.File)) {
	b.Helper()
	_, err := b.store.UpdateSource(b.Context(), b.source.ID, func(s source.Source) (source.Source, *audit.Entry, error) {
		change(&s.File)
		return s, &audit.Entry{At: s.Modified}, nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// Accounts that come round after round grow; what is read and written back in one
// transaction does not, and an attempt that ends between two of them changes
// nothing in the end.
func TestInterruptedWhileAccountsGrow(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	file.WriteString("id,name,groups\n")
	for round := range 12 {
		for i := range 100 {
			name := "A"
			if i%10 == 3 && round%4 == 2 {
				name = "another" // a warning
			}
			long := strings.Repeat("x", 900)
			fmt.Fprintf(&file, "a%03d,%s,%s%d;%s%d;%s%d\n", i, name, long, 3*round, long, 3*round+1, long, 3*round+2)
		}
	}
	run := func(cut bool) (account.State, []string) {
		b := newBench(t)
		upload, err := b.aggregator.Receive(t.Context(), b.source.ID, account.Accounts, strings.NewReader(file.String()))
		if err != nil {
			t.Fatal(err)
		}
		launched, err := b.aggregator.Launch(t.Context(), account.Launch{SourceID: b.source.ID, Class: account.Accounts, Upload: upload},
			task.IdempotencyKey{}, audit.Origin{Actor: "test"})
		if err != nil {
			t.Fatal(err)
		}
		seen := &largest{Store: b.store}
		attempts := 0
		for err = context.Canceled; errors.Is(err, context.Canceled); attempts++ {
			ctx, stop := context.WithCancel(t.Context())
			seen.stop, seen.after = func() {}, 0
			if cut && attempts < 40 {
				seen.stop, seen.after = stop, attempts%3
			}
			o := aggregation.Options{Store: seen, Connector: files{}, Catalog: task.NewCatalog(), Now: time.Now}
			_, err = aggregation.New(o).Execute(ctx, launched.Task)
			stop()
		}
		if err != nil {
			t.Fatal(err)
		}
		if cut && attempts < 5 {
			t.Fatalf("only %d attempts", attempts)
		}
		if most := 2 << 20; seen.most > most {
			t.Errorf("one transaction read back %d bytes, want at most %d", seen.most, most)
		}
		stored, err := b.store.Run(t.Context(), launched.Task.ID)
		if err != nil {
			t.Fatal(err)
		}
		return stored.State, b.stored(account.Accounts)
	}
	want, accounts := run(false)
	got, again := run(true)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("interrupted it ends otherwise (-whole +interrupted)\n%s", diff)
	}
	if diff := cmp.Diff(bodies(accounts), bodies(again)); diff != "" || want.Total != 100 || want.Problems != 30 {
		t.Errorf("%d accounts, %d problems; want 100 and 30, and the same accounts (-whole +interrupted)\n%s", want.Total, want.Problems, diff)
	}
}

// bodies drops what differs between two stores.
func bodies(lines []string) map[string]string {
	all := map[string]string{}
	for _, line := range lines {
		key, rest, _ := strings.Cut(line, " ")
		all[key] = rest
	}
	return all
}

// largest is a store that notes how much a transaction reads back, and calls stop
// after some of them.
type largest struct {
	*sqlite.Store
	most, after int
	stop        func()
}

func (s *largest) Work(
	ctx context.Context, id task.ID, attempt int, now time.Time, fn func(account.Work) (task.Report, error),
) (task.Task, error) {
	read := 0
	defer func() {
		s.most = max(s.most, read)
		if s.after--; s.after < 0 {
			s.stop()
		}
	}()
	return s.Store.Work(ctx, id, attempt, now, func(w account.Work) (task.Report, error) { return fn(measured{w, &read}) })
}

type measured struct {
	account.Work
	read *int
}

func (m measured) Staged(key string) (account.Record, error) {
	r, err := m.Work.Staged(key)
	*m.read += len(r.Body)
	return r, err
}
