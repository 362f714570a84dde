// Package cli is the command line of Stint: one file per command.
//
// It owns flags, environment variables, what people read on a terminal, and exit codes. It
// does not own the API (package client speaks it), nor how a program is run as a task
// (package execrun).
//
// Invariants: text that came from a server reaches a terminal only through the escape
// functions of this package; a command's own failure is one line on standard error and
// exit status 2.
package cli
