package client_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

func TestAnyNumberOfDigestsIsAskedAboutInCallsThatTheServerReads(t *testing.T) {
	asked, calls := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var digests []string
		body := http.MaxBytesReader(w, r.Body, 1<<20) // as the server reads them
		if err := json.NewDecoder(body).Decode(&digests); err != nil {
			t.Error(err)
		}
		asked, calls = asked+len(digests), calls+1
		_ = json.NewEncoder(w).Encode(digests[:1])
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	digests := slices.Repeat([]string{"sha256:" + strings.Repeat("0", 64)}, 25_000)
	missing, err := c.ArtifactsOfLease(client.LeaseRef{}).Missing(t.Context(), digests)
	if err != nil || asked != len(digests) || len(missing) != calls {
		t.Errorf("%d asked in %d calls, %d missing, %v", asked, calls, len(missing), err)
	}
}
