package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
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

func TestARunOfManyStepsIsOneEvent(t *testing.T) {
	run := client.Run{Pipeline: "shop", Number: 128, State: "passed"}
	for n := range 1000 {
		run.Steps = append(run.Steps, client.Step{Name: fmt.Sprintf("unit %d", n), State: "passed", Reason: strings.Repeat("x", 200)})
	}
	encoded, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "data: %s\n\n", encoded)
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	var seen client.Run
	err = c.FollowRun(t.Context(), "shop", 128, func(r client.Run) error { seen = r; return nil })
	if err != nil || len(seen.Steps) != len(run.Steps) {
		t.Errorf("of %d steps %d were seen: %v", len(run.Steps), len(seen.Steps), err)
	}
}
