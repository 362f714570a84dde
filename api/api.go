// Package api holds Stint's OpenAPI description, the contract in a form that
// tools read.
//
// It owns openapi.yaml, which is written by hand, and nothing else: no types,
// no routes. Invariants, each held by a test: the description is valid; its
// operations are exactly those that the HTTP API registers; every response that
// a test sees matches it.
package api

import _ "embed"

//go:embed openapi.yaml
var openAPI string

// OpenAPI returns the description, in YAML. The caller owns the bytes.
func OpenAPI() []byte { return []byte(openAPI) }
