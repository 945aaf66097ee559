package proxy

import (
	"errors"
	"net/netip"
	"strings"
)

var errBadHost = errors.New("not a host name")

// hostOf brings a Host header (RFC 9110, section 7.2) into the form routes are looked up by: without port,
// brackets and final dot, in lower case. What is no host at all matches no route.
func hostOf(header string) string {
	host := header
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return header
		}
		return strings.ToLower(host[1:end])
	}
	if colon := strings.IndexByte(host, ':'); colon >= 0 && strings.LastIndexByte(host, ':') == colon {
		host = host[:colon]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// checkHost accepts the hosts a route may name: "*", an IP address, or a DNS name in lookup form, so that
// hostOf(checked) == checked.
func checkHost(host string) error {
	if host == "*" {
		return nil
	}
	if address, err := netip.ParseAddr(host); err == nil && address.String() == host && address.Zone() == "" {
		return nil
	}
	if host == "" || len(host) > 253 {
		return errBadHost
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, isNoHostLetter) {
			return errBadHost
		}
	}
	return nil
}

// isNoHostLetter: underscores are no DNS host names, but people have them inside.
func isNoHostLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
