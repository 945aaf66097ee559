// Package ssh keeps one connection to each host that it is asked for, and runs scripts there.
//
// How a host is reached is read from the user's own configuration, as ssh(1) reads it: ~/.ssh/config and what it
// includes, keys, certificates, the agent, jump hosts. A host's key is always checked against known_hosts: no setting
// weakens that. What cannot be honoured (ProxyCommand) is an error, and is not passed over.
//
//	settings.go    what ssh_config(5) says of a host
//	keys.go        with which keys somebody shows who he is
//	known.go       whether a host is the one that it says it is
//	connection.go  one connection, from its dialling to its end
//	host.go        a host whose connection is kept, and made anew when it is dead
//	session.go     one script that runs, and talks
//
// Only POSIX sh is asked of a host. A script and its data go in by standard input, so that neither is seen in the list of
// processes, and no login shell has to understand them.
package ssh
