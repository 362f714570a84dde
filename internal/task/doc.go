// Package task is the domain: what a task is, how it lives and ends, and which
// writes to it are refused.
//
// It owns the task and its parts, the kinds and their definitions, the rules of
// launching, reporting, cancelling and clearing, the one typed error of the
// program and the TaskStatus JSON that clients see. It does not own storage,
// transport, clocks or logging: every function is pure and takes the time it
// needs.
//
// Invariants, held by every function here:
//   - Completed and Status are zero together or set together;
//   - a completed task never changes again;
//   - Created <= Launched and Created <= Modified;
//   - PercentComplete never falls within an attempt;
//   - all times are UTC, whole milliseconds.
package task
