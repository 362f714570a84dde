package config

import "path/filepath"

// KeyFilePath returns the path of the key file: the one that was given, or else
// the database's with ".key" behind it. A link to a database leads to its key.
func KeyFilePath(db, keyFile string) string {
	if keyFile != "" {
		return keyFile
	}
	if real, err := filepath.EvalSymlinks(db); err == nil {
		db = real
	}
	return db + ".key"
}
