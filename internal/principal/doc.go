// Package principal says who may do what.
//
// It owns clients (personal access tokens and applications), user levels, scopes,
// and the rule that decides whether a principal has a right. It does not own how
// a principal is recognised (package auth does), which right an operation needs
// (its route says so), nor storage.
//
// Invariants: what is not granted is refused; a refusal says what was missing.
// Source: contract, section 7.
package principal
