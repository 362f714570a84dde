// Package execrun runs a program as a tracked task: what stint exec does.
//
// It owns the child process (its group, signals, the terminal), the program's output on its
// way through, the directives in it, what an exit status means for the task, and the spool
// that keeps what a server could not be told. It does not own reporting itself (package
// client's Reporter does that) nor flags.
//
// Invariants: the program's output passes unchanged but for directive lines, with bounded
// memory; the program runs whether or not the server answers; what was spooled is delivered
// or set aside with a reason, never dropped.
package execrun
