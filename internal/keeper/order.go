package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	saved  string // what the file holds of the order's identity
}

// folderOf is the folder of an environment's order and journal.
func (k *Keeper) folderOf(environment string) string {
	return filepath.Join(k.folder, strings.NewReplacer("/", "+", `\`, "+", ":", "+").Replace(environment))
}

// save writes an order that is not the one that is there.
func (s *orderStore) save(o client.KeeperOrder) error {
	identity := fmt.Sprint(o.Environment.Epoch, o.Environment.Serial, o.Environment.DefinitionVersion, o.Secrets)
	if identity == s.saved {
		return nil
	}
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
	s.saved = identity
	return nil
}
