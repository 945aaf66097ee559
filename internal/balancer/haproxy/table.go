package haproxy

import (
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/towpath-cd/towpath"
)

// vacantHost and vacantPort are the address of a server that no instance has. The port says it.
const (
	vacantHost = "127.0.0.1"
	vacantPort = "1"
)

// table is a backend of one HAProxy, as it was read in one exchange.
type table struct {
	process string // which process answered: another one has a table of its own
	servers []server
}

// server is one of our servers in a backend.
type server struct {
	name     string
	address  string // host:port
	status   string // "UP 1/3", "MAINT", …
	weight   int    // as it was set
	sessions int    // requests and streams in flight; connections that are kept idle do not count
	since    time.Duration
	check    string // the last health check in words; empty where there was none
	requests uint64 // that ended
	errors   uint64 // of these
}

// status words of HAProxy (management guide, "show stat").
const (
	statusMaintenance = "MAINT"
	statusDrain       = "DRAIN"
	statusDown        = "DOWN"
	statusUp          = "UP"
)

func (s server) isOff() bool  { return strings.HasPrefix(s.status, statusMaintenance) }
func (s server) isDown() bool { return strings.HasPrefix(s.status, statusDown) }

// checked is what HAProxy's own checks say; empty where it makes none, or stops them as it gives the server nothing.
func (s server) checked() towpath.Health {
	switch {
	case s.isDown():
		return towpath.HealthFailing
	case strings.HasPrefix(s.status, statusUp) && s.check != "":
		return towpath.HealthPassing
	}
	return ""
}

func (s server) isVacant() bool { return s.isOff() && isVacant(s.address) }

// share is what the server is given of new requests.
func (s server) share() int {
	if s.isOff() || strings.HasPrefix(s.status, statusDrain) {
		return 0
	}
	return s.weight
}

// instance answers whose server it is by its name; 0 for one of a template.
func (s server) release() int {
	release, _ := towpath.ParseInstanceID(s.name)
	return release
}

// identity is what the server is known by: its own name where that is an instance's, else its address.
func (s server) identity() string {
	if s.release() > 0 {
		return s.name
	}
	return s.address
}

func isVacant(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err != nil || port == vacantPort || port == "0"
}

// members are the servers that an instance has.
func (t table) members() (members []server) {
	for _, s := range t.servers {
		if s.release() > 0 || !isVacant(s.address) {
			members = append(members, s)
		}
	}
	return members
}

// look are the commands that read a backend, by servers (4) and as a whole (2).
func look(backend string) []string {
	return []string{"show info", "show stat " + backend + " 6 -1"}
}

// parseTable reads what HAProxy answers to look, after what it said to the commands before it.
func parseTable(answer string) (t table, said string, err error) {
	said, rest, found := cutLine(answer, "Name: ")
	info, stat, hasStat := cutLine(rest, "# pxname,")
	t.process = fact(info, "Pid") + "/" + fact(info, "Start_time_sec")
	switch {
	case !found:
		return t, said, errors.New("it does not say who it is")
	case !hasStat:
		_, said, _ = strings.Cut(info, "\n\n") // after what it says of itself
		return t, said, errors.New("it does not show the backend")
	case fact(info, "Stopping") == "1":
		return t, said, errors.New("it is ending")
	}
	t.servers, err = parseServers(strings.TrimPrefix(stat, "# "))
	return t, said, err
}

// cutLine cuts a text before the line that begins with a word.
func cutLine(text, word string) (before, from string, found bool) {
	if strings.HasPrefix(text, word) {
		return "", text, true
	}
	if n := strings.Index(text, "\n"+word); n >= 0 {
		return text[:n+1], text[n+1:], true
	}
	return text, "", false
}

// fact is a line of "show info".
func fact(info, name string) string {
	_, line, _ := cutLine(info, name+": ")
	line, _, _ = strings.Cut(line, "\n")
	return strings.TrimSpace(strings.TrimPrefix(line, name+": "))
}

// parseServers reads a table that ends with the backend itself: one that does not was cut.
func parseServers(stat string) ([]server, error) {
	reader := csv.NewReader(strings.NewReader(stat))
	reader.FieldsPerRecord, reader.LazyQuotes = -1, true
	rows, err := reader.ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("its table cannot be read: %w", err)
	}
	var servers []server
	for _, cells := range rows[1:] {
		r := row{rows[0], cells}
		switch {
		case r.text("svname") == "BACKEND":
			return servers, nil
		case r.number("bck") == 0:
			servers = append(servers, r.server())
		}
	}
	return nil, errors.New("its table is not whole")
}

// row is one line of "show stat" with the names of its columns.
type row struct{ names, cells []string }

func (r row) text(name string) string {
	for n, column := range r.names {
		if column == name && n < len(r.cells) {
			return r.cells[n]
		}
	}
	return ""
}

func (r row) number(name string) uint64 {
	n, _ := strconv.ParseUint(r.text(name), 10, 64) // an empty cell does not apply
	return n
}

func (r row) server() server {
	s := server{
		name: r.text("svname"), address: r.text("addr"), status: r.text("status"), weight: int(r.number("uweight")),
		sessions: int(r.number("scur")), since: time.Duration(r.number("lastchg")) * time.Second,
		check: strings.TrimSpace(r.text("check_status") + " " + r.text("last_chk")),
	}
	s.count(r)
	return s
}

// count adds what ended. A connection that could not be had after all tries, and an answer that broke off, have no status.
func (s *server) count(r row) {
	s.errors = r.number("hrsp_5xx") + r.number("econ") + r.number("eresp")
	if r.text("mode") != "http" {
		s.requests, s.errors = r.number("stot"), r.number("econ")+r.number("eresp")
		return
	}
	s.requests = s.errors
	for _, class := range []string{"hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_other"} {
		s.requests += r.number(class)
	}
}
