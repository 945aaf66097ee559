package forge

import (
	"net/url"
	"strings"
	"testing"
)

func TestLocate(t *testing.T) {
	for address, want := range map[string][2]string{
		"https://github.com/ana/shop.git":                    {"https://github.com", "ana/shop"},
		"https://github.com/ana/shop":                        {"https://github.com", "ana/shop"},
		"https://github.com/ana/shop/":                       {"https://github.com", "ana/shop"},
		"https://ana:tok@GitHub.com/ana/shop.git":            {"https://github.com", "ana/shop"},
		"http://127.0.0.1:3000/ana/shop.git":                 {"http://127.0.0.1:3000", "ana/shop"},
		"https://gitlab.example.com:8443/team/web/shop":      {"https://gitlab.example.com:8443", "team/web/shop"},
		"https://[::1]:3000/ana/shop":                        {"https://[::1]:3000", "ana/shop"},
		"ssh://git@gitea.example.com:2222/ana/shop.git":      {"https://gitea.example.com", "ana/shop"},
		"ssh://git@[fe80::1]:22/ana/shop.git":                {"https://[fe80::1]", "ana/shop"},
		"git@gitea.example.com:ana/shop.git":                 {"https://gitea.example.com", "ana/shop"},
		"gitea.example.com:ana/shop.git":                     {"https://gitea.example.com", "ana/shop"},
		"git@gitea.example.com:/ana/shop.git":                {"https://gitea.example.com", "ana/shop"},
		"ssh://git@ssh.github.com:443/ana/shop.git":          {"https://github.com", "ana/shop"},
		"git@altssh.bitbucket.org:ana/shop.git":              {"https://bitbucket.org", "ana/shop"},
		"ssh://git@bitbucket.example.com:7999/~ana/shop.git": {"https://bitbucket.example.com", "~ana/shop"},
		"https://bitbucket.example.com/scm/PROJ/shop.git":    {"https://bitbucket.example.com", "scm/PROJ/shop"},
	} {
		server, path, err := Locate(address)
		if err != nil || server != want[0] || path != want[1] {
			t.Errorf("%s: %q, %q, %v; want %q", address, server, path, err, want)
		}
	}
}

func TestLocateRefuses(t *testing.T) {
	for _, address := range []string{
		"", "shop", "/srv/git/shop.git", "./shop:x", "../a@b:c", `C:\git\shop`, "C:/git/shop", "file:///srv/git/shop.git", "git://host/ana/shop",
		"https://", "https:///ana/shop", "https://host/", "https://host", "https://host/a/../b", "https://host/a//b", "https://host/a%2fb%3f",
		"https://host/a?x=1", "https://host/a#b", "git@host:", "git@:a/b", "-oProxyCommand=x@host:a", "git@-oX:a/b", "git@host:-x/b",
		"https://ho st/a/b", "https://host/a\nb", "git@host:a b", "https://" + strings.Repeat("x", 3000), "ext::sh -c x", "https://host/%zz",
	} {
		if server, path, err := Locate(address); err == nil {
			t.Errorf("%q: %q, %q", address, server, path)
		}
	}
	if _, _, err := Locate("https://ana:hunter2@host:x/ana/shop"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in: %v", err)
	}
}

func FuzzLocate(f *testing.F) {
	for _, seed := range []string{
		"https://github.com/ana/shop.git", "ssh://git@host:22/a/b", "git@host:a/b.git", "file:///x", "a:b", "https://[::1]:3/a/b", "https://u:p@h/a%2f",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		server, path, err := Locate(address)
		if err != nil {
			return
		}
		u, parseErr := url.Parse(server)
		if parseErr != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http" {
			t.Errorf("%q has the server %q", address, server)
		}
		if path == "" || strings.HasPrefix(path, "/") || strings.Contains("/"+path+"/", "/../") || strings.ContainsAny(path, "\n\r\x00?#%\\") {
			t.Errorf("%q has the path %q", address, path)
		}
		if again, _, err := Locate(server + "/" + path); err != nil || again != server {
			t.Errorf("%q leads to %q, and that to %q, %v", address, server, again, err)
		}
	})
}
