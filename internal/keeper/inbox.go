package keeper

import (
	"bytes"
	"io"
	"sync"

	"github.com/towpath-cd/towpath/client"
)

// inbox is what a person has sent to a command and the command has not read yet. Whoever sends never waits.
type inbox struct {
	read chan struct{} // one slot: something was read

	mutex   sync.Mutex
	changed *sync.Cond
	waiting bytes.Buffer
	had     int64 // bytes that came
	isOver  bool
}

func newInbox() *inbox {
	i := &inbox{read: make(chan struct{}, 1)}
	i.changed = sync.NewCond(&i.mutex)
	return i
}

// add takes a piece. It says false where there is more than may be on its way.
func (i *inbox) add(piece []byte) bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.isOver || i.waiting.Len()+len(piece) > 2*client.InputAhead {
		return i.isOver // what comes behind the end is of no use
	}
	i.waiting.Write(piece)
	i.had += int64(len(piece))
	i.changed.Broadcast()
	return true
}

// end says that nothing more comes. It says false where not all came that was sent.
func (i *inbox) end(sent int64) bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.had != sent {
		return false
	}
	i.isOver = true
	i.changed.Broadcast()
	return true
}

// close ends every Read, as nobody needs it any more.
func (i *inbox) close() {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.isOver = true
	i.waiting.Reset()
	i.changed.Broadcast()
}

// taken answers how many bytes were read.
func (i *inbox) taken() int64 {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.had - int64(i.waiting.Len())
}

// Read waits for something, or the end.
func (i *inbox) Read(p []byte) (int, error) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	for i.waiting.Len() == 0 {
		if i.isOver {
			return 0, io.EOF
		}
		i.changed.Wait()
	}
	n, err := i.waiting.Read(p)
	select {
	case i.read <- struct{}{}:
	default:
	}
	return n, err
}
