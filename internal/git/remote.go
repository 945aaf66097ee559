package git

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Refs are the tips a remote shows.
type Refs struct {
	// Default is the branch that HEAD names, such as "refs/heads/main"; empty when HEAD is detached or was not
	// asked for.
	Default string
	// Tips maps a reference's full name to the hash it stands at. An annotated tag has a second entry, its name
	// followed by "^{}", with the hash of the commit it names.
	Tips map[string]string
}

// LsRemote asks the remote for its tips: all of them, or those that match one of the patterns, in which HEAD asks
// for the default branch. A pattern that matches nothing is no error.
func (g *Git) LsRemote(ctx context.Context, address string, patterns ...string) (Refs, error) {
	r, err := parseRemote(address)
	if err != nil {
		return Refs{}, err
	}
	for _, p := range patterns {
		if err := checkRef(strings.TrimSuffix(p, "*")); err != nil {
			return Refs{}, err
		}
	}
	if g.isHere(r) && !slices.ContainsFunc(patterns, hasInnerStar) {
		return g.advertised(ctx, r, patterns)
	}
	out, err := g.output(ctx, command{
		doing: "list the tips of " + r.shown,
		args:  append([]string{"ls-remote", "--symref", "--end-of-options", r.url}, patterns...),
		env:   r.env,
	})
	if err != nil {
		return Refs{}, err
	}
	return parseRefs(out), nil
}

func hasInnerStar(pattern string) bool {
	return strings.Contains(strings.TrimSuffix(pattern, "*"), "*")
}

func parseRefs(out []byte) Refs {
	refs := Refs{Tips: make(map[string]string)}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		left, name, found := strings.Cut(lines.Text(), "\t")
		if target, symbolic := strings.CutPrefix(left, "ref: "); symbolic && name == "HEAD" {
			refs.Default = target
		} else if found && !symbolic {
			refs.Tips[name] = left
		}
	}
	return refs
}

// remote is an address that was judged safe, its password taken out.
type remote struct {
	url   string   // what git is told
	shown string   // what people are shown: the same, without credentials
	env   []string // the credentials, where only git and our own user see them
}

// helper answers git's question for credentials from the environment, so that they stand neither in the list of
// processes nor in any file. It is bound to the remote's own host: a redirect elsewhere gets nothing.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$TOWPATH_GIT_USER" "$TOWPATH_GIT_PASSWORD"; }; f`

func parseRemote(address string) (remote, error) {
	if err := CheckURL(address); err != nil {
		return remote{}, err
	}
	u, err := url.Parse(address)
	if err != nil && strings.Contains(address, "://") {
		return remote{}, fmt.Errorf("repository address %q cannot be read: %w", MaskURLs(address), ErrUnsafe)
	}
	if err != nil || u.User == nil { // a path, or git@host:path
		return remote{url: address, shown: address}, nil
	}
	user := u.User.Username()
	password, _ := u.User.Password()
	if strings.ContainsFunc(user+password, isControl) {
		return remote{}, fmt.Errorf("credentials for %s hold control characters: %w", u.Host, ErrUnsafe)
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		u.User = url.User(user) // ssh takes a user, never a password
		return remote{url: u.String(), shown: u.String()}, nil
	}
	u.User = nil
	return remote{url: u.String(), shown: u.String(), env: credentials(u, user, password)}, nil
}

func credentials(u *url.URL, user, password string) []string {
	return []string{
		"TOWPATH_GIT_USER=" + user,
		"TOWPATH_GIT_PASSWORD=" + password,
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=credential." + u.Scheme + "://" + u.Host + ".helper",
		"GIT_CONFIG_VALUE_0=" + helper,
	}
}

var transportHelper = regexp.MustCompile(`^[A-Za-z0-9]+::`)

// CheckURL refuses addresses that git would take for an option or for a command to run (gitremote-helpers(7)).
// Which protocols are allowed is left to git, by Options.Protocols.
func CheckURL(address string) error {
	switch {
	case address == "":
		return fmt.Errorf("an empty repository address: %w", ErrUnsafe)
	case strings.HasPrefix(address, "-"):
		return fmt.Errorf("repository address %q begins with a dash: %w", MaskURLs(address), ErrUnsafe)
	case transportHelper.MatchString(address):
		return fmt.Errorf("repository address %q names a transport helper: %w", MaskURLs(address), ErrUnsafe)
	case strings.ContainsFunc(address, isControl):
		return fmt.Errorf("repository address %q holds control characters: %w", MaskURLs(address), ErrUnsafe)
	}
	return nil
}

// checkRef refuses what cannot be a reference or refspec: see git-check-ref-format(1).
func checkRef(ref string) error {
	if strings.HasPrefix(ref, "-") || strings.ContainsFunc(ref, isControl) || strings.ContainsAny(ref, " ~^?[\\") {
		return fmt.Errorf("reference %q: %w", ref, ErrUnsafe)
	}
	return nil
}

var fullHash = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// IsHash says whether text is a full object name: 40 or 64 lower-case hexadecimal digits.
func IsHash(text string) bool { return fullHash.MatchString(text) }

func checkHash(rev string) error {
	if !IsHash(rev) {
		return fmt.Errorf("revision %q is not a full hash: %w", rev, ErrUnsafe)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
