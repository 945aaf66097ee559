// Package proxy is Towpath's own balancer: a reverse proxy that other processes give orders to.
//
// Three kinds of process take part, and share one data folder.
//
//   - The holder (Hold) binds the listening sockets and keeps them open. It takes no connections; while no
//     proxy runs, they wait in the kernel's queue.
//   - The proxy (Run) gets the sockets from the holder, routes from the state file, and orders from the
//     control socket "control.sock" (package control has the client). It starts the holder when there is
//     none. Who owns the folder is decided by a lock of the kernel's.
//   - A predecessor is a proxy that another has taken over from. It takes no new connections, but finishes
//     what it has. It has a control socket of its own, through which its successor lets it follow every
//     change and counts what it has in flight.
//
// Inside a proxy the controller carries out orders one at a time: fence by epoch, change a copy of the book,
// write it to disk, let the Server and the predecessors serve by it, answer. The Server is the data plane.
// For a request it takes no lock: it looks into an immutable table, counts the request with the backend
// whose turn it is, and looks whether that table is still the one that holds. So when an order has been
// answered, every request that was given out under earlier weights can be seen in flight, and a drain that
// finds none in flight has found the truth.
//
// What the proxy promises: a change of weights and a drain lose no request; a successor, and a stop followed
// by a start, lose none either; a kill loses those in flight at that moment and refuses nobody. On Windows
// there is no holder, and a restart refuses connections for as long as it lasts.
package proxy
