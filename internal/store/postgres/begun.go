package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Begun reports whether a database has a chain of audit entries, which can only be
// continued under the key that it was begun with. It changes nothing. A schema that is none of Stint's is an error.
func Begun(ctx context.Context, url string) (bool, error) {
	config, err := poolConfig(Options{URL: url})
	if err != nil {
		return false, err
	}
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return false, fmt.Errorf("the database: %w", err)
	}
	defer pool.Close()
	s := &Store{pool: pool}
	conn, err := s.acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("the database: %w", err)
	}
	defer conn.Release()
	schema, err := checkServer(ctx, conn.Conn())
	if err != nil {
		return false, err
	}
	version, err := schemaVersion(ctx, conn.Conn(), schema)
	return version >= auditVersion, err
}
