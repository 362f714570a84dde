package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"stint/internal/query"
)

// writeList answers with a JSON array, which write writes.
func (a *api) writeList(w http.ResponseWriter, r *http.Request, page query.Page, total int64, write func(context.Context) error) error {
	if page.Count {
		w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	if err := write(r.Context()); err != nil {
		a.log.ErrorContext(r.Context(), "list broken off", slog.String("request_id", requestID(r.Context())), slog.Any("error", err))
		// The answer has begun: only a broken connection says that it is not whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// filling writes rows of which only the first hold all that they are: the others
// are read when their turn comes, about a megabyte at once, however large they
// are and however slowly the client reads.
type filling[T any] struct {
	// held is the part that is filled in; nil where rows are whole. It is nil in a
	// row that is gone since the page was read.
	held func(*T) *[]byte
	// fill reads the first of the rows and returns how many it has looked at.
	fill   func(context.Context, []T) (int, error)
	render func(*T) ([]byte, error)
}

// write writes a JSON array. A client that has gone is no error.
func (f filling[T]) write(ctx context.Context, w io.Writer, rows []T) error {
	isEmpty := func(row T) bool { return f.held != nil && *f.held(&row) == nil }
	filled := slices.IndexFunc(rows, isEmpty)
	separator := "["
	for i := range rows {
		if i == filled {
			n, err := f.fill(ctx, rows[i:])
			if err != nil {
				return err
			}
			filled += n
		}
		if isEmpty(rows[i]) {
			continue
		}
		body, err := f.render(&rows[i])
		if err != nil {
			return err
		}
		if f.held != nil {
			*f.held(&rows[i]) = nil
		}
		if _, err := io.WriteString(w, separator); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
		if _, err := w.Write(body); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
		separator = ","
	}
	if separator == "[" {
		_, _ = io.WriteString(w, "[")
	}
	_, _ = io.WriteString(w, "]")
	return nil
}
