package kubernetes

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/towpath-cd/towpath/internal/executor"
)

// The two containers of a step's pod. The helper outlives the script: it has what that left.
const (
	stepContainer   = "step"
	helperContainer = "helper"
)

// Where the two containers find what is between them.
const (
	controlFolder = "/.towpath/control" // in memory, as it holds the step's variables
	outputFolder  = "/.towpath/output"
)

const (
	// outputSize is how much of what a script prints the pod may hold, in bytes; with more it is evicted.
	outputSize = 2 << 30
	// keptFor is how long the cluster keeps a Job that has ended, should nobody remove it.
	keptFor = time.Hour
	// longestStep is when the cluster ends a Job without a timeout, should nobody have ended it before.
	longestStep = 7 * 24 * time.Hour
	// beforehand is what the cluster gives a step besides its timeout: the worker is to end it, not the cluster.
	beforehand = time.Hour
)

// Limits are what a container may use; 0 is any amount.
type Limits struct {
	Memory    int64   // bytes
	CPUs      float64 // 1.5 is one and a half processors' time
	Processes int64   // refused: a pod has no such limit of its own
}

// ErrUnsupported says that a step asks for what no pod can promise.
var ErrUnsupported = errors.New("steps in Kubernetes cannot have this")

// Check says whether a pod can hold to the limits; the error is ErrUnsupported.
func (l Limits) Check() error {
	if l.Processes > 0 {
		return fmt.Errorf("%w: inside: {processes: %d}: only a node's kubelet limits processes, for all of its pods (podPidsLimit); "+
			"leave it out, or have the step ask for a worker with docker", ErrUnsupported, l.Processes)
	}
	return nil
}

func (l Limits) resources() corev1.ResourceRequirements {
	limits := corev1.ResourceList{}
	if l.Memory > 0 {
		limits[corev1.ResourceMemory] = *resource.NewQuantity(l.Memory, resource.BinarySI)
	}
	if l.CPUs > 0 {
		limits[corev1.ResourceCPU] = *resource.NewMilliQuantity(int64(l.CPUs*1000), resource.DecimalSI)
	}
	return corev1.ResourceRequirements{Limits: limits} // the requests are the same then
}

// Box is the pod that a script runs in. Only what is named here, and the script's own folders, is to be seen there, at the
// same paths as on the worker. It is brought there before the script; the script's Dir comes back after it.
type Box struct {
	Image    executor.Image
	Limits   Limits
	UID, GID int64
	Folders  []string // and files that come back as well, each below the script's Dir or Scratch, or beside them
	ReadOnly []string // folders besides the script's Dir and Scratch, that do not come back
}

// In answers the way to run scripts in such boxes, a new one each.
func (s *Site) In(b Box) executor.Executor { return boxes{Site: s, box: b} }

type boxes struct {
	*Site
	box Box
}

// job is what the cluster is asked for, where command is the first of the step's container. It names no variable of the script,
// and nothing of its text.
func (b boxes) job(script executor.Script, command []string) *batchv1.Job {
	meta := b.mark.meta(b.mark.name()+"-"+strings.ToLower(rand.Text()[:8]), b.owner)
	deadline := longestStep
	if script.Timeout > 0 {
		deadline = script.Timeout + script.Grace + beforehand
	}
	return &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: meta,
		Spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), TTLSecondsAfterFinished: new(int32(keptFor / time.Second)),
			ActiveDeadlineSeconds: new(int64(deadline / time.Second)),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels, Annotations: meta.Annotations}, Spec: b.pod(script, command),
			},
		},
	}
}

func (b boxes) pod(script executor.Script, command []string) corev1.PodSpec {
	volumes, mounts := b.volumes(script)
	helper := b.box.Image.Name
	if b.settings.Helper != "" {
		helper = b.settings.Helper
	}
	spec := b.podOf(
		corev1.Container{
			Name: stepContainer, Image: b.box.Image.Name, ImagePullPolicy: policyOf(b.box.Image),
			Command: literal(command...), Resources: b.box.Limits.resources(), VolumeMounts: mounts, SecurityContext: b.box.security(),
		},
		corev1.Container{
			Name: helperContainer, Image: helper, ImagePullPolicy: helperPolicy(b.box.Image, helper), Command: literal("sh", "-c", stayScript),
			Resources: helperResources(), VolumeMounts: mounts, SecurityContext: b.box.security(),
		})
	spec.Volumes = volumes
	return spec
}

// podOf is what all pods have in common.
func (s *Site) podOf(containers ...corev1.Container) corev1.PodSpec {
	return corev1.PodSpec{
		Containers: containers, RestartPolicy: corev1.RestartPolicyNever, TerminationGracePeriodSeconds: new(int64(1)),
		AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false), HostAliases: slices.Clone(s.hosts),
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: s.owner.Name}},
	}
}

// literal keeps Kubernetes from filling in $(NAME), and from making one $ of two.
func literal(words ...string) []string {
	escaped := make([]string, len(words))
	for i, word := range words {
		escaped[i] = strings.ReplaceAll(word, "$", "$$")
	}
	return escaped
}

// helperPolicy fetches an image of ours where the node lacks it; the step's own is there already.
func helperPolicy(step executor.Image, helper string) corev1.PullPolicy {
	if helper == step.Name {
		return policyOf(step)
	}
	return corev1.PullIfNotPresent
}

// helperResources are small, and there at all for the sake of namespaces whose quota asks everybody for limits.
func helperResources() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2"), corev1.ResourceMemory: resource.MustParse("256Mi")},
	}
}

// security is what the restricted policy of Kubernetes' Pod Security Standards asks for, unless the worker is root, and its
// steps with it.
func (b Box) security() *corev1.SecurityContext {
	context := &corev1.SecurityContext{RunAsUser: &b.UID, RunAsGroup: &b.GID, AllowPrivilegeEscalation: new(false)}
	if b.UID != 0 {
		context.RunAsNonRoot = new(true)
		context.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
		context.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	return context
}

// volumes live and die with the pod. Those of the script's folders are at their parents, so that the folders themselves
// belong to whom makes them: git refuses a repository in somebody else's.
func (b boxes) volumes(script executor.Script) ([]corev1.Volume, []corev1.VolumeMount) {
	output := resource.NewQuantity(outputSize, resource.BinarySI)
	volumes := []corev1.Volume{
		{Name: "control", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: "output", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: output}}},
	}
	mounts := []corev1.VolumeMount{{Name: "control", MountPath: controlFolder}, {Name: "output", MountPath: outputFolder}}
	for i, place := range b.places(script) {
		name := "files-" + strconv.Itoa(i)
		volumes = append(volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		mounts = append(mounts, corev1.VolumeMount{Name: name, MountPath: place})
	}
	return volumes, mounts
}

// places are the folders at which volumes are, none of them below another.
func (b boxes) places(script executor.Script) []string {
	var places []string
	for _, folder := range b.there(script) {
		place := filepath.Dir(folder)
		if place == "/" {
			place = folder
		}
		places = append(places, place)
	}
	return outermost(places)
}

// there are the folders that are brought there.
func (b boxes) there(script executor.Script) []string {
	return outermost(slices.Concat([]string{script.Dir, script.Scratch}, b.box.Folders, b.box.ReadOnly))
}

// back are those that are brought back.
func (b boxes) back(script executor.Script) []string {
	return outermost(append([]string{script.Dir}, b.box.Folders...))
}

// outermost leaves out what is below another folder.
func outermost(folders []string) []string {
	sorted := slices.Compact(slices.Sorted(slices.Values(folders)))
	return slices.DeleteFunc(slices.Clone(sorted), func(one string) bool {
		return slices.ContainsFunc(sorted, func(other string) bool { return isBelow(one, other) })
	})
}

func isBelow(one, other string) bool {
	return strings.HasPrefix(one, strings.TrimSuffix(other, "/")+"/")
}
