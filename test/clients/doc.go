// Package clients drives the real program with clients that were not written for
// it: the official JavaScript client of the original, unchanged; the scripts of
// examples/scripts with bash, curl, jq and Python; and tokens of an OpenID Connect
// provider.
//
// It owns what those clients are given and what they must get. It does not own
// what each answer looks like: every answer that passes is held against the
// contract by internal/apptest, whatever the client itself looks at.
//
// It needs what scripts/test-deps.sh installs; what is missing is a failure.
package clients
