package apptest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"stint/internal/account"
	"stint/internal/audit"
	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/source"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// What Fill stores.
const (
	HR, Directory   task.ID = "000000000000000000000000000000a1", "000000000000000000000000000000a2"
	FirstRun        task.ID = "000000000000000000000000000000b1" // creates the accounts of HR
	SecondRun       task.ID = "000000000000000000000000000000b2" // changes one, deletes one, creates one
	DirectoryRun    task.ID = "000000000000000000000000000000b3" // creates the accounts of Directory
	EntitlementsRun task.ID = "000000000000000000000000000000b4" // creates the entitlements of Directory
)

// Fill makes a database with two sources, HR and Directory, and what a few
// aggregations of them have stored, as the runs named above. No server may have
// it open.
func Fill(tb testing.TB, db string, now time.Time) {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	keys, err := auth.OpenKeyFile(config.KeyFilePath(db, ""))
	if err != nil {
		tb.Fatalf("open the key file: %v", err)
	}
	s, err := sqlite.Open(ctx, sqlite.Options{Path: db, AuditKey: keys.Derive(auth.PurposeAudit)})
	if err != nil {
		tb.Fatalf("open the database: %v", err)
	}
	f := filler{TB: tb, store: s, now: now}
	f.source(HR, "HR", "groups")
	f.source(Directory, "Directory", "memberOf", "role")
	f.run(FirstRun, HR, account.Accounts, []account.Recorded{
		f.created("c1", "u1", "Ann Smith", `{"dept":"Sales","groups":["Admins","Users"],"Cost Center":"4711"}`),
		f.created("c2", "u2", "Bob <b>&", `{"dept":"R\u0026D","groups":["Users"]}`),
		f.created("c3", "u3", "Cy", `{}`),
	})
	f.run(SecondRun, HR, account.Accounts, []account.Recorded{
		f.created("c4", "U4", "=Dee", `{"dept":"+1","note":"@x\ty \"z\", a","groups":["-1","a,b"]}`),
		{Record: account.Record{Key: "u2", Name: "Rob", Body: []byte(`{"dept":"Sales","groups":["Users"]}`)}, Change: account.Updated, Attributes: []string{"dept", "name"}},
	}, account.Gone{Key: "u3", Name: "Cy"})
	f.run(DirectoryRun, Directory, account.Accounts, []account.Recorded{
		f.created("d1", "cn=ann", "Ann Smith", `{"memberOf":["cn=g1"],"role":["Reader","Writer"]}`),
	})
	f.run(EntitlementsRun, Directory, account.Entitlements, []account.Recorded{
		f.created("e1", account.EntitlementKey("memberOf", "cn=g1"), "Group 1", `{"displayName":"Group 1","description":"<all>","attributes":{"owner":"Ann"}}`),
		f.created("e2", account.EntitlementKey("role", "Reader"), "Reader", `{}`),
	})
	if err := s.Close(); err != nil {
		tb.Fatalf("close the database: %v", err)
	}
}

type filler struct {
	testing.TB
	store *sqlite.Store
	now   time.Time
}

func (f *filler) source(id task.ID, name string, entitlements ...string) {
	f.Helper()
	s := source.Source{
		ID: id, Name: name, Type: source.DelimitedFile, Deletions: source.DefaultThreshold(), Created: f.now, Modified: f.now,
		File: source.File{AccountID: "id", Entitlements: entitlements, MultiValueSeparator: ",", Delimiter: ","},
	}
	if err := f.store.CreateSource(context.WithoutCancel(f.Context()), s, audit.Entry{At: f.now, Action: audit.SourceCreate, Object: string(id)}); err != nil {
		f.Fatalf("create source %s: %v", name, err)
	}
}

func (f *filler) created(id, key, name, body string) account.Recorded {
	return account.Recorded{
		Record: account.Record{Key: key, Name: name, Body: []byte(body)}, ID: task.ID(fmt.Sprintf("%032s", id)), Change: account.Created,
	}
}

// run stores what one aggregation has changed; each is a second after the last.
func (f *filler) run(id, of task.ID, class account.Class, changes []account.Recorded, gone ...account.Gone) {
	f.Helper()
	ctx := context.WithoutCancel(f.Context())
	f.now = f.now.Add(time.Second)
	definition, _ := task.NewCatalog().Lookup(string(task.IdentityRefresh))
	c, err := task.NewTask(id, task.Launch{Definition: definition, SourceID: string(of)}, "token", f.now)
	if err != nil {
		f.Fatalf("new task: %v", err)
	}
	run := account.Run{TaskID: id, SourceID: of, Class: class}
	entry := func(t *task.Task) (audit.Entry, error) {
		return audit.Entry{At: t.Created, Action: audit.Launch, Object: string(t.ID)}, nil
	}
	if _, _, err := f.store.CreateRun(ctx, run, c, nil, task.IdempotencyKey{}, entry); err != nil {
		f.Fatalf("create run %s: %v", id, err)
	}
	_, err = f.store.Work(ctx, id, 1, f.now, func(w account.Work) (task.Report, error) {
		if err := w.Record(changes); err != nil {
			return task.Report{}, err
		}
		return task.Report{Completion: task.Success}, w.Delete(gone)
	})
	if err != nil {
		f.Fatalf("record %s: %v", id, err)
	}
}
