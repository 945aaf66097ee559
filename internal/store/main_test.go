package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/towpath-cd/towpath/internal/store"
)

// crashes names the variable by which the test binary becomes the server that is killed: it holds the database's path.
const crashes = "TOWPATH_TEST_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashes); path != "" {
		fmt.Fprintln(os.Stderr, writeForEver(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver updates from many goroutines, and prints the name of each setting after its update was acknowledged.
func writeForEver(path string) error {
	s, err := store.Open(context.Background(), store.Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	failed := make(chan error)
	for writer := range 16 {
		go func() {
			for i := 0; ; i++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), writer, i)
				put := func(tx *store.Tx) error { return tx.PutSetting(name, "written") }
				if err := s.Update(context.Background(), put); err != nil {
					failed <- err
				}
				fmt.Println(name)
			}
		}()
	}
	return <-failed
}
