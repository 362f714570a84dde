// Package console serves the web console: a single-page application that is built
// from web/ into dist and embedded here.
//
// It owns the files, their caching and the headers that keep a browser from running
// anything else. It does not own who is signed in (package httpapi does), nor which
// paths are the console's.
//
// Invariants: nothing is loaded from another host; scripts come from files alone;
// styles from files, or under a nonce that no two answers share. A binary that was
// built without the console says so.
package console
