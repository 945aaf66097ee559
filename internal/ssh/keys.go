package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keys are those that a user may show, and why others cannot be.
type keys struct {
	signers []ssh.Signer
	flaws   []string
	agent   net.Conn // nil where there is none
}

// keysOf gathers keys and certificates: those that are named, then the agent's. The caller closes the agent.
func keysOf(s settings) keys {
	var k keys
	own := k.readFiles(s.identities)
	k.askAgent(s)
	var held []ssh.Signer
	if k.agent != nil {
		held, _ = agent.NewClient(k.agent).Signers() // one that has none is as good as no agent
	}
	if s.onlyThese {
		held = slices.DeleteFunc(held, func(h ssh.Signer) bool { return !isNamed(h.PublicKey(), s.identities) })
	}
	k.signers = append(k.certified(append(slices.Clone(own), held...), s), append(own, held...)...)
	return k
}

func (k *keys) close() {
	if k.agent != nil {
		_ = k.agent.Close() // nothing was written that could be lost
	}
}

// readFiles answers the private keys of the files that are there.
func (k *keys) readFiles(paths []string) []ssh.Signer {
	var found []ssh.Signer
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var signer ssh.Signer
		if err == nil {
			signer, err = ssh.ParsePrivateKey(content)
		}
		var locked *ssh.PassphraseMissingError
		switch {
		case errors.As(err, &locked):
			k.flaws = append(k.flaws, fmt.Sprintf("%s is locked by a passphrase, which nobody can type here: ssh-add it to an agent, or use a key without one", path))
		case err != nil:
			k.flaws = append(k.flaws, fmt.Sprintf("%s cannot be read: %s", path, err))
		default:
			found = append(found, signer)
		}
	}
	return found
}

func (k *keys) askAgent(s settings) {
	if s.agent == "" {
		return
	}
	conn, err := net.Dial("unix", s.agent)
	if err != nil {
		k.flaws = append(k.flaws, fmt.Sprintf("the agent at %s does not answer: %s", s.agent, err))
		return
	}
	k.agent = conn
}

// certified answers keys together with the certificates that are there for them, which are shown first.
func (k *keys) certified(signers []ssh.Signer, s settings) []ssh.Signer {
	paths := slices.Clone(s.certificates)
	for _, path := range s.identities {
		paths = append(paths, path+"-cert.pub")
	}
	var found []ssh.Signer
	for _, path := range paths {
		certificate, err := readPublic(path)
		if err != nil {
			continue // most keys have none
		}
		c, is := certificate.(*ssh.Certificate)
		if !is {
			k.flaws = append(k.flaws, path+" is no certificate")
			continue
		}
		for _, signer := range signers {
			if signed, err := ssh.NewCertSigner(c, signer); err == nil {
				found = append(found, signed)
			}
		}
	}
	return found
}

// isNamed says that a key of the agent is the public half of a file that is named.
func isNamed(key ssh.PublicKey, identities []string) bool {
	return slices.ContainsFunc(identities, func(path string) bool {
		named, err := readPublic(strings.TrimSuffix(path, ".pub") + ".pub")
		return err == nil && bytes.Equal(named.Marshal(), key.Marshal())
	})
}

func readPublic(path string) (ssh.PublicKey, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(content)
	return key, err
}

// refusal tells what was shown to a host that let nobody in.
func (k *keys) refusal(s settings, err error) error {
	shown := make([]string, 0, len(k.signers))
	for _, signer := range k.signers {
		shown = append(shown, fmt.Sprintf("%s %s", signer.PublicKey().Type(), ssh.FingerprintSHA256(signer.PublicKey())))
	}
	said := fmt.Sprintf("%s is not let in: no key was at hand", s.user)
	if len(shown) > 0 {
		said = fmt.Sprintf("%s is not let in with %s", s.user, strings.Join(shown, ", "))
	}
	if len(k.flaws) > 0 {
		said += "; " + strings.Join(k.flaws, "; ")
	}
	return fmt.Errorf("%s (%w)", said, err)
}
