package crash_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/internal/crash"
)

// source is a small module with every way to make a place.
const source = `package room

import (
	"os"

	"example.com/m/internal/failpoint"
)

type order interface{ order() }

type Go struct{}
type Stop struct{}

func (Go) order()   {}
func (Stop) order() {}

func commit(fn func() error) error {
	place := failpoint.Called("commit")
	place.Before()
	return fn()
}

func update(fn func() error) error { return commit(func() error { return fn() }) }

func save(path string) error { return commit(func() error { return os.Rename("new", path) }) }

func first() error { return update(func() error { return nil }) }

func second() error {
	failpoint.At("take a second").Before()
	return commit(func() error { return nil })
}

func perform(o order) { failpoint.Of("perform", o).Before() }

type Store struct{}

func (*Store) Update(fn func() error) error { return commit(func() error { return fn() }) }

type updater interface{ Update(fn func() error) error }

func third(s updater) error { return s.Update(func() error { return nil }) }

func careless() error { return os.Rename("a", "b") }
`

// another is a package that knows the first one's type by an interface only.
const another = `package another

import "example.com/m/internal/room"

type Updater interface{ Update(fn func() error) error }

type unlike interface{ Update() }

func fourth(s Updater, other unlike) error {
	other.Update()
	return s.Update(func() error { return nil })
}

var _ Updater = (*room.Store)(nil)
`

const marks = `package failpoint

type Place struct{}

func (Place) Before()             {}
func At(string) (p Place)         { return p }
func Of(string, any) (p Place)    { return p }
func Called(string) (p Place)     { return p }
`

func module(t *testing.T) *crash.Module {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.24\n", "internal/room/room.go": source, "internal/failpoint/failpoint.go": marks,
		"internal/another/another.go": another,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := crash.ReadModule(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lineOf is where a text stands in the source.
func lineOf(text string) int {
	before, _, _ := strings.Cut(source, text)
	return 1 + strings.Count(before, "\n")
}

func TestEveryPlaceIsFoundInTheSource(t *testing.T) {
	points, err := crash.Points(module(t))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range points {
		names = append(names, p.Name+" in "+p.In)
	}
	at := func(text string) string { return "commit room/room.go:" + strconv.Itoa(lineOf(text)) }
	want := []string{
		at(`return commit(func() error { return os.Rename`) + " in room.save", // a path is no function to hand on
		at(`return update(`) + " in room.first",
		at(`return commit(func() error { return nil`) + " in room.second",
		at(`return s.Update(`) + " in room.third", "commit another/another.go:11 in another.fourth",
		"perform Go in room.perform", "perform Stop in room.perform", "take a second in room.second",
	}
	slices.Sort(names)
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("the places are\n%s\nand not\n%s", strings.Join(names, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatLastsWithoutAPlaceIsTold(t *testing.T) {
	m := module(t)
	without := crash.Unregistered(m, nil)
	if len(without) != 2 || !strings.Contains(without[0], "room.save") || !strings.Contains(without[1], "room.careless") {
		t.Errorf("told are %q", without)
	}
	if without := crash.Unregistered(m, map[string]string{"room.save": "a reason", "room.careless": "another"}); len(without) > 0 {
		t.Errorf("told are %q, which are excused", without)
	}
}
