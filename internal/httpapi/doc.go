// Package httpapi serves the API: it reads requests strictly, calls one
// operation of the engine or the store, and writes the answer.
//
// It owns the routes, the wire forms of requests, errors and Stint's own
// resources, content negotiation, entity tags and JSON Patch. It does not own
// the rules of tasks, storage or the listener.
//
// Invariants: every answer carries X-Request-Id, equal to trackingId in an
// error; every error is one task.Error mapped in one place; no path is ever
// answered with a redirect.
package httpapi
