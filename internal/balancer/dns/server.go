package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/towpath-cd/towpath/internal/deploy"
)

const (
	// callLimit bounds one question or update.
	callLimit = 10 * time.Second
	// fudge is by how many seconds the clocks may differ (RFC 8945, section 10).
	fudge = 300
)

// errChanged says that the records are not as they were read.
var errChanged = errors.New("the records were changed meanwhile")

// Key is what updates are signed by.
type Key struct {
	Algorithm string // "hmac-sha256."
	Name      string // "towpath."
	secret    string // in base64
}

// ParseKey reads a key as nsupdate(1) takes it after -y: "hmac-sha256:towpath:base64".
func ParseKey(text string) (Key, error) {
	parts := strings.Split(strings.TrimSpace(text), ":")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return Key{}, errors.New("a key is algorithm:name:secret, such as hmac-sha256:towpath:c2VjcmV0")
	}
	return Key{Algorithm: dns.CanonicalName(parts[0]), Name: dns.CanonicalName(parts[1]), secret: parts[2]}, nil
}

// server is the primary of a zone, which takes updates.
type server struct {
	address string // host:port
	zone    string // with its last dot
	key     Key
}

// ask answers the records of one type that the server itself has, not what a cache knows.
func (s server) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	question.RecursionDesired = false
	answer, err := s.exchange(ctx, question)
	if err != nil {
		return nil, readable(err)
	}
	switch answer.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError:
	default:
		return nil, refusal("ask for "+name, answer.Rcode)
	}
	if !answer.Authoritative {
		return nil, &deploy.Permanent{Err: fmt.Errorf("%s does not speak for %s: name the primary server of the zone", s.address, name)}
	}
	var records []dns.RR
	for _, r := range answer.Answer {
		if r.Header().Rrtype == kind && dns.CanonicalName(r.Header().Name) == name {
			records = append(records, r)
		}
	}
	return records, nil
}

// update changes the zone whole, or not at all.
func (s server) update(ctx context.Context, update *dns.Msg) error {
	answer, err := s.exchange(ctx, update)
	switch {
	case err != nil:
		return err
	case answer.Rcode == dns.RcodeSuccess:
		return nil
	case answer.Rcode == dns.RcodeNXRrset, answer.Rcode == dns.RcodeYXRrset:
		return errChanged
	case answer.Rcode == dns.RcodeServerFailure:
		return &deploy.UnknownOutcome{Err: errors.New("the DNS server failed in the middle of an update")}
	}
	return refusal("update "+s.zone, answer.Rcode)
}

// exchange signs a message and sends it over TCP. The answer's signature was checked.
func (s server) exchange(ctx context.Context, message *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	message.SetTsig(s.key.Name, s.key.Algorithm, fudge, time.Now().Unix())
	client := dns.Client{Net: "tcp", TsigSecret: map[string]string{s.key.Name: s.key.secret}}
	answer, _, err := client.ExchangeContext(ctx, message, s.address)
	var operation *net.OpError
	switch {
	case err == nil:
		return answer, nil
	case errors.As(err, &operation) && operation.Op == "dial":
		return nil, &deploy.Retryable{Err: fmt.Errorf("no DNS server answers at %s: %w", s.address, err)}
	case answer != nil && answer.Rcode != dns.RcodeSuccess: // a refusal need not be signed
		return nil, refusal("sign by "+s.key.Name, answer.Rcode)
	}
	return nil, &deploy.UnknownOutcome{Err: fmt.Errorf("speak to the DNS server %s: %w", s.address, err)}
}

// readable is an error of a question: nothing has happened, so that it can be asked again.
func readable(err error) error {
	if unknown, is := errors.AsType[*deploy.UnknownOutcome](err); is {
		return &deploy.Retryable{Err: unknown.Err}
	}
	return err
}

// refusal is what a server's code means for people (RFC 2136, section 2.2; RFC 8945, section 3).
func refusal(what string, code int) error {
	err := fmt.Errorf("%s: the DNS server answers %s", what, dns.RcodeToString[code])
	switch code {
	case dns.RcodeServerFailure:
		return &deploy.Retryable{Err: err}
	case dns.RcodeRefused:
		return &deploy.Permanent{Err: fmt.Errorf("%w: the zone has to allow this key (allow-update or update-policy in BIND)", err)}
	case dns.RcodeNotAuth, dns.RcodeBadSig, dns.RcodeBadKey:
		return &deploy.Permanent{Err: fmt.Errorf("%w: is it the primary of the zone, and does it know this key?", err)}
	case dns.RcodeBadTime:
		return &deploy.Retryable{Err: fmt.Errorf("%w: its clock and the keeper's differ by more than %d s", err, fudge)}
	}
	return &deploy.Permanent{Err: err}
}
