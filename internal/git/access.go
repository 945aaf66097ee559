package git

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Access is what a remote is shown during one call. The zero Access shows nothing of ours.
type Access struct {
	User       string // for Password; over SSH the one to log in as where the address names none
	Password   string // or a token; over http and https only
	Key        []byte // SSH private key in OpenSSH's or PEM's form, without a passphrase
	KnownHosts string // the SSH host keys that are believed, as in known_hosts(5); empty: those that the machine knows
}

// helper answers git's question for credentials from the environment, so that they stand neither in the list of
// processes nor in any file. It is bound to the remote's own host: a redirect elsewhere gets nothing.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$TOWPATH_GIT_USER" "$TOWPATH_GIT_PASSWORD"; }; f`

// sshOptions never ask, believe only host keys that are known, and read nothing of what a machine's ssh_config would have
// ssh run.
const sshOptions = " -F none -o BatchMode=yes -o ConnectTimeout=20 -o StrictHostKeyChecking=yes -o UpdateHostKeys=no" +
	" -o ForwardAgent=no -o ClearAllForwardings=yes -o PermitLocalCommand=no -o ServerAliveInterval=20"

// session is what git gets to know for one call to a remote.
type session struct {
	env     []string
	secrets []string // that must not be told
	dir     string   // of files that go when the call ends; empty where there are none
}

// show prepares what the remote is shown. Whoever calls it ends the session.
func (g *Git) show(r remote, a Access) (*session, error) {
	s := &session{env: []string{"GIT_ALLOW_PROTOCOL=" + string(r.transport)}}
	if r.transport == overHTTP { // may send on to https, and never the other way
		s.env[0] += ":" + string(overHTTPS)
	}
	var err error
	switch r.transport {
	case overHTTPS, overHTTP:
		err = s.showPassword(r, a)
	case overSSH:
		err = g.showKey(s, r, a)
	case overGit, byPath:
	}
	if err != nil {
		s.end()
		return nil, fmt.Errorf("reach %s: %w", r.shown, err)
	}
	return s, nil
}

// login is whom the remote knows us as: what the call brings wins over what the address names.
func (r remote) login(a Access) (user, password string) {
	if a.User != "" || a.Password != "" {
		return a.User, a.Password
	}
	return r.user, r.password
}

func (s *session) showPassword(r remote, a Access) error {
	user, password := r.login(a)
	if user == "" && password == "" {
		return nil
	}
	if strings.ContainsFunc(user+password, isControl) {
		return fmt.Errorf("the user or password holds control characters: %w", ErrUnsafe)
	}
	s.keepSecret(password)
	s.env = append(s.env,
		"TOWPATH_GIT_USER="+user,
		"TOWPATH_GIT_PASSWORD="+password,
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=credential."+r.host+".helper",
		"GIT_CONFIG_VALUE_0="+helper,
	)
	return nil
}

func (g *Git) showKey(s *session, r remote, a Access) error {
	ssh := g.ssh + sshOptions
	if a.User != "" && r.user == "" {
		if !userName.MatchString(a.User) {
			return fmt.Errorf("the user cannot be one of SSH: %w", ErrUnsafe)
		}
		ssh += " -o " + quoted("User="+a.User)
	}
	if len(a.Key) > 0 {
		key, err := wellFormed(a.Key)
		if err != nil {
			return err
		}
		path, err := g.hide(s, "key", key)
		if err != nil {
			return err
		}
		ssh += " -o IdentitiesOnly=yes -o IdentityAgent=none -o " + quoted("IdentityFile="+pathOption(path))
	}
	if a.KnownHosts != "" {
		path, err := g.hide(s, "known_hosts", []byte(strings.TrimRight(a.KnownHosts, "\n")+"\n"))
		if err != nil {
			return err
		}
		ssh += " -o GlobalKnownHostsFile=" + os.DevNull + " -o " + quoted("UserKnownHostsFile="+pathOption(path))
	}
	s.env = append(s.env, "GIT_SSH_COMMAND="+ssh, "GIT_SSH_VARIANT=ssh")
	return nil
}

// wellFormed gives a key the line ends that ssh insists on.
func wellFormed(key []byte) ([]byte, error) {
	key = append(bytes.TrimSpace(bytes.ReplaceAll(key, []byte("\r\n"), []byte("\n"))), '\n')
	block, _ := pem.Decode(key)
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("the SSH key is no private key in OpenSSH's form: %w", ErrUnsafe)
	}
	return key, nil
}

// hide writes a file that nobody but our own user can read, in a folder that goes with the session.
func (g *Git) hide(s *session, name string, content []byte) (string, error) {
	if s.dir == "" {
		if err := g.makeScratch(); err != nil {
			return "", err
		}
		dir, err := os.MkdirTemp(g.scratch, scratchPrefix)
		if err != nil {
			return "", fmt.Errorf("make a folder for credentials: %w", err)
		}
		s.dir = dir
	}
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write credentials down for git: %w", err)
	}
	return path, nil
}

const scratchPrefix = "towpath-git-"

func (g *Git) makeScratch() error {
	if g.scratch == "" {
		return nil
	}
	if err := os.MkdirAll(g.scratch, 0o700); err != nil {
		return fmt.Errorf("make the folder of credentials: %w", err)
	}
	return nil
}

// ClearScratch removes what calls of a process that was killed have left in Options.Scratch. It is for whoever owns the
// folder, before anything is asked.
func (g *Git) ClearScratch() error {
	if g.scratch == "" {
		return nil
	}
	left, err := filepath.Glob(filepath.Join(g.scratch, scratchPrefix+"*"))
	for _, dir := range left {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		return fmt.Errorf("remove credentials that a killed process left: %w", err)
	}
	return nil
}

func (s *session) keepSecret(value string) {
	if value != "" {
		s.secrets = append(s.secrets, value)
	}
}

// end takes away what the call needed.
func (s *session) end() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// quoted is a text as one word of the shell by which git runs ssh.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// pathOption is a path as ssh_config(5) wants it: in quotes, with no percent sign that begins a token.
func pathOption(path string) string {
	return `"` + strings.ReplaceAll(filepath.ToSlash(path), "%", "%%") + `"`
}
