// Package nginx is the balancer that moves traffic by a file with one upstream, which nginx's configuration includes.
//
// An instance is a server of the upstream, with its share as its weight and its ID as a comment; one without a share is
// down. An order has the file replaced, tested by nginx and taken by a reload, on nginx's machine and under its lock
// (script.go). Beside the file, in .NAME.towpath, are the epoch of the last keeper, the digest of the file that nginx has
// taken, and which processes that reload has replaced: as long as one of them lives it has something to finish, and an
// instance that lost its share then is not idle (docs/decisions/0118).
package nginx
