package supervise

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/towpath-cd/towpath/internal/durable"
)

// Sentinels of a spec.
var (
	// ErrInvalidSpec means that a spec cannot be carried out; the text says why.
	ErrInvalidSpec = errors.New("invalid spec")
	// ErrOtherSpec means that an instance exists already, and is another.
	ErrOtherSpec = errors.New("instance exists with another spec")
)

// Spec says what an instance is. It never changes: another command, release or environment is another instance.
type Spec struct {
	// Instance is the identifier of the instance.
	Instance string `json:"instance"`
	// Process names which of the instance's processes it is; empty is the one that serves.
	Process string `json:"process,omitempty"`
	// Release is the number of the release that it runs.
	Release int `json:"release"`
	// Command is the program and its arguments. Exactly one of Command and Shell is given.
	Command []string `json:"command,omitempty"`
	// Shell is a line for the shell.
	Shell string `json:"shell,omitempty"`
	// Dir is the working directory, an absolute path.
	Dir string `json:"dir"`
	// Env is added to the few variables that every instance gets, such as PATH and HOME.
	Env map[string]string `json:"env,omitempty"`
	// Address is where the instance will listen, such as "127.0.0.1:8000"; its port is passed as PORT. Empty for one
	// that serves nothing.
	Address string `json:"address,omitempty"`
	// PortWithin is how long a port that is in use is waited for before the state says failed; 0 means 30 s. It is
	// waited for after that as well.
	PortWithin time.Duration `json:"port_within,omitempty"`
	// Stop says how the instance is ended.
	Stop Stop `json:"stop"`
	// Restart says how soon an instance that ended by itself is started again.
	Restart Restart `json:"restart"`
	// Log bounds what is kept of the output.
	Log Log `json:"log"`
}

// Stop says how an instance is ended.
type Stop struct {
	// Signal asks it to end: TERM (also when empty), INT, QUIT, HUP, KILL, and, but on Windows, USR1 and USR2.
	Signal string `json:"signal,omitempty"`
	// Within is how long it may take before it is killed; 0 kills at once.
	Within time.Duration `json:"within,omitempty"`
}

// Restart is a back-off that doubles.
type Restart struct {
	// First is the wait after the first end; 0 means 500 ms.
	First time.Duration `json:"first,omitempty"`
	// Most is the longest wait; 0 means 30 s.
	Most time.Duration `json:"most,omitempty"`
	// HealthyAfter is how long a run must last for the wait to begin at First again; 0 means 60 s.
	HealthyAfter time.Duration `json:"healthy_after,omitempty"`
}

// Log bounds what is kept of an instance's output.
type Log struct {
	// MaxBytes is the size at which a file is put aside; 0 means 10 MiB.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// Files is how many files are kept, the current one included; 0 means 3.
	Files int `json:"files,omitempty"`
}

func (s Spec) withDefaults() Spec {
	s.PortWithin = orDefault(s.PortWithin, 30*time.Second)
	s.Restart.First = orDefault(s.Restart.First, 500*time.Millisecond)
	s.Restart.Most = orDefault(s.Restart.Most, 30*time.Second)
	s.Restart.HealthyAfter = orDefault(s.Restart.HealthyAfter, time.Minute)
	s.Log.MaxBytes = orDefault(s.Log.MaxBytes, 10<<20)
	s.Log.Files = orDefault(s.Log.Files, 3)
	return s
}

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

func (s Spec) validate() error {
	switch {
	case s.Instance == "":
		return fmt.Errorf("%w: no instance", ErrInvalidSpec)
	case (len(s.Command) == 0) == (s.Shell == ""):
		return fmt.Errorf("%w: one of command and shell is needed", ErrInvalidSpec)
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("%w: dir %q is not absolute", ErrInvalidSpec, s.Dir)
	case s.Stop.Within < 0 || s.PortWithin < 0 || s.Restart.First < 0 || s.Restart.Most < 0:
		return fmt.Errorf("%w: negative duration", ErrInvalidSpec)
	case s.Log.MaxBytes < 0 || s.Log.Files < 0:
		return fmt.Errorf("%w: negative log limit", ErrInvalidSpec)
	}
	if _, err := s.Stop.signal(); err != nil {
		return err
	}
	_, err := s.port()
	return err
}

// port is the port of the address, empty when there is none.
func (s Spec) port() (string, error) {
	if s.Address == "" {
		return "", nil
	}
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		return "", fmt.Errorf("%w: address: %w", ErrInvalidSpec, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("%w: address %q has no port", ErrInvalidSpec, s.Address)
	}
	return port, nil
}

func (s Stop) signal() (syscall.Signal, error) {
	known := signals()
	if signal, is := known[cmp.Or(strings.TrimPrefix(strings.ToUpper(s.Signal), "SIG"), "TERM")]; is {
		return signal, nil
	}
	return 0, fmt.Errorf("%w: stop signal %q is none of %s", ErrInvalidSpec, s.Signal, strings.Join(sortedKeys(known), ", "))
}

// environment is what the child gets. What we say about it wins over Env.
func (s Spec) environment() []string {
	env := Inherited()
	for _, key := range sortedKeys(s.Env) {
		env = append(env, key+"="+s.Env[key])
	}
	env = append(env, "TOWPATH_INSTANCE="+s.Instance, "TOWPATH_RELEASE="+strconv.Itoa(s.Release))
	if s.Process != "" {
		env = append(env, "TOWPATH_PROCESS="+s.Process)
	}
	if port, err := s.port(); err == nil && port != "" {
		env = append(env, "PORT="+port, "TOWPATH_ADDRESS="+s.Address)
	}
	return env
}

// Inherited is the part of our environment that an instance may see: what the system and the user's account set, and
// none of the settings of the server that launched it.
func Inherited() []string {
	names := []string{
		"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "SystemRoot", "SystemDrive", "ComSpec", "PATHEXT", "TEMP", "TMP",
		"USERPROFILE", "APPDATA", "LOCALAPPDATA", "ProgramData", "ProgramFiles",
	}
	var env []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if slices.Contains(names, name) || strings.HasPrefix(name, "LC_") {
			env = append(env, variable)
		}
	}
	return env
}

func sortedKeys[V any](values map[string]V) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// store makes an instance of the spec, ordered to run, unless it is there already. The error is ErrOtherSpec when
// another one is.
func (s Spec) store(ctx context.Context, dir string, epoch Epoch) error {
	wanted, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode spec: %w", err)
	}
	if present, err := isStored(dir, wanted); present || err != nil {
		return err
	}
	_, err = fence{dir}.give(ctx, epoch, func(o *order) error {
		if present, err := isStored(dir, wanted); present || err != nil {
			return err
		}
		o.Want = WantRunning
		return durable.WriteFile(filepath.Join(dir, specFile), wanted)
	})
	return err
}

func isStored(dir string, wanted []byte) (bool, error) {
	present, err := os.ReadFile(filepath.Join(dir, specFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read spec: %w", err)
	case !bytes.Equal(present, wanted):
		return false, fmt.Errorf("%w: %s", ErrOtherSpec, dir)
	}
	return true, nil
}

func readSpec(dir string) (Spec, error) {
	var s Spec
	if err := readJSON(filepath.Join(dir, specFile), &s); err != nil {
		return Spec{}, err
	}
	return s, nil
}
