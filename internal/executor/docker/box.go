package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/towpath-cd/towpath/internal/executor"
)

// NoNetwork is the name of the network that has a loopback and nothing else.
const NoNetwork = "none"

// Limits are what a container may use; 0 is any amount.
type Limits struct {
	Memory    int64   // bytes, with no swap beside them
	CPUs      float64 // 1.5 is one and a half processors' time
	Processes int64   // threads count as well
}

// Box is the container that a script runs in. Only what is named here, and the script's own folders, is to be seen there,
// at the same paths as on the machine.
type Box struct {
	Image    executor.Image
	Limits   Limits
	User     string   // "uid:gid"; empty: the image's
	Folders  []string // besides the script's Dir and Scratch
	ReadOnly []string // folders that the script may not write to
	Network  string   // ID, or NoNetwork; empty: the one that containers have by default
	Mark     Mark
}

// In answers the way to run scripts in such boxes, a new one each.
func (e *Engine) In(b Box) executor.Executor { return boxes{Engine: e, box: b} }

type boxes struct {
	*Engine
	box Box
}

// command is how the script is run inside.
type command struct {
	program  string
	args     []string // the script's file is the last
	terminal bool
}

// scriptFile stands in the script's Scratch.
const scriptFile = "script"

// commandOf begins a shell by itself, to have its errors and its output in one stream, in their order.
func commandOf(script executor.Script) command {
	words := executor.ShellInside(script.Shell)
	run := append(slices.Clone(words), filepath.Join(script.Scratch, scriptFile))
	if !slices.Contains([]string{"sh", "bash", "dash", "ash", "ksh", "zsh"}, path.Base(words[0])) {
		return command{program: words[0], args: run[1:]}
	}
	return command{program: words[0], args: append([]string{"-c", `exec "$@" 2>&1`, words[0]}, run...)}
}

// makeForScript makes the container of a script. The error may be one of the image, or of the shell.
func (b boxes) makeForScript(ctx context.Context, script executor.Script) (id string, err error) {
	// The user inside may be another one. Nobody else comes through the folder.
	if err := os.WriteFile(filepath.Join(script.Scratch, scriptFile), []byte(script.Text), 0o644); err != nil { //nolint:gosec // see above
		return "", fmt.Errorf("write the script: %w", err)
	}
	return b.make(ctx, script, commandOf(script))
}

// make makes the container of a command and does not start it.
func (b boxes) make(ctx context.Context, script executor.Script, c command) (id string, err error) {
	image, err := b.fetch(ctx, b.box.Image, script.Output)
	if err != nil {
		return "", err
	}
	// The call is not broken off: the daemon might make the container all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callLimit)
	defer cancel()
	made, err := b.client.ContainerCreate(ctx, client.ContainerCreateOptions{
		Config: b.config(script, c, image), HostConfig: b.hostConfig(script),
	})
	if err != nil {
		return "", fmt.Errorf("make the step's container: %w", b.explained(err))
	}
	if err := b.mustHave(ctx, made.ID, c.program, script, image); err != nil {
		return "", errors.Join(err, b.remove(ctx, made.ID))
	}
	return made.ID, nil
}

func (b boxes) config(script executor.Script, c command, image client.ImageInspectResult) *container.Config {
	return &container.Config{
		Image: image.ID, User: b.box.User, WorkingDir: script.Dir, Env: script.Env,
		Entrypoint: []string{c.program}, Cmd: c.args, AttachStdout: true, AttachStderr: true,
		Tty: c.terminal, AttachStdin: c.terminal, OpenStdin: c.terminal, StdinOnce: c.terminal,
		Healthcheck: &container.HealthConfig{Test: []string{"NONE"}}, Labels: b.box.Mark.labels(),
	}
}

func (b boxes) hostConfig(script executor.Script) *container.HostConfig {
	folders := append([]string{script.Dir, script.Scratch}, b.box.Folders...)
	return &container.HostConfig{
		Mounts:      append(mounts(folders, false), mounts(b.box.ReadOnly, true)...),
		NetworkMode: container.NetworkMode(b.box.Network),
		LogConfig:   container.LogConfig{Type: "none"}, // what it prints goes through us, masked
		Init:        new(true),
		SecurityOpt: []string{"label=disable"}, // SELinux keeps containers from the machine's folders otherwise
		Resources:   b.box.Limits.resources(),
	}
}

func mounts(folders []string, isReadOnly bool) []mount.Mount {
	var all []mount.Mount
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		all = append(all, mount.Mount{Type: mount.TypeBind, Source: folder, Target: folder, ReadOnly: isReadOnly})
	}
	return all
}

func (l Limits) resources() container.Resources {
	r := container.Resources{Memory: l.Memory, MemorySwap: l.Memory, NanoCPUs: int64(l.CPUs * 1e9)}
	if l.Processes > 0 {
		r.PidsLimit = &l.Processes
	}
	return r
}

// mustHave looks for the shell's program in a container: its init would only say afterwards, among the script's output,
// that there is none.
func (b boxes) mustHave(ctx context.Context, id, program string, script executor.Script, image client.ImageInspectResult) error {
	known := image.ID + ", " + program
	if _, ok := b.shells.Load(known); ok {
		return nil
	}
	for _, candidate := range candidates(program, script, image) {
		_, err := b.client.ContainerStatPath(ctx, id, client.ContainerStatPathOptions{Path: candidate})
		if err == nil {
			if path.IsAbs(program) || !strings.Contains(program, "/") { // others are files of the workspace
				b.shells.Store(known, true)
			}
			return nil
		}
		if !errdefs.IsNotFound(err) {
			return b.explained(err)
		}
	}
	return fmt.Errorf("the image %s has no shell %q", b.box.Image.Name, program)
}

// candidates are where a program may be.
func candidates(program string, script executor.Script, image client.ImageInspectResult) []string {
	if strings.Contains(program, "/") {
		if path.IsAbs(program) {
			return []string{program}
		}
		return []string{path.Join(script.Dir, program)}
	}
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" // docker's own
	var own []string
	if image.Config != nil {
		own = image.Config.Env
	}
	for _, env := range slices.Concat(own, script.Env) {
		if value, ok := strings.CutPrefix(env, "PATH="); ok {
			search = value
		}
	}
	var paths []string
	for dir := range strings.SplitSeq(search, ":") {
		if dir != "" {
			paths = append(paths, path.Join(dir, program))
		}
	}
	return paths
}
