package pipeline

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/towpath-cd/towpath"
)

// The forms of texts in a file. A name of 100 characters is long enough for every page and folder it will stand in.
const (
	namePattern     = `^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$`
	slugPattern     = `^[a-z0-9][a-z0-9-]{0,62}$`
	variablePattern = `^[A-Za-z_][A-Za-z0-9_]{0,127}$`
	hostPattern     = `^(\*|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)$`
	platformPattern = `^[a-z0-9]+/[a-z0-9]+$`
	workerPattern   = `^[a-z0-9]+(/[a-z0-9]+)?$`
)

func matching(what, pattern, hint string) *format {
	form := regexp.MustCompile(pattern)
	return &format{what: what, pattern: pattern, check: func(s string) (string, string) {
		if form.MatchString(s) {
			return "", ""
		}
		return fmt.Sprintf("%q is not %s", clip(s), what), hint
	}}
}

func nameFormat() *format {
	return matching("a name", namePattern,
		"names begin with a letter or digit and go on with letters, digits, spaces, dots, dashes and underscores, at most 100")
}

func slugFormat(what string) *format {
	return matching(what, slugPattern, "use lower-case letters, digits and dashes, at most 63")
}

func variableFormat() *format {
	return matching("a variable's name", variablePattern, "use letters, digits and underscores, and no digit first")
}

func hostFormat() *format {
	return matching("a host name", hostPattern, `write shop.example.com, or "*" for every host`)
}

// socketFormat is where HAProxy takes orders.
func socketFormat() *format {
	return matching("a socket of HAProxy", `^((unix://)?/[^\s]+|tcp://[^\s/]+:[0-9]{1,5})$`,
		"write the path of its stats socket, such as /run/haproxy/admin.sock, or tcp://host:port")
}

func backendFormat() *format {
	return matching("a backend's name", `^[A-Za-z0-9_.:-]{1,100}$`, "it is the word after backend in haproxy.cfg")
}

// adminFormat is where Caddy takes orders.
func adminFormat() *format {
	return matching("the address of Caddy's admin API", `^(http://[^\s/]+|unix:///[^\s]+)$`, "write http://host:port, or unix:///path of its socket")
}

func handlerFormat() *format {
	return matching("a handler's @id", `^[A-Za-z0-9_.:-]{1,100}$`, `it is the "@id" of the reverse_proxy handler in Caddy's configuration`)
}

// serverFormat is where a DNS server is.
func serverFormat() *format {
	return matching("a DNS server", `^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`, "write its host, or host:port")
}

// domainFormat is a name of DNS, without its last dot.
func domainFormat() *format {
	return matching("a DNS name", `^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*$`, "write it in small letters, whole and without a last dot: shop.example.com")
}

// envFormat is a variable that a file may set.
func envFormat() *format {
	f := variableFormat()
	form := f.check
	f.check = func(s string) (string, string) {
		if strings.HasPrefix(s, "TOWPATH_") {
			return fmt.Sprintf("%s cannot be set: names that begin with TOWPATH_ are Towpath's own", clip(s)), "choose another name"
		}
		return form(s)
	}
	return f
}

func labelFormat() *format {
	return matching("a label", `^[A-Za-z0-9][A-Za-z0-9._=-]{0,62}$`, "labels are made of letters, digits, dots, dashes and underscores")
}

func globFormat() *format {
	return &format{what: "a glob", check: func(s string) (string, string) {
		if s == "" || !doublestar.ValidatePattern(s) {
			return fmt.Sprintf("%q is not a glob", clip(s)), "* stands for one part of a path or branch, ** for any number of parts"
		}
		return "", ""
	}}
}

// keptPathFormat is a path of the workspace: relative, and inside it.
func keptPathFormat() *format {
	return &format{what: "a path in the workspace", check: func(s string) (string, string) {
		clean := path.Clean(strings.ReplaceAll(s, `\`, "/"))
		if s == "" || path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.Contains(clean, ":") {
			return fmt.Sprintf("%q is not a path in the workspace", clip(s)), "write it from the workspace on, for example dist/"
		}
		return "", ""
	}}
}

func urlPathFormat() *format {
	return matching("a path such as /healthz", `^/[^\s]*$`, "write it from the first slash on, for example /healthz")
}

// percentFormat is a share of a whole: "1%", "0.5%".
func percentFormat() *format {
	return &format{what: "a share such as 1%", pattern: `^[0-9.]+%$`, check: func(s string) (string, string) {
		if share, err := parsePercent(s); err != nil || share < 0 || share > 1 {
			return fmt.Sprintf("%q is not a share", clip(s)), "write it in percent, for example 1% or 0.5%"
		}
		return "", ""
	}}
}

// portionFormat is a share of the instances: "25%".
func portionFormat() *format {
	f := percentFormat()
	return &format{what: "a share such as 25%", pattern: f.pattern, check: f.check}
}

// canaryPattern is a step of a canary: "5% for 10m", "25% until promoted".
const canaryPattern = `^([1-9][0-9]?)% (?:for ([0-9a-z]+)|until promoted)$`

var canaryForm = regexp.MustCompile(canaryPattern)

func canaryFormat() *format {
	return &format{what: "a step such as 5% for 10m", pattern: canaryPattern, check: func(s string) (string, string) {
		if _, err := parseCanaryStep(s); err != nil {
			return fmt.Sprintf("%q is not a step", clip(s)), "write 5% for 10m, or 25% until promoted; shares are whole, from 1% to 99%"
		}
		return "", ""
	}}
}

func parseCanaryStep(s string) (towpath.CanaryStep, error) {
	parts := canaryForm.FindStringSubmatch(s)
	if parts == nil {
		return towpath.CanaryStep{}, fmt.Errorf("%q is not a step", s)
	}
	share, err := strconv.Atoi(parts[1])
	if err != nil || parts[2] == "" {
		return towpath.CanaryStep{Share: share, UntilPromoted: true}, err
	}
	length, err := parseDuration(parts[2])
	if err == nil && (length < time.Second || length > 30*day) {
		err = fmt.Errorf("%s is not from 1s to 30 days", length)
	}
	return towpath.CanaryStep{Share: share, For: length}, err
}

// parsePercent answers a share from 0 to 1.
func parsePercent(s string) (float64, error) {
	number, found := strings.CutSuffix(s, "%")
	if !found {
		return 0, fmt.Errorf("%q has no %%", s)
	}
	share, err := strconv.ParseFloat(number, 64)
	return share / 100, err
}

// numberFormat is a number that need not be whole, or a share.
func numberFormat() *format {
	return &format{what: `a number such as 0.5 or 1%`, pattern: `^-?[0-9.]+%?$`, check: func(s string) (string, string) {
		if v, err := parseNumber(s); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprintf("%q is not a number", clip(s)), "write it as 0.5 or 1%"
		}
		return "", ""
	}}
}

func parseNumber(s string) (float64, error) {
	if strings.HasSuffix(s, "%") {
		return parsePercent(s)
	}
	return strconv.ParseFloat(s, 64)
}

func urlFormat() *format {
	return &format{what: "an address such as https://shop.example.com", pattern: `^https?://`, check: func(s string) (string, string) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return fmt.Sprintf("%q is not an address", clip(s)), "write it whole, for example https://shop.example.com"
		}
		return "", ""
	}}
}

func listenFormat() *format {
	return &format{what: "an address such as 127.0.0.1:8080", pattern: `:[0-9]+$`, check: func(s string) (string, string) {
		_, port, err := net.SplitHostPort(s)
		if n, e := strconv.Atoi(port); err != nil || e != nil || n < 1 || n > 65535 {
			return fmt.Sprintf("%q is not an address to listen on", clip(s)), "write host:port, for example 127.0.0.1:8080"
		}
		return "", ""
	}}
}

// reachFormat is an address to dial.
func reachFormat() *format {
	return &format{what: "an address such as lb1:8481", pattern: `.:[0-9]+$`, check: func(s string) (string, string) {
		host, port, err := net.SplitHostPort(s)
		if n, e := strconv.Atoi(port); err != nil || e != nil || host == "" || n < 1 || n > 65535 {
			return fmt.Sprintf("%q is not an address to reach", clip(s)), "write host:port, for example lb1:8481"
		}
		return "", ""
	}}
}

// The systems and machines that Go knows by these names and that a worker can report.
var (
	systems       = []string{"linux", "darwin", "windows", "freebsd", "openbsd", "netbsd"}
	architectures = []string{"amd64", "arm64", "386", "arm", "riscv64", "ppc64le", "s390x", "loong64"}
)

func platformFormat(pattern, what string) *format {
	form := matching(what, pattern, "write linux/amd64, darwin/arm64, windows/amd64, …")
	shape := form.check
	form.check = func(s string) (string, string) {
		if wrong, hint := shape(s); wrong != "" {
			return wrong, hint
		}
		system, arch, both := strings.Cut(s, "/")
		if wrong, hint := knownWord("operating system", system, systems); wrong != "" {
			return wrong, hint
		}
		if !both {
			return "", ""
		}
		return knownWord("architecture", arch, architectures)
	}
	return form
}

// otherNames are what people call systems and machines elsewhere.
var otherNames = map[string]string{
	"macos": "darwin", "osx": "darwin", "mac": "darwin", "win": "windows", "ubuntu": "linux", "debian": "linux",
	"x86_64": "amd64", "x64": "amd64", "x86": "386", "i386": "386", "aarch64": "arm64", "armv7": "arm",
}

func knownWord(what, word string, known []string) (wrong, hint string) {
	if slices.Contains(known, word) {
		return "", ""
	}
	wrong = fmt.Sprintf("unknown %s %q", what, clip(word))
	if other, ok := otherNames[word]; ok {
		return wrong, fmt.Sprintf("did you mean %q?", other)
	}
	return wrong, suggest(word, known, "known are "+joinAnd(known))
}

func systemFormat() *format {
	return &format{what: "an operating system", check: func(s string) (string, string) {
		return knownWord("operating system", s, systems)
	}}
}

func architectureFormat() *format {
	return &format{what: "an architecture", check: func(s string) (string, string) {
		return knownWord("architecture", s, architectures)
	}}
}
