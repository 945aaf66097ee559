package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/towpath-cd/towpath/internal/executor"
)

// logTail is how many lines are told of a service that failed.
const logTail = 200

// Ready is how a service shows that it is ready; at most one field is set. The node's kubelet looks, as the worker may be
// outside of the cluster.
type Ready struct {
	TCP     int    // port that accepts
	HTTP    int    // port that answers 2xx or 3xx
	Path    string // there
	Command string // run by the image's sh; ends with 0
}

func (r Ready) probe() *corev1.Probe {
	probe := &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 1}
	switch {
	case r.TCP > 0:
		probe.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(r.TCP))}
	case r.HTTP > 0:
		probe.HTTPGet = &corev1.HTTPGetAction{Port: intstr.FromInt32(int32(r.HTTP)), Path: r.Path}
	case r.Command != "":
		probe.Exec = &corev1.ExecAction{Command: literal("sh", "-c", r.Command)}
	default:
		return nil
	}
	return probe
}

// Service is a pod beside a step's. It sees nothing of the step's files.
type Service struct {
	Name    string // by which the services that come after it, and the step, reach it
	Image   executor.Image
	Limits  Limits
	Env     map[string]string
	Command string // run by the image's sh, instead of what the image begins with; empty: that
	Ready   Ready
}

// Serving is a service that was started. Clear ends it.
type Serving struct {
	api
	name   string
	sight  *sight
	forget context.CancelFunc
}

// serviceContainer is the only one of a service's pod.
const serviceContainer = "service"

func (s *Site) servicePod(service Service) *corev1.Pod {
	container := corev1.Container{
		Name: serviceContainer, Image: service.Image.Name, ImagePullPolicy: policyOf(service.Image), Resources: service.Limits.resources(),
		ReadinessProbe: service.Ready.probe(),
	}
	if service.Command != "" {
		container.Command = literal("sh", "-c", service.Command)
	}
	for _, name := range slices.Sorted(maps.Keys(service.Env)) {
		container.Env = append(container.Env, corev1.EnvVar{Name: name, Value: literal(service.Env[name])[0]})
	}
	pod := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: s.mark.meta(s.mark.name()+"-"+service.Name, s.owner), Spec: s.podOf(container),
	}
	pod.Labels["io.towpath.service"] = labelOf(service.Name)
	pod.Spec.ActiveDeadlineSeconds = new(int64(longestStep.Seconds()))
	return pod
}

// Serve starts a service, and answers once it runs; it may not be ready then.
func (s *Site) Serve(ctx context.Context, service Service) (*Serving, error) {
	if err := service.Limits.Check(); err != nil {
		return nil, err
	}
	pod := s.servicePod(service)
	if err := s.create(context.WithoutCancel(ctx), pods, pod, nil); err != nil {
		return nil, fmt.Errorf("make its pod: %w", err)
	}
	life, forget := context.WithCancel(context.WithoutCancel(ctx))
	selector := s.mark.selector() + ",io.towpath.service=" + pod.Labels["io.towpath.service"]
	serving := &Serving{api: s.api, name: pod.Name, sight: s.watch(life, selector, ""), forget: forget}
	started, err := serving.sight.await(ctx, hasAddress)
	if err != nil {
		forget()
		return nil, err
	}
	s.hosts = append(s.hosts, corev1.HostAlias{IP: started.Status.PodIP, Hostnames: []string{service.Name}})
	return serving, nil
}

// hasAddress says whether the pod of a service has run. The error says why it never will.
func hasAddress(pod *corev1.Pod) (bool, error) {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return false, hopeless(pod.Spec.Containers[0].Image, waiting)
		}
		if pod.Status.PodIP != "" {
			return true, nil
		}
	}
	if pod.Status.Phase == corev1.PodFailed {
		return false, whyFailed(pod)
	}
	return false, nil
}

// errNotReady is why a service is not ready of which nothing else is known.
var errNotReady = errors.New("not ready")

// AwaitReady answers nil once the service is ready, or has ended. The error says why it is not when ctx ends.
func (s *Serving) AwaitReady(ctx context.Context) error {
	_, err := s.sight.await(ctx, func(pod *corev1.Pod) (bool, error) {
		isReady := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		return isReady || serviceEnd(pod) != nil, nil
	})
	if err == nil || ctx.Err() == nil {
		return err
	}
	said, _ := s.lastEvent(context.WithoutCancel(ctx), s.name, "Unhealthy")
	if said == "" {
		return errNotReady
	}
	return fmt.Errorf("%w: %s", errNotReady, said)
}

func serviceEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Terminated != nil {
			return status.State.Terminated
		}
	}
	return nil
}

// Ended says whether the service has ended, and how, as far as is known now.
func (s *Serving) Ended() (how string, ended bool) {
	pod, err := s.sight.now()
	switch {
	case errors.Is(err, errPodGone):
		return "lost its pod, which was deleted", true
	case pod == nil || serviceEnd(pod) == nil:
		return "", false
	}
	end := serviceEnd(pod)
	how = fmt.Sprintf("exited with status %d", end.ExitCode)
	if end.Reason == "OOMKilled" {
		how += "; it ran out of memory"
	}
	return how, true
}

// Log answers the end of what the service printed.
func (s *Serving) Log(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	query := url.Values{"container": {serviceContainer}, "tailLines": {strconv.Itoa(logTail)}}
	stream, err := s.open(ctx, http.MethodGet, s.url(pods, query, s.name, "log"), nil)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return io.ReadAll(io.LimitReader(stream, longestAnswer))
}

// Forget looks at it no more.
func (s *Serving) Forget() { s.forget() }
