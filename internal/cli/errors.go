package cli

import (
	"errors"
	"fmt"
	"strings"

	"stint/client"
)

// usagef is an error about how a command was called.
func usagef(format string, args ...any) error { return fmt.Errorf(format, args...) }

// errorLine is the one line that a person reads when a command failed: what happened, what
// to do where that is known, and the tracking id that finds it in the server's log.
func (s *session) errorLine(err error) string {
	text := err.Error()
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrUnreachable):
		text += ". Is the server running? Start one with: stint serve; or name another with --url or STINT_URL"
	case !errors.As(err, &answer):
	case errors.Is(err, client.ErrUnauthorized):
		text += ". Set STINT_CLIENT_ID and STINT_CLIENT_SECRET, or STINT_PROFILE, to a personal access token's or an application's"
	case answer.Status == 404 && answer.DetailCode == "":
		text += ". Is this a Stint server? Check --url or STINT_URL"
	}
	if answer != nil && answer.TrackingID != "" {
		text += " [tracking id " + answer.TrackingID + "]"
	}
	return escapeLine(strings.TrimSpace(text))
}
