package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
	"github.com/towpath-cd/towpath/internal/ssh"
)

const (
	// lockPatience is how long the lock of a host is waited for. Who has it gives it back by the deadline of its own watchdog.
	lockPatience = 15 * time.Second
	// portPatience is how long a port may take to be free once its holder was asked to end.
	portPatience = 30 * time.Second
	// orderLimit is how long an order may take on a host, where its context has no deadline.
	orderLimit = 5 * time.Minute
	// deadlineSlack is how much earlier the watchdog on the host ends an order than its keeper stops waiting for it.
	deadlineSlack = 8 * time.Second
)

// machine is a host of the target.
type machine struct {
	name   string
	path   string        // the environment's folder
	owner  string        // of files; empty is the login
	longer time.Duration // what an order may take more, as processes may to end
	remote *ssh.Host

	mutex   sync.Mutex
	claimed towpath.Epoch
	seen    []towpath.Instance // at the last look
	missed  time.Time          // since when looks have missed it; zero where the last one did not
	singles []towpath.Single   // likewise
}

func (m *machine) isClaimedBy(epoch towpath.Epoch) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.claimed == epoch
}

func (m *machine) claimedBy(epoch towpath.Epoch) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.claimed = epoch
}

func (m *machine) lastSeen() []towpath.Instance {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.seen
}

func (m *machine) sees(instances []towpath.Instance, singles []towpath.Single) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.seen, m.singles, m.missed = instances, singles, time.Time{}
}

// misses notes a look that did not come through, and answers since when that is so.
func (m *machine) misses() time.Time {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.missed.IsZero() {
		m.missed = time.Now()
	}
	return m.missed
}

// doubts is an order that may change what runs there: until the next look nobody knows who answers.
func (m *machine) doubts(seats []seat) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.seen = slices.Clone(m.seen)
	for n := range m.seen {
		isThere := func(s seat) bool { return s.id == m.seen[n].ID || s.slot.Name == m.seen[n].Slot }
		if m.seen[n].State == towpath.InstanceRunning && slices.ContainsFunc(seats, isThere) {
			m.seen[n].State = towpath.InstanceUnknown
		}
	}
}

func (m *machine) lastSingles() []towpath.Single {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.singles
}

// seesSingle remembers of a single process beside an instance that it may run from now on, or, where there is none, that it does
// not: should the host not answer any more before it is looked at.
func (m *machine) seesSingle(process, instance string, may *towpath.Single) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.singles = slices.DeleteFunc(slices.Clone(m.singles), func(p towpath.Single) bool {
		return p.Process == process && p.Instance == instance
	})
	if may != nil {
		m.singles = append(m.singles, *may)
	}
}

// seesPlaced adds an instance to what was seen, should the host not answer any more.
func (m *machine) seesPlaced(i towpath.Instance) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	i.State = towpath.InstancePlaced
	m.seen = append(slices.Clone(m.seen), i)
}

// variables are what a script is told.
type variables map[string]string

// under adds what every order has: its epoch, and until when it has to be over on the host.
func (m *machine) under(ctx context.Context, epoch towpath.Epoch, what string, v variables) variables {
	limit := orderLimit + m.longer
	if deadline, has := ctx.Deadline(); has {
		limit = min(limit, max(time.Until(deadline)-deadlineSlack, time.Second))
	}
	all := variables{
		"TW_PATH": m.path, "TW_OWNER": m.owner, "TW_WHAT": what, "TW_N": "0", "TW_P": "0",
		"TW_EPOCH": strconv.FormatUint(epoch.Number, 10), "TW_HOLDER": epoch.Holder,
		"TW_LIMIT": seconds(limit), "TW_WAIT": seconds(min(lockPatience, limit/2)), "TW_FREE": seconds(min(portPatience, limit/5)),
	}
	maps.Copy(all, v)
	return all
}

func seconds(d time.Duration) string { return strconv.Itoa(int(max(d, time.Second) / time.Second)) }

// order has a script carried out under an epoch, and answers what it told.
func (m *machine) order(ctx context.Context, epoch towpath.Epoch, what, script string, v variables, input io.Reader) ([]word, error) {
	return m.ask(ctx, script, m.under(ctx, epoch, what, v), input)
}

// ask runs a script to its end, and answers what it told. A script that does not come to its last word has failed.
func (m *machine) ask(ctx context.Context, script string, v variables, input io.Reader) ([]word, error) {
	v["TW_PATH"], v["TW_OWNER"] = m.path, m.owner
	result, err := m.remote.Run(ctx, ssh.Command{Script: script, Env: v, Input: input})
	if err != nil {
		return nil, explain(err)
	}
	var said []word
	for line := range strings.SplitSeq(strings.TrimSuffix(result.Output, "\n"), "\n") {
		said = append(said, parseWord(line))
	}
	return said, m.judge(said, result)
}

// judge finds in what a script told why it did not come to its end.
func (m *machine) judge(said []word, result ssh.Result) error {
	var log []string
	for _, w := range said {
		switch w.is {
		case "log":
			log = append(log, m.name+": "+w.at(0))
		case "stale":
			number, _ := strconv.ParseUint(w.at(0), 10, 64)
			return &deploy.StaleEpoch{Seen: towpath.Epoch{Number: number, Holder: w.at(1)}}
		case "fail":
			return failure(w, fmt.Errorf("%s: %s", m.name, w.at(1)), log)
		}
	}
	if result.Status != 0 {
		reason := cmp.Or(strings.TrimSpace(result.Said), "nothing was said")
		return &deploy.UnknownOutcome{Err: fmt.Errorf("%s: a script ended with status %d: %s", m.name, result.Status, reason)}
	}
	return nil
}

// failure gives a failure the kind that the script says.
func failure(w word, err error, log []string) error {
	switch w.at(0) {
	case "again":
		return &deploy.Retryable{Err: err}
	case "broken":
		return &deploy.Permanent{Err: err, Log: log}
	}
	return &deploy.UnknownOutcome{Err: err} // its watchdog ended it
}

// explain gives what is wrong with a connection its kind.
func explain(err error) error {
	var notBegun *ssh.Error
	switch {
	case ssh.IsLasting(err):
		return &deploy.Permanent{Err: err}
	case errors.As(err, &notBegun):
		return &deploy.Retryable{Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &deploy.UnknownOutcome{Err: fmt.Errorf("%w: it did not answer in time; look at its disk and its load", err)}
	}
	return &deploy.UnknownOutcome{Err: err}
}

// word is a line that a script told.
type word struct {
	is    string
	parts []string
}

func parseWord(line string) word {
	parts := strings.Split(line, "\t")
	return word{is: parts[0], parts: parts[1:]}
}

func (w word) at(n int) string {
	if n < len(w.parts) {
		return w.parts[n]
	}
	return ""
}
