package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"stint/internal/task"
)

// maxEpoch is the latest time that has four digits of year, in milliseconds.
const maxEpoch = 253402300799999

// ordered are the operators of a field whose values have an order.
func ordered() []operator { return []operator{opGt, opGe, opLt, opLe} }

// resolveTime reads a time as the contract reads one (section 6): as a date-time,
// or as whole milliseconds since 1970.
func resolveTime(f Field) func(string) (operand, string) {
	return func(value string) (operand, string) {
		if ms, err := strconv.ParseUint(value, 10, 63); err == nil && ms <= maxEpoch {
			return operand{field: f, value: task.FormatTime(time.UnixMilli(int64(ms)))}, ""
		}
		t, ok := task.ParseTime(value)
		if !ok {
			hint := ""
			if strings.Contains(value, " ") {
				hint = "; a + in a URL is a space, and is written %2B"
			}
			return operand{}, "is not a time: RFC 3339 like 2026-11-24T23:40:50.123Z, or whole epoch milliseconds" + hint
		}
		return operand{field: f, value: task.FormatTime(t), cut: belowMillis(value)}, ""
	}
}

// belowMillis reports whether a date-time has a part of a millisecond.
func belowMillis(value string) bool {
	i := strings.IndexAny(value, ".,")
	if i < 0 {
		return false
	}
	digits := value[i+1:]
	for n := range len(digits) {
		if digits[n] < '0' || digits[n] > '9' {
			return false
		}
		if n >= 3 && digits[n] != '0' {
			return true
		}
	}
	return false
}

// maxNumber is the largest number that everything which reads JSON reads exactly.
const maxNumber = 1<<53 - 1

// resolveNumber reads a whole number.
func resolveNumber(f Field) func(string) (operand, string) {
	return func(value string) (operand, string) {
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil || n > maxNumber {
			return operand{}, fmt.Sprintf("is not a whole number from 0 to %d", int64(maxNumber))
		}
		return operand{field: f, value: strconv.FormatUint(n, 10)}, ""
	}
}

// ParseTime reads a parameter that is a time, as filters read one; it is cut to the
// millisecond. Its error is of kind IllegalValue.
func ParseTime(field, value string) (time.Time, error) {
	got, wrong := resolveTime(FieldCreated)(value)
	if wrong != "" {
		return time.Time{}, task.Errorf(task.IllegalValue, field, "%s %s", shown(value), wrong)
	}
	at, _ := task.ParseTime(got.value)
	return at, nil
}
