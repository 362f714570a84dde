package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"stint/internal/query"
	"stint/internal/task"
)

// listStatuses serves the list of task statuses, exactly as narrow as the
// original's.
func (a *api) listStatuses(w http.ResponseWriter, r *http.Request) error {
	page, err := a.table.ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	return a.writePage(w, r, page, asStatus)
}

// asStatus renders a row as the original does.
func asStatus(row task.Row) ([]byte, error) { return row.Wire, nil }

// listPending serves the deprecated list of tasks in progress.
func (a *api) listPending(w http.ResponseWriter, r *http.Request) error {
	page, err := a.table.ParsePage(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var pending query.Expr = query.Null{Field: query.FieldStatus}
	if page.Filter != nil {
		pending = query.And{Terms: []query.Expr{pending, page.Filter}}
	}
	page.Filter = pending
	// The day on which the older API versions were superseded by v1 (RFC 9745).
	w.Header().Set("Deprecation", "@1767225600")
	w.Header().Set("Link", `</task-status/v1?filters=completionStatus%20isnull>; rel="successor-version"`)
	return a.writePage(w, r, page, asStatus)
}

// writePage answers with a JSON array of the page's rows.
func (a *api) writePage(w http.ResponseWriter, r *http.Request, page query.Page, render func(task.Row) ([]byte, error)) error {
	rows, total, err := a.store.List(r.Context(), page, a.tasks.VisibleSince())
	if err != nil {
		return err
	}
	if page.Count {
		w.Header().Set("X-Total-Count", strconv.FormatInt(total, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	if err := a.writeRows(r.Context(), w, rows, render); err != nil {
		a.log.ErrorContext(r.Context(), "list broken off", slog.String("request_id", requestID(r.Context())), slog.Any("error", err))
		// The answer has begun: only a broken connection says that it is not whole.
		panic(http.ErrAbortHandler)
	}
	return nil
}

// writeRows writes rows as a JSON array, holding about a megabyte at once,
// however large they are and however slowly the client reads.
func (a *api) writeRows(ctx context.Context, w io.Writer, rows []task.Row, render func(task.Row) ([]byte, error)) error {
	filled := slices.IndexFunc(rows, func(r task.Row) bool { return r.Wire == nil })
	separator := "["
	for i := range rows {
		if i == filled {
			n, err := a.store.Fill(ctx, rows[i:])
			if err != nil {
				return err
			}
			filled += n
		}
		if rows[i].Wire == nil {
			continue // gone since the page was read
		}
		body, err := render(rows[i])
		if err != nil {
			return err
		}
		rows[i].Wire = nil
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

// visible reads the task that the path names.
func (a *api) visible(r *http.Request) (task.Row, error) {
	id, err := taskID(r)
	if err != nil {
		return task.Row{}, err
	}
	return a.store.Get(r.Context(), id, a.tasks.VisibleSince())
}

// getStatus serves one task status with its entity tag.
func (a *api) getStatus(w http.ResponseWriter, r *http.Request) error {
	row, err := a.visible(r)
	if err != nil {
		return err
	}
	writeTagged(w, r, row.Wire)
	return nil
}

// writeTagged answers with a body and its entity tag, or with 304 where the
// client has it.
func writeTagged(w http.ResponseWriter, r *http.Request, body []byte) {
	tag := etag(body)
	w.Header().Set("ETag", tag)
	if given := r.Header.Values("If-None-Match"); len(given) > 0 && matches(given, tag, true) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

// patchStatus clears a task by JSON Patch.
func (a *api) patchStatus(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	body, err := a.readBody(w, r, maxPatch, "application/json-patch+json", "application/json")
	if err != nil {
		return err
	}
	patch, err := parsePatch(body)
	if err != nil {
		return err
	}
	why, err := reason(r)
	if err != nil {
		return err
	}
	ifMatch := r.Header.Values("If-Match")
	t, err := a.tasks.Clear(r.Context(), id, func(t task.Task) (*task.Clear, error) {
		wire, err := t.MarshalWire()
		if err != nil {
			return nil, err
		}
		clearing, err := patch.clear(&t, wire)
		if len(ifMatch) > 0 && !matches(ifMatch, etag(wire), false) {
			// A repeat carries the tag of before the first try; RFC 9110, section
			// 13.1.1, lets what was applied already succeed.
			if err == nil && clearing != nil && clearing.Done(&t) {
				return nil, nil //nolint:nilnil // nothing is left to do
			}
			return nil, task.Errorf(task.PreconditionFailed, "If-Match", "the task is now %s", etag(wire))
		}
		if clearing != nil {
			clearing.Reason = why
		}
		return clearing, err
	}, string(body), origin(r))
	if err != nil {
		return err
	}
	wire, err := t.MarshalWire()
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(wire))
	writeJSON(w, http.StatusOK, wire)
	return nil
}
