package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/towpath-cd/towpath/internal/executor"
	"github.com/towpath-cd/towpath/internal/process"
)

// endLimit is how long a container may take to end once its processes were killed, or its pod was removed.
const endLimit = time.Minute

// running is a pod with its script.
type running struct {
	boxes
	job     string
	pod     string // its name, once there is one
	script  executor.Script
	life    context.Context // ends with Run, by cut
	cut     context.CancelFunc
	sight   *sight
	output  *output
	printed chan error // once the last byte was written
}

// follow follows the pod from its beginning to its end.
func (r *running) follow(ctx context.Context) (executor.Result, error) {
	if err := r.arrive(ctx); err != nil {
		return r.failed(ctx, r.script, err), r.discard()
	}
	r.output = &output{to: r.script.Output}
	streaming, stop := context.WithCancel(r.life)
	go func() { r.printed <- r.print(streaming) }()
	ended, err := r.awaitEnd(ctx)
	stop()
	beside := <-r.printed
	if ended == nil && err == nil {
		return executor.Cut(ctx, r.script.Timeout), errors.Join(process.ErrLeftBehind, beside)
	}
	if err != nil {
		return r.broken(ctx, err), beside
	}
	return r.conclude(ctx, ended, beside)
}

// arrive waits for the pod, and brings the step's files into it.
func (r *running) arrive(ctx context.Context) error {
	pod, err := r.sight.await(ctx, r.isReady)
	if err != nil {
		return err
	}
	r.pod = pod.Name
	if err := r.bring(ctx); err != nil {
		return fmt.Errorf("bring the step's files into its pod: %w", err)
	}
	return nil
}

// discard ends a pod whose files nobody wants, and of which it may not be known whether its script has begun.
func (r *running) discard() error {
	if r.pod == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.life, endLimit)
	defer cancel()
	r.removePod(ctx)
	if _, err := r.sight.await(ctx, hasEnded); err != nil && !errors.Is(err, errPodGone) {
		return fmt.Errorf("%w: %w", process.ErrLeftBehind, err)
	}
	return nil
}

// conclude has all that the script left.
func (r *running) conclude(ctx context.Context, ended *corev1.Pod, beside error) (executor.Result, error) {
	beside = errors.Join(beside, r.printRest())
	result := r.judge(ended)
	isCut := ctx.Err() != nil
	if isCut {
		result = executor.Cut(ctx, r.script.Timeout)
	}
	if result.Outcome != executor.Exited && result.Outcome != executor.TimedOut {
		return result, beside // nobody looks at its files
	}
	err := r.fetch(r.life)
	if err == nil {
		return result, beside
	}
	err = fmt.Errorf("the step's files did not come back from its pod: %w", err)
	if result.Passed() {
		return executor.Broken(err), beside
	}
	return result, errors.Join(beside, err)
}

// broken is the result of a pod that went away, as such or together with its context.
func (r *running) broken(ctx context.Context, err error) executor.Result {
	if ctx.Err() != nil {
		return executor.Cut(ctx, r.script.Timeout)
	}
	return executor.Broken(err)
}

// isReady says whether both containers run. The error says why they never will.
func (r *running) isReady(pod *corev1.Pod) (bool, error) {
	if pod.Status.Phase == corev1.PodFailed || pod.DeletionTimestamp != nil {
		return false, whyFailed(pod)
	}
	running := 0
	for _, status := range pod.Status.ContainerStatuses {
		switch state := status.State; {
		case state.Running != nil:
			running++
		case state.Waiting != nil:
			if err := hopeless(status.Image, state.Waiting); err != nil {
				return false, err
			}
		case state.Terminated != nil:
			return false, notStarted(status.Name, r.box.Image.Name, state.Terminated)
		}
	}
	return running == len(pod.Spec.Containers), nil
}

// hopeless answers why a container that waits will not start (the kubelet's pkg/kubelet/images and container).
func hopeless(image string, waiting *corev1.ContainerStateWaiting) error {
	switch waiting.Reason {
	case "ErrImageNeverPull":
		return fmt.Errorf("%w: %s is not on the pod's node, and pull: never forbids to fetch it", executor.ErrImage, image)
	case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ImageInspectError", "RegistryUnavailable":
		return fmt.Errorf("%w: %s", executor.ErrImage, waiting.Message)
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "CrashLoopBackOff":
		return fmt.Errorf("the node cannot start the step's pod: %s", waiting.Message)
	}
	return nil
}

func notStarted(container, image string, ended *corev1.ContainerStateTerminated) error {
	if strings.Contains(ended.Message, `"sh"`) {
		return fmt.Errorf("the image %s has no sh, by which pods of steps begin", image)
	}
	return fmt.Errorf("the pod's container %s ended before the step began: %s", container, whyEnded(ended))
}

func whyEnded(ended *corev1.ContainerStateTerminated) string {
	why := []string{executor.Ended(int(ended.ExitCode), 0).Reason}
	for _, more := range []string{ended.Reason, ended.Message} {
		if more != "" && more != "Error" {
			why = append(why, more)
		}
	}
	return strings.Join(why, ": ")
}

func whyFailed(pod *corev1.Pod) error {
	if pod.Status.Reason == "" && pod.Status.Message == "" {
		return errPodGone
	}
	return fmt.Errorf("the cluster ended the step's pod: %s", strings.Trim(pod.Status.Reason+": "+pod.Status.Message, ": "))
}

// stepEnd is how the script's container ended; nil while it has not.
func stepEnd(pod *corev1.Pod) *corev1.ContainerStateTerminated {
	for _, status := range pod.Status.ContainerStatuses {
		if status.Name == stepContainer {
			return status.State.Terminated
		}
	}
	return nil
}

func hasEnded(pod *corev1.Pod) (bool, error) { return stepEnd(pod) != nil, nil }

// awaitEnd answers the pod once the script's container has ended, by itself or by its context; nil where the cluster does
// not get it to end. The error says that the pod is gone.
func (r *running) awaitEnd(ctx context.Context) (*corev1.Pod, error) {
	pod, err := r.sight.await(ctx, hasEnded)
	for _, next := range []struct {
		do   func(context.Context)
		then time.Duration
	}{{r.interrupt, r.script.Grace}, {r.kill, endLimit}, {r.removePod, endLimit}} {
		if err == nil || !isOver(ctx, err) {
			return pod, err
		}
		limited, cancel := context.WithTimeout(r.life, next.then)
		next.do(limited)
		pod, err = r.sight.await(limited, hasEnded)
		ctx = limited
		cancel()
	}
	if err != nil && isOver(ctx, err) {
		return nil, nil
	}
	return pod, err
}

// isOver says whether an error is that of ctx, and not of what was waited for.
func isOver(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Cause(ctx))
}

// interrupt asks every process of the step to end, where -1 is all but the first (kill(2)).
func (r *running) interrupt(ctx context.Context) {
	_ = r.exec(ctx, r.pod, stepContainer, streams{err: io.Discard}, "sh", "-c", "kill -TERM -1") // it may have ended
}

func (r *running) kill(ctx context.Context) {
	_ = r.exec(ctx, r.pod, stepContainer, streams{err: io.Discard}, "sh", "-c", "kill -KILL -1") // it may have ended
}

// removePod is for a container in which nothing can be started any more.
func (r *running) removePod(ctx context.Context) { _ = r.remove(ctx, pods, r.pod) }

// judge says how a container ended by itself.
func (r *running) judge(pod *corev1.Pod) executor.Result {
	ended := stepEnd(pod)
	switch {
	case ended.Message == noShell:
		return executor.NotBegun(fmt.Errorf("the image %s has no shell %q", r.box.Image.Name, commandOf(r.script)[0]))
	case pod.Status.Reason != "" || pod.DeletionTimestamp != nil:
		return executor.Broken(whyFailed(pod))
	}
	result := executor.Ended(int(ended.ExitCode), 0)
	if ended.Reason == "OOMKilled" {
		result.Reason += "; " + executor.MemoryMet(r.box.Limits.Memory)
	}
	return result
}

// end has the cluster remove the Job and its pod. Where it is away that is done later, by the mark.
func (r *running) end() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.life), callLimit)
	defer cancel()
	if err := r.remove(ctx, jobs, r.job); err != nil && !errors.Is(err, ErrNoCluster) {
		return fmt.Errorf("%w: %w", process.ErrLeftBehind, err)
	}
	return nil
}
