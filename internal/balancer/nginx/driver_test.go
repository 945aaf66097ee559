//go:build linux

package nginx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/balancer/nginx/nginxtest"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// patience bounds whatever a test waits for.
const patience = time.Minute

var epoch = towpath.Epoch{Number: 7, Holder: "keeper"}

// file is the upstream's.
const file = "conf.d/shop.conf"

// answers runs an instance that answers its ID.
func answers(t *testing.T, release, serial int) towpath.Instance {
	t.Helper()
	id := towpath.InstanceID(release, serial)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, id) }))
	t.Cleanup(server.Close)
	return towpath.Instance{ID: id, Release: release, Address: strings.TrimPrefix(server.URL, "http://")}
}

// shift gives all traffic to the last of instances.
func shift(t *testing.T, d *Driver, within time.Duration, instances ...towpath.Instance) error {
	t.Helper()
	weights := make(map[string]int)
	for n, i := range instances {
		weights[i.ID] = 0
		if n == len(instances)-1 {
			weights[i.ID] = deploy.FullWeight
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := d.Do(ctx, deploy.Order{Epoch: epoch, Operation: deploy.Shift{Weights: weights}, Instances: instances})
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func observe(t *testing.T, d *Driver) towpath.Observation {
	t.Helper()
	seen, err := d.Observe(t.Context())
	must(t, err)
	return seen
}

func get(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("http://" + address + "/")
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return string(body)
}

func TestWhatNginxRefusesIsToldInItsWordsAndTheFileStays(t *testing.T) {
	n := nginxtest.Start(t)
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, open(t, n.Definition()), patience, one))
	before := n.Read(t, file)
	wrong := n.Definition()
	wrong.Options = "max_fials=3"
	err := shift(t, open(t, wrong), patience, one, two)
	permanent, is := errors.AsType[*deploy.Permanent](err)
	if !is || !strings.Contains(err.Error(), `invalid parameter "max_fials=3" in `+n.Path(file)+":3") || len(permanent.Log) == 0 {
		t.Errorf("%T %v", err, err)
	}
	if n.Read(t, file) != before || get(t, n.Address) != one.ID {
		t.Errorf("%q", n.Read(t, file))
	}
	if seen := observe(t, open(t, n.Definition())); seen.Misrouted {
		t.Errorf("%+v", seen)
	}

	n.Write(t, "conf.d/other.conf", "listne 80;\n")
	err = shift(t, open(t, n.Definition()), patience, one, two)
	if _, is := errors.AsType[*deploy.Retryable](err); !is || !strings.Contains(err.Error(), `also without this change: unknown directive "listne"`) {
		t.Errorf("%T %v", err, err)
	}
	if n.Read(t, file) != before {
		t.Errorf("%q", n.Read(t, file))
	}
	must(t, os.Remove(n.Path("conf.d/other.conf")))
	must(t, shift(t, open(t, n.Definition()), patience, one, two))
	if got := get(t, n.Address); got != two.ID {
		t.Errorf("%s serves", got)
	}
}

func TestAReloadThatNginxDoesNotTakeIsFoundOut(t *testing.T) {
	n := nginxtest.Start(t)
	d := open(t, n.Definition())
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, d, patience, one))
	before, workers := n.Read(t, file), n.Workers()
	holder, err := net.Listen("tcp", "127.0.0.1:0") // nginx finds no fault in a port that somebody has, until it wants it
	must(t, err)
	n.Write(t, "conf.d/other.conf", "server { listen "+holder.Addr().String()+"; }\n")
	err = shift(t, d, 14*time.Second, one, two)
	if _, is := errors.AsType[*deploy.Permanent](err); !is || !strings.Contains(err.Error(), "bind() to "+holder.Addr().String()+" failed") {
		t.Errorf("%T %v", err, err)
	}
	if n.Read(t, file) != before || !slices.Equal(n.Workers(), workers) || get(t, n.Address) != one.ID {
		t.Errorf("%q", n.Read(t, file))
	}
	if seen := observe(t, d); !seen.Misrouted {
		t.Error("what nginx serves by counts as known")
	}
	must(t, os.Remove(n.Path("conf.d/other.conf")))
	must(t, holder.Close())
	must(t, shift(t, d, patience, one, two))
	if seen := observe(t, d); seen.Misrouted || get(t, n.Address) != two.ID {
		t.Errorf("%+v", seen)
	}
}

func TestAnOrderThatWasKilledInItsMiddleIsBroughtBackByTheNext(t *testing.T) {
	n := nginxtest.Start(t)
	d := open(t, n.Definition())
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, d, patience, one))
	dying := n.Definition()
	dying.Test = "kill -KILL $$" // the order's shell, between the change of the file and the reload
	err := shift(t, open(t, dying), patience, one, two)
	if _, is := errors.AsType[*deploy.UnknownOutcome](err); !is {
		t.Fatalf("%T %v", err, err)
	}
	if seen := observe(t, d); !seen.Misrouted || get(t, n.Address) != one.ID {
		t.Errorf("%+v", seen)
	}
	must(t, shift(t, d, patience, two, one))
	if seen := observe(t, d); seen.Misrouted || get(t, n.Address) != one.ID || len(lines(n.Read(t, file), "server ")) != 2 {
		t.Errorf("%+v\n%s", seen, n.Read(t, file))
	}
}

func TestAnOrderEndsAtItsDeadlineAndHoldsNobodyUp(t *testing.T) {
	n := nginxtest.Start(t)
	one := answers(t, 1, 1)
	slow := n.Definition()
	slow.Test = "sleep 600"
	err := shift(t, open(t, slow), 9*time.Second, one)
	if _, is := errors.AsType[*deploy.UnknownOutcome](err); !is {
		t.Errorf("%T %v", err, err)
	}
	must(t, shift(t, open(t, n.Definition()), patience, one))
	if got := get(t, n.Address); got != one.ID {
		t.Errorf("%s serves", got)
	}
}

func TestNginxIsReloadedOnlyWhereItWouldServeOtherwise(t *testing.T) {
	n := nginxtest.Start(t)
	definition := n.Definition()
	definition.Lines, definition.Options = []string{"least_conn", "keepalive 8"}, "max_fails=3 fail_timeout=5s"
	d := open(t, definition)
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, d, patience, one, two))
	workers := n.Workers()
	must(t, shift(t, d, patience, one, two))
	_, err := d.Do(t.Context(), deploy.Order{Epoch: epoch, Operation: deploy.Forget{Instances: []string{one.ID}}})
	must(t, err)
	if seen := observe(t, d); !slices.Equal(n.Workers(), workers) || seen.Misrouted || len(seen.Instances) != 1 {
		t.Errorf("%+v", seen)
	}
	want := "upstream shop {\n    least_conn;\n    keepalive 8;\n    server " + two.Address + " max_fails=3 fail_timeout=5s weight=100; # r2-2\n}\n"
	if _, got, _ := strings.Cut(n.Read(t, file), "\n"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	definition.Lines = []string{"ip_hash"}
	d = open(t, definition)
	if seen := observe(t, d); !seen.Misrouted {
		t.Error("another definition needs no change")
	}
	must(t, shift(t, d, patience, two))
	if seen := observe(t, d); seen.Misrouted || slices.Equal(n.Workers(), workers) {
		t.Errorf("%+v", seen)
	}
}

func TestAFileThatNginxHasNotTakenIsSeen(t *testing.T) {
	n := nginxtest.Start(t)
	d := open(t, n.Definition())
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	must(t, shift(t, d, patience, one, two))
	n.Write(t, file, strings.ReplaceAll(n.Read(t, file), " weight=100;", " down;"))
	later := time.Now().Add(5 * time.Second) // times are compared by whole seconds
	must(t, os.Chtimes(n.Path(file), later, later))
	if seen := observe(t, d); !seen.Misrouted || get(t, n.Address) != two.ID {
		t.Errorf("%+v", seen)
	}
	must(t, os.Remove(n.Path(file)))
	if seen := observe(t, d); !seen.Renewed || len(seen.Instances) != 0 {
		t.Errorf("%+v", seen)
	}
	must(t, shift(t, d, patience, one, two))
	if seen := observe(t, d); seen.Misrouted || seen.Renewed || get(t, n.Address) != two.ID {
		t.Errorf("%+v", seen)
	}
}

func TestOfKeepersThatComeAtOnceTheLastOneWins(t *testing.T) {
	n := nginxtest.Start(t)
	const last = 5
	var keepers sync.WaitGroup
	for number := 1; number <= last; number++ {
		i := answers(t, 1, number)
		order := deploy.Order{
			Epoch:     towpath.Epoch{Number: uint64(number), Holder: "keeper"},
			Operation: deploy.Shift{Weights: map[string]int{i.ID: deploy.FullWeight}}, Instances: []towpath.Instance{i},
		}
		keepers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			d := open(t, n.Definition())
			for {
				_, err := d.Do(ctx, order)
				if _, again := errors.AsType[*deploy.Retryable](err); again && ctx.Err() == nil {
					continue // others were faster
				}
				if _, isStale := errors.AsType[*deploy.StaleEpoch](err); err != nil && !isStale {
					t.Error(err)
				}
				return
			}
		})
	}
	keepers.Wait()
	seen := observe(t, open(t, n.Definition()))
	if want := towpath.InstanceID(1, last); seen.Epoch.Number != last || get(t, n.Address) != want {
		t.Errorf("%+v, and %s serves", seen, get(t, n.Address))
	}
}

func TestWhatOutlivesTheClockOfRequestsCountsAsAStream(t *testing.T) {
	n := nginxtest.Start(t)
	d := open(t, n.Definition())
	d.clocks.Requests = time.Second
	reached, letGo := make(chan struct{}), make(chan struct{})
	one, two := answers(t, 1, 1), answers(t, 2, 2)
	holds := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(reached); <-letGo }))
	t.Cleanup(holds.Close)
	one.Address = strings.TrimPrefix(holds.URL, "http://")
	must(t, shift(t, d, patience, one))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := http.Get("http://" + n.Address); err == nil {
			_ = response.Body.Close() // it came
		}
	}()
	<-reached
	must(t, shift(t, d, patience, one, two))
	var streams, uncounted bool
	for deadline := time.Now().Add(patience); !streams && time.Now().Before(deadline); {
		traffic := observe(t, d).Instances[0].Traffic
		uncounted, streams = uncounted || traffic.Uncounted, traffic.Streams == 1
	}
	if !uncounted || !streams {
		t.Errorf("counted as unknown: %t, as a stream: %t", uncounted, streams)
	}
	close(letGo)
	<-ended
	_, err := d.Do(t.Context(), deploy.Order{Epoch: epoch, Operation: deploy.EndStreams{Instances: []string{one.ID}, Within: patience}})
	must(t, err)
	if !observe(t, d).Instances[0].Traffic.IsIdle() {
		t.Errorf("%+v", observe(t, d))
	}
}
