// Package crash kills the real program at random moments and looks at what is
// left: every answered write, no half-written row, no completed task changed.
package crash
