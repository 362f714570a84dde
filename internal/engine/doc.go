// Package engine launches tasks, takes the reports of those that others run,
// and watches over them.
//
// It owns the operations on a task (launch, report, cancel, clear, wait), the
// report tokens, and one file per background loop (liveness, retention). It
// does not own the rules of a task's life (package task), storage or transport.
//
// Invariants: every change goes through a Store's transaction with the domain's
// function inside, so that what is checked is what is written; whoever waits
// for a task is woken after its change is on disk, never before.
package engine
