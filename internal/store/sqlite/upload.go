package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"time"

	"stint/internal/store/sqlrow"
	"stint/internal/task"
)

// BeginUpload makes an empty upload.
func (s *Store) BeginUpload(ctx context.Context, id task.ID, now time.Time) error {
	return s.do(ctx, "begin upload", func(t *txn) error {
		return t.exec("INSERT INTO uploads (id, touched) VALUES (?, ?)", sqlrow.Blob(id), now.UnixMilli())
	})
}

// AppendUpload adds data, up to a megabyte, to an upload that holds start bytes.
// It is on disk when this returns. The error is of kind NotFound where the
// upload was dropped.
func (s *Store) AppendUpload(ctx context.Context, id task.ID, start int64, data []byte, now time.Time) error {
	packed := s.chunks.Pack(data)
	return s.do(ctx, "store upload", func(t *txn) error {
		var one int
		err := t.queryRow("UPDATE uploads SET touched = ? WHERE id = ? RETURNING 1", now.UnixMilli(), sqlrow.Blob(id)).Scan(&one)
		if errors.Is(err, sql.ErrNoRows) {
			return noUpload()
		}
		if err != nil {
			return err
		}
		return t.exec("INSERT INTO upload_chunks (upload, start, data) VALUES (?, ?, ?)", sqlrow.Blob(id), start, packed)
	})
}

// DropUpload forgets an upload, unless a task has it: from now on nobody adds to
// it or reads it. One that is not there is none to forget.
func (s *Store) DropUpload(ctx context.Context, id task.ID) error {
	return s.do(ctx, "drop upload", func(t *txn) error { return t.dropUpload(id) })
}

func (t *txn) dropUpload(id task.ID) error {
	var one int
	err := t.queryRow("DELETE FROM uploads WHERE id = ? AND task_id IS NULL RETURNING 1", sqlrow.Blob(id)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.discard("upload", sqlrow.Blob(id))
}

// takeUpload gives an upload to a task.
func (t *txn) takeUpload(id, to task.ID) error {
	var one int
	err := t.queryRow("UPDATE uploads SET task_id = ? WHERE id = ? AND task_id IS NULL RETURNING 1", sqlrow.Blob(to), sqlrow.Blob(id)).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return noUpload()
	}
	return err
}

func noUpload() error { return task.Errorf(task.NotFound, "", "the upload was dropped") }

// readUploadSQL finds the last chunk that begins at an offset or before. Chunks
// go one by one: those of an upload that was dropped are not read, or a part of
// a file would be taken for the whole.
const readUploadSQL = `SELECT coalesce(c.start, 0), c.data FROM uploads u LEFT JOIN upload_chunks c ON c.upload = u.id
	AND c.start = (SELECT max(start) FROM upload_chunks WHERE upload = ?1 AND start <= ?2) WHERE u.id = ?1`

// ReadUpload returns the bytes of an upload from an offset on, up to the end of
// a chunk. The error is io.EOF at the end, of kind NotFound where the upload was
// dropped.
func (s *Store) ReadUpload(ctx context.Context, id task.ID, offset int64) ([]byte, error) {
	var data []byte
	err := s.readOne(ctx, "read upload", func(r reading) error {
		var start int64
		var packed []byte
		err := r.queryRow(readUploadSQL, sqlrow.Blob(id), offset).Scan(&start, &packed)
		if errors.Is(err, sql.ErrNoRows) {
			return noUpload()
		}
		if err != nil || packed == nil {
			return err
		}
		if data, err = s.chunks.Unpack(packed); err != nil {
			return err
		}
		data = data[min(offset-start, int64(len(data))):]
		return nil
	})
	if err == nil && len(data) == 0 {
		return nil, io.EOF
	}
	return data, err
}
