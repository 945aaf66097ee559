package git

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// transport is how a remote is reached.
type transport string

const (
	overHTTPS transport = "https"
	overHTTP  transport = "http"
	overSSH   transport = "ssh"
	overGit   transport = "git"  // git-daemon: neither secret nor proved
	byPath    transport = "file" // a folder of this machine
)

// remote is an address that was judged safe, its password taken out.
type remote struct {
	transport transport
	url       string // what git is told
	shown     string // what people are shown: the same, without credentials
	host      string // for whom credentials are meant, such as "https://git.example.com:8443"; empty of a folder
	user      string // that the address names
	password  string // likewise
}

// parse judges an address: which transport it asks for is decided here, and git is told to use no other. What git would
// take for an option, or for a program to run (gitremote-helpers(7)), is no address at all.
func (g *Git) parse(address string) (remote, error) {
	if err := checkText(address); err != nil {
		return remote{}, err
	}
	r, err := readAddress(address)
	if err != nil {
		return remote{}, err
	}
	return r, g.allows(r)
}

// Check says what is wrong with a repository's address: nil, or an ErrUnsafe or ErrProtocol.
func (g *Git) Check(address string) error {
	_, err := g.parse(address)
	return err
}

// HostOf answers where a repository's address leads, such as "https://git.example.com:8443"; empty of a folder of this
// machine, and of what is no address.
func (g *Git) HostOf(address string) string {
	r, err := g.parse(address)
	if err != nil {
		return ""
	}
	return r.host
}

// allows holds a remote against the options.
func (g *Git) allows(r remote) error {
	if !g.protocols[r.transport] {
		return fmt.Errorf("%s is reached by %s: %w", r.shown, r.transport, ErrProtocol)
	}
	if r.transport == overHTTP && !g.plainHTTP && !isLoopback(r.host) {
		return fmt.Errorf("%s would send everything in the open; use https: %w", r.shown, ErrProtocol)
	}
	return nil
}

var (
	helperPrefix = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.-]*::`)
	hostName     = regexp.MustCompile(`^[\pL\pN]([\pL\pN._-]*[\pL\pN._])?$`)
	userName     = regexp.MustCompile(`^[\pL\pN_.][\pL\pN_.+~@-]*$`)
	windowsDrive = regexp.MustCompile(`^[A-Za-z]:[\\/]`)
)

func checkText(address string) error {
	wrong := ""
	switch {
	case address == "":
		wrong = "is empty"
	case len(address) > maxAddressBytes:
		wrong = "is too long"
	case strings.HasPrefix(address, "-"):
		wrong = "begins with a dash"
	case strings.ContainsFunc(address, isControl):
		wrong = "holds control characters"
	case helperPrefix.MatchString(address):
		wrong = "names a transport helper"
	case strings.Contains(address, `\`) && !windowsDrive.MatchString(address):
		wrong = "holds a backslash"
	}
	return unsafeAddress(address, wrong)
}

func unsafeAddress(address, wrong string) error {
	if wrong == "" {
		return nil
	}
	return fmt.Errorf("repository address %q %s: %w", clip(MaskURLs(address)), wrong, ErrUnsafe)
}

const maxAddressBytes = 4 << 10

func clip(text string) string { return text[:min(len(text), 200)] }

// readAddress tells the forms of git-clone(1), "GIT URLS", apart in git's own order: a scheme, then host:path, then a path.
func readAddress(address string) (remote, error) {
	if strings.Contains(address, "://") {
		return readURL(address)
	}
	colon, slash := strings.IndexByte(address, ':'), strings.IndexByte(address, '/')
	isDrive := runtime.GOOS == "windows" && windowsDrive.MatchString(address)
	if colon >= 0 && (slash < 0 || colon < slash) && !isDrive {
		return readSCP(address)
	}
	if !filepath.IsAbs(address) {
		return remote{}, unsafeAddress(address, "is neither a URL nor the whole path of a folder")
	}
	return remote{transport: byPath, url: address, shown: address}, nil
}

// readSCP reads "git@host:path". The user's and the host's name become arguments of ssh.
func readSCP(address string) (remote, error) {
	who, path, _ := strings.Cut(address, ":")
	if strings.HasPrefix(address, "[") || strings.Contains(who, "@[") {
		return remote{}, unsafeAddress(address, "has brackets: write it as ssh://user@[address]/path")
	}
	user, host := "", who
	at := strings.LastIndexByte(who, '@')
	if at >= 0 {
		user, host = who[:at], who[at+1:]
	}
	if !hostName.MatchString(host) || at >= 0 && !userName.MatchString(user) || path == "" || strings.HasPrefix(path, "-") {
		return remote{}, unsafeAddress(address, "is no address of the form user@host:path")
	}
	return remote{transport: overSSH, url: address, shown: address, host: "ssh://" + host, user: user}, nil
}

func readURL(address string) (remote, error) {
	u, err := url.Parse(address)
	if err != nil {
		return remote{}, unsafeAddress(address, "cannot be read")
	}
	scheme := transport(u.Scheme)
	if !strings.HasPrefix(address, u.Scheme+"://") { // in capitals git looks for another helper
		return remote{}, unsafeAddress(address, "has a scheme that is not in small letters")
	}
	switch scheme {
	case byPath:
		return readFileURL(address, u)
	case overHTTPS, overHTTP, overSSH, overGit:
	default:
		return remote{}, fmt.Errorf("%q is reached by %s: %w", clip(MaskURLs(address)), u.Scheme, ErrProtocol)
	}
	if wrong := wrongURL(u); wrong != "" {
		return remote{}, unsafeAddress(address, wrong)
	}
	r := remote{transport: scheme, host: u.Scheme + "://" + u.Host, user: u.User.Username()}
	r.password, _ = u.User.Password()
	u.User = nil
	if r.user != "" && scheme == overSSH {
		u.User = url.User(r.user) // ssh takes a user, never a password
	}
	r.url = u.String() // as it was understood here, so that git understands the same
	r.shown = r.url
	return r, nil
}

func wrongURL(u *url.URL) string {
	user := u.User.Username()
	password, _ := u.User.Password()
	decoded, err := url.PathUnescape(u.EscapedPath())
	switch {
	case !isHost(u.Hostname()):
		return "has no host that could be one"
	case strings.ContainsFunc(user+password, isControl):
		return "has credentials that hold control characters"
	case u.Scheme == string(overSSH) && user != "" && !userName.MatchString(user):
		return "has a user that could be taken for an option"
	case u.Fragment != "" || u.RawQuery != "" && u.Scheme != string(overHTTPS) && u.Scheme != string(overHTTP):
		return "has more behind its path"
	case err != nil || strings.ContainsFunc(decoded, isControl):
		return "has a path that holds control characters"
	case strings.Trim(decoded, "/") == "":
		return "has no path"
	case strings.HasPrefix(decoded, "/-") || strings.HasPrefix(decoded, "/~-"):
		return "has a path that begins with a dash"
	}
	return ""
}

// isHost takes names, which may be of other scripts, and IP addresses.
func isHost(host string) bool {
	return hostName.MatchString(host) || net.ParseIP(host) != nil
}

// readFileURL takes the whole path of a folder.
func readFileURL(address string, u *url.URL) (remote, error) {
	if u.Host != "" || u.User != nil {
		return remote{}, unsafeAddress(address, "names a host, and yet a file")
	}
	path := strings.TrimPrefix(address, "file://")
	if !strings.HasPrefix(path, "/") || strings.ContainsFunc(u.Path, isControl) {
		return remote{}, unsafeAddress(address, "is not the whole path of a folder")
	}
	return remote{transport: byPath, url: address, shown: address}, nil
}

// isLoopback takes "http://127.0.0.1:8080" and the like; a name other than localhost may lead anywhere.
func isLoopback(host string) bool {
	u, err := url.Parse(host)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// checkRef refuses what cannot be a reference or refspec: see git-check-ref-format(1).
func checkRef(ref string) error {
	if strings.HasPrefix(ref, "-") || strings.ContainsFunc(ref, isControl) || strings.ContainsAny(ref, " ~^?[\\") {
		return fmt.Errorf("reference %q: %w", clip(ref), ErrUnsafe)
	}
	return nil
}

// CheckRef says whether ref is the full name of a reference as git-check-ref-format(1) allows it: nil, or an ErrUnsafe.
func CheckRef(ref string) error {
	parts := strings.Split(ref, "/")
	wrong := checkRef(ref) != nil || len(parts) < 3 || parts[0] != "refs" || len(ref) > maxAddressBytes ||
		strings.ContainsAny(ref, ":*") || strings.Contains(ref, "..") || strings.Contains(ref, "@{") || strings.HasSuffix(ref, ".")
	for _, part := range parts {
		wrong = wrong || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if wrong {
		return fmt.Errorf("reference %q: %w", clip(ref), ErrUnsafe)
	}
	return nil
}

var fullHash = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)

// IsHash says whether text is a full object name: 40 or 64 lower-case hexadecimal digits.
func IsHash(text string) bool { return fullHash.MatchString(text) }

func checkHash(rev string) error {
	if !IsHash(rev) {
		return fmt.Errorf("revision %q is not a full hash: %w", clip(rev), ErrUnsafe)
	}
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
