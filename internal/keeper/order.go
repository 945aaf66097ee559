package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/secret"
)

// storedOrder is an order as it lies on disk.
type storedOrder struct {
	Environment towpath.Environment `json:"environment"`
	Releases    []towpath.Release   `json:"releases"`
	Secrets     []byte              `json:"secrets,omitempty"` // JSON object, sealed for the environment's key
}

// orderStore keeps the last order of an environment, so that all that is needed to go back is on this machine before
// anything is done.
type orderStore struct {
	folder string
	keys   secret.Keys
	saved  identity            // of what the file holds
	later  *client.KeeperOrder // is to be written once there is time; nil where the file holds it all
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
// secrets already, that can wait: a shift between two releases that stand ready does not pay for the disk.
func (s *orderStore) save(o client.KeeperOrder) error {
	switch given := identityOf(o); {
	case given == s.saved:
		s.later = nil
	case given.means == s.saved.means:
		s.later = &o
	default:
		return s.write(o)
	}
	return nil
}

// flush writes what could wait.
func (s *orderStore) flush() error {
	if s.later == nil {
		return nil
	}
	return s.write(*s.later)
}

// folderOf is the folder of an environment's order and journal.
func (k *Keeper) folderOf(environment string) string {
	return filepath.Join(k.folder, strings.NewReplacer("/", "+", `\`, "+", ":", "+").Replace(environment))
}

func (s *orderStore) write(o client.KeeperOrder) error {
	stored := storedOrder{Environment: o.Environment, Releases: o.Releases}
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
		err = errors.Join(os.MkdirAll(s.folder, 0o700), durable.WriteFile(filepath.Join(s.folder, "order"), content))
	}
	if err != nil {
		return fmt.Errorf("write the order: %w", err)
	}
	s.saved, s.later = identityOf(o), nil
	return nil
}
