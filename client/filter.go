package client

import "strings"

// Quote makes a text a value of the filter language.
func Quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// AnyOf is a filter that holds where the field has one of the values; it is empty without
// values.
func AnyOf(field string, values ...string) string {
	switch len(values) {
	case 0:
		return ""
	case 1:
		return field + " eq " + Quote(values[0])
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = Quote(v)
	}
	return field + " in (" + strings.Join(quoted, ", ") + ")"
}

// StartsWith is a filter that holds where the field begins with the value.
func StartsWith(field, value string) string { return field + " sw " + Quote(value) }

// AttributeField is the field of accounts that is an attribute, for [AnyOf] and filters of your
// own.
func AttributeField(name string) string { return "attributes." + Quote(name) }

// AllOf is a filter that holds where every given one does. Empty ones are left out.
func AllOf(filters ...string) string {
	var given []string
	for _, f := range filters {
		if strings.TrimSpace(f) != "" {
			given = append(given, f)
		}
	}
	if len(given) < 2 {
		return strings.Join(given, "")
	}
	return "(" + strings.Join(given, ") and (") + ")"
}
