package access

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/store"
)

// CredentialName is what a project's credential is for.
type CredentialName string

// The credentials of a project. They are the server's own: no step and no environment gets one by these names.
const (
	HookSecret       CredentialName = "hook"        // signs the deliveries of its webhook
	HookSecretBefore CredentialName = "hook-before" // the one before it, which is valid as well
	ForgeToken       CredentialName = "token"       // for its forge's API, and for git over HTTPS
	DeployKey        CredentialName = "deploy-key"  // private SSH key, in OpenSSH's form
)

// hookSecretPrefix begins every secret of a webhook that is made here.
const hookSecretPrefix = "twh_"

// NewHookSecret makes a secret for a webhook.
func NewHookSecret() string { return newCredential(hookSecretPrefix) }

// PutCredential writes a credential of a project, by its ID, new or again.
func (s *Secrets) PutCredential(tx *store.Tx, project string, name CredentialName, value string, now time.Time) error {
	sealed, err := s.sealer.Seal(credentialRow(project, string(name)), []byte(value))
	if err != nil {
		return fmt.Errorf("seal the %s of a project: %w", name, err)
	}
	return tx.PutCredential(store.Credential{Project: project, Name: string(name), Sealed: sealed, SetAt: now})
}

// RemoveCredential forgets a credential. One that is not there is no error.
func (s *Secrets) RemoveCredential(tx *store.Tx, project string, name CredentialName) error {
	if err := tx.DeleteCredential(project, string(name)); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}

// Credentials answers a project's credentials by their names.
func (s *Secrets) Credentials(tx *store.Tx, project string) (map[CredentialName]string, error) {
	known, err := tx.Credentials(project)
	if err != nil {
		return nil, err
	}
	values := make(map[CredentialName]string, len(known))
	for _, c := range known {
		value, err := s.sealer.Open(credentialRow(project, c.Name), c.Sealed)
		if err != nil {
			return nil, fmt.Errorf("open the %s of a project: %w", c.Name, err)
		}
		values[CredentialName(c.Name)] = string(value)
	}
	return values, nil
}

// RotateHookSecret gives a project's webhook another secret: the one that was made elsewhere, or a new one where that is
// empty. The one that was valid stays so beside it, until it is dropped or until the next rotation. To give what is valid
// already changes nothing.
func (s *Secrets) RotateHookSecret(tx *store.Tx, project, made string, now time.Time) (secret string, err error) {
	known, err := s.Credentials(tx, project)
	if err != nil || made != "" && made == known[HookSecret] {
		return made, err
	}
	if before, is := known[HookSecret]; is {
		if err := s.PutCredential(tx, project, HookSecretBefore, before, now); err != nil {
			return "", err
		}
	}
	secret = made
	if secret == "" {
		secret = NewHookSecret()
	}
	return secret, s.PutCredential(tx, project, HookSecret, secret, now)
}

// The lengths of a webhook's secret that was made elsewhere, in bytes: what is shorter can be guessed from one delivery,
// and no forge takes a longer one.
const minHookSecret, maxHookSecret = 16, 255

// CheckHookSecret refuses what no forge would sign with.
func CheckHookSecret(secret string) error {
	if len(secret) < minHookSecret || len(secret) > maxHookSecret {
		return towpath.Errorf(towpath.CodeInvalid, "a webhook's secret has %d to %d characters, this one has %d", minHookSecret, maxHookSecret, len(secret)).
			WithHint("let the forge make one, or let Towpath: towpath project webhook PROJECT --rotate")
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return towpath.Errorf(towpath.CodeInvalid, "a webhook's secret is of letters, digits and signs, without spaces and line breaks")
	}
	return nil
}

// HookSecrets answers the secrets that a project's deliveries may be signed with: none, one or two.
func (s *Secrets) HookSecrets(tx *store.Tx, project string) (secrets []string, err error) {
	known, err := s.Credentials(tx, project)
	for _, name := range []CredentialName{HookSecret, HookSecretBefore} {
		if value, is := known[name]; is {
			secrets = append(secrets, value)
		}
	}
	return secrets, err
}

// credentialRow is what a value is sealed for: moved to another row, it does not open.
func credentialRow(project, name string) string { return "credential/" + project + "/" + name }
