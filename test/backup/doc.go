// Package backup holds the commands of docs/OPERATIONS.md that copy a database, and
// bring it back, against what they are for: what was answered before a backup began is
// in it, and whatever is in it fits together.
package backup
