package audit

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const deployment = "000102030405060708090a0b0c0d0e0f"

func testChain() *Chain { return NewChain([]byte("key"), deployment) }

func textGen() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"", "a", "A", "é", "\x00", "a\x00", `"`}), rapid.String())
}

func jsonGen() *rapid.Generator[json.RawMessage] {
	return rapid.Map(rapid.SampledFrom([]string{"", "{}", `{"a":1}`, "null"}), func(s string) json.RawMessage {
		if s == "" {
			return nil
		}
		return json.RawMessage(s)
	})
}

func entryGen() *rapid.Generator[Entry] {
	return rapid.Custom(func(t *rapid.T) Entry {
		draw := func(name string) string { return textGen().Draw(t, name) }
		return Entry{
			At: time.UnixMilli(rapid.Int64Range(-1, 1e13).Draw(t, "at")).UTC(), Action: Action(draw("action")),
			Origin: Origin{draw("actor"), draw("client"), draw("address"), draw("agent"), draw("request")}, Object: draw("object"),
			Before: jsonGen().Draw(t, "before"), After: jsonGen().Draw(t, "after"), Words: draw("words"), Reason: draw("reason"),
		}
	})
}

// TestLinksTellEntriesApart holds that two entries that differ in anything have
// different links at the same place.
func TestLinksTellEntriesApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, other := entryGen().Draw(t, "one"), entryGen().Draw(t, "other")
		tip := Tip{Number: rapid.Int64Range(0, 3).Draw(t, "number")}
		c := testChain()
		same := c.Next(1, tip, &one) == c.Next(1, tip, &other)
		if same != reflect.DeepEqual(one, other) {
			t.Fatalf("the same link: %v, of\n%+v\n%+v", same, one, other)
		}
	})
}

// TestEveryFieldIsLinked changes one field after the other, by reflection, so that
// a field that is added later is not forgotten.
func TestEveryFieldIsLinked(t *testing.T) {
	t.Parallel()
	c := testChain()
	plain := c.Next(0, Tip{}, &Entry{})
	n := 0
	var change func(v reflect.Value, e *Entry, path string)
	change = func(v reflect.Value, e *Entry, path string) {
		for i := range v.NumField() {
			f, name := v.Field(i), path+v.Type().Field(i).Name
			before := reflect.New(f.Type()).Elem()
			before.Set(f)
			switch {
			case f.Type() == reflect.TypeFor[time.Time]():
				f.Set(reflect.ValueOf(time.UnixMilli(1)))
			case f.Kind() == reflect.String:
				f.SetString("x")
			case f.Kind() == reflect.Slice:
				f.SetBytes([]byte("x"))
			case f.Kind() == reflect.Struct:
				change(f, e, name+".")
				continue
			default:
				t.Fatalf("what is %s?", name)
			}
			n++
			if c.Next(0, Tip{}, e) == plain {
				t.Errorf("another %s has the same link", name)
			}
			f.Set(before)
		}
	}
	e := Entry{}
	change(reflect.ValueOf(&e).Elem(), &e, "")
	if n != 12 {
		t.Errorf("%d fields were changed, want 12", n)
	}
}

// TestLinksTellPlacesApart holds that a link is of one key, deployment, shard,
// number and predecessor, and of one purpose.
func TestLinksTellPlacesApart(t *testing.T) {
	t.Parallel()
	c, e := testChain(), &Entry{Object: "o"}
	seen := map[Link]string{}
	for name, link := range map[string]Link{
		"an entry":                   c.Next(0, Tip{}, e).Link,
		"the next number":            c.Next(0, Tip{Number: 1}, e).Link,
		"another predecessor":        c.Next(0, Tip{Link: Link{1}}, e).Link,
		"another shard":              c.Next(1, Tip{}, e).Link,
		"another key":                NewChain([]byte("other"), deployment).Next(0, Tip{}, e).Link,
		"no key":                     NewChain(nil, deployment).Next(0, Tip{}, e).Link,
		"the beginning":              c.Begin(0).Link,
		"another's beginning":        c.Begin(1).Link,
		"another deployment's":       NewChain([]byte("key"), "ff").Begin(0).Link,
		"the check of the key":       c.KeyCheck(),
		"the check of another key":   NewChain([]byte("other"), deployment).KeyCheck(),
		"the check of no key at all": NewChain(nil, deployment).KeyCheck(),
	} {
		if other, twice := seen[link]; twice {
			t.Errorf("%s and %s have the same link", name, other)
		}
		seen[link] = name
	}
}

// TestLinkNeverChanges pins the encoding: what is written today must be verified
// by every later version.
func TestLinkNeverChanges(t *testing.T) {
	t.Parallel()
	e := &Entry{
		At: time.UnixMilli(1764027650123), Action: Clear, Origin: Origin{"Zoë", "c1", "[::1]:1", "agent/1", "0f"}, Object: "task",
		Before: json.RawMessage(`{"a":1}`), After: json.RawMessage(`{}`), Words: "[]", Reason: "because",
	}
	const want = "bee5597b110798e8b86008f79c29df74319494e7e3d092de1661c3c867043af3"
	if got := testChain().Next(7, testChain().Begin(7), e).Link.String(); got != want {
		t.Errorf("the link is %s, want %s", got, want)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := Place{rapid.IntRange(0, Shards-1).Draw(t, "shard"), rapid.Int64Min(1).Draw(t, "number")}
		if got, ok := ParsePlace(strings.ToUpper(string(p.ID()))); !ok || got != p {
			t.Fatalf("%v is read as %v, %v", p, got, ok)
		}
	})
	for _, s := range []string{
		"", "1", strings.Repeat("0", 32), strings.Repeat("f", 32), "0000000000000010" + "0000000000000001",
		"0000000000000001" + "8000000000000000", "+000000000000001" + "0000000000000001",
	} {
		if p, ok := ParsePlace(s); ok {
			t.Errorf("%q is read as %v", s, p)
		}
	}
}

// TestShardsAreEven holds that no shard has much more than its part.
func TestShardsAreEven(t *testing.T) {
	t.Parallel()
	var n [Shards]int
	const each = 1000
	for i := range each * Shards {
		n[ShardOf(string(Place{0, int64(i) + 1}.ID()))]++
	}
	for shard, got := range n {
		if got < each*8/10 || got > each*12/10 {
			t.Errorf("shard %d has %d of %d", shard, got, each*Shards)
		}
	}
}
