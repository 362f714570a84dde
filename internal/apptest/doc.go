// Package apptest supports tests that speak to the whole program over HTTP.
//
// It owns the strict decoder of what Stint sends, written after the contract
// and not after the encoder; the HTTP client that holds every answer against
// that decoder and against the OpenAPI description; and starting the program in
// the test's process. It does not own any test.
//
// Invariants: the decoder shares no code with what it checks; an answer that a
// test sees has been checked, whatever the test itself looks at.
package apptest
