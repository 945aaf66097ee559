package keeper

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/failpoint"
)

// maxJournal is the size at which a journal is put aside, in bytes; the one before it is dropped then.
const maxJournal = 4 << 20

// The events of a journal.
const (
	eventBegun  = "begun"
	eventDone   = "done"
	eventFailed = "failed"
	eventAlone  = "alone" // what the keeper decided without its server
)

// entry is one line of a journal.
type entry struct {
	At     time.Time     `json:"at"`
	Event  string        `json:"event"`
	Step   string        `json:"step"` // operation and reason, in words
	Epoch  towpath.Epoch `json:"epoch"`
	Detail string        `json:"detail,omitempty"`
}

// journal tells people what was done. Plans are made from what is, so that nothing waits for the disk here: a line is
// written at once, which outlives a kill, and synced once what it tells of has ended.
type journal struct {
	folder string
	mutex  sync.Mutex
	file   *os.File
	syncs  sync.WaitGroup
	fault  error // of the first line that could not be written
}

// write adds a line.
func (j *journal) write(e entry) {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	e.At = time.Now()
	if err := j.append(e); err != nil {
		j.fault = errors.Join(j.fault, err)
		return
	}
	if e.Event == eventBegun {
		return
	}
	file := j.file
	j.syncs.Go(func() { _ = file.Sync() }) // what it tells of has happened all the same
}

func (j *journal) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := j.open(); err != nil {
		return err
	}
	place := failpoint.At("add to the journal")
	place.Before()
	_, err = j.file.Write(append(line, '\n'))
	place.After()
	return err
}

func (j *journal) open() error {
	path := filepath.Join(j.folder, "journal")
	if j.file != nil {
		if info, err := j.file.Stat(); err != nil || info.Size() < maxJournal {
			return err
		}
		if err := errors.Join(j.end(), os.Rename(path, path+".1")); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(j.folder, 0o700); err != nil {
		return err
	}
	var err error
	j.file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// close answers the first fault as well.
func (j *journal) close() error {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return j.end()
}

func (j *journal) end() error {
	j.syncs.Wait()
	fault := j.fault
	j.fault = nil
	if j.file == nil {
		return fault
	}
	file := j.file
	j.file = nil
	return errors.Join(fault, file.Close())
}
