package ssh

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// known is what the files of known hosts say of one host.
type known struct {
	settings settings
	check    ssh.HostKeyCallback
	lines    []knownhosts.KnownKey // of its name, without those of authorities
	hasCA    bool                  // an authority's line has its name
}

// knownOf reads the files again each time: somebody may just have added what was missing.
func knownOf(s settings) (known, error) {
	k := known{settings: s}
	var there []string
	for _, path := range s.knownHosts {
		if _, err := os.Stat(path); err == nil {
			there = append(there, path)
		}
	}
	check, err := knownhosts.New(there...)
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrSettings, err)
	}
	k.check = check
	// A key that nobody has makes the files tell which ones they have.
	if differs, is := errors.AsType[*knownhosts.KeyError](check(s.keyName, nowhere{}, nobodysKey{})); is {
		for _, line := range differs.Want {
			if isAuthority(line) {
				k.hasCA = true
				continue
			}
			k.lines = append(k.lines, line)
		}
	}
	return k, nil
}

// isAuthority says that a line names an authority, whose key signs those of hosts.
func isAuthority(k knownhosts.KnownKey) bool {
	file, err := os.Open(k.Filename)
	if err != nil {
		return false
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for range k.Line {
		if !lines.Scan() {
			return false
		}
	}
	return strings.HasPrefix(strings.TrimSpace(lines.Text()), "@cert-authority")
}

// algorithms are those of the keys that are known: a host that has several shows the one that can be checked. None means
// that the host may show any: it is refused, and its owner told what it showed.
func (k known) algorithms() []string {
	var found []string
	if k.hasCA {
		for _, plain := range keyTypes() {
			found = append(found, certificatesOf(plain)...)
		}
	}
	for _, line := range k.lines {
		found = append(found, signaturesOf(line.Key.Type())...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func keyTypes() []string {
	return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}
}

// signaturesOf answers how a key of a type may sign. SHA-1 is not among them.
func signaturesOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
	}
	return []string{keyType}
}

func certificatesOf(keyType string) []string {
	if keyType == ssh.KeyAlgoRSA {
		return []string{ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01}
	}
	return []string{keyType + "-cert-v01@openssh.com"}
}

// accept sees that a key is the host's. The error says what is in which line of which file, and what a person can do.
func (k known) accept(_ string, remote net.Addr, key ssh.PublicKey) error {
	err := k.check(k.settings.keyName, remote, key)
	if err == nil {
		return nil
	}
	var differs *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &revoked):
		err = fmt.Errorf("its key %s is revoked by %s:%d", ssh.FingerprintSHA256(key), revoked.Revoked.Filename, revoked.Revoked.Line)
	case errors.As(err, &differs) && len(k.lines) > 0:
		err = k.another(key)
	case errors.As(err, &differs):
		err = k.unknown(key)
	default:
		err = fmt.Errorf("its certificate is not accepted: %w", err)
	}
	return &Error{Host: k.settings.name, Kind: ErrHostKey, Err: err}
}

// another tells of a key that has changed.
func (k known) another(key ssh.PublicKey) error {
	var said []string
	for _, line := range k.lines {
		said = append(said, fmt.Sprintf("%s:%d has %s %s", line.Filename, line.Line, line.Key.Type(), ssh.FingerprintSHA256(line.Key)))
	}
	return fmt.Errorf("host key has changed: %s shows %s %s, and %s. Somebody may be in between. "+
		"If the host was set up anew, compare the fingerprint on the host, then: ssh-keygen -R %s -f %s",
		k.settings.address, key.Type(), ssh.FingerprintSHA256(key), strings.Join(said, "; "),
		shellWord(knownhosts.Normalize(k.settings.keyName)), shellWord(k.lines[0].Filename))
}

// unknown tells of a host that no file knows.
func (k known) unknown(key ssh.PublicKey) error {
	host, port, _ := net.SplitHostPort(k.settings.address)
	file := "~/.ssh/known_hosts"
	if len(k.settings.knownHosts) > 0 {
		file = k.settings.knownHosts[0]
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(key.Type(), "ssh-"), "-")
	return fmt.Errorf("host key is unknown: %s shows %s %s. Compare the fingerprint on the host, then: ssh-keyscan -p %s -t %s %s >> %s",
		k.settings.address, key.Type(), ssh.FingerprintSHA256(key), port, name, host, shellWord(file))
}

// nobodysKey equals none that is written down.
type nobodysKey struct{}

func (nobodysKey) Type() string                        { return "none" }
func (nobodysKey) Marshal() []byte                     { return []byte("none") }
func (nobodysKey) Verify([]byte, *ssh.Signature) error { return errors.New("nobody has this key") }

// nowhere is an address that no line names.
type nowhere struct{}

func (nowhere) Network() string { return "tcp" }
func (nowhere) String() string  { return "0.0.0.0:0" }
