package keeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"github.com/towpath-cd/towpath"
)

// shares remembers which weights this machine's keepers gave last, so that what others have changed by hand can be told
// from it. It survives the keeper, not a power cut: then nothing counts as changed by hand.
type shares struct {
	folder string
	isRead bool
	given  *givenShares // nil where nothing is known
}

// givenShares are weights by instance's ID.
type givenShares struct {
	Now    map[string]int `json:"now"`
	Before map[string]int `json:"before,omitempty"` // while it is not known that Now is in effect
}

func (s *shares) path() string { return filepath.Join(s.folder, "shares") }

// give notes weights before they are set. Where they cannot be noted nothing is known any more: no shift fails for that.
func (s *shares) give(weights map[string]int) {
	s.read()
	given := givenShares{Now: weights}
	if s.given != nil {
		given.Before = s.given.Now
	}
	if s.write(given) != nil {
		s.given = nil
		_ = os.Remove(s.path())
	}
}

// mark notes in an observation which shares were changed by hand. Nobody changed those of a balancer that began anew.
func (s *shares) mark(seen *towpath.Observation) {
	s.read()
	if s.given == nil || seen.Blind || seen.Renewed {
		return
	}
	weights := make(map[string]int)
	for _, i := range seen.Instances {
		if i.Traffic.Weight > 0 {
			weights[i.ID] = i.Traffic.Weight
		}
	}
	switch {
	case isSameShares(weights, s.given.Now):
		if s.given.Before != nil {
			_ = s.write(givenShares{Now: s.given.Now}) // or the next look does
		}
	case s.given.Before == nil || !isSameShares(weights, s.given.Before):
		for n := range seen.Instances {
			i := &seen.Instances[n]
			i.Traffic.ByHand = i.Traffic.Known && i.Traffic.Weight != s.given.Now[i.ID]
		}
	}
}

// isSameShares leaves out who has none.
func isSameShares(a, b map[string]int) bool {
	none := func(_ string, weight int) bool { return weight == 0 }
	a, b = maps.Clone(a), maps.Clone(b)
	maps.DeleteFunc(a, none)
	maps.DeleteFunc(b, none)
	return maps.Equal(a, b)
}

// read takes what an earlier keeper wrote. What cannot be read is not known.
func (s *shares) read() {
	if s.isRead {
		return
	}
	s.isRead = true
	content, err := os.ReadFile(s.path())
	var given givenShares
	if err == nil && json.NewDecoder(bytes.NewReader(content)).Decode(&given) == nil {
		s.given = &given
	}
}

// write does not wait for the disk, because a shift waits for it. So it writes the file in its place: file systems make
// whoever renames one onto another, or empties one, wait for its content. One write is whole for the next keeper, and
// what a longer one has left behind it is not read.
func (s *shares) write(given givenShares) error {
	content, err := json.Marshal(given)
	if err == nil {
		err = s.overwrite(append(content, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note the shares of traffic: %w", err)
	}
	s.given = &given
	return nil
}

func (s *shares) overwrite(content []byte) error {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(s.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(content, 0)
	return errors.Join(err, file.Close())
}
