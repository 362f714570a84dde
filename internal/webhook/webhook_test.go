package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"stint/internal/task"
)

func start() time.Time { return time.Date(2026, 11, 24, 23, 40, 50, 123456789, time.UTC) }

// TestTries: how often, and how far apart.
func TestTries(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
	}
	for _, luck := range []float64{0, 0.999} {
		d := Delivery{ID: "a", State: Pending, Job: 7, NextAttempt: start()}
		now := start()
		for n, wait := range want {
			d = d.Tried(Result{At: now, Status: 500, Err: "no"}, luck)
			if d.State != Pending || d.Attempts != n+1 || d.Job != 0 || !d.LastAttempt.Equal(task.Millis(now)) || d.LastStatus != 500 || d.LastError != "no" || !d.Done.IsZero() {
				t.Fatalf("after %d tries: %+v", n+1, d)
			}
			if got := d.NextAttempt.Sub(now); got < wait-time.Millisecond || got > wait+wait/5+time.Millisecond || luck == 0 && got > wait {
				t.Errorf("try %d comes %s later, want %s", n+2, got, wait)
			}
			now = d.NextAttempt
		}
		last := d.Tried(Result{At: now, Err: "no"}, luck)
		if last.State != Failed || last.Attempts != len(want)+1 || !last.NextAttempt.IsZero() || !last.Done.Equal(now) {
			t.Errorf("after the last try: %+v", last)
		}
		again := last.Again(now.Add(time.Hour))
		if again.State != Pending || !again.NextAttempt.Equal(now.Add(time.Hour)) || !again.Done.IsZero() || again.ID != d.ID {
			t.Errorf("again: %+v", again)
		}
		if again = again.Tried(Result{At: now, Status: 302, Err: "no"}, luck); again.State != Pending || again.Attempts != len(want)+2 {
			t.Errorf("again, tried: %+v", again)
		}
	}
	d := Delivery{State: Pending}
	for status, state := range map[int]State{199: Pending, 200: Delivered, 299: Delivered, 300: Pending, 404: Pending, 410: Failed, 503: Pending} {
		r := Result{At: start(), Status: status}
		if state != Delivered {
			r.Err = "no"
		}
		if got := d.Tried(r, 0); got.State != state || got.Done.IsZero() != (state == Pending) {
			t.Errorf("%d makes %+v", status, got)
		}
	}
	if got := d.GivenUp("why", start()); got.State != Failed || got.LastError != "why" || got.Attempts != 0 || got.Done.IsZero() {
		t.Errorf("given up: %+v", got)
	}
}

// TestSignature holds it against the vector of the specification's libraries.
func TestSignature(t *testing.T) {
	t.Parallel()
	secret, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	h := Headers("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`), secret, []byte("another"))
	first, second, _ := strings.Cut(h[HeaderSignature], " ")
	if first != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" || h[HeaderTimestamp] != "1614265330" || h[HeaderID] != "msg_p5jXN8AQM9LWM0D4loKWxJek" {
		t.Errorf("the headers are %v", h)
	}
	mac := hmac.New(sha256.New, []byte("another"))
	mac.Write([]byte(`msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}`))
	if second != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) {
		t.Errorf("the second signature is %s", second)
	}
	a, b := NewSecret(), NewSecret()
	if len(a) != 32 || string(a) == string(b) || !strings.HasPrefix(ShowSecret(a), "whsec_") {
		t.Errorf("the secrets %x and %x", a, b)
	}
}

func TestOldSecretSigns(t *testing.T) {
	t.Parallel()
	w := Webhook{Old: []byte{1}, Rotated: start()}
	if !w.Signs(start().Add(24*time.Hour-1)) || w.Signs(start().Add(24*time.Hour)) || (&Webhook{Rotated: start()}).Signs(start()) {
		t.Error("the old secret signs for a day")
	}
}

func TestEveryStatusHasAnEvent(t *testing.T) {
	t.Parallel()
	for _, s := range []task.CompletionStatus{task.Success, task.Warning, task.Failure, task.TempError, task.Terminated} {
		if e, ok := EventOf(s); !ok || (e == TaskCompleted) != (s == task.Success || s == task.Warning) {
			t.Errorf("%s is told as %q", s, e)
		}
	}
	if e, ok := EventOf(task.InProgress); ok {
		t.Errorf("a task in progress is told as %q", e)
	}
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"http://x", "https://[::1]:8/a?b=c", "http://u:p@x", "HTTP://X", "http://x#", "http:x", "http://x:y", "//x", "http://é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := checkURL(s)
		if err == nil && (!strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") && !strings.EqualFold(s[:4], "http") || strings.ContainsAny(s, "# \n\r\x00")) {
			t.Errorf("%q is taken", s)
		}
		if err != nil && task.KindOf(err) != task.IllegalValue && task.KindOf(err) != task.Missing {
			t.Errorf("%q: %v", s, err)
		}
	})
}
