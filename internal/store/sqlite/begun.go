package sqlite

import (
	"context"
	"errors"
	"os"
)

// Begun reports whether a database has a chain of audit entries, which can only be
// continued under the key that it was begun with. It changes nothing. A file that
// is none of Stint's is an error, one that is not there is not.
func Begun(ctx context.Context, path string) (bool, error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return false, nil //nolint:nilerr // whoever opens it says what is wrong
	}
	if err := checkHeader(Options{Path: path}); err != nil {
		return false, err
	}
	db, err := openPool(path, true, 1)
	if err != nil {
		return false, err
	}
	var begun bool
	err = db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM settings WHERE name = ?)", settingKeyCheck).Scan(&begun)
	if primaryCode(err) == 1 { // no such table: it was made before there was a chain, or is being made
		err = nil
	}
	return begun, errors.Join(err, db.Close())
}
