package client

import "iter"

// eachPage goes through all elements of a list, page by page. Elements that are added
// meanwhile do not make others appear twice. An error is the last thing that comes.
func eachPage[T any](opts ListOptions, id func(*T) string, list func(ListOptions) ([]T, error)) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		offset, left := opts.Offset, opts.Limit
		var seen, before map[string]bool
		for {
			page := opts
			page.Offset, page.Limit, page.Count = offset, maxPage, false
			if opts.Limit > 0 {
				page.Limit = min(left, maxPage)
			}
			got, err := list(page)
			if err != nil {
				yield(nil, err)
				return
			}
			// New elements push the others down the list: the next page begins with some that
			// were on the last. Two pages are remembered, so that a burst is seen through.
			before, seen = seen, make(map[string]bool, len(got))
			for i := range got {
				key := id(&got[i])
				seen[key] = true
				if before[key] {
					continue
				}
				if !yield(&got[i], nil) {
					return
				}
				left--
			}
			offset += len(got)
			if len(got) < page.Limit || (opts.Limit > 0 && left <= 0) {
				return
			}
		}
	}
}
