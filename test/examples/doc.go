// Package examples holds the files of the folder examples, and the Dockerfile, against
// the programs that are to read them: Kubernetes' and Compose's own types, systemd's
// verifier, and Stint itself, which is started as each example starts it.
package examples
