package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/secret"
)

// orderName is the file's, in the environment's folder.
const orderName = "order"

// storedOrder is an order as it lies on disk.
type storedOrder struct {
	Environment towpath.Environment `json:"environment"`
	Releases    []towpath.Release   `json:"releases"`
	Secrets     []byte              `json:"secrets,omitempty"` // JSON object, sealed for the environment's key
	Ahead       time.Duration       `json:"ahead,omitempty"`   // of the server's clock before this machine's
	Alone       *alone              `json:"alone,omitempty"`   // what was done without the server since
}

// orderStore keeps the last order of an environment, so that all that is needed to go back is on this machine before
// anything is done.
type orderStore struct {
	folder string
	keys   secret.Keys

	mutex sync.Mutex
	saved identity            // of what the file holds
	epoch uint64              // of it
	later *client.KeeperOrder // is to be written once there is time; nil where the file holds it all
	alone *alone              // goes with it
	ahead time.Duration       // so does the server's clock, as far before this machine's
}

// setAhead notes how far the server's clock is before this machine's.
func (s *orderStore) setAhead(ahead time.Duration) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.ahead = ahead
}

// identity tells orders apart. What can be done from the disk depends on its means alone.
type identity struct{ means, whole string }

func identityOf(o client.KeeperOrder) identity {
	numbers := make([]int, 0, len(o.Releases))
	for _, r := range o.Releases {
		numbers = append(numbers, r.Number)
	}
	slices.Sort(numbers)
	means := fmt.Sprint(o.Environment.DefinitionVersion, numbers, o.Secrets)
	return identity{means: means, whole: fmt.Sprint(means, o.Environment.Epoch, o.Environment.Serial)}
}

// save writes an order that is not the one that is there. Where the file has its definition, its releases and its
// secrets already, that can wait: a shift between two releases that stand ready does not pay for the disk. One that was
// overtaken is not written.
func (s *orderStore) save(o client.KeeperOrder) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	switch given := identityOf(o); {
	case o.Environment.Epoch.Number < s.epoch:
	case given == s.saved:
		s.later = nil
	case given.means == s.saved.means:
		s.later = &o
	default:
		return s.write(o)
	}
	return nil
}

// put writes an order at once, with what is done without the server.
func (s *orderStore) put(o client.KeeperOrder, a *alone) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before := s.alone
	s.alone = a
	err := s.write(o)
	if err != nil {
		s.alone = before
	}
	return err
}

// flush writes what could wait, unless another order holds now.
func (s *orderStore) flush(now towpath.Environment) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.later == nil || isAnother(s.later.Environment, now) {
		return nil
	}
	return s.write(*s.later)
}

// folderOf is the folder of an environment's order and journal.
func (k *Keeper) folderOf(environment string) string {
	return filepath.Join(k.folder, strings.NewReplacer("/", "+", `\`, "+", ":", "+").Replace(environment))
}

func (s *orderStore) write(o client.KeeperOrder) error {
	stored := storedOrder{Environment: o.Environment, Releases: o.Releases, Ahead: s.ahead, Alone: s.alone}
	if len(o.Secrets) > 0 {
		plain, err := json.Marshal(o.Secrets)
		if err != nil {
			return fmt.Errorf("write the order: %w", err)
		}
		if stored.Secrets, err = s.keys.Seal(o.Environment.Key, plain); err != nil {
			return fmt.Errorf("write the order: %w", err)
		}
	}
	content, err := json.MarshalIndent(stored, "", "  ")
	if err == nil {
		err = errors.Join(os.MkdirAll(s.folder, 0o700), durable.WriteFile(filepath.Join(s.folder, orderName), content))
	}
	if err != nil {
		return fmt.Errorf("write the order: %w", err)
	}
	s.saved, s.epoch, s.later = identityOf(o), o.Environment.Epoch.Number, nil
	return nil
}

// load answers what the file holds; fs.ErrNotExist where there is none.
func (s *orderStore) load() (o client.KeeperOrder, a *alone, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	content, err := os.ReadFile(filepath.Join(s.folder, orderName))
	if err != nil {
		return o, nil, fmt.Errorf("read the order: %w", err)
	}
	var stored storedOrder
	if err := json.Unmarshal(content, &stored); err != nil {
		return o, nil, fmt.Errorf("read the order in %s: %w", s.folder, err)
	}
	o.Environment, o.Releases, o.Now = stored.Environment, stored.Releases, time.Now().Add(stored.Ahead)
	if len(stored.Secrets) > 0 {
		plain, err := s.keys.Open(o.Environment.Key, stored.Secrets)
		if err == nil {
			err = json.Unmarshal(plain, &o.Secrets)
		}
		if err != nil {
			return o, nil, fmt.Errorf("read the secrets of the order in %s: %w", s.folder, err)
		}
	}
	s.saved, s.alone, s.ahead = identityOf(o), stored.Alone, stored.Ahead
	if s.alone != nil {
		s.epoch = o.Environment.Epoch.Number
	}
	return o, s.alone, nil
}

// forget removes what belongs to an environment that another keeps now, or nobody.
func (s *orderStore) forget() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.later, s.alone = nil, nil
	err := os.Remove(filepath.Join(s.folder, orderName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
