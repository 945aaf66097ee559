// Package confine starts a command as a user of its own and, where it is asked to, in a world of its own: a file system in
// which little can be written and some folders are not to be seen, processes that see no others, no network, and limits on
// memory, processes and CPU. It does so on Linux, and as root.
//
// What has to happen between the start of a process and its command is done by a helper: this program again, started as
// Helper says, which ends up in [Main]. What it is to do reaches it through its standard input ([Order]), and never by
// arguments or variables, which a command's owner could have chosen.
package confine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrUnsupported says that this machine, or this process's rights on it, does not give what is wanted.
var ErrUnsupported = errors.New("not on this machine")

// Level says how far steps are kept from each other, and from whoever runs them.
type Level string

// The levels.
const (
	None       Level = "none"       // they are the worker's own processes
	User       Level = "user"       // each runs as a user of its own
	Namespaces Level = "namespaces" // and in a world of its own
)

// Levels lists every level, each keeping more than the one before.
var Levels = []Level{None, User, Namespaces}

// UnmarshalText reads a level's name.
func (l *Level) UnmarshalText(text []byte) error {
	if !slices.Contains(Levels, Level(text)) {
		return fmt.Errorf("%q is no level of isolation; there are none, user and namespaces", text)
	}
	*l = Level(text)
	return nil
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l), nil }

// Users is a range of numbers of users, each of which is a group's number as well. Nobody else may have them.
type Users struct{ First, Last int }

// DefaultUsers is a range that no distribution gives to people or services (systemd's UIDS-GIDS.md leaves it free).
func DefaultUsers() Users { return Users{First: 200_000, Last: 200_255} }

// Count is how many there are.
func (u Users) Count() int { return u.Last - u.First + 1 }

// String is the range as people write it.
func (u Users) String() string { return fmt.Sprintf("%d-%d", u.First, u.Last) }

// MarshalText writes the range as String does.
func (u Users) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads what String writes.
func (u *Users) UnmarshalText(text []byte) error {
	first, last, found := strings.Cut(string(text), "-")
	from, errFrom := strconv.Atoi(first)
	to, errTo := strconv.Atoi(last)
	const most = 1<<31 - 1
	if !found || errFrom != nil || errTo != nil || from < 1000 || to < from || to > most {
		return fmt.Errorf("%q is no range of users like 200000-200255, from 1000 up", text)
	}
	*u = Users{First: from, Last: to}
	return nil
}

// Limits are what everything in one cell may use together; 0 is any amount.
type Limits struct {
	Memory    int64   // bytes, with no swap beside them; files in memory count as well
	CPUs      float64 // 1.5 is one and a half processors' time
	Processes int     // threads count as well
}

// Met says which limits processes ran into.
type Met struct {
	Memory    bool          // one was killed for it
	Processes bool          // one could not be started
	Held      time.Duration // for so long they waited for processors' time that they might not use, all together
}

// Order is what a helper is to do: who runs what, and where.
type Order struct {
	UID, GID int
	Groups   []int // besides GID
	Path     string
	Args     []string // of the command, the program's name first
	Env      []string
	Dir      string
	Script   Script
	Terminal bool   // it gets a new one, whose other end Start.Terminal answers
	GivesWay bool   // to others who want a processor (process.GiveWay); in a world its cell sees to that
	World    *World // nil: the one that everybody is in
}

// Script is a file that is written as its user before the command runs, with its folder.
type Script struct{ Path, Text string }

// World is what a command sees. Its file system is the machine's, read-only, but for what is said here.
type World struct {
	Hidden    []string // folders that are empty in it, but for those below
	Writable  []string // folders
	ReadOnly  []string // folders that are to be seen also in a hidden one
	Temporary string   // folder that is also /tmp and /var/tmp; empty: memory
	NoNetwork bool     // but a loopback
	Cell      Cell
}

// Cell names the control groups that hold the processes of a world.
type Cell struct {
	Tasks []string // files of version 1 that take a thread
	Dir   string   // folder of version 2
}
