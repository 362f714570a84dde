package backup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"stint/internal/store/postgres/pgtest"
)

// TestSQLite copies a file while a server writes to it.
func TestSQLite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, filepath.Join(dir, "stint.db"), filepath.Join(dir, "stint.db.key"))
	backup := filepath.Join(dir, "backup.db")
	before := s.backUp(func() {
		cmd := exec.CommandContext(t.Context(), "sqlite3", s.db, "VACUUM INTO '"+backup+"'")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	})
	s.process.Kill()
	if err := os.Chmod(backup, 0o600); err != nil {
		t.Fatal(err)
	}
	s.isWholeOn(backup, before)
}

// TestSQLiteStopped copies the file of a server that was stopped: it is all there is.
func TestSQLiteStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, filepath.Join(dir, "stint.db"), filepath.Join(dir, "stint.db.key"))
	before := s.backUp(func() {})
	before = append(before, s.known()[len(before):]...)
	s.stop()
	backup := filepath.Join(dir, "backup.db")
	if out, err := exec.CommandContext(t.Context(), "cp", s.db, backup).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.isWholeOn(backup, before)
}

// TestPostgresDump dumps a database while a server writes to it, and restores it into
// another one.
func TestPostgresDump(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	s := newSite(t, server.URL(t), filepath.Join(t.TempDir(), "stint.key"))
	dump := filepath.Join(server.Folder(), "stint.dump")
	before := s.backUp(func() {
		server.Run(t, "pg_dump", "-h", server.Folder(), "-U", "postgres", "-Fc", "-f", dump, "postgres")
	})
	s.process.Kill()
	server.Run(t, "createdb", "-h", server.Folder(), "-U", "postgres", "restored")
	server.Run(t, "pg_restore", "-h", server.Folder(), "-U", "postgres", "--exit-on-error", "--single-transaction", "-d", "restored", dump)
	server.Run(t, "vacuumdb", "-h", server.Folder(), "-U", "postgres", "--analyze-only", "restored")
	s.isWholeOn(strings.Replace(s.db, "@/postgres?", "@/restored?", 1), before)
}

// TestPostgresArchive copies a cluster while a server writes to it, archives what is
// written from then on, loses the cluster, and brings back the copy and the archive.
func TestPostgresArchive(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t, "wal_level=replica", "max_wal_senders=4", "archive_mode=on", "archive_command=cp %p ../archive/%f")
	mkdir(t, server, "archive")
	s := newSite(t, server.URL(t), filepath.Join(t.TempDir(), "stint.key"))
	s.backUp(func() {
		server.Run(t, "pg_basebackup", "-h", server.Folder(), "-U", "postgres", "-D", "backup", "-c", "fast")
	})
	// What came after the copy is in the archive, once its segment is.
	before := s.known()
	server.Run(t, "psql", "-h", server.Folder(), "-U", "postgres", "-c", "SELECT pg_switch_wal()")
	await(t, server)
	s.process.Kill()
	server.Stop(t)
	if err := os.Rename(filepath.Join(server.Folder(), "data"), filepath.Join(server.Folder(), "lost")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(server.Folder(), "backup"), filepath.Join(server.Folder(), "data")); err != nil {
		t.Fatal(err)
	}
	conf, err := os.OpenFile(filepath.Join(server.Folder(), "data", "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conf.WriteString("restore_command = 'cp ../archive/%f %p'\n"); err != nil {
		t.Fatal(err)
	}
	if err := conf.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.Folder(), "data", "recovery.signal"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	server.Start(t)
	recovers(t, server)
	s.isWholeOn(s.db, before)
}

// recovers waits until the server has read the archive: before that it takes questions,
// but no writes.
func recovers(t *testing.T, server *pgtest.Server) {
	t.Helper()
	server.Run(t, "psql", "-h", server.Folder(), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", `DO $$ BEGIN
		FOR i IN 1..1200 LOOP
			EXIT WHEN NOT pg_is_in_recovery();
			PERFORM pg_sleep(0.1);
			IF i = 1200 THEN RAISE EXCEPTION 'it is still recovering'; END IF;
		END LOOP; END $$`)
}

// mkdir makes a folder beside the cluster that the server may write to.
func mkdir(t *testing.T, server *pgtest.Server, name string) {
	t.Helper()
	path := filepath.Join(server.Folder(), name)
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
}

// await waits until the server has archived all that it has finished.
func await(t *testing.T, server *pgtest.Server) {
	t.Helper()
	server.Run(t, "psql", "-h", server.Folder(), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-c", `DO $$ BEGIN
		FOR i IN 1..600 LOOP
			EXIT WHEN (SELECT last_archived_wal FROM pg_stat_archiver) >= pg_walfile_name(pg_current_wal_lsn() - 16 * 1024 * 1024);
			PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
			IF i = 600 THEN RAISE EXCEPTION 'nothing is archived'; END IF;
		END LOOP; END $$`)
}
