package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"stint/internal/secretfile"
)

// profile is what a profile file holds. What `stint token create -o json` prints is
// one.
type profile struct {
	URL    string `json:"url"`
	ID     string `json:"id"`
	Secret string `json:"secret"`
}

// readProfile reads the profile file: that of STINT_PROFILE, or the user's own,
// which need not be there.
func (s *session) readProfile() (profile, error) {
	path, named := s.env["STINT_PROFILE"]
	if path == "" {
		named = false
		if path = s.ownProfile(); path == "" {
			return profile{}, nil
		}
	}
	text, err := secretfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return profile{}, nil
	}
	if err != nil {
		return profile{}, fmt.Errorf("the profile file: %w", err)
	}
	var p profile
	if err := json.Unmarshal(text, &p); err != nil {
		return profile{}, fmt.Errorf("the profile file %s is no JSON object with url, id and secret", path)
	}
	return p, nil
}

// ownProfile is the path of the user's own profile file; empty where there is no
// place for one.
func (s *session) ownProfile() string {
	if dir := s.env["XDG_CONFIG_HOME"]; dir != "" {
		return filepath.Join(dir, "stint", "profile.json")
	}
	if home := s.env["HOME"]; home != "" {
		return filepath.Join(home, ".config", "stint", "profile.json")
	}
	return ""
}

// signIn is what a command proves itself with: from the environment, or else from
// the profile.
type signIn struct{ url, id, secret, token string }

func (s *session) signIn() (signIn, error) {
	in := signIn{url: s.env["STINT_URL"], id: s.env["STINT_CLIENT_ID"], secret: s.env["STINT_CLIENT_SECRET"], token: s.env["STINT_TOKEN"]}
	if path := s.env["STINT_CLIENT_SECRET_FILE"]; in.secret == "" && path != "" {
		text, err := secretfile.Read(path)
		if err != nil {
			return in, fmt.Errorf("STINT_CLIENT_SECRET_FILE: %w", err)
		}
		in.secret = strings.TrimSpace(string(text))
	}
	if (in.id == "") != (in.secret == "") {
		return in, usagef("STINT_CLIENT_ID and STINT_CLIENT_SECRET (or STINT_CLIENT_SECRET_FILE) go together")
	}
	p, err := s.readProfile()
	if err != nil {
		return in, err
	}
	if in.url == "" {
		in.url = p.URL
	}
	if in.id == "" && in.token == "" {
		in.id, in.secret = p.ID, p.Secret
	}
	return in, nil
}
