// Package kubernetes runs steps' scripts as Jobs of a Kubernetes cluster, and pods beside them. The worker may be in the
// cluster or outside of it: all that it needs of the cluster is its API.
//
// An attempt is a [Site]: one Secret, which owns whatever else is made for it and holds the credentials of its images. All
// of it carries the [Mark] of the attempt as a label; by it [Cluster.Clear] removes what an attempt has left, also one whose
// worker was killed, and nothing of anybody else.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/towpath-cd/towpath/internal/executor"
)

// markLabel holds the mark.
const markLabel = "io.towpath.mark"

// pollEvery is the pause between two looks at what the cluster does by itself.
const pollEvery = 200 * time.Millisecond

// Settings say which cluster, and what of it.
type Settings struct {
	Kubeconfig string // file; empty: KUBECONFIG, ~/.kube/config, or the service account of the pod that this runs in
	Context    string // of the file; empty: its current one
	Namespace  string // empty: that of the context, or of the pod
	// Helper is the image of the container that carries files in and out: it needs sh, tar, cat, tail, wc and sleep. Empty: the
	// step's own.
	Helper string
}

// ErrSettings says that no cluster is named, or in a way that cannot be read.
var ErrSettings = errors.New("which Kubernetes cluster is not clear")

// Cluster is where steps run. It may be used by many goroutines.
type Cluster struct {
	api
	settings Settings
}

// Open reads which cluster is meant, without speaking to it. The error is ErrSettings.
func Open(s Settings) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: s.Context}
	overrides.Context.Namespace = s.Namespace
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	way, err := config.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, fmt.Errorf("%w: name its file by --kubeconfig or KUBECONFIG, or run the worker in a pod with a service account", ErrSettings)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, fmt.Errorf("%w: its namespace: %w", ErrSettings, err)
	}
	a, err := newAPI(way, namespace)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	return &Cluster{api: *a, settings: s}, nil
}

// Namespace is where everything is made.
func (c *Cluster) Namespace() string { return c.namespace }

// Mark names an attempt: what is made for it is found by it again. It holds no secret.
type Mark struct {
	ID     string // of this attempt alone, on whatever worker: lower-case letters and digits, at most 40
	Worker string // for people, as the rest
	Run    string
	Step   string
	Number int // of the attempt
}

// name is that of the attempt's Secret, and the beginning of all others.
func (m Mark) name() string { return "towpath-" + m.ID }

func (m Mark) selector() string { return markLabel + "=" + m.ID }

// notInLabels are what a label's value may not hold (Kubernetes, Labels and Selectors).
var notInLabels = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

func labelOf(text string) string {
	text = notInLabels.ReplaceAllString(text, "-")
	return strings.Trim(text[:min(len(text), 63)], "-_.")
}

func (m Mark) meta(name string, owner *corev1.Secret) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			markLabel: m.ID, "io.towpath.worker": labelOf(m.Worker), "io.towpath.run": labelOf(m.Run),
			"io.towpath.step": labelOf(m.Step), "io.towpath.attempt": strconv.Itoa(m.Number),
		},
		Annotations: map[string]string{"io.towpath.step": m.Step}, // whole
	}
	if owner != nil {
		meta.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Secret", Name: owner.Name, UID: owner.UID}}
	}
	return meta
}

// Site is what an attempt has in the cluster.
type Site struct {
	*Cluster
	mark  Mark
	owner *corev1.Secret
	hosts []corev1.HostAlias // of its services so far
}

// Begin makes the site of an attempt, whose containers are of these images. What it leaves, also when it fails, Clear
// removes.
func (c *Cluster) Begin(ctx context.Context, m Mark, images []executor.Image) (*Site, error) {
	config, err := dockerConfig(images)
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: m.meta(m.name(), nil),
		Type: corev1.SecretTypeDockerConfigJson, Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
	}
	made := new(corev1.Secret)
	if err := c.create(ctx, secrets, secret, made); err != nil {
		return nil, fmt.Errorf("make the step's secret: %w", err)
	}
	return &Site{Cluster: c, mark: m, owner: made}, nil
}

// Clear has the cluster remove all that an attempt has there, whoever made it; its containers are killed within seconds.
// What is gone is no error. The namespace is the one where it was made.
func (c *Cluster) Clear(ctx context.Context, m Mark, namespace string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if m.ID == "" {
		return errors.New("clear pods: the attempt has no mark")
	}
	a := c.in(namespace)
	for _, kind := range []kind{jobs, pods} {
		if err := a.removeAll(ctx, kind, m.selector()); err != nil {
			return err
		}
	}
	return a.remove(ctx, secrets, m.name()) // last: while it is there, it owns what came late
}
