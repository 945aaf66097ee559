package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"

	"github.com/towpath-cd/towpath/internal/executor"
)

func policyOf(i executor.Image) corev1.PullPolicy {
	switch i.Pull {
	case executor.PullAlways:
		return corev1.PullAlways
	case executor.PullNever:
		return corev1.PullNever
	}
	return corev1.PullIfNotPresent
}

// login is an entry of docker's config.json.
type login struct {
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
	Auth     string `json:"auth,omitempty"`
}

// dockerConfig is what a Secret of credentials holds. Each login is for the image's own repository, so that two images of
// one registry can have different ones.
func dockerConfig(images []executor.Image) ([]byte, error) {
	auths := map[string]login{}
	for _, image := range images {
		if image.Credentials == "" {
			continue
		}
		named, err := reference.ParseNormalizedNamed(image.Name)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", executor.ErrImage, image.Name, err)
		}
		auth, err := loginOf(image.Credentials, reference.Domain(named))
		if err != nil {
			return nil, fmt.Errorf("%w: %s: its credentials: %w", executor.ErrImage, image.Name, err)
		}
		auths[strings.Replace(named.Name(), "docker.io/", "index.docker.io/", 1)] = auth
	}
	return json.Marshal(map[string]any{"auths": auths})
}

func loginOf(credentials, host string) (login, error) {
	text := strings.TrimSpace(credentials)
	if !strings.HasPrefix(text, "{") {
		user, password, found := strings.Cut(text, ":")
		if !found || user == "" {
			return login{}, errors.New("neither user:password nor JSON")
		}
		return login{user, password, base64.StdEncoding.EncodeToString([]byte(text))}, nil
	}
	var config struct {
		Auths map[string]login `json:"auths"`
		login
	}
	if json.Unmarshal([]byte(text), &config) != nil {
		return login{}, errors.New("no JSON as docker writes it") // its text may be secret
	}
	if len(config.Auths) == 0 {
		return config.complete(), nil
	}
	for name, auth := range config.Auths {
		if hostOf(name) == host {
			return auth.complete(), nil
		}
	}
	return login{}, fmt.Errorf("they name no %s", host)
}

// complete writes what kubelets read.
func (l login) complete() login {
	if l.Auth == "" {
		l.Auth = base64.StdEncoding.EncodeToString([]byte(l.Username + ":" + l.Password))
	}
	return l
}

// hostOf is the registry that an entry of docker's config.json is about: "https://index.docker.io/v1/" is that of docker.io.
func hostOf(entry string) string {
	_, after, found := strings.Cut(entry, "://")
	if !found {
		after = entry
	}
	host, _, _ := strings.Cut(after, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return "docker.io"
	}
	return host
}
