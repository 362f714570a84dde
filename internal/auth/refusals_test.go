package auth

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"stint/internal/audit"
	"stint/internal/query"
	"stint/internal/store/sqlite"
	"stint/internal/task"
)

// refusing is a Service that is started, on a store that can fail, within a bubble
// of its own time.
type refusing struct {
	*testing.T
	*Service
	store  *faulty
	sqlite *sqlite.Store
}

// inBubble runs a test in simulated time. The store is there before the service
// starts and is closed after it has stopped.
func inBubble(t *testing.T, run func(r *refusing)) {
	t.Helper()
	path, keyring := filepath.Join(t.TempDir(), "stint.db"), someKeyring(t, 1)
	synctest.Test(t, func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, AuditKey: []byte("key")})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := store.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}()
		r := &refusing{T: t, store: &faulty{Store: store}, sqlite: store}
		r.Service, err = NewService(t.Context(), Options{
			Store: r.store, Keyring: keyring, Issuer: issuer, Lifetime: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.Start(t.Context())
		defer r.Stop()
		run(r)
	})
}

// refuse has n sign-ins refused.
func (r *refusing) refuse(n int, id string, address func(i int) string) {
	r.Helper()
	for i := range n {
		_, err := r.SignIn(r.Context(), id, "wrong", "", audit.Origin{Address: address(i), Agent: "guesser", RequestID: "r"})
		if k := task.KindOf(err); err == nil || k != task.Unauthenticated && k != task.TooMany {
			r.Fatalf("got %v", err)
		}
	}
}

// written returns the entries about refusals, and how many they count together.
func (r *refusing) written() (entries []audit.Entry, sum int) {
	r.Helper()
	page := query.Page{
		Limit: 10_000, Sort: []query.Sorter{{Field: query.FieldCreated}},
		Filter: query.Compare{Field: query.FieldAction, Values: []string{string(audit.TokenRefuse)}},
	}
	found, _, err := r.sqlite.ListAudit(r.Context(), page)
	if err != nil {
		r.Fatal(err)
	}
	for _, s := range found {
		var n int
		if _, err := fmt.Sscanf(s.Words, "%d times: ", &n); err != nil {
			r.Fatalf("%q: %v", s.Words, err)
		}
		entries, sum = append(entries, s.Entry), sum+n
	}
	return entries, sum
}

func oneAddress(i int) string { return fmt.Sprintf("192.0.2.1:%d", 1000+i) }

func manyAddresses(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255) }

func TestRefusalsAreWrittenTogether(t *testing.T) {
	t.Parallel()
	const id = "0123456789abcdef0123456789abcdef"
	inBubble(t, func(r *refusing) {
		r.refuse(1000, id, oneAddress)
		if entries, _ := r.written(); len(entries) != 0 {
			r.Errorf("%d entries at once", len(entries))
		}
		time.Sleep(refusalInterval)
		synctest.Wait()
		entries, sum := r.written()
		if len(entries) != 1 || sum != 1000 {
			r.Fatalf("%d entries about %d refusals, want one about 1000", len(entries), sum)
		}
		e := entries[0]
		if e.Object != id || e.Origin.Actor != "anonymous" || e.Origin.Address != "192.0.2.1:1999" || e.Origin.Agent != "guesser" ||
			!strings.Contains(e.Words, "do not belong together") {
			r.Errorf("the entry is %+v", e)
		}
		time.Sleep(10 * refusalInterval)
		synctest.Wait()
		if entries, _ := r.written(); len(entries) != 1 {
			r.Errorf("%d entries after silence", len(entries))
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	inBubble(t, func(r *refusing) {
		r.refuse(1000, "x", manyAddresses)
		time.Sleep(refusalInterval)
		synctest.Wait()
		entries, sum := r.written()
		if len(entries) > maxRefusals+1 || sum != 1000 {
			r.Errorf("%d entries about %d refusals, want %d about 1000", len(entries), sum, maxRefusals+1)
		}
	})
}

func TestRefusalsOutliveAFault(t *testing.T) {
	t.Parallel()
	inBubble(t, func(r *refusing) {
		r.store.failAudit(errors.New("disk full"))
		for range 5 {
			r.refuse(300, "x", manyAddresses)
			r.refuse(7, "", oneAddress)
			time.Sleep(refusalInterval)
			synctest.Wait()
		}
		r.refusals.mu.Lock()
		waiting := len(r.refusals.waiting)
		r.refusals.mu.Unlock()
		if waiting > maxRefusals+1 {
			r.Errorf("%d wait", waiting)
		}
		if entries, _ := r.written(); len(entries) != 0 {
			r.Errorf("%d entries in spite of the fault", len(entries))
		}
		r.store.failAudit(nil)
		time.Sleep(refusalInterval)
		synctest.Wait()
		if entries, sum := r.written(); len(entries) > maxRefusals+1 || sum != 5*307 {
			r.Errorf("%d entries about %d refusals, want all %d", len(entries), sum, 5*307)
		}
	})
}

func TestRefusalsAreWrittenAtTheStop(t *testing.T) {
	t.Parallel()
	inBubble(t, func(r *refusing) {
		r.refuse(3, "x", oneAddress)
		r.Stop()
		if _, sum := r.written(); sum != 3 {
			r.Errorf("%d refusals are written, want 3", sum)
		}
	})
}

// What people type into the wrong field is written nowhere.
func TestRefusalsHoldNoSecret(t *testing.T) {
	t.Parallel()
	secret := newSecret()
	inBubble(t, func(r *refusing) {
		for _, id := range []string{secret, secret[:40], "pass\x00word", "\xff", strings.Repeat("x", 1<<16)} {
			r.refuse(1, id, oneAddress)
		}
		r.Stop()
		entries, sum := r.written()
		if sum != 5 || len(entries) != 1 || entries[0].Object != "" {
			r.Errorf("%d refusals: %+v", sum, entries)
		}
	})
}

func TestRefusalsAtOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(r *refusing) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 40 {
					r.refusals.add("x", "why", audit.Origin{Address: manyAddresses(40*i + j)})
					if j%10 == 0 {
						r.refusals.flush(r.Context())
					}
				}
			})
		}
		wg.Wait()
		r.Stop()
		if _, sum := r.written(); sum != 320 {
			r.Errorf("%d refusals are written, want 320", sum)
		}
	})
}
