// Package bench measures the stores and the HTTP handlers at 10 thousand and at 1
// million tasks, on SQLite and on PostgreSQL, side by side in one run: the ratio
// between the sizes is what tells whether work is bounded by the page and not by the
// table.
//
// It owns the made-up tasks and the benchmarks. It asserts nothing.
package bench
