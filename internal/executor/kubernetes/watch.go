package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// awayLimit is how long a cluster may not answer before its pods count as lost.
	awayLimit = 5 * time.Minute
	// watchLimit is when a watch is begun anew, in seconds: one that the network has forgotten says nothing for ever.
	watchLimit = 60
)

// errPodGone is why a step ends whose pod was deleted.
var errPodGone = errors.New("the step's pod was deleted while it ran")

// sight is what is known of a pod.
type sight struct {
	api
	selector string // of labels; it finds one
	job      string // that is to make it; empty: there is one already

	mutex   sync.Mutex
	pod     *corev1.Pod // nil: there is none so far
	err     error       // nothing more will be known
	changed chan struct{}
}

// watch looks at the pod that a selector finds, until ctx ends.
func (a api) watch(ctx context.Context, selector, job string) *sight {
	s := &sight{api: a, selector: selector, job: job, changed: make(chan struct{})}
	go s.follow(ctx)
	return s
}

// await answers the pod once it is as wanted. The error is that of the judge, that of ctx, or says why there is no pod.
func (s *sight) await(ctx context.Context, judge func(*corev1.Pod) (bool, error)) (*corev1.Pod, error) {
	for {
		s.mutex.Lock()
		pod, err, changed := s.pod, s.err, s.changed
		s.mutex.Unlock()
		if err != nil {
			return nil, err
		}
		if pod != nil {
			if holds, err := judge(pod); holds || err != nil {
				return pod, err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// now is what is known.
func (s *sight) now() (*corev1.Pod, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.pod, s.err
}

func (s *sight) set(pod *corev1.Pod, err error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.pod, s.err = pod, err
	close(s.changed)
	s.changed = make(chan struct{})
}

// follow looks again whenever a watch has ended, for whatever reason.
func (s *sight) follow(ctx context.Context) {
	answered := time.Now()
	for ctx.Err() == nil {
		err := s.lookOnce(ctx)
		switch {
		case err == nil:
			answered = time.Now()
		case errors.Is(err, errPodGone), errors.Is(err, errNotMade):
			s.set(nil, err)
			return
		case time.Since(answered) > awayLimit:
			s.set(nil, fmt.Errorf("it is not known what became of the step's pod, for %s: %w", awayLimit, err))
			return
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
		}
	}
}

// lookOnce lists the pod, and watches it for a while.
func (s *sight) lookOnce(ctx context.Context) error {
	var found corev1.PodList
	if err := s.list(ctx, pods, url.Values{"labelSelector": {s.selector}}, &found); err != nil {
		return err
	}
	if len(found.Items) == 0 {
		if s.job == "" || s.pod != nil { // only we write it
			return errPodGone
		}
		return s.whyNone(ctx)
	}
	s.set(&found.Items[0], nil)
	return s.watchOnce(ctx, found.ResourceVersion)
}

// errNotMade says why there is no pod.
var errNotMade = errors.New("the cluster did not make the step's pod")

// whyNone reads what the Job's controller was told.
func (s *sight) whyNone(ctx context.Context) error {
	said, err := s.lastEvent(ctx, s.job, "FailedCreate")
	if err == nil && said != "" {
		err = fmt.Errorf("%w: %s", errNotMade, said)
	}
	return err
}

// lastEvent is the message of the last event of a reason; empty where there was none.
func (a api) lastEvent(ctx context.Context, object, reason string) (string, error) {
	var said corev1.EventList
	query := url.Values{"fieldSelector": {"involvedObject.name=" + object + ",reason=" + reason}}
	if err := a.list(ctx, events, query, &said); err != nil || len(said.Items) == 0 {
		return "", err
	}
	return said.Items[len(said.Items)-1].Message, nil
}

func (s *sight) watchOnce(ctx context.Context, version string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*watchLimit*time.Second)
	defer cancel()
	query := url.Values{
		"labelSelector": {s.selector}, "watch": {"true"}, "resourceVersion": {version},
		"timeoutSeconds": {strconv.Itoa(watchLimit)},
	}
	stream, err := s.open(ctx, http.MethodGet, s.url(pods, query), nil)
	if err != nil {
		return err
	}
	defer stream.Close()
	for decoder := json.NewDecoder(stream); ; {
		var event metav1.WatchEvent
		if decoder.Decode(&event) != nil {
			return nil // it is listed again, which tells what is wrong
		}
		pod := new(corev1.Pod)
		switch {
		case event.Type == "DELETED":
			return errPodGone
		case event.Type != "ADDED" && event.Type != "MODIFIED":
			return nil
		case json.Unmarshal(event.Object.Raw, pod) == nil:
			s.set(pod, nil)
		}
	}
}
