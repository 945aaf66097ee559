//go:build linux

package clustertest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Apply makes what a manifest holds in the namespace default, one document after the other.
func (c *Cluster) Apply(t *testing.T, manifest string) {
	t.Helper()
	places := map[string]string{
		"ServiceAccount": "/api/v1/namespaces/default/serviceaccounts", "Namespace": "/api/v1/namespaces",
		"Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
		"ResourceQuota": "/api/v1/namespaces/default/resourcequotas", "Pod": "/api/v1/namespaces/default/pods",
	}
	for document := range strings.SplitSeq(manifest, "\n---\n") {
		_, after, found := strings.Cut("\n"+document, "\nkind: ")
		if !found {
			continue
		}
		kind, _, _ := strings.Cut(after, "\n")
		place, known := places[strings.TrimSpace(kind)]
		if !known {
			t.Fatalf("a manifest with a %q", kind)
		}
		if code, said := c.ask(t, http.MethodPost, place, document); code != http.StatusCreated {
			t.Fatalf("%s: %d %s", kind, code, said)
		}
	}
}

// Running counts the pods of a mark in which a container has not ended.
func (c *Cluster) Running(t *testing.T, mark string) int {
	t.Helper()
	return strings.Count(c.get(t, "/api/v1/namespaces/default/pods?labelSelector="+url.QueryEscape("io.towpath.mark="+mark)), `"phase":"Running"`)
}

// RemovePods deletes pods that a selector of labels finds, as whoever empties a node does.
func (c *Cluster) RemovePods(t *testing.T, selector string) {
	t.Helper()
	code, said := c.ask(t, http.MethodDelete, "/api/v1/namespaces/default/pods?labelSelector="+url.QueryEscape(selector), "")
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, said)
	}
}

// Remove deletes something of the namespace default, by its path there.
func (c *Cluster) Remove(t *testing.T, path string) {
	t.Helper()
	if code, said := c.ask(t, http.MethodDelete, "/api/v1/namespaces/default/"+path, ""); code != http.StatusOK {
		t.Errorf("%d %s", code, said)
	}
}

// Holds says whether something of the namespace default holds a text, once its controller has looked at it.
func (c *Cluster) Holds(t *testing.T, path, text string) bool {
	t.Helper()
	_, status, _ := strings.Cut(c.get(t, "/api/v1/namespaces/default/"+path), `"status"`)
	return strings.Contains(status, text)
}

// Restrict has the namespace default refuse every pod that is not as restricted as Kubernetes knows.
func (c *Cluster) Restrict(t *testing.T, policy string) {
	t.Helper()
	code, said := c.ask(t, http.MethodPatch, "/api/v1/namespaces/default", `{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "`+policy+`"}}}`)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, said)
	}
}

// As answers a kubeconfig of a service account of the namespace default.
func (c *Cluster) As(t *testing.T, account string) string {
	t.Helper()
	code, said := c.ask(t, http.MethodPost, "/api/v1/namespaces/default/serviceaccounts/"+account+"/token",
		`{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}`)
	var answer struct{ Status struct{ Token string } }
	if err := json.Unmarshal([]byte(said), &answer); err != nil || code != http.StatusCreated {
		t.Fatalf("%d %v %s", code, err, said)
	}
	c.put(t, "kubeconfig-"+account, c.kubeconfig(account, answer.Status.Token))
	return c.path("kubeconfig-" + account)
}

// Ours names what the cluster holds of any step, each as its kind and its name. What is about to go counts as gone.
func (c *Cluster) Ours(t *testing.T) []string {
	t.Helper()
	var names []string
	for kind, place := range map[string]string{"job": "/apis/batch/v1/namespaces/default/jobs", "pod": "/api/v1/namespaces/default/pods", "secret": "/api/v1/namespaces/default/secrets"} {
		var list struct {
			Items []struct {
				Metadata struct{ Name, DeletionTimestamp string }
			}
		}
		said := c.get(t, place+"?labelSelector="+url.QueryEscape("io.towpath.mark"))
		if err := json.Unmarshal([]byte(said), &list); err != nil {
			t.Fatalf("%v %s", err, said)
		}
		for _, item := range list.Items {
			if item.Metadata.DeletionTimestamp == "" {
				names = append(names, kind+" "+item.Metadata.Name)
			}
		}
	}
	return names
}
