//go:build linux

package fleet

import (
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKey is where a host's sshd has its key.
const hostKey = "/etc/ssh/ssh_host_ed25519_key"

// nameHosts makes the hosts' names known to the story, in its own /etc/hosts.
func (f *Fleet) nameHosts() error {
	file := f.file("hosts")
	if err := os.WriteFile(file, []byte(f.names()), 0o644); err != nil {
		return err
	}
	return run(f.t.Context(), "mount", "--bind", file, "/etc/hosts")
}

// names is an /etc/hosts that everybody here has.
func (f *Fleet) names() string {
	var text strings.Builder
	fmt.Fprintf(&text, "127.0.0.1 localhost\n%s keeper\n", story)
	for _, h := range f.Hosts {
		fmt.Fprintf(&text, "%s %s\n", h.Address, h.Name)
	}
	return text.String()
}

// makeKeys makes the key that all hosts take, and the settings of ssh(1) that use it.
func (f *Fleet) makeKeys() error {
	f.Key, f.KnownHosts, f.SSHConfig = f.file("key"), f.file("known_hosts"), f.file("ssh_config")
	private, public, err := newKey()
	if err != nil {
		return err
	}
	settings := fmt.Sprintf("IdentityFile %s\nIdentitiesOnly yes\nUserKnownHostsFile %s\nGlobalKnownHostsFile none\n"+
		"StrictHostKeyChecking yes\nBatchMode yes\nUser deploy\n", f.Key, f.KnownHosts)
	for path, content := range map[string]string{f.Key: private, f.Key + ".pub": public, f.SSHConfig: settings, f.KnownHosts: ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// giveKeys gives a host a key of its own, and the one that it takes.
func (h *Host) giveKeys() error {
	public, err := h.newHostKey()
	if err != nil {
		return err
	}
	known, err := os.OpenFile(h.fleet.KnownHosts, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(known, "%s,%s %s", h.Name, h.Address, public); err != nil {
		return err
	}
	if err := known.Close(); err != nil {
		return err
	}
	taken, err := os.ReadFile(h.fleet.Key + ".pub")
	if err != nil {
		return err
	}
	for _, home := range []string{"/root", "/home/deploy"} {
		if err := h.write(home+"/.ssh/authorized_keys", string(taken), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// newHostKey changes the host's key on its disk, and answers the public one.
func (h *Host) newHostKey() (public string, err error) {
	private, public, err := newKey()
	if err != nil {
		return "", err
	}
	return public, h.write(hostKey, private, 0o600)
}

// ChangeHostKey gives the host a key that nobody knows, as an impostor at its address would have.
func (h *Host) ChangeHostKey() {
	h.fleet.t.Helper()
	_, err := h.newHostKey()
	h.must("change the host's key", err)
	h.Run("systemctl restart ssh.service")
}

// newKey makes a key: the private one as in a file of OpenSSH, the public one as in authorized_keys.
func newKey() (private, public string, err error) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(key, "fleet")
	if err != nil {
		return "", "", err
	}
	known, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(known)), nil
}
