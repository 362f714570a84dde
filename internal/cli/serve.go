package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"stint/internal/app"
	"stint/internal/config"
	"stint/internal/secretfile"
)

func newServeCommand(s *session) *cobra.Command {
	cfg := config.Default()
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API and run tasks on a database",
		Long: "Serve the API and run tasks on a database: a file, which one process has at a time, or a PostgreSQL database, which\n" +
			"any number of processes share. Every flag can be set in the environment too: STINT_DB for --db, and so on; a flag is\n" +
			"stronger. A URL with a password belongs in STINT_DB, or in a file that STINT_DB_FILE names.",
		Example: "  stint serve --db stint.db\n  stint serve --db stint.db --insecure-no-auth\n" +
			"  stint serve --db postgres://stint@db.example.com/stint --key-file stint.key --public-url https://stint.example.com",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flagsFromEnv(s, cmd.Flags()); err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
			}
			log := newLogger(s.Err, cfg.LogFormat, cfg.LogLevel)
			a, err := app.New(cmd.Context(), cfg, log, s.now)
			if err != nil {
				return err
			}
			first, err := a.FirstToken(cmd.Context(), "admin")
			if err != nil {
				return errors.Join(err, a.Stop())
			}
			if first != nil {
				printFirstToken(s.Out, a.URL(), first)
			}
			return a.Run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.DB, "db", cfg.DB, databaseHelp+"; a file is made where it does not exist")
	f.StringVar(&cfg.KeyFile, "key-file", "", "path of the file of its key, the same for all processes; made for a new database; the database file's path with .key behind it where it is not given")
	f.Var(&roleFlag{&cfg.Role}, "role", "what this process does: all, api (serves the API) or worker (runs tasks); on PostgreSQL only")
	f.StringVar(&cfg.Listen, "listen", cfg.Listen, "address of the API")
	f.StringVar(&cfg.OpsListen, "ops-listen", cfg.OpsListen, "address of /healthz, /readyz and /debug/pprof")
	f.Var(&cfg.Visibility, "visibility", "how long a task is shown after it was created; 0: for ever")
	f.Var(&cfg.Retention, "retention", "how long a task is kept after it was created; 0: for ever")
	f.Var(&cfg.AuditRetention, "audit-retention", "how long an entry of the audit is kept, at least --retention; 0: for ever")
	f.IntVar(&cfg.Workers, "workers", cfg.Workers, "how many tasks Stint itself runs at once; others wait")
	f.Var(&cfg.MaxUpload, "max-upload", "the largest file that may be uploaded")
	f.Var(&cfg.ShutdownDelay, "shutdown-delay", "how long a process that is told to stop still serves, while /readyz says no")
	f.Var(&cfg.ShutdownTimeout, "shutdown-timeout", "how long a shutdown waits for requests and tasks under way")
	f.StringVar(&cfg.LogFormat, "log-format", cfg.LogFormat, "text or json")
	f.StringVar(&cfg.LogLevel, "log-level", cfg.LogLevel, "debug (every request), info, warn or error")
	f.StringVar(&cfg.PublicURL, "public-url", "", "URL under which clients know the API, and which signs its tokens; that of --listen where it is not given")
	f.Var(&cfg.TokenLifetime, "token-lifetime", "how long an access token is good: 1m to 1d")
	f.Var(&cfg.SessionLifetime, "session-lifetime", "how long a session of the console lasts: 1m to 7d")
	f.StringVar(&cfg.OIDCIssuer, "oidc-issuer", "", "URL of an OpenID Connect provider whose access tokens are trusted, too")
	f.StringVar(&cfg.OIDCAudience, "oidc-audience", "", "the audience that its tokens must be for")
	f.StringVar(&cfg.OIDCClientID, "oidc-client-id", "", "the console's client there: people sign in with it; its redirect URI is --public-url with /stint/v1/session/oidc/callback")
	f.StringVar(&cfg.OIDCClientSecretFile, "oidc-client-secret-file", "", "file of that client's secret, which others must not be able to read; none where it has none")
	f.StringArrayVar(&cfg.OIDCGrants, "oidc-grant", nil,
		"what a claim gives: CLAIM:VALUE=LEVEL or CLAIM:VALUE=SCOPE, like groups:identity-admins=ORG_ADMIN; may be repeated")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "file of the certificate and its chain (PEM); read again when it changes")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "file of the certificate's key (PEM), which others must not be able to read")
	f.Var(&cfg.TrustedProxies, "trusted-proxies", "addresses of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed")
	f.Var(&cfg.RateLimit, "rate-limit", "how many requests an access token may make: 100/10s; 0: any number")
	f.Var(&cfg.CORSOrigins, "cors-origin", "a site whose pages may call the API, as https://console.example.com; may be repeated")
	f.BoolVar(&cfg.InsecureNoAuth, "insecure-no-auth", false, "serve without tokens, on loopback only")
	return cmd
}

// flagsFromEnv sets the flags that were not given from STINT_… variables.
func flagsFromEnv(s *session, flags *pflag.FlagSet) error {
	var errs []error
	if f := flags.Lookup("db"); f != nil {
		if err := s.setDatabase(f); err != nil {
			return err
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		name := "STINT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := s.env[name]
		if f.Changed || !set || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}

// databaseHelp is what --db takes.
const databaseHelp = "path of the database file, or a postgres:// URL (STINT_DB, STINT_DB_FILE)"

// setDatabase takes the database's URL from a file where nothing else names it, and
// refuses a password that everybody on the machine can see.
func (s *session) setDatabase(db *pflag.Flag) error {
	if db.Changed {
		if config.HoldsPassword(db.Value.String()) {
			return usagef("--db holds a password, which everybody on this machine can see in the list of processes: " +
				"set STINT_DB or PGPASSWORD, or name a file that holds the URL with STINT_DB_FILE")
		}
		return nil
	}
	path := s.env["STINT_DB_FILE"]
	if path == "" || s.env["STINT_DB"] != "" {
		return nil
	}
	text, err := secretfile.Read(path)
	if err != nil {
		return fmt.Errorf("STINT_DB_FILE: %w", err)
	}
	return db.Value.Set(strings.TrimSpace(string(text)))
}

// roleFlag reads a role; Validate says which there are.
type roleFlag struct{ role *config.Role }

func (r *roleFlag) Set(text string) error {
	*r.role = config.Role(text)
	return nil
}
func (r *roleFlag) String() string { return string(*r.role) }
func (r *roleFlag) Type() string   { return "role" }

func newLogger(w io.Writer, format, level string) *slog.Logger {
	var l slog.Level
	// Validate has checked the names.
	_ = l.UnmarshalText([]byte(level))
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// printFirstToken tells the administrator how to get in. Nobody can ask again: it
// goes to the standard output and not to the log, which is kept.
func printFirstToken(w io.Writer, url string, t *app.FirstToken) {
	fmt.Fprintf(w, `This database is new: here is the personal access token of its administrator.
It is shown once; keep it.

  export STINT_URL=%s
  export STINT_CLIENT_ID=%s
  export STINT_CLIENT_SECRET=%s

Try it:

  stint task list

or, without this program:

  curl -s $STINT_URL/oauth/token -u $STINT_CLIENT_ID:$STINT_CLIENT_SECRET -d grant_type=client_credentials
  curl -s $STINT_URL/task-status/v1 -H "Authorization: Bearer ACCESS_TOKEN"

`, url, t.ID, t.Secret)
}
