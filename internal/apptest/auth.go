package apptest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"stint/internal/principal"
)

// Client is what signs in to a Server.
type Client struct{ ID, Secret string }

// Admin returns the client of the first administrator, who may do everything.
func (s *Server) Admin(tb testing.TB) Client {
	tb.Helper()
	if s.admin.ID == "" {
		tb.Fatal("this server asks for no tokens")
	}
	return s.admin
}

// AdminToken returns the access token that Send sends.
func (s *Server) AdminToken(tb testing.TB) string {
	tb.Helper()
	if s.token == "" {
		tb.Fatal("this server asks for no tokens")
	}
	return s.token
}

// Client makes a client with the name, user, levels, scopes, sources and expiry of
// c, by way of the API. What is not set is the least that the API asks for.
func (s *Server) Client(tb testing.TB, c principal.Client) Client {
	tb.Helper()
	path, body := "/stint/v1/applications", map[string]any{"name": cmp.Or(c.Name, "an application")}
	if c.Sort != principal.Application {
		path, body = "/stint/v1/tokens", map[string]any{"user": cmp.Or(c.User, "a user"), "name": c.Name, "levels": c.Levels}
	}
	if c.Scopes != nil {
		body["scopes"] = c.Scopes
	}
	if c.Sources != nil {
		body["sources"] = c.Sources
	}
	if !c.Expires.IsZero() {
		body["expires"] = c.Expires
	}
	sent, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	answer := s.Send(tb, Request{Method: "POST", Target: path, Header: map[string]string{"Content-Type": "application/json"}, Body: string(sent)})
	var made Client
	if err := json.Unmarshal(answer.Body, &made); err != nil || answer.Status != 201 {
		tb.Fatalf("create a client: %d %s", answer.Status, answer.Body)
	}
	return made
}

// Token signs a client in, for some of its scopes, and returns the access token.
func (s *Server) Token(tb testing.TB, c Client, scopes ...principal.Scope) string {
	tb.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ID}, "client_secret": {c.Secret}}
	for _, scope := range scopes {
		form.Set("scope", form.Get("scope")+" "+string(scope))
	}
	answer := Send(tb, s.Addr, Request{
		Method: "POST", Target: "/oauth/token", Header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, Body: form.Encode(),
	})
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(answer.Body, &grant); err != nil || answer.Status != 200 {
		tb.Fatalf("sign in: %d %s", answer.Status, answer.Body)
	}
	return grant.AccessToken
}

// TokenOf is Token for a client that it makes.
func (s *Server) TokenOf(tb testing.TB, c principal.Client) string {
	tb.Helper()
	return s.Token(tb, s.Client(tb, c))
}

// signInFirst signs the first administrator in.
func (s *Server) signInFirst(tb testing.TB) {
	tb.Helper()
	first, err := s.App.FirstToken(tb.Context(), "admin")
	if err != nil || first == nil {
		tb.Fatalf("make the first token: %v, %v", first, err)
	}
	s.admin = Client{first.ID, first.Secret}
	s.token = s.Token(tb, s.admin)
}

var (
	secretForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
	jwtForm    = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`)
)

// DecodeClient says what in data breaks the contract of a client of a sort; with
// its secret or, anywhere else than in the answer that made it, without.
func DecodeClient(data []byte, sort principal.Sort, withSecret bool) error {
	return decode(data, aClient(sort, withSecret))
}

// DecodeClientList says what in data breaks the contract of a list of clients.
func DecodeClientList(data []byte, sort principal.Sort) error {
	return decode(data, inAll(anArray(aClient(sort, false)), noIDTwice))
}

func aClient(sort principal.Sort, withSecret bool) check {
	members := map[string]member{
		"id":       {check: anID},
		"type":     {check: oneOf(string(sort))},
		"name":     {check: someText},
		"scopes":   {check: inAll(anArray(aScope), notEmpty)},
		"created":  {check: aDateTime},
		"modified": {check: aDateTime},
		"expires":  {check: orNull(aDateTime)},
		"revoked":  {check: orNull(aDateTime)},
		"lastUsed": {check: orNull(aDateTime)},
	}
	if sort == principal.PersonalAccessToken {
		members["user"] = member{check: someText}
		members["levels"] = member{check: inAll(anArray(oneOf(
			"ORG_ADMIN", "HELPDESK", "CERT_ADMIN", "REPORT_ADMIN", "ROLE_ADMIN", "ROLE_SUBADMIN", "SOURCE_ADMIN", "SOURCE_SUBADMIN",
		)), notEmpty)}
		members["sources"] = member{check: inAll(anArray(someText), notEmpty), optional: true}
	}
	if withSecret {
		members["secret"] = member{check: matching(secretForm, "64 hex digits")}
	}
	return inAll(anObject(members), modifiedFollowsCreated)
}

func aScope(path string, v any) error {
	return oneOf(
		"sp:scopes:all", "idn:task-management:read", "idn:task-management:write", "idn:sources:read", "idn:sources:manage",
		"idn:accounts:read", "idn:entitlement:read", "idn:entitlement:manage", "sp:all-personal-access-tokens:manage",
		"sp:oauth-client:manage", "stint:audit:read", "stint:webhooks:manage",
	)(path, v)
}

// DecodeAccessToken says what in data breaks the contract of the answer to a
// sign-in.
func DecodeAccessToken(data []byte) error {
	const day = 24 * 60 * 60
	return decode(data, anObject(map[string]member{
		"access_token": {check: matching(jwtForm, "a JWT")},
		"token_type":   {check: oneOf("bearer")},
		"expires_in":   {check: aWhole(1, day)},
		"scope":        {check: someText},
	}))
}

// DecodeOAuthError says what in data breaks the contract of an error of the
// sign-in with an HTTP status.
func DecodeOAuthError(data []byte, status int) error {
	codes := []string{"invalid_request", "unsupported_grant_type", "invalid_scope"}
	if status != 400 {
		codes = codes[:1]
	}
	if status == 401 {
		codes = []string{"invalid_client"}
	}
	return decode(data, anObject(map[string]member{
		"error":             {check: oneOf(codes...)},
		"error_description": {check: someText},
	}))
}

// DecodePublicKeys says what in data breaks the contract of the key set: nothing
// of a private key may stand there.
func DecodePublicKeys(data []byte) error {
	coordinate := matching(regexp.MustCompile(`^[\w-]{43}$`), "32 bytes in base64url")
	return decode(data, anObject(map[string]member{
		"keys": {check: inAll(anArray(anObject(map[string]member{
			"kty": {check: oneOf("EC")},
			"crv": {check: oneOf("P-256")},
			"alg": {check: oneOf("ES256")},
			"use": {check: oneOf("sig")},
			"kid": {check: someText},
			"x":   {check: coordinate},
			"y":   {check: coordinate},
		})), notEmpty)},
	}))
}

func decodeOAuthInfo(data []byte) error {
	return decode(data, anObject(map[string]member{
		"tenantId":          {check: anID},
		"tenantName":        {check: someText},
		"authorizeEndpoint": {check: aURL},
		"tokenEndpoint":     {check: aURL},
	}))
}

func decodeDiscovery(data []byte) error {
	return decode(data, anObject(map[string]member{
		"issuer":                                {check: aURL},
		"token_endpoint":                        {check: aURL},
		"jwks_uri":                              {check: aURL},
		"grant_types_supported":                 {check: anArray(oneOf("client_credentials"))},
		"token_endpoint_auth_methods_supported": {check: anArray(oneOf("client_secret_basic", "client_secret_post"))},
		"scopes_supported":                      {check: anArray(aScope)},
		"response_types_supported":              {check: anArray(aString)},
		"subject_types_supported":               {check: anArray(oneOf("public"))},
		"id_token_signing_alg_values_supported": {check: anArray(oneOf("ES256"))},
	}))
}

func aURL(path string, v any) error {
	s, _ := v.(string)
	if u, err := url.Parse(s); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return breach(path, v, "a URL")
	}
	return nil
}

// decodeAuth decodes the answers of sign-in and clients.
func decodeAuth(operationID string, text []byte) error {
	switch operationID {
	case "issueToken":
		return DecodeAccessToken(text)
	case "getOAuthInfo":
		return decodeOAuthInfo(text)
	case "getPublicKeys":
		return DecodePublicKeys(text)
	case "getDiscovery":
		return decodeDiscovery(text)
	}
	for name, sort := range map[string]principal.Sort{"Token": principal.PersonalAccessToken, "Application": principal.Application} {
		switch operationID {
		case "list" + name + "s":
			return DecodeClientList(text, sort)
		case "create" + name, "rotate" + name:
			return DecodeClient(text, sort, true)
		case "get" + name, "revoke" + name:
			return DecodeClient(text, sort, false)
		}
	}
	return fmt.Errorf("no decoder is known for %s", operationID)
}

func decodeSession(data []byte) error {
	rights := map[string]member{}
	for _, name := range []string{
		"readTasks", "endTasks", "launchTasks", "readSources", "manageSources", "changeSources", "loadAccounts", "loadEntitlements",
		"readAccounts", "readEntitlements", "manageTokens", "manageApplications", "readAudit", "manageWebhooks",
	} {
		rights[name] = member{check: oneOf("all", "own", "none")}
	}
	return decode(data, anObject(map[string]member{
		"kind":    {check: oneOf("client", "oidc", "open")},
		"user":    {check: someText},
		"client":  {check: aString},
		"levels":  {check: anArray(someText)},
		"scopes":  {check: anArray(aScope)},
		"sources": {check: anArray(someText)},
		"expires": {check: orNull(aDateTime)},
		"rights":  {check: anObject(rights)},
	}))
}

func decodeSessionWays(data []byte) error {
	return decode(data, anObject(map[string]member{"client": {check: aBool}, "oidc": {check: aBool}}))
}
