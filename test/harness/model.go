package harness

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"stint/internal/connector/delimited/delimitedtest"
)

// Said is an account or an entitlement as a file says it: its name, and its
// members as JSON.
type Said struct {
	name    string
	members map[string]string
}

func (s Said) equal(other Said) bool {
	return s.name == other.name && maps.Equal(s.members, other.members)
}

// State is what a source has stored, by native identity; for entitlements by
// attribute, U+001F, native identity.
type State map[string]Said

// File is what a file says, worked out in the plainest way.
type File struct {
	good State
	// kept are those of whom only a bad row tells: they stay as they are.
	kept map[string]bool
	// bad are the lines of the rows that have a problem.
	bad map[int64]bool
}

// ReadFile reads a file of accounts or of entitlements, row by row.
func ReadFile(tb testing.TB, text []byte, record func(cells []string) (string, Said)) File {
	tb.Helper()
	f := File{good: State{}, kept: map[string]bool{}, bad: map[int64]bool{}}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	header, err := r.Read()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return f
		}
		if err != nil {
			tb.Fatal(err)
		}
		line, _ := r.FieldPos(0)
		whole := len(cells) == len(header)
		if !whole {
			cells = append(cells, make([]string, len(header))...)[:len(header)]
		}
		key, s := record(cells)
		before, again := f.good[key]
		switch {
		case key == "":
			f.bad[int64(line)] = true
		case !whole:
			f.bad[int64(line)] = true
			f.kept[key] = !again
		case !again:
			f.good[key] = s
			delete(f.kept, key)
		case before.equal(s):
		case !sameButGroups(before, s):
			f.bad[int64(line)] = true
		default:
			f.good[key] = united(tb, before, s)
		}
	}
}

func sameButGroups(a, b Said) bool {
	a.members, b.members = maps.Clone(a.members), maps.Clone(b.members)
	delete(a.members, "groups")
	delete(b.members, "groups")
	return a.equal(b)
}

// united is an account with the groups of two rows.
func united(tb testing.TB, a, b Said) Said {
	tb.Helper()
	a.members = maps.Clone(a.members)
	a.members["groups"] = jsonOf(distinct(append(groupsOf(tb, a), groupsOf(tb, b)...)))
	return a
}

func groupsOf(tb testing.TB, s Said) (groups []string) {
	tb.Helper()
	if text := s.members["groups"]; text != "" {
		if err := json.Unmarshal([]byte(text), &groups); err != nil {
			tb.Fatal(err)
		}
	}
	return groups
}

func distinct(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }

// jsonOf is JSON as the API writes it.
func jsonOf(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// AccountOf makes an account of a row.
func AccountOf(cells []string) (string, Said) {
	columns := delimitedtest.Columns()
	s := Said{name: cells[1], members: map[string]string{}}
	for i, c := range columns {
		if cells[i] != "" && c != "groups" {
			s.members[c] = jsonOf(cells[i])
		}
	}
	if groups := cells[len(columns)-1]; groups != "" {
		s.members["groups"] = jsonOf(distinct(strings.Split(groups, ",")))
	}
	return cells[0], s
}

// entitlementColumns are those of the files of entitlements.
const entitlementColumns = "id,displayName,description,attribute,owner,system"

// EntitlementOf makes an entitlement of a row. Its members are those of the
// answer: displayName, description, and the other columns.
func EntitlementOf(cells []string) (string, Said) {
	s := Said{name: cells[1], members: map[string]string{}}
	if cells[0] == "" {
		return "", s
	}
	for i, c := range strings.Split(entitlementColumns, ",") {
		if cells[i] != "" && c != "id" && c != "attribute" {
			s.members[c] = jsonOf(cells[i])
		}
	}
	return cells[3] + "\x1f" + cells[0], s
}

// Change is what becomes of one record.
type Change struct {
	Change     string
	attributes string // those that differ, sorted
}

// Outcome is what a run has to do.
type Outcome struct {
	Next                       State
	Changes                    map[string]Change
	total, unchanged, withheld int
	created, updated, deleted  int
	bad                        map[int64]bool
}

// Work says what becomes of what is stored. allowed are the deletions that whoever
// launched it allows; a tenth of what is stored, or ten, pass unasked.
func (before State) Work(f File, allowed int, optimizationOff bool) Outcome {
	o := Outcome{Next: maps.Clone(before), Changes: map[string]Change{}, total: len(f.good), bad: f.bad}
	for key, now := range f.good {
		old, stored := before[key]
		switch {
		case !stored:
			o.created++
			o.Changes[key] = Change{Change: "CREATED"}
		case !old.equal(now):
			o.updated++
			o.Changes[key] = Change{"UPDATED", differing(old, now)}
		case optimizationOff:
			o.updated++
			o.Changes[key] = Change{Change: "UPDATED"}
		default:
			o.unchanged++
		}
		o.Next[key] = now
	}
	var missing []string
	for key := range before {
		if _, read := f.good[key]; !read && !f.kept[key] {
			missing = append(missing, key)
		}
	}
	if n := len(missing); n > allowed && (len(f.good) == 0 || n > max(10, len(before)/10)) {
		o.withheld = n
		return o
	}
	for _, key := range missing {
		o.deleted++
		o.Changes[key] = Change{Change: "DELETED"}
		delete(o.Next, key)
	}
	return o
}

// differing lists the members that differ. A name is always one of them.
func differing(a, b Said) string {
	var names []string
	for name := range maps.Keys(a.members) {
		if a.members[name] != b.members[name] {
			names = append(names, name)
		}
	}
	for name := range maps.Keys(b.members) {
		if _, both := a.members[name]; !both {
			names = append(names, name)
		}
	}
	return strings.Join(slices.Sorted(slices.Values(names)), " ")
}

// Held is what a run without a file reads: the groups of the stored accounts, of
// which nothing but their existence is known.
func Held(tb testing.TB, accounts State) File {
	tb.Helper()
	f := File{good: State{}, kept: map[string]bool{}, bad: map[int64]bool{}}
	for _, a := range accounts {
		for _, g := range groupsOf(tb, a) {
			f.good["groups\x1f"+g] = Said{name: g, members: map[string]string{}}
		}
	}
	return f
}

// AccountsFile makes a file of accounts: one that has changed a little since any
// other of the same seed, with bad rows, rows that repeat others, and rows that
// contradict others.
func AccountsFile(tb testing.TB, random *rand.Rand, seed uint64, rows int, gone int) []byte {
	tb.Helper()
	var b bytes.Buffer
	err := delimitedtest.Generate(&b, delimitedtest.Options{
		Rows: rows, Seed: seed, Groups: true,
		ChangePerMille: random.IntN(900), GonePerMille: gone, NewPerMille: random.IntN(60),
	})
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	cut := func(line string) string { return line[:strings.LastIndex(line, `,"`)] }
	return spoil(random, lines[0], lines[1:], spoiling{
		short:    func(line string) string { return line[:strings.Index(line, ",")+1] },
		repeat:   func(line string) string { return fmt.Sprintf(`%s,"extra-%d,vpn"`, cut(line), random.IntN(500)) },
		conflict: func(line string) string { return strings.Replace(line, "@example.com", "@example.org", 1) },
	})
}

// EntitlementsFile is the same for entitlements.
func EntitlementsFile(random *rand.Rand, rows int, gone int) []byte {
	salt := random.IntN(1000)
	var lines []string
	for i := range rows {
		if random.IntN(1000) < gone {
			continue
		}
		version := 0
		if random.IntN(1000) < 50 {
			version = salt
		}
		lines = append(lines, fmt.Sprintf(`r%06d,"Role <%d>, part %d","%s ""quoted"" & so on",%s,E%08d,`,
			i, i, version%7, strings.Repeat("text ", i%5), []string{"group", "role"}[i%2], version))
	}
	return spoil(random, entitlementColumns, lines, spoiling{
		short:    func(line string) string { return strings.Join(strings.SplitN(line, ",", 2)[:1], "") + ",x" },
		repeat:   func(line string) string { return line },
		conflict: func(line string) string { return strings.Replace(line, "Role", "Roll", 1) },
	})
}

// spoiling says how a row becomes bad, repeats itself, and contradicts itself.
type spoiling struct{ short, repeat, conflict func(line string) string }

// spoil spoils some rows, and puts some in places where nobody looks for them.
func spoil(random *rand.Rand, header string, lines []string, how spoiling) []byte {
	more := map[int][]string{}
	put := func(line string) {
		i := random.IntN(len(lines) + 1)
		more[i] = append(more[i], line)
	}
	pick := func() string { return lines[random.IntN(len(lines))] }
	for range random.IntN(300) {
		put(how.repeat(pick()))
	}
	for range random.IntN(60) {
		put(how.conflict(pick()))
	}
	for range random.IntN(20) {
		put(how.short(pick()))
		put(pick() + ",surplus")
		put(strings.TrimLeft(pick(), "Er0123456789")) // nobody's
	}
	for range random.IntN(20) {
		i := random.IntN(len(lines))
		lines[i] = how.short(lines[i])
	}
	if random.IntN(3) == 0 {
		random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	var b bytes.Buffer
	b.WriteString(header + "\n")
	for i := range len(lines) + 1 {
		for _, line := range more[i] {
			b.WriteString(line + "\n")
		}
		if i < len(lines) {
			b.WriteString(lines[i] + "\n")
		}
	}
	return b.Bytes()
}
