package config

import (
	"errors"
	"net/url"
	"strings"
)

// IsPostgres reports whether a database is named by the URL of a PostgreSQL server;
// otherwise it is the path of a SQLite file.
func IsPostgres(db string) bool {
	return strings.HasPrefix(db, "postgres://") || strings.HasPrefix(db, "postgresql://")
}

// DatabaseName returns db as it may be shown: without a password.
func DatabaseName(db string) string {
	if !IsPostgres(db) {
		return db
	}
	u, err := url.Parse(db)
	if err != nil {
		return "a postgres:// URL"
	}
	q := u.Query()
	if q.Has("password") {
		q.Set("password", "xxxxx")
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// HoldsPassword reports whether a database's URL holds a password, which belongs on
// no command line.
func HoldsPassword(db string) bool {
	if !IsPostgres(db) {
		return false
	}
	u, err := url.Parse(db)
	if err != nil {
		return false
	}
	_, given := u.User.Password()
	return given || u.Query().Has("password")
}

// CheckDatabase returns what is wrong with a database and its key file.
func CheckDatabase(db, keyFile string) error {
	switch {
	case db == "":
		return errors.New("--db is empty: the path of a database file, or a postgres:// URL")
	case IsPostgres(db):
		if _, err := url.Parse(db); err != nil {
			return errors.New("--db is no URL: like postgres://user@host:5432/stint")
		}
		if keyFile == "" {
			return errors.New("--key-file is missing: a database on PostgreSQL has none beside it; every node needs a copy of the same one")
		}
	case strings.Contains(db, "://"):
		return errors.New("--db is a URL of a kind that is not known: the path of a file, or a postgres:// URL")
	}
	return nil
}
