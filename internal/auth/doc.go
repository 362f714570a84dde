// Package auth makes and checks what people and programs prove themselves with:
// the key file, the secrets of clients, access tokens, sessions of the console,
// and the tokens of a trusted identity provider.
//
// It owns the keys derived from the key file, the signing keys and their
// rotation, access tokens (RFC 9068), and who a bearer is. It does not own who may
// do what (package principal does), the wire form of sign-in (httpapi), nor
// storage.
//
// Invariants: a secret is shown once and stored as a keyed hash; a private key is
// stored sealed under a key that is not in the database; a token is trusted only
// for the algorithm, issuer and audience that it must have.
package auth
