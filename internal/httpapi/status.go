package httpapi

import (
	"context"
	"net/http"

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
	return a.writeRows(w, r, page, rows, total, render)
}

func (a *api) writeRows(
	w http.ResponseWriter, r *http.Request, page query.Page, rows []task.Row, total int64, render func(task.Row) ([]byte, error),
) error {
	list := filling[task.Row]{
		held:   func(row *task.Row) *[]byte { return &row.Wire },
		fill:   a.store.Fill,
		render: func(row *task.Row) ([]byte, error) { return render(*row) },
	}
	return a.writeList(w, r, page, total, func(ctx context.Context) error { return list.write(ctx, w, rows) })
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
	ifMatch, mayTouch := r.Header.Values("If-Match"), onSources(r.Context())
	t, err := a.tasks.Clear(r.Context(), id, func(t task.Task) (*task.Clear, error) {
		if err := mayTouch(t.SourceID); err != nil {
			return nil, err
		}
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
