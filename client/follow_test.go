package client_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

func TestFollowingEndsWhenTheCallerHasSeenEnough(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "data: {\"key\": \"shop/production\"}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // the environment goes on, and nothing new happens to it
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("seen enough")
	ended := make(chan error, 1)
	go func() {
		ended <- c.FollowEnvironment(t.Context(), "shop/production", func(client.Environment) error { return enough })
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, enough) {
			t.Errorf("following ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("following goes on after the caller had seen enough")
	}
}
