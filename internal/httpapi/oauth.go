package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

	"stint/internal/principal"
	"stint/internal/task"
)

const (
	maxSignIn     = 64 << 10
	signInTimeout = 10 * time.Second
)

// oauthError is an error in the form of RFC 6749, section 5.2.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// signInForm is what a client sends to get an access token.
type signInForm struct{ grant, id, secret, scope string }

// issueToken answers a client that signs in (RFC 6749, section 4.4).
func (a *api) issueToken(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	form, err := a.readSignIn(w, r)
	if err != nil {
		return a.oauthError(w, r, err)
	}
	switch form.grant {
	case "client_credentials":
	case "":
		return a.oauthError(w, r, task.Errorf(task.Missing, "grant_type", "is required: client_credentials"))
	default:
		return writeOAuthError(w, http.StatusBadRequest, "unsupported_grant_type",
			fmt.Sprintf("grant_type %q is not supported: client_credentials", task.Abbreviate(form.grant)))
	}
	if a.auth == nil {
		return writeOAuthError(w, http.StatusBadRequest, "invalid_request", "this server asks for no tokens")
	}
	grant, err := a.auth.SignIn(r.Context(), form.id, form.secret, form.scope, origin(r))
	if err != nil {
		return a.oauthError(w, r, err)
	}
	words := make([]string, len(grant.Scopes))
	for i, s := range grant.Scopes {
		words[i] = string(s)
	}
	return writeAny(w, map[string]any{
		"access_token": grant.AccessToken, "token_type": "bearer", "expires_in": int64(grant.Lifetime / time.Second),
		"scope": strings.Join(words, " "),
	})
}

func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}

// readSignIn takes the parameters from wherever a client put them: the query
// string, a form, a multipart form, or HTTP Basic. Source: contract, section 7.
func (a *api) readSignIn(w http.ResponseWriter, r *http.Request) (signInForm, error) {
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return signInForm{}, &task.Error{Kind: task.Syntax, Field: "query", Msg: "the query string cannot be decoded", Err: err}
	}
	_ = http.NewResponseController(w).SetReadDeadline(a.now().Add(signInTimeout))
	in, err := signInBody(http.MaxBytesReader(w, r.Body, maxSignIn), r.Header)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return signInForm{}, task.Errorf(task.TooLarge, "body", "is too large: at most %d bytes", tooLarge.Limit)
	}
	if err != nil {
		return signInForm{}, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	for name, values := range in {
		given[name] = append(given[name], values...)
	}
	if id, secret, ok := r.BasicAuth(); ok {
		// RFC 6749, section 2.3.1: each is encoded as in a form before.
		for name, value := range map[string]string{"client_id": id, "client_secret": secret} {
			if plain, err := url.QueryUnescape(value); err == nil {
				value = plain
			}
			given[name] = append(given[name], value)
		}
	}
	var form signInForm
	for name, to := range map[string]*string{
		"grant_type": &form.grant, "client_id": &form.id, "client_secret": &form.secret, "scope": &form.scope,
	} {
		for _, value := range given[name] {
			if value == "" { // as if it were left out (RFC 6749, section 3.2)
				continue
			}
			if *to != "" && value != *to {
				return form, task.Errorf(task.Content, name, "is given more than once, and differs")
			}
			*to = value
		}
	}
	return form, nil
}

// signInBody reads the parameters in a body.
func signInBody(body io.Reader, h http.Header) (url.Values, error) {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return nil, task.Errorf(task.UnsupportedMediaType, "Content-Encoding", "%q is not read here: send the body as it is", coding)
	}
	media, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
	if media == "multipart/form-data" && params["boundary"] == "" {
		return nil, task.Errorf(task.Syntax, "Content-Type", "multipart/form-data without a boundary")
	}
	if media == "multipart/form-data" {
		form, err := multipart.NewReader(body, params["boundary"]).ReadForm(maxSignIn)
		if errors.Is(err, io.EOF) {
			return nil, nil //nolint:nilnil // no parts: no parameters
		}
		if err != nil {
			return nil, bodyBroken(err)
		}
		defer func() { _ = form.RemoveAll() }()
		return form.Value, nil
	}
	all, err := io.ReadAll(body)
	if err != nil {
		return nil, bodyBroken(err)
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // no body: no parameters
	}
	if media != "application/x-www-form-urlencoded" && media != "" {
		return nil, task.Errorf(task.UnsupportedMediaType, "Content-Type",
			"%q is not read here: application/x-www-form-urlencoded or multipart/form-data", task.Abbreviate(h.Get("Content-Type")))
	}
	values, err := url.ParseQuery(string(all))
	if err != nil {
		return nil, &task.Error{Kind: task.Syntax, Field: "body", Msg: "is no form", Err: err}
	}
	return values, nil
}

func bodyBroken(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return &task.Error{Kind: task.Syntax, Field: "body", Msg: "is no form, or did not arrive whole", Err: err}
}

// oauthError answers with an error in the form that clients of OAuth read; what is
// no fault of theirs goes the ordinary way.
func (a *api) oauthError(w http.ResponseWriter, r *http.Request, err error) error {
	e, ok := errors.AsType[*task.Error](err)
	if !ok {
		return err
	}
	switch e.Kind { //nolint:exhaustive // the others have no form of their own here
	case task.Unauthenticated:
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="stint"`)
		}
		return writeOAuthError(w, http.StatusUnauthorized, "invalid_client", e.Text())
	case task.IllegalValue:
		return writeOAuthError(w, http.StatusBadRequest, "invalid_scope", e.Text())
	case task.Missing, task.Syntax, task.Content:
		return writeOAuthError(w, http.StatusBadRequest, "invalid_request", e.Text())
	case task.TooLarge, task.UnsupportedMediaType:
		status, _, _ := statusOf(e.Kind)
		return writeOAuthError(w, status, "invalid_request", e.Text())
	}
	return err
}

func writeOAuthError(w http.ResponseWriter, status int, code, description string) error {
	body, err := json.Marshal(oauthError{code, description})
	if err != nil {
		return fmt.Errorf("render an error: %w", err)
	}
	writeJSON(w, status, body)
	return nil
}

// oauthInfo tells clients where things are, as the original does.
func (a *api) oauthInfo(w http.ResponseWriter, _ *http.Request) error {
	return writeAny(w, map[string]string{
		"tenantId": a.tenantID, "tenantName": "stint",
		"authorizeEndpoint": a.issuer + "/oauth/authorize", "tokenEndpoint": a.issuer + "/oauth/token",
	})
}

// discovery is the document of OpenID Connect Discovery and of RFC 8414.
func (a *api) discovery(w http.ResponseWriter, _ *http.Request) error {
	return writeAny(w, map[string]any{
		"issuer": a.issuer, "token_endpoint": a.issuer + "/oauth/token", "jwks_uri": a.issuer + "/oauth/jwks",
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
		"scopes_supported":                      principal.Scopes(),
		"response_types_supported":              []string{},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256"},
	})
}

// publicKeys is the JSON Web Key Set.
func (a *api) publicKeys(w http.ResponseWriter, r *http.Request) error {
	if a.auth == nil {
		return task.Errorf(task.NotFound, "", "this server signs no tokens")
	}
	body, err := a.auth.PublicKeys(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func writeAny(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("render: %w", err)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}
