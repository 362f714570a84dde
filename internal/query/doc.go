// Package query is the standard collection parameters: which elements of a list
// a caller wants, in which order, and which page of them.
//
// It owns the filter language (its grammar, its bounds, its syntax trees and
// their canonical text), the page and its ranges, the strict decoding of a query
// string, the tables that say what a resource can be filtered and sorted on, and
// the in-memory evaluation that every store must agree with. It does not own
// storage, transport or what the values mean: kinds, statuses and ids are the
// domain's.
//
// Invariants:
//   - parsing is linear in its input and never panics, whatever the input;
//   - every error is a *task.Error that names the parameter, and for a filter
//     the position, in characters from 1;
//   - evaluation is two-valued: a comparison with a null field is false, and its
//     not is true;
//   - texts compare with ASCII case ignored and are otherwise compared exactly.
//
// A syntax error depends on the grammar alone: whether a filter can be parsed is
// the same for every table.
package query
