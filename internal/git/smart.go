package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxRefsBytes is how much a remote may say of its references: some millions.
	maxRefsBytes = 256 << 20
	// maxRedirects is how often a remote may send on.
	maxRedirects = 5
	// discovery is what is asked first (gitprotocol-http(5)).
	discovery = "/info/refs?service=git-upload-pack"
)

// errAskGit is why a remote has to be asked by git: it speaks an older or another protocol than the one below, or wants to
// know us in another way.
var errAskGit = errors.New("to be asked by git")

// newWeb keeps few connections open: most remotes are asked every two minutes.
func newWeb() *http.Client {
	dialer := &net.Dialer{Timeout: 20 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 20 * time.Second, MaxIdleConns: 64, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		},
		CheckRedirect: followOnly,
	}
}

// followOnly goes where only the first question may be sent on to, as git does. Credentials are for the host that they
// were meant for, and what began in secret does not go on in the open.
func followOnly(next *http.Request, before []*http.Request) error {
	first := before[0]
	switch {
	case len(before) > maxRedirects:
		return fmt.Errorf("sent on more than %d times: %w", maxRedirects, ErrBusy)
	case first.Method != http.MethodGet:
		return http.ErrUseLastResponse
	case next.URL.Scheme != "https" && next.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("sent on from %s to %s: %w", first.URL.Scheme, next.URL.Scheme, ErrProtocol)
	case next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host:
		next.Header.Del("Authorization")
	}
	return nil
}

// asking is one question to a remote over HTTP, by the protocol's second version (gitprotocol-v2(5)): it sends what was
// asked for and no more, where git itself has every reference sent and drops most; and it takes no process.
type asking struct {
	*Git
	remote   remote
	user     string
	password string
}

func (g *Git) askHTTP(ctx context.Context, r remote, a Access, patterns []string) (Refs, error) {
	bounded, cancel := context.WithTimeoutCause(ctx, g.timeout, ErrTimeout)
	defer cancel()
	q := asking{Git: g, remote: r}
	q.user, q.password = r.login(a)
	if strings.ContainsFunc(q.user+q.password, isControl) {
		return Refs{}, fmt.Errorf("reach %s: the user or password holds control characters: %w", r.shown, ErrUnsafe)
	}
	refs, err := q.refs(bounded, patterns)
	if err == nil || errors.Is(err, errAskGit) {
		return refs, err
	}
	if bounded.Err() != nil {
		err = context.Cause(bounded)
	}
	return Refs{}, &Error{Doing: "list the tips of " + r.shown, Kind: kindOf(err), cause: err}
}

// kindOf tells what kept a remote from answering.
func kindOf(err error) error {
	for _, known := range []error{ErrTimeout, ErrRefused, ErrNotFound, ErrBusy, ErrProtocol} {
		if errors.Is(err, known) {
			return known
		}
	}
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case isCertificate(err):
		return ErrHostUnknown
	case errors.As(err, new(*net.OpError)) && !errors.Is(err, io.EOF), errors.As(err, &network) && network.Timeout():
		return unreachableOrCrowded(err)
	}
	return ErrBusy
}

func (q asking) refs(ctx context.Context, patterns []string) (Refs, error) {
	found, err := q.do(ctx, http.MethodGet, q.remote.url+discovery, nil)
	if err != nil {
		return Refs{}, err
	}
	defer found.Body.Close()
	answer := newPackets(io.LimitReader(found.Body, maxRefsBytes))
	abilities, old, err := greeting(answer)
	if err != nil {
		return Refs{}, err
	}
	if old != nil {
		refs := Refs{Tips: map[string]string{}}
		refs.add(old)
		if err := refs.addAll(answer); err != nil {
			return Refs{}, err
		}
		return refs.matching(patterns), nil
	}
	drain(found.Body)
	return q.list(ctx, found.Request.URL, abilities, patterns)
}

// greeting reads what the remote can do; or, where it speaks the first version, that version's first line.
func greeting(answer packets) (abilities map[string]string, old []byte, err error) {
	line, isEnd, err := answer.next()
	if bytes.HasPrefix(line, []byte("# service=")) {
		if _, _, err = answer.next(); err == nil { // the end of that part
			line, isEnd, err = answer.next()
		}
	}
	if err != nil || isEnd {
		return nil, nil, errors.Join(err, unless(err != nil, errAskGit))
	}
	if string(line) != "version 2" {
		return nil, line, nil
	}
	abilities = map[string]string{}
	for {
		line, isEnd, err := answer.next()
		if err != nil || isEnd {
			return abilities, nil, err
		}
		name, value, _ := strings.Cut(string(line), "=")
		abilities[name] = value
	}
}

// list asks for the references (gitprotocol-v2(5), "ls-refs") where the first question was answered in the end.
func (q asking) list(ctx context.Context, at *url.URL, abilities map[string]string, patterns []string) (Refs, error) {
	if _, can := abilities["ls-refs"]; !can {
		return Refs{}, errAskGit
	}
	base, ok := strings.CutSuffix(at.String(), discovery)
	if !ok {
		return Refs{}, errAskGit
	}
	var body strings.Builder
	body.WriteString(packet("command=ls-refs") + packet("agent=towpath"))
	if format, told := abilities["object-format"]; told {
		body.WriteString(packet("object-format=" + format))
	}
	body.WriteString("0001" + packet("peel") + packet("symrefs"))
	for _, p := range patterns {
		if p != "HEAD" && !strings.HasPrefix(p, "refs/") {
			return Refs{}, errAskGit // it is the end of a name
		}
		body.WriteString(packet("ref-prefix " + strings.TrimSuffix(p, "*")))
	}
	body.WriteString("0000")
	listed, err := q.do(ctx, http.MethodPost, base+"/git-upload-pack", strings.NewReader(body.String()))
	if err != nil {
		return Refs{}, err
	}
	defer listed.Body.Close()
	refs := Refs{Tips: map[string]string{}}
	if err := refs.addAllOfSecond(newPackets(io.LimitReader(listed.Body, maxRefsBytes))); err != nil {
		return Refs{}, err
	}
	drain(listed.Body)
	return refs.matching(patterns), nil
}

// do sends one question, and answers what came back where that is good.
func (q asking) do(ctx context.Context, method, address string, body io.Reader) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsafe, err)
	}
	request.Header.Set("Git-Protocol", "version=2")
	request.Header.Set("User-Agent", "git/2.39 towpath") // some servers answer programs named git only
	wanted := "application/x-git-upload-pack-advertisement"
	if body != nil {
		wanted = "application/x-git-upload-pack-result"
		request.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		request.Header.Set("Accept", wanted)
	}
	if isFor(request.URL, q.remote.host) && q.user+q.password != "" {
		request.SetBasicAuth(q.user, q.password)
	}
	response, err := q.web.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	if err := q.judge(response, wanted); err != nil {
		drain(response.Body)
		_ = response.Body.Close()
		return nil, err
	}
	return response, nil
}

// isFor says that an address is of the host that credentials are meant for.
func isFor(u *url.URL, host string) bool { return u.Scheme+"://"+u.Host == host }

// plain leaves out of an error the address, which may have been one that the remote made up.
func plain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func (q asking) judge(r *http.Response, wanted string) error {
	switch code := r.StatusCode; {
	case code == http.StatusOK && r.Header.Get("Content-Type") == wanted:
		return nil
	case code == http.StatusUnauthorized && (q.user+q.password == "" || !offersBasic(r)):
		return errAskGit // which knows other ways, and the machine's own credentials
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("the server says %s: %w", r.Status, ErrRefused)
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("the server says %s: %w", r.Status, ErrNotFound)
	case code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("the server says %s: %w", r.Status, ErrBusy)
	}
	return errAskGit
}

func offersBasic(r *http.Response) bool {
	for _, way := range r.Header.Values("WWW-Authenticate") {
		if strings.HasPrefix(strings.ToLower(way), "basic") {
			return true
		}
	}
	return false
}

// drain reads what little is left, so that the connection serves again.
func drain(body io.Reader) { _, _ = io.CopyN(io.Discard, body, 64<<10) }
