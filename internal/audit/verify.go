package audit

import (
	"fmt"
	"slices"
	"time"

	"stint/internal/task"
)

// State is what a store keeps of the audit beside its entries.
type State struct {
	Deployment task.ID
	KeyCheck   []byte
	// Tips and Checkpoints are by shard. What is missing was taken away.
	Tips        map[int]Tip
	Checkpoints map[int]Checkpoint
	// Faults say how what keeps the entries was altered, so that it could hide or
	// swallow some.
	Faults []string
}

// Finding is one thing that is not as it was written.
type Finding struct {
	// Place is where; a shard of -1 is the whole.
	Place
	What string
}

// String is a finding for people.
func (f Finding) String() string {
	switch {
	case f.Shard < 0:
		return f.What
	case f.Number == 0:
		return fmt.Sprintf("shard %d: %s", f.Shard, f.What)
	}
	return fmt.Sprintf("%s (id %s): %s", f.Place, f.ID(), f.What)
}

// maxFindings bounds the findings that are kept: what is wrong everywhere need
// not be said a million times.
const maxFindings = 100

// Verdict is what a verification found.
type Verdict struct {
	Deployment task.ID
	// Entries is how many there are, Deleted how many retention has deleted, and
	// Until up to which time.
	Entries, Deleted int64
	Until            time.Time
	// SinceHead is how many were written since the head, BeyondHead in how many
	// shards retention has deleted more than the head knew: there the head cannot
	// be held against anything. Both are 0 without a head.
	SinceHead  int64
	BeyondHead int
	// Foreign says that the key is not the one that the chain was begun with, so that
	// nothing could be verified.
	Foreign bool
	// Findings are the first of all that is wrong, Wrong how many there are.
	Findings []Finding
	Wrong    int
	// Tips are the ends of the shards.
	Tips [Shards]Tip
}

// Whole reports whether nothing is wrong.
func (v *Verdict) Whole() bool { return v.Wrong == 0 }

// Verifier holds the entries of a store against its chain, and against a head,
// in memory that does not grow with them. One goroutine at a time uses it: Begin,
// then Entry for each entry, by shard and number, then End.
type Verifier struct {
	key    []byte
	public PublicKey
	head   *Head // or nil

	chain   *Chain
	state   State
	verdict Verdict
	shard   int // the one under way
	tip     Tip // of the last of its entries
	// foreign says that the key is not the chain's: no link can be checked.
	foreign bool
}

// NewVerifier returns a verifier of a chain under a key, whose checkpoints and
// heads the owner of public signs. head may be nil.
func NewVerifier(key []byte, public PublicKey, head *Head) *Verifier {
	return &Verifier{key: key, public: public, head: head}
}

// Begin takes the state of the store.
func (v *Verifier) Begin(s State) error {
	v.state, v.chain = s, NewChain(v.key, s.Deployment)
	v.verdict.Deployment = s.Deployment
	for _, fault := range s.Faults {
		v.report(Place{Shard: -1}, "%s", fault)
	}
	if check := v.chain.KeyCheck(); !slices.Equal(check[:], s.KeyCheck) {
		v.foreign, v.verdict.Foreign = true, true
		v.report(Place{Shard: -1}, "the key is not the one that the chain was begun with, or what tells so was altered; no entry can be verified")
		return nil
	}
	if h := v.head; h != nil {
		switch {
		case h.Deployment != s.Deployment:
			v.report(Place{Shard: -1}, "the head is of the deployment %s, this is %s", h.Deployment, s.Deployment)
			v.head = nil
		case !h.Signed(v.public):
			v.report(Place{Shard: -1}, "the head's signature is not of this deployment's key: the head, or the key file, is another")
			v.head = nil
		}
	}
	v.beginShard(0)
	return nil
}

// Entry takes the next entry.
func (v *Verifier) Entry(e *Recorded) error {
	v.verdict.Entries++
	if v.foreign {
		return nil
	}
	if e.Shard < v.shard || e.Shard >= Shards {
		v.report(Place{Shard: -1}, "an entry stands in shard %d, number %d, which is none: it was put there", e.Shard, e.Number)
		return nil
	}
	for v.shard < e.Shard {
		v.endShard()
		v.beginShard(v.shard + 1)
	}
	switch {
	case e.Number <= v.tip.Number:
		v.report(e.Place, "the entry (%s) was put there: the chain has gone past its place", describe(e))
		return nil
	case e.Number > v.tip.Number+1:
		v.report(Place{e.Shard, v.tip.Number + 1}, "%s missing from here on", count(e.Number-v.tip.Number-1, "entry is", "entries are"))
		// With what comes next, the chain can be followed again.
	case v.chain.Next(e.Shard, v.tip, &e.Entry).Link != e.Link:
		v.report(e.Place, "the entry (%s) is not what was written there, or the one before it is another", describe(e))
	}
	v.tip = Tip{e.Number, e.Link}
	v.meetHead()
	return nil
}

// End returns what was found.
func (v *Verifier) End() Verdict {
	if v.foreign {
		return v.verdict
	}
	v.endShard()
	for v.shard < Shards-1 {
		v.beginShard(v.shard + 1)
		v.endShard()
	}
	return v.verdict
}

// beginShard goes to a shard, whose chain begins behind its checkpoint.
func (v *Verifier) beginShard(shard int) {
	v.shard, v.tip = shard, v.chain.Begin(shard)
	c, deleted := v.state.Checkpoints[shard]
	if !deleted {
		return
	}
	if c.Shard != shard || c.Number < 1 || !c.Signed(v.state.Deployment, v.public) {
		v.report(Place{Shard: shard}, "the checkpoint of its retention is not signed by this deployment's key")
		return
	}
	v.tip = Tip{c.Number, c.Link}
	v.verdict.Deleted += c.Number
	if c.Until.After(v.verdict.Until) {
		v.verdict.Until = c.Until
	}
	if v.head != nil && v.head.Tips[shard].Number < c.Number {
		v.verdict.BeyondHead++
	}
	v.meetHead()
}

// meetHead compares the chain with the head where they meet.
func (v *Verifier) meetHead() {
	if v.head == nil || v.tip.Number == 0 || v.head.Tips[v.shard].Number != v.tip.Number {
		return
	}
	if v.head.Tips[v.shard].Link != v.tip.Link {
		v.report(Place{v.shard, v.tip.Number}, "here, or before it, the audit is another than the one that the head was taken of")
	}
}

// endShard compares the end of a shard with what the store, and the head, say it
// is.
func (v *Verifier) endShard() {
	v.verdict.Tips[v.shard] = v.tip
	tip, there := v.state.Tips[v.shard]
	switch {
	case !there:
		v.report(Place{Shard: v.shard}, "the record of its end is missing")
	case tip.Number > v.tip.Number:
		v.report(Place{v.shard, v.tip.Number + 1}, "%s missing from here to the end", count(tip.Number-v.tip.Number, "entry is", "entries are"))
	case tip != v.tip:
		v.report(Place{Shard: v.shard}, "the record of its end, at number %d, is not that of its last entry", tip.Number)
	}
	if v.head == nil {
		return
	}
	known := v.head.Tips[v.shard].Number
	if known > v.tip.Number {
		v.report(Place{v.shard, v.tip.Number + 1}, "%s missing from here on that the head knew",
			count(known-v.tip.Number, "entry is", "entries are"))
		return
	}
	v.verdict.SinceHead += v.tip.Number - known
}

func (v *Verifier) report(at Place, format string, args ...any) {
	v.verdict.Wrong++
	if len(v.verdict.Findings) < maxFindings {
		v.verdict.Findings = append(v.verdict.Findings, Finding{at, fmt.Sprintf(format, args...)})
	}
}

// describe says which entry it is, as it stands there now.
func describe(e *Recorded) string {
	return fmt.Sprintf("%s of %s by %s at %s", e.Action, task.Abbreviate(e.Object), task.Abbreviate(e.Origin.Actor), task.FormatTime(e.At))
}

func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
