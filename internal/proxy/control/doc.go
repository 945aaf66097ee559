// Package control is how the rest of Towpath speaks to its proxy: the words on the wire and a Client. It
// imports nothing of ours, so that a driver can use it without bringing the proxy itself along.
//
// Every call that changes something is absolute ("these are the weights", never "less") and carries an
// Epoch, so that it can be sent again without harm, and so that a holder whose time is over is refused.
package control
