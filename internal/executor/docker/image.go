package docker

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
)

// fetch answers the image's content ID and configuration, having pulled it where that is wanted. How it goes is told to out.
func (e *Engine) fetch(ctx context.Context, image executor.Image, out io.Writer) (client.ImageInspectResult, error) {
	if image.Pull == executor.PullAlways {
		if err := e.pull(ctx, image, out); err != nil {
			return client.ImageInspectResult{}, err
		}
	}
	found, err := e.client.ImageInspect(ctx, image.Name)
	if err == nil || !errdefs.IsNotFound(err) {
		return found, e.explained(err)
	}
	if image.Pull == executor.PullNever {
		return found, fmt.Errorf("%w: %s is not on this worker, and pull: never forbids to fetch it", executor.ErrImage, image.Name)
	}
	if err := e.pull(ctx, image, out); err != nil {
		return found, err
	}
	found, err = e.client.ImageInspect(ctx, image.Name)
	return found, e.explained(err)
}

func (e *Engine) pull(ctx context.Context, image executor.Image, out io.Writer) error {
	auth, err := authOf(image)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "towpath: fetching the image %s\n", image.Name); err != nil {
		return fmt.Errorf("tell of an image: %w", err)
	}
	stream, err := e.client.ImagePull(ctx, image.Name, client.ImagePullOptions{RegistryAuth: auth})
	if err != nil {
		return e.refused(ctx, image, err)
	}
	defer stream.Close()
	for message, err := range stream.JSONMessages(ctx) {
		if err == nil && message.Error != nil {
			err = message.Error
		}
		if err != nil {
			return e.refused(ctx, image, err)
		}
		if message.Progress == nil && isWorthALine(message.ID, message.Status) {
			_, _ = fmt.Fprintf(out, "towpath: %s\n", strings.TrimPrefix(message.ID+": "+message.Status, ": "))
		}
	}
	return context.Cause(ctx)
}

// isWorthALine leaves out how each layer waits and is verified.
func isWorthALine(id, status string) bool {
	return id == "" || status == "Pull complete" || status == "Already exists" || strings.HasPrefix(status, "Pulling from")
}

// refused says why an image was not pulled, in the registry's words.
func (e *Engine) refused(ctx context.Context, image executor.Image, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if explained := e.explained(err); errors.Is(explained, ErrNoDaemon) {
		return explained
	}
	why := "the registry says: " + err.Error()
	if errdefs.IsUnauthorized(err) || isAboutLogin(err.Error()) {
		why += " (inside: {credentials: SECRET} names the secret by which this worker may fetch it)"
		if image.Credentials != "" {
			why = "the registry refuses its credentials: " + err.Error()
		}
	}
	return fmt.Errorf("%w: %s: %s", executor.ErrImage, image.Name, why)
}

// isAboutLogin knows what daemons answer as any other error.
func isAboutLogin(text string) bool {
	for _, word := range []string{"unauthorized", "no basic auth credentials", "docker login", "authentication required"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// authOf is the header by which the daemon speaks to the registry of an image.
func authOf(image executor.Image) (string, error) {
	if image.Credentials == "" {
		return "", nil
	}
	auth, err := parseCredentials(image)
	if err != nil {
		return "", fmt.Errorf("%w: %s: its credentials: %w", executor.ErrImage, image.Name, err)
	}
	return authconfig.Encode(auth)
}

func parseCredentials(image executor.Image) (registry.AuthConfig, error) {
	text := strings.TrimSpace(image.Credentials)
	if strings.HasPrefix(text, "{") {
		return parseDockerConfig(image.Name, text)
	}
	user, password, found := strings.Cut(text, ":")
	if !found || user == "" {
		return registry.AuthConfig{}, errors.New("neither user:password nor JSON")
	}
	return registry.AuthConfig{Username: user, Password: password}, nil
}

// parseDockerConfig reads docker's config.json, or one entry of its auths.
func parseDockerConfig(image, text string) (registry.AuthConfig, error) {
	var config struct {
		Auths map[string]registry.AuthConfig `json:"auths"`
		registry.AuthConfig
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return registry.AuthConfig{}, errors.New("no JSON as docker writes it") // its text may be secret
	}
	auth := config.AuthConfig
	if len(config.Auths) > 0 {
		host, err := registryOf(image)
		if err != nil {
			return auth, err
		}
		found := false
		for name, of := range config.Auths {
			if hostOf(name) == host {
				auth, found = of, true
			}
		}
		if !found {
			return auth, fmt.Errorf("they name no %s", host)
		}
	}
	return decoded(auth)
}

// decoded takes user and password out of the field that docker puts them into.
func decoded(auth registry.AuthConfig) (registry.AuthConfig, error) {
	if auth.Auth == "" || auth.Username != "" {
		return auth, nil
	}
	both, err := base64.StdEncoding.DecodeString(auth.Auth)
	if err != nil {
		return auth, errors.New("their auth is not in base64")
	}
	auth.Username, auth.Password, _ = strings.Cut(string(both), ":")
	auth.Auth = ""
	return auth, nil
}

func registryOf(image string) (string, error) {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "", err
	}
	return reference.Domain(named), nil
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
