// Package harness is test support for tests that run the built program and hurt it:
// the program as a process, and somebody who keeps a source by aggregating files
// and knows what must be stored then, whatever happened meanwhile.
//
// It owns what a file of accounts or entitlements means, worked out in the plainest
// way and from nothing of the server's. It does not own what is done to the program.
package harness
