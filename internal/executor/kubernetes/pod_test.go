package kubernetes

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/towpath-cd/towpath/internal/executor"
)

// asked answers the Job of a box, and what it is on the wire.
func asked(t *testing.T, settings Settings, b Box, script executor.Script) (*batchv1.Job, string) {
	t.Helper()
	owner := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "towpath-x", UID: "42"}}
	site := &Site{
		Cluster: &Cluster{settings: settings}, owner: owner,
		mark: Mark{ID: "x", Worker: "barge 1", Run: "r7", Step: "test (linux, größe) " + strings.Repeat("long ", 20), Number: 3},
	}
	job := boxes{Site: site, box: b}.job(script, runCommand(script))
	text, err := json.MarshalIndent(job, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return job, string(text)
}

func TestAJobTellsNothingThatMayBeSecret(t *testing.T) {
	_, text := asked(t, Settings{}, Box{Image: executor.Image{Name: "golang:1.26", Credentials: "ada:hunter2"}}, executor.Script{
		Text: "curl -u me:hunter2 example.com", Shell: "bash", Dir: "/data/steps/1/shop", Scratch: "/data/steps/1/.towpath", Env: []string{"TOKEN=hunter2"},
	})
	for _, word := range []string{"hunter2", "TOKEN", "example.com"} {
		if strings.Contains(text, word) {
			t.Errorf("everybody who may see jobs sees %q in %s", word, text)
		}
	}
}

func TestAJobEndsWhateverHappens(t *testing.T) {
	script := executor.Script{Dir: "/data/steps/1/shop", Scratch: "/data/steps/1/.towpath", Timeout: 10 * time.Minute, Grace: 10 * time.Second}
	job, text := asked(t, Settings{}, Box{Image: executor.Image{Name: "golang:1.26"}, UID: 1000, GID: 1000}, script)
	pod := job.Spec.Template.Spec
	if *job.Spec.BackoffLimit != 0 || *job.Spec.ActiveDeadlineSeconds != 4210 || *job.Spec.TTLSecondsAfterFinished != 3600 || pod.RestartPolicy != corev1.RestartPolicyNever {
		t.Error(text)
	}
	if owner := job.OwnerReferences[0]; owner.Kind != "Secret" || owner.Name != "towpath-x" || owner.UID != "42" {
		t.Errorf("%+v", owner)
	}
	for _, container := range pod.Containers { // as the restricted policy wants it
		s := container.SecurityContext
		if *s.RunAsUser != 1000 || !*s.RunAsNonRoot || *s.AllowPrivilegeEscalation || s.Capabilities.Drop[0] != "ALL" || s.SeccompProfile == nil {
			t.Errorf("%+v", s)
		}
	}
	if *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Error("the step is given something of the cluster's")
	}
	script.Timeout = 0
	if job, _ := asked(t, Settings{}, Box{}, script); *job.Spec.ActiveDeadlineSeconds != 7*24*3600 {
		t.Error("without a timeout, it has no end")
	}
}

func TestAJobIsFoundByItsLabels(t *testing.T) {
	job, _ := asked(t, Settings{}, Box{}, executor.Script{Dir: "/a/b", Scratch: "/a/c"})
	for _, labels := range []map[string]string{job.Labels, job.Spec.Template.Labels} {
		if labels["io.towpath.mark"] != "x" || labels["io.towpath.worker"] != "barge-1" || labels["io.towpath.attempt"] != "3" {
			t.Errorf("%+v", labels)
		}
		if step := labels["io.towpath.step"]; len(step) > 63 || !strings.HasPrefix(step, "test-linux-gr-e-long-long") || strings.HasSuffix(step, "-") {
			t.Errorf("%q", step)
		}
	}
	if whole := job.Annotations["io.towpath.step"]; !strings.HasPrefix(whole, "test (linux, größe) long") {
		t.Errorf("%q", whole)
	}
}

func TestAContainerHasItsLimitsAndItsImage(t *testing.T) {
	b := Box{Image: executor.Image{Name: "golang:1.26", Pull: executor.PullAlways}, Limits: Limits{Memory: 512e6, CPUs: 1.5}}
	job, _ := asked(t, Settings{Helper: "busybox:1"}, b, executor.Script{Dir: "/a/b", Scratch: "/a/c"})
	step, helper := job.Spec.Template.Spec.Containers[0], job.Spec.Template.Spec.Containers[1]
	if step.Resources.Limits.Memory().Value() != 512e6 || step.Resources.Limits.Cpu().MilliValue() != 1500 || step.ImagePullPolicy != corev1.PullAlways {
		t.Errorf("%+v", step)
	}
	if helper.Image != "busybox:1" || helper.ImagePullPolicy != corev1.PullIfNotPresent || helper.Resources.Limits.Memory().IsZero() {
		t.Errorf("%+v", helper)
	}
	if job, _ := asked(t, Settings{}, b, executor.Script{Dir: "/a/b", Scratch: "/a/c"}); job.Spec.Template.Spec.Containers[1].Image != "golang:1.26" {
		t.Error("the helper is another image")
	}
	for limits, fits := range map[Limits]bool{{Memory: 1}: true, {Processes: 1}: false} {
		if err := limits.Check(); errors.Is(err, ErrUnsupported) == fits {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

func TestVolumesAreAtParentsAndNotWithinEachOther(t *testing.T) {
	b := boxes{box: Box{Folders: []string{"/data/homes/shop/others", "/data/steps/1/.towpath/outputs"}, ReadOnly: []string{"/data/mirrors/m/objects"}}}
	script := executor.Script{Dir: "/data/steps/1/shop/with a blank", Scratch: "/data/steps/1/.towpath"}
	for what, tt := range map[string]struct{ got, want []string }{
		"volumes":     {b.places(script), []string{"/data/homes/shop", "/data/mirrors/m", "/data/steps/1"}},
		"there":       {b.there(script), []string{"/data/homes/shop/others", "/data/mirrors/m/objects", "/data/steps/1/.towpath", "/data/steps/1/shop/with a blank"}},
		"back":        {b.back(script), []string{"/data/homes/shop/others", "/data/steps/1/.towpath/outputs", "/data/steps/1/shop/with a blank"}},
		"at the root": {boxes{}.places(executor.Script{Dir: "/work", Scratch: "/workshop"}), []string{"/work", "/workshop"}},
	} {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s: %q, want %q", what, tt.got, tt.want)
		}
	}
}

func TestWhatAServiceIsToldIsLeftAsItIs(t *testing.T) {
	site := &Site{Cluster: &Cluster{}, mark: Mark{ID: "x"}, owner: &corev1.Secret{}}
	pod := site.servicePod(Service{
		Name: "db", Command: "echo $$ $(USER)", Env: map[string]string{"B": "$(A)", "A": "1"}, Ready: Ready{HTTP: 80, Path: "/ready"},
	})
	c := pod.Spec.Containers[0]
	if c.Command[2] != "echo $$$$ $$(USER)" || c.Env[1].Value != "$$(A)" || c.ReadinessProbe.HTTPGet.Path != "/ready" {
		t.Errorf("%+v", c)
	}
	if pod.Name != "towpath-x-db" || *pod.Spec.ActiveDeadlineSeconds <= 0 {
		t.Errorf("%+v", pod)
	}
	if (Ready{}).probe() != nil || (Ready{TCP: 1}).probe().TCPSocket == nil || (Ready{Command: "x"}).probe().Exec == nil {
		t.Error("another way to be ready")
	}
}

func TestAContainerThatCannotStartSaysWhy(t *testing.T) {
	for reason, want := range map[string]string{
		"ErrImageNeverPull": "the image cannot be had: tools:1 is not on the pod's node, and pull: never forbids to fetch it",
		"ErrImagePull":      "the image cannot be had: unauthorized", "InvalidImageName": "the image cannot be had: unauthorized",
		"CreateContainerConfigError": "the node cannot start the step's pod: unauthorized", "ContainerCreating": "",
	} {
		said := ""
		if err := hopeless("tools:1", &corev1.ContainerStateWaiting{Reason: reason, Message: "unauthorized"}); err != nil {
			said = err.Error()
		}
		if said != want {
			t.Errorf("%s: %q, want %q", reason, said, want)
		}
	}
	ended := &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: `exec: "sh": executable file not found in $PATH`}
	if err := notStarted(stepContainer, "scratch:1", ended); err.Error() != "the image scratch:1 has no sh, by which pods of steps begin" {
		t.Error(err)
	}
	ended = &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}
	if err := notStarted(helperContainer, "x", ended); !strings.Contains(err.Error(), "helper ended before the step began: exited with status 137") {
		t.Error(err)
	}
}

func TestAPodThatTheClusterEndsIsToldAsSuch(t *testing.T) {
	ended := []corev1.ContainerStatus{{Name: stepContainer, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137}}}}
	evicted := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: ended, Reason: "Evicted", Message: "the node was low on memory"}}
	deleted := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(metav1.Now())}, Status: corev1.PodStatus{ContainerStatuses: ended}}
	for pod, want := range map[*corev1.Pod]string{
		evicted: "the cluster ended the step's pod: Evicted: the node was low on memory", deleted: "the step's pod was deleted while it ran",
	} {
		if got := new(running).judge(pod); got.Outcome != executor.BrokenOff || got.Reason != want {
			t.Errorf("%+v, want %q", got, want)
		}
	}
}
