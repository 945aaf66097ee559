package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/git"
)

// fetchTries is how often git is run before the step fails, where the next time may be better.
const fetchTries = 4

// fetchPause is the first wait between them, which doubles.
const fetchPause = time.Second

// mirrors are the worker's bare copies of repositories, one each, shared by its steps.
type mirrors struct {
	git   *git.Git
	dir   string
	gated bool // each has a folder of its own above it, which decides who comes through

	mutex sync.Mutex
	open  map[string]*git.Mirror // by address
}

// newMirrors keeps bare repositories in dir, and credentials in scratch while git uses them.
func newMirrors(dir, scratch string, gated bool) (*mirrors, error) {
	g, err := git.New(git.Options{Scratch: scratch})
	if err != nil {
		return nil, err
	}
	return &mirrors{git: g, dir: dir, gated: gated, open: make(map[string]*git.Mirror)}, nil
}

func (m *mirrors) of(address string) (*git.Mirror, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if mirror, ok := m.open[address]; ok {
		return mirror, nil
	}
	dir := filepath.Join(m.dir, nameOf(address)+".git")
	if m.gated {
		dir = filepath.Join(m.dir, nameOf(address), "mirror.git")
	}
	mirror, err := m.git.Open(dir, address)
	if err != nil {
		return nil, err
	}
	m.open[address] = mirror
	return mirror, nil
}

// accessOf is what the server lets us show the repository. It is for git alone: no step sees it.
func accessOf(l *client.StepLease) git.Access {
	if l.Access == nil {
		return git.Access{}
	}
	a := l.Access
	return git.Access{User: a.User, Password: a.Password, Key: []byte(a.Key), KnownHosts: a.KnownHosts}
}

// hidden are the values that no log and no report of a step shows.
func hidden(l *client.StepLease) map[string]string {
	all := maps.Clone(l.Secrets)
	if all == nil {
		all = map[string]string{}
	}
	for name, value := range l.SecretFiles {
		all["the file "+name] = value
	}
	if l.Access != nil && l.Access.Password != "" {
		all["the repository's password"] = l.Access.Password
	}
	for i, value := range credentials(l) {
		all["images' credentials "+strconv.Itoa(i)] = value
	}
	return all
}

// advised adds what a person can do about an error of git.
func advised(err error) error {
	if hint := git.Hint(err); err != nil && hint != "" {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}

// tryAgain does something with git until its end is for good: a repository's machine may not answer for a while, and
// somebody may kill git. Whether this machine has room for git at all is waited for elsewhere (patiently).
func tryAgain(ctx context.Context, do func() error) error {
	pause := backoff{first: fetchPause, most: 8 * fetchPause}
	for try := 1; ; try++ {
		err := do()
		failure, isGit := errors.AsType[*git.Error](err)
		if err == nil || try == fetchTries || !isGit || !failure.Temporary() || isCrowded(err) {
			return err
		}
		if stopped := pause.wait(ctx); stopped != nil {
			return fmt.Errorf("%w (%w)", stopped, err)
		}
	}
}

// nameOf is a file name for a text that may hold anything.
func nameOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:10])
}
