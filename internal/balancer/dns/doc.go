// Package dns is the balancer that moves traffic by the addresses of a name, through dynamic updates (RFC 2136) that are
// signed (TSIG, RFC 8945).
//
// Who has a share is in the name's A and AAAA records. What the driver notes is a TXT record below the name, "_towpath":
// the epoch of the last keeper, who the members are, and when each lost its share. Each order is one update that holds only
// if all of these records are as they were read (its prerequisites), so that an order of a stale epoch is refused.
//
// Clients go on with an address that they have asked for until its time to live is over, and nobody can count them. So a
// member that lost its share is never seen to be idle: its drain clock has to run out, and the pipeline file makes that
// clock longer than the time to live. Where the records had a longer one, a shift shortens it first, and is done when the
// longer one is over.
package dns
