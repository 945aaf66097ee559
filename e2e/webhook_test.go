//go:build linux

package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/client"
)

// slowTime is how long a delivery may take to arrive, and some more for a busy machine.
const slowTime = 25 * time.Second

// teller makes signed deliveries of pushes to a repository's main branch.
type teller struct {
	*site
	hook client.Webhook
}

// hooked makes a repository that is not polled after its first look, and its webhook.
func (s *site) hooked(files tree) (*repository, teller) {
	s.Helper()
	r := s.newRepository("app", files)
	_, err := s.api.AddProject(s.Context(), client.NewProject{URL: r.bare, Poll: 86400})
	s.must(err)
	hook, err := s.api.RotateWebhook(s.Context(), "app")
	s.must(err)
	return r, teller{s, hook}
}

// tell answers the status of a delivery; 0 where there is no answer.
func (t teller) tell(id, revision string) int {
	t.Helper()
	body := fmt.Appendf(nil, `{"ref": "refs/heads/main", "after": %q}`, revision)
	mac := hmac.New(sha256.New, []byte(t.hook.Secret))
	mac.Write(body)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, t.hook.URL, bytes.NewReader(body))
	t.must(err)
	request.Header.Set("Towpath-Delivery", id)
	request.Header.Set("Towpath-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

var hookedFiles = tree{"towpath.yaml": "pipeline: app\nsteps:\n  - {test: unit, run: echo tested}\n"}

func TestADeliveryIsTakenOnceAlsoAfterTheServerWasKilled(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	r, w := s.hooked(hookedFiles)
	s.ends(1, "passed")
	revision := r.push(tree{"file": "two"})
	if status := w.tell("d-1", revision); status != http.StatusAccepted {
		t.Fatalf("the delivery was answered %d", status)
	}
	s.crashServer("--no-worker") // nobody may have read it yet
	if status := w.tell("d-1", revision); status != http.StatusOK {
		t.Errorf("the same one was answered %d", status)
	}
	s.ends(2, "passed")
	s.crashServer("--no-worker")
	if status := w.tell("d-1", revision); status != http.StatusOK {
		t.Errorf("once more it was answered %d", status)
	}
	w.tell("d-2", r.push(tree{"file": "three"}))
	if last := s.ends(3, "passed"); last.Revision == revision {
		t.Error("the same push ran twice")
	}
}

func TestWhatWasAcknowledgedIsThereThoughTheServerIsKilledInABurst(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	_, w := s.hooked(hookedFiles)
	s.ends(1, "passed")
	var mutex sync.Mutex
	var taken []string
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("d-%d-%d", n, i)
				if status := w.tell(id, strings.Repeat("1", 40)); status == http.StatusAccepted {
					mutex.Lock()
					taken = append(taken, "id:"+id)
					mutex.Unlock()
				}
			}
		})
	}
	random := moments(t)
	for range 3 {
		lets(time.Duration(random.IntN(200)) * time.Millisecond)
		s.crashServer("--no-worker")
	}
	all.Wait()
	stored := map[string]int{}
	for page := (client.Page{Limit: 500}); ; {
		part, err := s.api.Deliveries(t.Context(), "app", page)
		s.must(err)
		for _, d := range part {
			stored[d.Key]++
		}
		if len(part) < page.Limit {
			break
		}
		page.Before = fmt.Sprint(part[len(part)-1].ID)
	}
	for _, key := range taken {
		if stored[key] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", key, stored[key])
		}
	}
	if len(taken) == 0 {
		t.Error("nothing was taken at all")
	}
}

func TestASlowSenderHoldsUpNobodyAndIsCutOff(t *testing.T) {
	t.Parallel()
	s := openSite(t)
	r, w := s.hooked(hookedFiles)
	s.ends(1, "passed")
	var slow []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", s.address)
		s.must(err)
		t.Cleanup(func() { c.Close() })
		_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 20000000\r\n\r\n%s",
			strings.TrimPrefix(w.hook.URL, "http://"+s.address), s.address, strings.Repeat(" ", 300_000))
		s.must(err)
		slow = append(slow, c)
	}
	began := time.Now()
	if status := w.tell("d-1", r.push(tree{"file": "two"})); status != http.StatusAccepted {
		t.Errorf("beside them a delivery was answered %d", status)
	}
	s.ends(2, "passed")
	for _, c := range slow {
		s.must(c.SetReadDeadline(began.Add(2 * slowTime)))
		answer, err := io.ReadAll(c)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a slow sender is still listened to")
		}
		if strings.Contains(string(answer), " 202 ") {
			t.Errorf("a slow sender was answered %q", answer)
		}
	}
	if took := time.Since(began); took > slowTime {
		t.Errorf("the last one was cut off after %s", took)
	}
	deliveries, err := s.api.Deliveries(t.Context(), "app", client.Page{})
	s.must(err)
	if slices.ContainsFunc(deliveries, func(d client.Delivery) bool { return d.Size > 1000 }) {
		t.Errorf("of what did not arrive whole something is kept: %+v", deliveries)
	}
}
