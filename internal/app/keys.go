package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"stint/internal/auth"
	"stint/internal/config"
)

// openKeys reads the key file of a database. It is made for a new database only: a
// database that has one is useless without it, and another would stand in its way
// when it is brought back.
func openKeys(ctx context.Context, db, keyFile string) (*auth.Keyring, error) {
	if err := config.CheckDatabase(db, keyFile); err != nil {
		return nil, err
	}
	path := config.KeyFilePath(db, keyFile)
	keys, err := auth.ReadKeyFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	has, err := begun(ctx, db)
	if err != nil {
		return nil, err
	}
	if has {
		return nil, fmt.Errorf("the key file %s is missing: %s can only be used with the one that it was begun with; bring it back, or name it with --key-file",
			path, config.DatabaseName(db))
	}
	return auth.OpenKeyFile(path)
}
