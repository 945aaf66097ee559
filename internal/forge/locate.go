package forge

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// errNoForge says that an address leads to no forge, such as a folder of this machine.
var errNoForge = errors.New("a repository at this address is at no forge")

// sshHosts are the hosts at which public forges take SSH on the port of HTTPS, with the host that people know.
var sshHosts = map[string]string{
	"ssh.github.com":       "github.com",
	"altssh.gitlab.com":    "gitlab.com",
	"altssh.bitbucket.org": "bitbucket.org",
}

// Locate answers by a repository's address, as given to git, its forge's server ("https://gitea.example.com") and its path
// there ("ana/shop"). It knows https://, http:// and ssh:// addresses, and those of the form that scp has. A port of SSH
// says nothing of where the pages are, so that it is left out; so are an account and a password.
func Locate(address string) (server, path string, err error) {
	if len(address) > maxURL || strings.HasPrefix(address, "-") || strings.ContainsFunc(address, isUnseen) {
		return "", "", errNoForge
	}
	scheme, host, path, err := parts(address)
	if err != nil {
		return "", "", err
	}
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if err := checkPath(path); err != nil {
		return "", "", err
	}
	host = strings.ToLower(host)
	if known, found := sshHosts[host]; found {
		host = known
	}
	return scheme + "://" + host, path, nil
}

// isUnseen is also true of what stands for bytes that are no UTF-8.
func isUnseen(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError }

// parts takes an address apart. The scheme is that of the pages.
func parts(address string) (scheme, host, path string, err error) {
	if !strings.Contains(address, "://") {
		return scpParts(address)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil: // its text may hold a password
		return "", "", "", errors.New("the address of the repository is no URL")
	case u.Hostname() == "", u.RawQuery != "", u.Fragment != "":
		return "", "", "", errNoForge
	}
	switch scheme := strings.ToLower(u.Scheme); scheme {
	case "https", "http":
		return scheme, u.Host, u.Path, checkHost(u.Hostname())
	case "ssh", "git+ssh", "ssh+git":
		host := u.Hostname()
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return "https", host, u.Path, checkHost(u.Hostname())
	}
	return "", "", "", fmt.Errorf("%w: it is reached by %s", errNoForge, u.Scheme)
}

// scpParts reads git@host:path. One letter before the colon is a disk of Windows, a slash before it means a folder.
func scpParts(address string) (scheme, host, path string, err error) {
	before, path, found := strings.Cut(address, ":")
	_, host, hasUser := strings.Cut(before, "@")
	if !hasUser {
		host = before
	}
	if !found || strings.Contains(before, "/") || len(host) < 2 {
		return "", "", "", errNoForge
	}
	return "https", host, path, checkHost(host)
}

// checkHost holds a host to what a name or an IP address may consist of.
func checkHost(host string) error {
	allowed := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:", r)
	}
	if host == "" || strings.HasPrefix(host, "-") || strings.ContainsFunc(host, func(r rune) bool { return !allowed(r) }) {
		return errNoForge
	}
	return nil
}

// checkPath holds a path to what may stand in the address of an API.
func checkPath(path string) error {
	if strings.ContainsFunc(path, isUnseen) {
		return errNoForge
	}
	for part := range strings.SplitSeq(path, "/") {
		isNone := part == "" || part == "." || part == ".." || part == ".git"
		if isNone || strings.HasPrefix(part, "-") || strings.ContainsAny(part, "\\%?#") {
			return fmt.Errorf("%w: the path of the repository is %q", errNoForge, cut(path, 80))
		}
	}
	return nil
}

// SplitPath takes a path of two parts apart, such as ana/shop.
func SplitPath(path string) (owner, name string, err error) {
	owner, name, found := strings.Cut(path, "/")
	if !found || owner == "" || name == "" || strings.Contains(name, "/") {
		return "", "", fmt.Errorf("%w: its path %q is not of the form OWNER/NAME", ErrNotFound, cut(path, 80))
	}
	return owner, name, checkPath(path)
}
