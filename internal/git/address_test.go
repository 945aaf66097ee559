package git

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// everything may be reached by everything that is known, so that only unsafe addresses are refused.
func everything(t testing.TB) *Git {
	t.Helper()
	g, err := New(Options{Protocols: "file:git:http:https:ssh", PlainHTTP: true})
	if err != nil {
		t.Fatalf("%v (install git 2.39 or newer)", err)
	}
	return g
}

// good are addresses of people, with what each is reached by.
var good = map[string]transport{
	"https://git.example.com/ana/shop.git":        overHTTPS,
	"https://ana:t0ken@git.example.com:8443/shop": overHTTPS,
	"https://git.example.com/a%20b/shop?x=1":      overHTTPS,
	"https://bücher.example/shop":                 overHTTPS,
	"http://127.0.0.1:3000/shop":                  overHTTP,
	"http://[::1]:3000/shop":                      overHTTP,
	"http://localhost/shop":                       overHTTP,
	"ssh://git@git.example.com/ana/shop.git":      overSSH,
	"ssh://git.example.com:2222/~ana/shop":        overSSH,
	"ssh://git@[2001:db8::1]:22/shop":             overSSH,
	"git@git.example.com:ana/shop.git":            overSSH,
	"git.example.com:shop":                        overSSH,
	"git_1@git.example.com:/srv/shop":             overSSH,
	"git://git.example.com/shop":                  overGit,
	"/srv/git/shop.git":                           byPath,
	"file:///srv/git/a%20b.git":                   byPath,
}

// bad are addresses that are never given to git.
var bad = []string{
	"", "-oProxyCommand=x", "--upload-pack=touch /tmp/x", "ext::sh -c id", "fd::17", "http::https://h/x", "a+b-c.d::x",
	"https://host/a\nb", "https://host/a%0ab", "https://host/a\x00b", "https://u:%zz@host/x", "https://u:p%0aurl=x@host/x",
	"https:///shop", "https://host", "https://host/", "https://-host/x", "ssh://-oProxyCommand=x/y", "ssh://h/-x",
	"ssh://-l@h/x", "-l@h:x", "h:-x", "-h:x", "a b:c", "ssh://git@h/x#frag", "HTTPS://host/x", "Ext://host/x", "shop", "./shop",
	"../shop", "file://host/srv", "file://x@/srv", "https://host\\@evil.example/x", "/srv/a\\b", "https://ho st/x",
	"[::1]:x", "git@[::1]:x", "https://host/" + strings.Repeat("a", 5000), "git@h:", ":x", "@h:x",
}

func TestAddressesOfPeopleAreUnderstood(t *testing.T) {
	g := everything(t)
	for address, want := range good {
		if r, err := g.parse(address); err != nil || r.transport != want {
			t.Errorf("%q is reached by %q, %v, want %q", address, r.transport, err, want)
		}
	}
	for _, address := range bad {
		err := g.Check(address)
		if !errors.Is(err, ErrUnsafe) && !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", clip(address), err)
		}
	}
}

func TestWhatIsReachedByWhatIsForTheServerToSay(t *testing.T) {
	strict := func(o Options) *Git {
		g, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	for _, c := range []struct {
		address string
		options Options
		want    error
	}{
		{"http://git.example.com/shop", Options{}, ErrProtocol},
		{"http://127.0.0.1.example.com/shop", Options{}, ErrProtocol},
		{"http://127.0.0.1@example.com/shop", Options{}, ErrProtocol},
		{"http://10.0.0.1/shop", Options{PlainHTTP: true}, nil},
		{"http://127.8.9.1/shop", Options{}, nil},
		{"git://127.0.0.1/shop", Options{}, ErrProtocol},
		{"git://127.0.0.1/shop", Options{Protocols: "git"}, nil},
		{"/srv/shop", Options{Protocols: "https:ssh"}, ErrProtocol},
		{"file:///srv/shop", Options{Protocols: "https:ssh"}, ErrProtocol},
		{"ftp://host/shop", Options{Protocols: "ftp:https"}, ErrProtocol},
		{"git+ssh://host/shop", Options{}, ErrProtocol},
	} {
		if err := strict(c.options).Check(c.address); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.address, err, c.want)
		}
	}
}

// understood asks git by what it would reach an address, without letting it.
func understood(t testing.TB, address string) string {
	cmd := exec.Command("git", "ls-remote", "--end-of-options", address)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GIT_ALLOW_PROTOCOL=none", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("git has asked %q", address)
	}
	_, rest, _ := strings.Cut(string(out), "transport '")
	name, _, _ := strings.Cut(rest, "'")
	if name == "" {
		t.Fatalf("git says of %q: %s", address, out)
	}
	return name
}

func TestARedirectKeepsWhatWasSecretSecret(t *testing.T) {
	for _, c := range []struct {
		method, from, to string
		isFollowed, told bool
	}{
		{http.MethodGet, "https://h/x", "https://h/y", true, true},
		{http.MethodGet, "https://h/x", "https://other/x", true, false},
		{http.MethodGet, "https://h/x", "https://sub.h/x", true, false},
		{http.MethodGet, "https://h/x", "https://h:444/x", true, false},
		{http.MethodGet, "https://h/x", "http://h/x", false, false},
		{http.MethodGet, "http://127.0.0.1/x", "https://127.0.0.1/x", true, false},
		{http.MethodPost, "https://h/x", "https://h/y", false, false},
	} {
		first := httptest.NewRequest(c.method, c.from, nil)
		next := httptest.NewRequest(c.method, c.to, nil)
		next.Header.Set("Authorization", "Basic x")
		err := followOnly(next, []*http.Request{first})
		if (err == nil) != c.isFollowed || c.isFollowed && (next.Header.Get("Authorization") != "") != c.told {
			t.Errorf("%s from %s to %s: %v, with %q", c.method, c.from, c.to, err, next.Header.Get("Authorization"))
		}
	}
}

func FuzzAddress(f *testing.F) {
	for address := range good {
		f.Add(address)
	}
	for _, address := range bad {
		f.Add(address)
	}
	g := everything(f)
	f.Fuzz(func(t *testing.T, address string) {
		r, err := g.parse(address)
		if err != nil {
			if !errors.Is(err, ErrUnsafe) && !errors.Is(err, ErrProtocol) {
				t.Fatalf("%q: %v", address, err)
			}
			return
		}
		if strings.HasPrefix(r.url, "-") || strings.ContainsFunc(r.url, isControl) || r.password != "" && strings.Contains(r.shown, ":"+r.password+"@") {
			t.Fatalf("%q became %q, shown as %q", address, r.url, r.shown)
		}
		again, err := g.parse(r.url)
		if err != nil || again.url != r.url || again.transport != r.transport || again.host != r.host {
			t.Fatalf("%q became %q, and that %+v, %v", address, r.url, again, err)
		}
		if r.isHTTP() {
			u, err := url.Parse(r.url)
			if err != nil || u.User != nil || u.Scheme+"://"+u.Host != r.host {
				t.Fatalf("%q is of %s, and becomes %q", address, r.host, r.url)
			}
			if isLoopback(r.host) && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
				t.Fatalf("%q passes for loopback", address)
			}
		}
		if r.transport == byPath && !filepath.IsAbs(strings.TrimPrefix(r.url, "file://")) {
			t.Fatalf("%q is a folder", address)
		}
		if by := understood(t, r.url); by != string(r.transport) {
			t.Fatalf("%q is reached by %s, and git says %s", address, r.transport, by)
		}
	})
}

// FuzzRelated has a repository name another one, as .gitmodules does.
func FuzzRelated(f *testing.F) {
	for _, relative := range append([]string{"../library", "./../library/", "../../x", "./x//y", "../..", "..", "./", "../../../../x", "../a:b", "../%2e%2e/x", "./-x"}, bad...) {
		for base := range good {
			f.Add(base, relative)
		}
	}
	g := everything(f)
	f.Fuzz(func(t *testing.T, base, address string) {
		from, err := g.parse(base)
		if err != nil {
			return
		}
		m := &Mirror{git: g, remote: from}
		to, err := m.related(address)
		if err != nil {
			if !errors.Is(err, ErrUnsafe) && !errors.Is(err, ErrProtocol) {
				t.Fatal(err)
			}
			return
		}
		isRelative := strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../")
		if isRelative && (to.host != from.host || to.transport != from.transport) {
			t.Fatalf("%q from %q leads to %q", address, base, to.url)
		}
		if to.transport == byPath && from.transport != byPath || to.transport == overHTTP && from.transport != overHTTP {
			t.Fatalf("%q from %q leads to %q", address, base, to.url)
		}
		a := m.accessFor(to, Access{User: "bot", Password: "s3cr3t", Key: []byte("key")})
		if isElsewhere := to.host != from.host; isElsewhere && (a.Password == "s3cr3t" && to.password != "s3cr3t" || len(a.Key) > 0) {
			t.Fatalf("%q from %q is shown credentials", address, base)
		}
	})
}

func FuzzRef(f *testing.F) {
	for _, ref := range []string{
		"refs/heads/main", "refs/tags/v1.0", "refs/pull/7/head", "refs/heads/a b", "refs/heads/a..b", "refs/heads/.a", "refs/heads/a.lock",
		"refs/heads/a.lock/b", "refs/heads/@{x}", "refs/heads/a.", "--exec=x", "refs/heads/a\x01", "refs//x", "refs/heads/", "main",
		"refs/heads/é", "refs/heads/*", "refs/a:refs/b", "+refs/heads/a", "refs/heads/@", "refs/heads/~1", "refs/heads/a\\b", "refs/heads/-x",
	} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if CheckRef(ref) != nil {
			return
		}
		if err := exec.Command("git", "check-ref-format", ref).Run(); err != nil {
			t.Fatalf("git does not take %q: %v", ref, err)
		}
		if strings.ContainsAny(ref, ":*+ ") && strings.ContainsAny(ref, ":* ") || !strings.HasPrefix(ref, "refs/") {
			t.Fatalf("%q passes for one reference", ref)
		}
	})
}

func FuzzAdvertisement(f *testing.F) {
	hash := strings.Repeat("a", 40)
	f.Add([]byte("003d"+hash+" refs/heads/main\n0000"), true)
	f.Add([]byte("00"), false)
	f.Add([]byte("0005\n0000"), true)
	f.Add([]byte("0060"+hash+" HEAD symref-target:refs/heads/main\n0000"), false)
	f.Add([]byte("ffff"), true)
	f.Fuzz(func(t *testing.T, data []byte, first bool) {
		refs := Refs{Tips: map[string]string{}}
		answer := newPackets(strings.NewReader(string(data)))
		err := refs.addAllOfSecond(answer)
		if first {
			refs, err = parseAdvertisement(data)
		}
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		for name, hash := range refs.Tips {
			if !IsHash(hash) {
				t.Fatalf("%q stands at %q", name, hash)
			}
		}
	})
}
