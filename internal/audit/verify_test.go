package audit

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// book is an audit in memory, as a store keeps it.
type book struct {
	state   State
	entries []Recorded // by shard and number
}

func testSigner(tb rapid.TB, seed byte) *Signer {
	tb.Helper()
	s, err := NewSigner(slices.Repeat([]byte{seed}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newBook(entries []Entry) *book {
	c := testChain()
	check := c.KeyCheck()
	b := &book{state: State{Deployment: deployment, KeyCheck: check[:], Tips: map[int]Tip{}, Checkpoints: map[int]Checkpoint{}}}
	for shard := range Shards {
		b.state.Tips[shard] = c.Begin(shard)
	}
	for _, e := range entries {
		b.add(e)
	}
	return b
}

func (b *book) add(e Entry) {
	shard := ShardOf(e.Object)
	tip := testChain().Next(shard, b.state.Tips[shard], &e)
	b.state.Tips[shard] = tip
	b.entries = append(b.entries, Recorded{e, Place{shard, tip.Number}, tip.Link})
	b.sort()
}

func (b *book) sort() {
	slices.SortStableFunc(b.entries, func(a, b Recorded) int {
		if a.Shard != b.Shard {
			return a.Shard - b.Shard
		}
		return int(a.Number - b.Number)
	})
}

// retain deletes what stands before an entry, and that itself, with a checkpoint.
func (b *book) retain(tb rapid.TB, last Recorded) {
	tb.Helper()
	c := Checkpoint{Place: last.Place, Link: last.Link, Made: time.UnixMilli(5), Until: last.At}
	testSigner(tb, 1).SignCheckpoint(deployment, &c)
	b.state.Checkpoints[last.Shard] = c
	b.entries = slices.DeleteFunc(b.entries, func(e Recorded) bool { return e.Shard == last.Shard && e.Number <= last.Number })
}

func (b *book) head(tb rapid.TB) *Head {
	tb.Helper()
	h := &Head{Deployment: deployment, Time: time.UnixMilli(7).UTC()}
	for shard := range h.Tips {
		h.Tips[shard] = b.state.Tips[shard]
	}
	testSigner(tb, 1).SignHead(h)
	return h
}

func (b *book) verify(tb rapid.TB, key string, head *Head) Verdict {
	tb.Helper()
	v := NewVerifier([]byte(key), testSigner(tb, 1).Public(), head)
	if err := v.Begin(b.state); err != nil {
		tb.Fatal(err)
	}
	for i := range b.entries {
		if err := v.Entry(&b.entries[i]); err != nil {
			tb.Fatal(err)
		}
	}
	return v.End()
}

// drawBook draws an audit, a head that was taken of it on the way, and how many
// entries were deleted by retention.
func drawBook(t *rapid.T) (*book, *Head) {
	// Objects are few, so that most shards have none or several.
	object := rapid.SampledFrom([]string{"a", "b", "c"})
	gen := rapid.Custom(func(t *rapid.T) Entry {
		e := entryGen().Draw(t, "entry")
		e.Object = object.Draw(t, "object")
		return e
	})
	all := rapid.SliceOfN(gen, 1, 12).Draw(t, "entries")
	cut := rapid.IntRange(0, len(all)).Draw(t, "head after")
	b := newBook(all[:cut])
	h := b.head(t)
	for _, e := range all[cut:] {
		b.add(e)
	}
	if rapid.Bool().Draw(t, "retention") {
		b.retain(t, rapid.SampledFrom(b.entries).Draw(t, "last deleted"))
	}
	return b, h
}

func TestWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, h := drawBook(t)
		for _, head := range []*Head{nil, h, b.head(t)} {
			v := b.verify(t, "key", head)
			if !v.Whole() || v.Entries != int64(len(b.entries)) || v.Deployment != deployment {
				t.Fatalf("%+v", v)
			}
			var known int64
			for shard, tip := range v.Tips {
				if tip != b.state.Tips[shard] {
					t.Fatalf("shard %d ends at %v, want %v", shard, tip, b.state.Tips[shard])
				}
				known += tip.Number
			}
			if head != nil && v.SinceHead != known-head.Entries() {
				t.Fatalf("%d since the head, want %d", v.SinceHead, known-head.Entries())
			}
			if v.Entries+v.Deleted != known {
				t.Fatalf("%d and %d deleted, want %d", v.Entries, v.Deleted, known)
			}
		}
	})
}

// attacks are what somebody can do to a file without its key. Each changes
// something that verification must see; false says that there was nothing to
// change.
func attacks() map[string]func(t *rapid.T, b *book) bool {
	some := func(t *rapid.T, b *book) *Recorded {
		if len(b.entries) == 0 {
			return nil
		}
		return &b.entries[rapid.IntRange(0, len(b.entries)-1).Draw(t, "which")]
	}
	return map[string]func(t *rapid.T, b *book) bool{
		"alter": func(t *rapid.T, b *book) bool {
			e := some(t, b)
			if e == nil {
				return false
			}
			other := entryGen().Draw(t, "other")
			same := NewChain(nil, "").Next(0, Tip{}, &e.Entry) == NewChain(nil, "").Next(0, Tip{}, &other)
			e.Entry = other
			return !same
		},
		"swap": func(t *rapid.T, b *book) bool {
			one, other := some(t, b), some(t, b)
			if one == nil || one == other {
				return false
			}
			one.Entry, other.Entry = other.Entry, one.Entry
			same := NewChain(nil, "").Next(0, Tip{}, &one.Entry) == NewChain(nil, "").Next(0, Tip{}, &other.Entry)
			return !same
		},
		"exchange places": func(t *rapid.T, b *book) bool {
			one, other := some(t, b), some(t, b)
			if one == nil || one == other {
				return false
			}
			one.Place, other.Place = other.Place, one.Place
			b.sort()
			return true
		},
		"delete": func(t *rapid.T, b *book) bool {
			e := some(t, b)
			if e == nil {
				return false
			}
			at := e.Place
			b.entries = slices.DeleteFunc(b.entries, func(e Recorded) bool { return e.Place == at })
			return true
		},
		"cut the beginning": func(t *rapid.T, b *book) bool {
			e := some(t, b)
			if e == nil {
				return false
			}
			at := e.Place
			b.entries = slices.DeleteFunc(b.entries, func(e Recorded) bool { return e.Shard == at.Shard && e.Number <= at.Number })
			return true
		},
		"insert and renumber": func(t *rapid.T, b *book) bool {
			e := entryGen().Draw(t, "forged")
			at := Place{ShardOf(e.Object), rapid.Int64Range(1, b.state.Tips[ShardOf(e.Object)].Number+1).Draw(t, "number")}
			for i := range b.entries {
				if b.entries[i].Shard == at.Shard && b.entries[i].Number >= at.Number {
					b.entries[i].Number++
				}
			}
			link := NewChain(nil, deployment).Next(at.Shard, Tip{}, &e).Link // without the key
			b.entries = append(b.entries, Recorded{e, at, link})
			tip := b.state.Tips[at.Shard]
			tip.Number++
			b.state.Tips[at.Shard] = tip
			b.sort()
			return true
		},
		"insert twice": func(t *rapid.T, b *book) bool {
			e := some(t, b)
			if e == nil {
				return false
			}
			b.entries = append(b.entries, *e)
			b.sort()
			return true
		},
		"a shard that is none": func(_ *rapid.T, b *book) bool {
			b.entries = append(b.entries, Recorded{Place: Place{Shards, 1}})
			return true
		},
		"a shard before all": func(_ *rapid.T, b *book) bool {
			b.entries = append([]Recorded{{Place: Place{-1, 1}}}, b.entries...)
			return true
		},
		"forge a checkpoint": func(t *rapid.T, b *book) bool {
			e := some(t, b)
			if e == nil {
				return false
			}
			c := Checkpoint{Place: e.Place, Link: e.Link, Made: time.UnixMilli(5), Until: e.At}
			testSigner(t, 2).SignCheckpoint(deployment, &c)
			b.state.Checkpoints[e.Shard] = c
			b.entries = slices.DeleteFunc(b.entries, func(o Recorded) bool { return o.Shard == c.Shard && o.Number <= c.Number })
			return true
		},
		"move a checkpoint": func(t *rapid.T, b *book) bool {
			for shard, c := range b.state.Checkpoints {
				c.Number += rapid.Int64Range(1, 2).Draw(t, "further")
				b.state.Checkpoints[shard] = c
				return true
			}
			return false
		},
		"take a checkpoint to another shard": func(_ *rapid.T, b *book) bool {
			for shard, c := range b.state.Checkpoints {
				b.state.Checkpoints[(shard+1)%Shards] = c
				return true
			}
			return false
		},
		"take a checkpoint away": func(_ *rapid.T, b *book) bool {
			found := len(b.state.Checkpoints) > 0
			clear(b.state.Checkpoints)
			return found
		},
		"another tip": func(t *rapid.T, b *book) bool {
			shard := rapid.IntRange(0, Shards-1).Draw(t, "shard")
			tip := b.state.Tips[shard]
			tip.Link[0]++
			b.state.Tips[shard] = tip
			return true
		},
		"no tip": func(t *rapid.T, b *book) bool {
			delete(b.state.Tips, rapid.IntRange(0, Shards-1).Draw(t, "shard"))
			return true
		},
		"another check of the key": func(_ *rapid.T, b *book) bool {
			b.state.KeyCheck = []byte{1}
			return true
		},
		"another deployment": func(_ *rapid.T, b *book) bool {
			b.state.Deployment = "ff"
			return true
		},
	}
}

// TestAttacksShow holds that whatever is done to the entries, or to what is kept
// beside them, is found, without a head.
func TestAttacksShow(t *testing.T) {
	t.Parallel()
	for name, attack := range attacks() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			met := 0
			rapid.Check(t, func(t *rapid.T) {
				b, _ := drawBook(t)
				if !attack(t, b) {
					return
				}
				met++
				if v := b.verify(t, "key", nil); v.Whole() {
					t.Fatalf("nothing was found: %+v", v)
				} else if len(v.Findings) != min(v.Wrong, maxFindings) || v.Findings[0].String() == "" {
					t.Fatalf("the findings do not say what is wrong: %+v", v)
				}
			})
			if met == 0 {
				t.Error("there was never anything to attack")
			}
		})
	}
}

// TestHeadShowsCuts holds that a head finds what the chain by itself cannot: that
// its end was cut away, and that others were written in its place since.
func TestHeadShowsCuts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(entryGen(), 1, 12).Draw(t, "entries")
		whole := newBook(all)
		h := whole.head(t)
		cut := rapid.IntRange(0, len(all)-1).Draw(t, "what is left")
		b := newBook(all[:cut])
		for _, e := range rapid.SliceOfN(entryGen(), 0, 12).Draw(t, "what was written since") {
			b.add(e)
		}
		if b.state.Tips[ShardOf(all[cut].Object)] == whole.state.Tips[ShardOf(all[cut].Object)] {
			return // the very same was written again
		}
		if v := b.verify(t, "key", nil); !v.Whole() {
			t.Fatalf("by itself it is whole: %+v", v)
		}
		rewritten := false
		for shard, tip := range h.Tips {
			now := newBook(nil)
			for _, e := range b.entries {
				if e.Shard == shard && e.Number <= tip.Number {
					now.add(e.Entry)
				}
			}
			rewritten = rewritten || now.state.Tips[shard] != tip
		}
		if v := b.verify(t, "key", h); v.Whole() == rewritten {
			t.Fatalf("cut or rewritten: %v, found %+v", rewritten, v)
		}
	})
}

// TestRetentionPastAHead says what a head tells once retention has
// gone past it.
func TestRetentionPastAHead(t *testing.T) {
	t.Parallel()
	entries := make([]Entry, 4)
	for i := range entries {
		entries[i] = Entry{Object: "a", At: time.UnixMilli(int64(i)), Words: "x"}
	}
	b := newBook(entries[:2])
	h := b.head(t)
	b.add(entries[2])
	b.add(entries[3])
	for _, tc := range []struct{ last, beyond int }{{0, 0}, {1, 0}, {2, 1}} {
		at := newBook(entries)
		at.retain(t, at.entries[tc.last])
		if v := at.verify(t, "key", h); !v.Whole() || v.BeyondHead != tc.beyond || v.Deleted != int64(tc.last+1) || v.SinceHead != 2 {
			t.Errorf("%d deleted: %+v", tc.last+1, v)
		}
	}
	// Deleted up to the head, but another head.
	other := newBook([]Entry{{Object: "a"}, {Object: "a"}}).head(t)
	b.retain(t, b.entries[1])
	if v := b.verify(t, "key", other); v.Whole() {
		t.Error("a head of other entries than those that were deleted passes")
	}
}

func TestOtherKeysAndHeads(t *testing.T) {
	t.Parallel()
	b := newBook([]Entry{{Object: "a"}, {Object: "b"}})
	if v := b.verify(t, "other", nil); v.Wrong != 1 || !strings.Contains(v.Findings[0].String(), "key") || v.Entries != 2 {
		t.Errorf("with another key: %+v", v)
	}
	for name, change := range map[string]func(*Head){
		"of another deployment": func(h *Head) { h.Deployment = "ff"; testSigner(t, 1).SignHead(h) },
		"signed by another":     func(h *Head) { testSigner(t, 2).SignHead(h) },
		"another key":           func(h *Head) { h.PublicKey = testSigner(t, 2).Public() },
		"no signature":          func(h *Head) { h.Signature = nil },
		"another time":          func(h *Head) { h.Time = time.UnixMilli(8) },
		"another number":        func(h *Head) { h.Tips[0].Number++ },
		"another link":          func(h *Head) { h.Tips[15].Link[31]++ },
	} {
		h := b.head(t)
		change(h)
		if v := b.verify(t, "key", h); v.Wrong != 1 || v.Findings[0].Shard != -1 {
			t.Errorf("a head %s: %+v", name, v)
		}
	}
	if _, err := NewSigner([]byte("short")); err == nil {
		t.Error("a seed of five bytes passes")
	}
}

// TestFindingsSayWhere alters one entry and takes one away.
func TestFindingsSayWhere(t *testing.T) {
	t.Parallel()
	entries := make([]Entry, 6)
	for i := range entries {
		entries[i] = Entry{Object: "a", At: time.UnixMilli(int64(i)), Action: Clear, Origin: Origin{Actor: "zoë"}}
	}
	b := newBook(entries)
	b.entries[1].Reason = "altered"
	b.entries = append(b.entries[:3], b.entries[5:]...)
	v := b.verify(t, "key", nil)
	shard := ShardOf("a")
	want := []string{
		Place{shard, 2}.String() + " (id " + string(Place{shard, 2}.ID()) + "): the entry (task.clear of a by zoë at 1970-01-01T00:00:00.001Z) is not what was written there, or the one before it is another",
		Place{shard, 4}.String() + " (id " + string(Place{shard, 4}.ID()) + "): 2 entries are missing from here on",
	}
	var got []string
	for _, f := range v.Findings {
		got = append(got, f.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestFindingsTellInsertedFromMissing holds that what stands twice, and what is
// missing at the end, is not called altered.
func TestFindingsTellInsertedFromMissing(t *testing.T) {
	t.Parallel()
	for says, attack := range map[string]func(*book){
		"was put there: the chain has gone past its place": func(b *book) { b.entries = append(b.entries, b.entries[2]) },
		"1 entry is missing from here to the end":          func(b *book) { b.entries = b.entries[:2] },
		"the record of its end is missing":                 func(b *book) { delete(b.state.Tips, ShardOf("a")) },
	} {
		b := newBook([]Entry{{Object: "a"}, {Object: "a"}, {Object: "a"}})
		attack(b)
		if v := b.verify(t, "key", nil); v.Wrong != 1 || !strings.Contains(v.Findings[0].String(), says) {
			t.Errorf("%v, want one that says %q", v.Findings, says)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBook(slices.Repeat([]Entry{{Object: "a"}}, 300))
	for i := range b.entries {
		b.entries[i].Words = "x"
	}
	if v := b.verify(t, "key", nil); v.Wrong != 300 || len(v.Findings) != maxFindings {
		t.Errorf("%d wrong, %d kept", v.Wrong, len(v.Findings))
	}
}

func TestHeadFile(t *testing.T) {
	t.Parallel()
	h := newBook([]Entry{{Object: "a"}, {Object: "b"}, {Object: "a"}}).head(t)
	text, err := MarshalHead(h)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseHead(text)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Signed(testSigner(t, 1).Public()) || got.Entries() != 3 || !got.Time.Equal(h.Time) || got.Tips != h.Tips {
		t.Errorf("read back: %+v", got)
	}
	if len(text) > MaxHeadFile {
		t.Errorf("%d bytes", len(text))
	}
	for name, change := range map[string]func(map[string]any){
		"another format":       func(m map[string]any) { m["format"] = "other" },
		"an unknown member":    func(m map[string]any) { m["x"] = 1 },
		"no deployment":        func(m map[string]any) { m["deployment"] = "" },
		"no time":              func(m map[string]any) { m["time"] = "now" },
		"fewer shards":         func(m map[string]any) { m["shards"] = m["shards"].([]any)[1:] },
		"another sum":          func(m map[string]any) { m["entries"] = 4 },
		"a signature not hex":  func(m map[string]any) { m["signature"] = "zz" },
		"a link of other size": func(m map[string]any) { m["shards"].([]any)[0].(map[string]any)["link"] = "00" },
		"a negative number":    func(m map[string]any) { m["shards"].([]any)[0].(map[string]any)["number"] = -1 },
	} {
		var m map[string]any
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		changed, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseHead(changed); err == nil {
			t.Errorf("%s passes", name)
		}
	}
	for _, s := range []string{"", "[]", "{}", string(text) + "x", string(text) + string(text)} {
		if _, err := ParseHead([]byte(s)); err == nil {
			t.Errorf("%.20q passes", s)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	text, err := MarshalHead(newBook([]Entry{{Object: "a"}}).head(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := ParseHead(text)
		if err != nil {
			return
		}
		again, err := MarshalHead(h)
		if err != nil {
			t.Fatal(err)
		}
		if h2, err := ParseHead(again); err != nil || h2.Tips != h.Tips || !h2.Time.Equal(h.Time) {
			t.Fatalf("%v: %s", err, again)
		}
	})
}
