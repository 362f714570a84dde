// Package client speaks to a Stint server: it lists, launches, reports, cancels, clears and
// waits for tasks, and it lets a Go program report its own work (see [Reporter] and
// [Client.Track]).
//
// It owns the wire types of a client's side, retries, and the error type [Error]. It does
// not own credentials: a bearer token is given to it.
//
// Invariants: a request is sent again only where a repeat is harmless; no answer is read
// beyond a bound; nothing of stint/internal is imported, so the package can be copied out.
// Every method may be called from several goroutines.
package client
