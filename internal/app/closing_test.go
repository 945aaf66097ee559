package app

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath"
)

func TestWhatWasOpenedIsClosedInReverseOrderWhateverFails(t *testing.T) {
	var closers closing
	var order []string
	broken := errors.New("broken")
	for _, name := range []string{"store", "logs", "server"} {
		closers.add(func() error {
			order = append(order, name)
			if name == "logs" {
				return broken
			}
			return nil
		})
	}
	if err := closers.close(); !errors.Is(err, broken) {
		t.Errorf("closing answers %v", err)
	}
	if fmt.Sprint(order) != "[server logs store]" {
		t.Errorf("closed in the order %v", order)
	}
}

func TestAListenerThatIsClosedAlreadyIsNoError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closeIt := ignoreClosed(listener.Close)
	for range 2 {
		if err := closeIt(); err != nil {
			t.Error(err)
		}
	}
}

func TestADataFolderIsForOneProcess(t *testing.T) {
	folder := t.TempDir()
	unlock, err := lockFolder(folder)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockFolder(folder)
	if towpath.CodeOf(err) != towpath.CodeConflict || !strings.Contains(err.Error(), "--data") {
		t.Errorf("the second one gets %v", err)
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := lockFolder(folder)
	if err != nil {
		t.Fatalf("after it was given back: %v", err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
