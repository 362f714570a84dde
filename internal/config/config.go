// Package config holds the settings of a server.
//
// It owns their names, defaults and rules. It does not read flags, files or the
// environment (package cli does) and it is imported by cli and app alone.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Config are the settings of a server.
type Config struct {
	// DB is the path of the database file, or the URL of a PostgreSQL database.
	DB string
	// KeyFile is the path of the file of its key; empty is the database's with
	// ".key" behind it, where that is a file.
	KeyFile string
	// Role says what this process does; where the database is a file, it does all.
	Role Role
	// Listen and OpsListen are the addresses of the API and of the operations
	// endpoints.
	Listen, OpsListen string
	// Visibility is how long a task is shown after it was created; Retention is
	// how long it is kept. 0 is for ever.
	Visibility, Retention Duration
	// AuditRetention is how long an entry of the audit is kept; 0 is for ever.
	AuditRetention Duration
	// Workers is how many tasks Stint itself runs at once; MaxUpload bounds an
	// uploaded file.
	Workers   int
	MaxUpload Size
	// Poll is how often the queue is looked at for work; 0 is soon enough for
	// everybody but tests, of which many wait at once with a server each.
	Poll Duration
	// ShutdownDelay is how long a process that was told to stop still serves, without
	// being ready, so that whoever sends it requests can turn away.
	ShutdownDelay Duration
	// ShutdownTimeout is how long a shutdown waits for requests and tasks under
	// way.
	ShutdownTimeout Duration
	LogFormat       string // text or json
	LogLevel        string // debug, info, warn or error
	// InsecureNoAuth serves without tokens; only on loopback.
	InsecureNoAuth bool
	// PublicURL is the URL under which the API is known; empty is that of Listen.
	PublicURL string
	// TokenLifetime is that of an access token.
	TokenLifetime Duration
	// SessionLifetime is how long a session of the console lasts.
	SessionLifetime Duration
	// OIDCIssuer is an identity provider whose tokens for OIDCAudience are trusted,
	// too; OIDCGrants say what a claim's value gives, as CLAIM:VALUE=LEVEL or
	// CLAIM:VALUE=SCOPE.
	OIDCIssuer, OIDCAudience string
	OIDCGrants               []string
	// OIDCClientID is the client with which people sign in to the console there, and
	// OIDCClientSecretFile the path of its secret, if it has one.
	OIDCClientID, OIDCClientSecretFile string
	// TLSCert and TLSKey are files in PEM form; both or none.
	TLSCert, TLSKey string
	// TrustedProxies may say for whom they ask; CORSOrigins are sites whose pages
	// may call the API.
	TrustedProxies Prefixes
	CORSOrigins    Origins
	RateLimit      RateLimit
}

const (
	day        = 24 * time.Hour
	maxWorkers = 1000
)

// Default returns the settings of a server that is told nothing.
func Default() Config {
	return Config{
		DB: "stint.db", Role: RoleAll, Listen: "127.0.0.1:8080", OpsListen: "127.0.0.1:8081",
		Visibility: Duration(90 * day), Retention: Duration(90 * day), ShutdownTimeout: Duration(30 * time.Second),
		Workers: 4, MaxUpload: 1 << 30, TokenLifetime: Duration(15 * time.Minute), SessionLifetime: Duration(12 * time.Hour),
		LogFormat: "text", LogLevel: "info",
	}
}

// Validate returns everything that is wrong with the settings, at once.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	errs = append(errs, CheckDatabase(c.DB, c.KeyFile))
	check(c.Role.known(), "--role %q is not allowed: all, api or worker", c.Role)
	check(c.Role == RoleAll || !c.Role.known() || IsPostgres(c.DB),
		"--role %s needs a database on PostgreSQL: the process that has a file does all", c.Role)
	check(c.Visibility >= 0, "--visibility %s is negative", c.Visibility)
	check(c.Retention >= 0, "--retention %s is negative", c.Retention)
	check(c.Retention == 0 || c.Visibility != 0 && c.Retention >= c.Visibility,
		"--retention %s is shorter than --visibility %s: what is shown must be kept", c.Retention, c.Visibility)
	check(c.AuditRetention >= 0, "--audit-retention %s is negative", c.AuditRetention)
	check(c.AuditRetention <= 0 || c.Retention != 0 && c.AuditRetention >= c.Retention,
		"--audit-retention %s is shorter than --retention %s: what was done to a task is kept at least as long as the task", c.AuditRetention, c.Retention)
	check(c.Workers >= 1 && c.Workers <= maxWorkers, "--workers %d is not allowed: 1 to %d", c.Workers, maxWorkers)
	check(c.MaxUpload > 0, "--max-upload %s is not positive", c.MaxUpload)
	check(c.ShutdownDelay >= 0, "--shutdown-delay %s is negative", c.ShutdownDelay)
	check(c.ShutdownTimeout > 0, "--shutdown-timeout %s is not positive", c.ShutdownTimeout)
	check(c.LogFormat == "text" || c.LogFormat == "json", "--log-format %q is not allowed: text or json", c.LogFormat)
	check(c.LogLevel == "debug" || c.LogLevel == "info" || c.LogLevel == "warn" || c.LogLevel == "error",
		"--log-level %q is not allowed: debug, info, warn or error", c.LogLevel)
	for _, a := range []struct{ flag, address string }{{"--listen", c.Listen}, {"--ops-listen", c.OpsListen}} {
		_, port, err := net.SplitHostPort(a.address)
		check(err == nil && port != "", "%s %q is not an address: HOST:PORT, like 127.0.0.1:8080", a.flag, a.address)
	}
	check((c.TLSCert == "") == (c.TLSKey == ""), "--tls-cert and --tls-key go together: both or none")
	check(c.TokenLifetime >= Duration(time.Minute) && c.TokenLifetime <= Duration(day),
		"--token-lifetime %s is not allowed: 1m to 1d", c.TokenLifetime)
	check(c.SessionLifetime >= Duration(time.Minute) && c.SessionLifetime <= Duration(7*day),
		"--session-lifetime %s is not allowed: 1m to 7d", c.SessionLifetime)
	check(c.PublicURL == "" || isBaseURL(c.PublicURL), "--public-url %q is not a URL: like https://stint.example.com", c.PublicURL)
	check((c.OIDCIssuer == "") == (c.OIDCAudience == ""), "--oidc-issuer and --oidc-audience go together: both or none")
	check(c.OIDCIssuer == "" || isBaseURL(c.OIDCIssuer), "--oidc-issuer %q is not a URL: like https://login.example.com", c.OIDCIssuer)
	check(c.OIDCIssuer != "" || len(c.OIDCGrants) == 0, "--oidc-grant is given without --oidc-issuer")
	check(c.OIDCIssuer != "" || c.OIDCClientID == "", "--oidc-client-id is given without --oidc-issuer")
	check(c.OIDCClientID != "" || c.OIDCClientSecretFile == "", "--oidc-client-secret-file is given without --oidc-client-id")
	if c.InsecureNoAuth {
		check(IsLoopback(c.Listen), "--insecure-no-auth serves on loopback only: --listen %q is not 127.0.0.1, [::1] or localhost", c.Listen)
	}
	return errors.Join(errs...)
}

func isBaseURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// IsLoopback reports whether a host, or an address with a port, can be reached
// from this machine alone.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = strings.Trim(address, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Duration is a time.Duration that may be written in days.
type Duration time.Duration

// ParseDuration reads "90d", "36h", "1d12h", "0" and whatever time.ParseDuration
// reads.
func ParseDuration(s string) (time.Duration, error) {
	if s == "" {
		return 0, errors.New("a duration is empty: like 90d, 36h or 30s")
	}
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "0", s
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: like 90d, 36h or 30s", s)
	}
	var d time.Duration
	if rest != "" {
		if d, err = time.ParseDuration(rest); err != nil || d < 0 {
			return 0, fmt.Errorf("%q is not a duration: like 90d, 36h or 30s", s)
		}
	}
	const mostDays = 100 * 365
	if n > mostDays || d > mostDays*day {
		return 0, fmt.Errorf("%q is longer than 100 years; 0 is for ever", s)
	}
	return time.Duration(n)*day + d, nil
}

// Set reads a flag's value.
func (d *Duration) Set(s string) error {
	parsed, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(parsed)
	return nil
}

// String writes whole days as days.
func (d Duration) String() string {
	if t := time.Duration(d); t >= day && t%day == 0 {
		return strconv.FormatInt(int64(t/day), 10) + "d"
	}
	return time.Duration(d).String()
}

// Type names the type in help texts.
func (d Duration) Type() string { return "duration" }
