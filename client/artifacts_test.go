package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/towpath-cd/towpath/client"
)

// asker is a server that lacks the first digest of every call, of this release or of one that is asked in JSON alone.
type asker struct {
	t            *testing.T
	isOld        bool
	asked, calls int
}

func (a *asker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/lacking") {
		question, err := io.ReadAll(r.Body)
		switch {
		case a.isOld:
			w.WriteHeader(http.StatusNotFound)
			return
		case err != nil || len(question)%32 != 0:
			a.t.Errorf("%d bytes are asked: %v", len(question), err)
		}
		a.asked, a.calls = a.asked+len(question)/32, a.calls+1
		_, _ = w.Write(append([]byte{1}, make([]byte, len(question)/32-1)...))
		return
	}
	var digests []string
	body := http.MaxBytesReader(w, r.Body, 1<<20) // as the server reads them
	if err := json.NewDecoder(body).Decode(&digests); err != nil {
		a.t.Error(err)
	}
	a.asked, a.calls = a.asked+len(digests), a.calls+1
	_ = json.NewEncoder(w).Encode(digests[:1])
}

func TestAnyNumberOfDigestsIsAskedAboutInCallsThatTheServerReads(t *testing.T) {
	for _, a := range []*asker{{t: t}, {t: t, isOld: true}} {
		server := httptest.NewServer(a)
		defer server.Close()
		c, err := client.New(server.URL, "")
		if err != nil {
			t.Fatal(err)
		}
		digests := slices.Repeat([]string{"sha256:" + strings.Repeat("0", 64)}, 25_000)
		missing, err := c.ArtifactsOfLease(client.LeaseRef{}).Missing(t.Context(), digests)
		if err != nil || a.asked != len(digests) || len(missing) != a.calls || a.calls != 3 {
			t.Errorf("%d asked in %d calls, %d missing, %v", a.asked, a.calls, len(missing), err)
		}
	}
}

func TestAnAnswerToOtherDigestsThanWereAskedAboutIsNone(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte{0})
	}))
	defer server.Close()
	c, err := client.New(server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	two := slices.Repeat([]string{"sha256:" + strings.Repeat("0", 64)}, 2)
	missing, err := c.ArtifactsOfLease(client.LeaseRef{}).Missing(t.Context(), two)
	if e, ok := errors.AsType[*client.Error](err); !ok || !e.Temporary() {
		t.Errorf("missing are %v, %v", missing, err)
	}
}
