package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"stint/internal/auth"
	"stint/internal/config"
	"stint/internal/store/sqlite"
)

// openKeys reads the key file of a database. It is made for a new database only: a
// database that has one is useless without it, and another would stand in its way
// when it is brought back.
func openKeys(ctx context.Context, db, keyFile string) (*auth.Keyring, error) {
	path := config.KeyFilePath(db, keyFile)
	keys, err := auth.ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	begun, err := sqlite.Begun(ctx, db)
	if err != nil {
		return nil, err
	}
	if begun {
		return nil, fmt.Errorf("the key file %s is missing: %s can only be used with the one that it was begun with; bring it back, or name it with --key-file",
			path, db)
	}
	return auth.OpenKeyFile(path)
}
