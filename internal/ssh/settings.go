package ssh

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kevinburke/ssh_config"
)

const (
	// defaultPort is where a host listens.
	defaultPort = "22"
	// connectLimit is how long a connection may take to be made, where ConnectTimeout says nothing.
	connectLimit = 10 * time.Second
	// maxJumps is how many hosts may stand before one.
	maxJumps = 8
)

// Options say whose settings count.
type Options struct {
	Home   string // of the user whose ~/.ssh is read
	Login  string // where nothing says another
	System string // the system's configuration folder, such as /etc/ssh; empty is none
	Agent  string // socket of the user's agent; empty is none
	// KeepAlive is how often a connection is tried, and for how long an answer is waited: a host that is gone without a
	// word is noticed within twice that. 0 is five seconds.
	KeepAlive time.Duration
}

// OfThisUser are the options of who runs this process.
func OfThisUser() (Options, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return Options{}, fmt.Errorf("find the settings of ssh: %w", err)
	}
	me, err := user.Current()
	if err != nil {
		return Options{}, fmt.Errorf("find the settings of ssh: %w", err)
	}
	login := me.Username[strings.LastIndex(me.Username, `\`)+1:] // Windows has the domain before it
	return Options{Home: home, Login: login, System: "/etc/ssh", Agent: os.Getenv("SSH_AUTH_SOCK")}, nil
}

// settings is what ssh_config(5) says of one host.
type settings struct {
	name         string // as it was asked for
	address      string // host:port that is dialled
	user         string
	keyName      string   // host:port as known_hosts has it
	identities   []string // files of private keys
	certificates []string
	onlyThese    bool   // keys of the agent that are not among the identities are not shown
	agent        string // socket
	knownHosts   []string
	jumps        []string // [user@]host[:port] each, the first one next to us
	limit        time.Duration
	keepAlive    time.Duration
}

// config is the user's configuration, and behind it the system's.
type config struct {
	options Options
	files   []*ssh_config.Config
}

func readConfig(o Options) (config, error) {
	c := config{options: o}
	paths := []string{filepath.Join(o.Home, ".ssh", "config")}
	if o.System != "" {
		paths = append(paths, filepath.Join(o.System, "ssh_config"))
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return c, fmt.Errorf("%w: %w", ErrSettings, err)
		}
		file, err := ssh_config.DecodeBytes(content)
		if err != nil {
			return c, fmt.Errorf("%w: %s: %w", ErrSettings, path, err)
		}
		c.files = append(c.files, file)
	}
	return c, nil
}

// all answers every value of a keyword, the user's first.
func (c config) all(name, keyword string) ([]string, error) {
	var found []string
	for _, file := range c.files {
		values, err := file.GetAll(name, keyword)
		if err != nil {
			return nil, fmt.Errorf("%w: %s of %s: %w", ErrSettings, keyword, name, err)
		}
		found = append(found, values...)
	}
	return found, nil
}

// one answers the value that counts, which is the first.
func (c config) one(name, keyword string) (string, error) {
	all, err := c.all(name, keyword)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return strings.Trim(all[0], `"`), nil
}

// of answers what is set for a host. A user and a port that are given win, as on the command line of ssh.
func (c config) of(name, login, port string) (settings, error) {
	r := reader{config: c, name: name}
	s := settings{name: name, limit: connectLimit, keepAlive: cmp.Or(c.options.KeepAlive, keepAlive)}
	host := strings.ReplaceAll(r.word("HostName", name), "%h", name)
	s.user = login
	if s.user == "" {
		s.user = r.word("User", c.options.Login)
	}
	if port == "" {
		port = r.word("Port", defaultPort)
	}
	s.address = net.JoinHostPort(host, port)
	s.keyName = net.JoinHostPort(r.word("HostKeyAlias", host), port)
	if alias := r.word("HostKeyAlias", ""); alias != "" {
		s.keyName = net.JoinHostPort(alias, defaultPort) // known_hosts has an alias without a port
	}
	expand := tokens{home: c.options.Home, host: host, user: s.user, name: name, port: port}
	s.identities = expand.paths(r.words("IdentityFile"))
	s.certificates = expand.paths(r.words("CertificateFile"))
	s.onlyThese = strings.EqualFold(r.word("IdentitiesOnly", "no"), "yes")
	s.agent = expand.agent(r.word("IdentityAgent", "SSH_AUTH_SOCK"), c.options.Agent)
	s.knownHosts = c.knownHosts(expand, r)
	s.jumps = jumpsOf(r.word("ProxyJump", "none"))
	if command := r.word("ProxyCommand", "none"); command != "none" && len(s.jumps) == 0 {
		r.fail(fmt.Errorf("%w: %s has a ProxyCommand, which is not supported: use ProxyJump", ErrSettings, name))
	}
	if seconds, err := strconv.Atoi(r.word("ConnectTimeout", "0")); err == nil && seconds > 0 {
		s.limit = time.Duration(seconds) * time.Second
	}
	if s.identities == nil {
		s.identities = expand.paths([]string{"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"})
	}
	return s, r.err
}

func (c config) knownHosts(expand tokens, r reader) []string {
	own := strings.Fields(r.word("UserKnownHostsFile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
	var system []string
	if c.options.System != "" {
		standard := filepath.Join(c.options.System, "ssh_known_hosts")
		system = strings.Fields(r.word("GlobalKnownHostsFile", standard))
	}
	return expand.paths(append(own, system...))
}

func jumpsOf(list string) []string {
	if strings.EqualFold(list, "none") || list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// reader reads one keyword after the other, and remembers the first error.
type reader struct {
	config config
	name   string
	err    error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) word(keyword, otherwise string) string {
	value, err := r.config.one(r.name, keyword)
	if err != nil {
		r.fail(err)
	}
	if value == "" {
		return otherwise
	}
	return value
}

func (r *reader) words(keyword string) []string {
	values, err := r.config.all(r.name, keyword)
	if err != nil {
		r.fail(err)
	}
	for n := range values {
		values[n] = strings.Trim(values[n], `"`)
	}
	return values
}

// tokens are what stands for something in a path, as ssh_config(5) has it under TOKENS.
type tokens struct{ home, host, user, name, port string }

func (t tokens) paths(all []string) []string {
	var found []string
	for _, path := range all {
		if strings.EqualFold(path, "none") {
			continue
		}
		found = append(found, t.path(path))
	}
	return found
}

func (t tokens) path(path string) string {
	path = strings.NewReplacer("%%", "%", "%d", t.home, "%h", t.host, "%r", t.user, "%n", t.name, "%p", t.port).Replace(path)
	switch {
	case strings.HasPrefix(path, "~/"):
		return filepath.Join(t.home, path[2:])
	case !filepath.IsAbs(path):
		return filepath.Join(t.home, ".ssh", path)
	}
	return path
}

// agent answers a socket: the setting may name one, a variable, or none.
func (t tokens) agent(setting, ofUser string) string {
	switch {
	case setting == "SSH_AUTH_SOCK":
		return ofUser
	case strings.EqualFold(setting, "none"):
		return ""
	case strings.HasPrefix(setting, "$"):
		return os.Getenv(strings.Trim(setting, "${}"))
	}
	return t.path(setting)
}
