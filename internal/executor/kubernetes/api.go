package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

const (
	// callLimit bounds a call that the cluster answers at once when it is well.
	callLimit = 2 * time.Minute
	// longestAnswer bounds what is read of an answer, in bytes.
	longestAnswer = 64 << 20
)

// kind is where things of a kind are, below the address of the API.
type kind struct{ group, name string }

var (
	secrets = kind{"api/v1", "secrets"}
	pods    = kind{"api/v1", "pods"}
	events  = kind{"api/v1", "events"}
	jobs    = kind{"apis/batch/v1", "jobs"}
)

// api is the few calls of the Kubernetes API that steps need. The clientset of client-go does the same for every kind
// that there is, which is most of its size.
type api struct {
	config    *rest.Config
	client    *http.Client
	base      *url.URL
	namespace string
}

func newAPI(config *rest.Config, namespace string) (*api, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	return &api{config: config, client: client, base: base, namespace: namespace}, nil
}

// in is the same API in another namespace.
func (a api) in(namespace string) api {
	a.namespace = namespace
	return a
}

func (a api) url(r kind, query url.Values, more ...string) *url.URL {
	u := *a.base
	u.Path = path.Join(append([]string{"/", u.Path, r.group, "namespaces", a.namespace, r.name}, more...)...)
	u.RawQuery = query.Encode()
	return &u
}

// ErrNoCluster says that the cluster does not answer, or not us.
var ErrNoCluster = errors.New("the Kubernetes cluster cannot be used")

// explained gives the errors of a cluster that is not there, or not for us, words of their own.
func (a api) explained(err error) error {
	refused, isStatus := errors.AsType[*apierrors.StatusError](err)
	switch {
	case err == nil, isStatus && !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err):
		return err
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: %s does not know this worker: %w", ErrNoCluster, a.base.Host, refused)
	case isStatus && refused.ErrStatus.Details != nil && len(refused.ErrStatus.Details.Causes) == 0 && isAboutRules(refused):
		return fmt.Errorf("%w: %w; docs/executors.md has the rules that its account needs", ErrNoCluster, refused)
	case isStatus:
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrNoCluster, a.base.Host, err)
}

// isAboutRules tells what an account may not do from what admission refuses, such as a pod that is not restricted enough.
func isAboutRules(refused *apierrors.StatusError) bool {
	return bytes.Contains([]byte(refused.ErrStatus.Message), []byte(" cannot "))
}

// call makes one call and reads its answer into out, where that is not nil.
func (a api) call(ctx context.Context, method string, u *url.URL, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(encoded)
	}
	stream, err := a.open(ctx, method, u, body)
	if err != nil {
		return err
	}
	defer stream.Close()
	answer, err := io.ReadAll(io.LimitReader(stream, longestAnswer))
	if err != nil || out == nil {
		return a.explained(err)
	}
	return json.Unmarshal(answer, out)
}

// open makes one call and answers the body of its answer.
func (a api) open(ctx context.Context, method string, u *url.URL, body io.Reader) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, */*")
	response, err := a.client.Do(request)
	if err != nil {
		return nil, a.explained(err)
	}
	if response.StatusCode < 300 {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return nil, a.explained(refusal(response.StatusCode, text))
}

// refusal reads the answer to a call that failed.
func refusal(code int, text []byte) error {
	var status metav1.Status
	if json.Unmarshal(text, &status) != nil || status.Kind != "Status" {
		status = metav1.Status{Code: int32(code), Reason: reasonOf(code), Message: fmt.Sprintf("%s: %.300s", http.StatusText(code), text)}
	}
	return &apierrors.StatusError{ErrStatus: status}
}

func reasonOf(code int) metav1.StatusReason {
	switch code {
	case http.StatusUnauthorized:
		return metav1.StatusReasonUnauthorized
	case http.StatusNotFound:
		return metav1.StatusReasonNotFound
	}
	return metav1.StatusReasonUnknown
}

func (a api) create(ctx context.Context, r kind, in, out any) error {
	return a.call(ctx, http.MethodPost, a.url(r, nil), in, out)
}

func (a api) get(ctx context.Context, r kind, name string, out any) error {
	return a.call(ctx, http.MethodGet, a.url(r, nil, name), nil, out)
}

func (a api) list(ctx context.Context, r kind, query url.Values, out any) error {
	return a.call(ctx, http.MethodGet, a.url(r, query), nil, out)
}

// ending has pods of a Job go with it, and gives no container time to say goodbye: those that had to were asked before.
func ending() *metav1.DeleteOptions {
	return &metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground), GracePeriodSeconds: new(int64(1))}
}

// remove has something removed. What is gone is no error.
func (a api) remove(ctx context.Context, r kind, name string) error {
	err := a.call(ctx, http.MethodDelete, a.url(r, nil, name), ending(), nil)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("remove %s/%s: %w", r.name, name, err)
}

// removeAll has all removed that a selector of labels finds.
func (a api) removeAll(ctx context.Context, r kind, selector string) error {
	var found metav1.PartialObjectMetadataList
	if err := a.list(ctx, r, url.Values{"labelSelector": {selector}}, &found); err != nil {
		return fmt.Errorf("look for %s: %w", r.name, err)
	}
	for _, one := range found.Items {
		if err := a.remove(ctx, r, one.Name); err != nil {
			return err
		}
	}
	return nil
}
