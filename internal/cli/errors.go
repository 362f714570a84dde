package cli

import "fmt"

// usagef is an error about how a command was called.
func usagef(format string, args ...any) error { return fmt.Errorf(format, args...) }

// errorLine is the one line that a person reads when a command failed.
func (s *session) errorLine(err error) string {
	return escapeLine(err.Error())
}
