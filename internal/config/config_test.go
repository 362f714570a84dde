package config_test

import (
	"strings"
	"testing"
	"time"

	"stint/internal/config"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Duration{
		"90d": 90 * 24 * time.Hour, "1d12h": 36 * time.Hour, "30s": 30 * time.Second, "0": 0, "0d": 0, "1.5h": 90 * time.Minute,
	} {
		if got, err := config.ParseDuration(in); err != nil || got != want {
			t.Errorf("%q: got %s, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "90", "-1d", "1dd", "1w", "99999d", "9999999h", "1d-2h3", "+1d"} {
		if got, err := config.ParseDuration(in); err == nil {
			t.Errorf("%q: got %s, want an error", in, got)
		}
	}
}

func TestDurationIsWrittenAsItIsRead(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"90d", "30s", "36h0m0s"} {
		var d config.Duration
		if err := d.Set(in); err != nil || d.String() != in {
			t.Errorf("%q: got %q, %v", in, d.String(), err)
		}
	}
}

func TestValidateNamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	valid := config.Default()
	valid.InsecureNoAuth = true
	if err := valid.Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	for name, tc := range map[string]struct {
		change func(*config.Config)
		says   []string
	}{
		"tokens for ever":       {func(c *config.Config) { c.TokenLifetime = config.Duration(25 * time.Hour) }, []string{"--token-lifetime", "25h"}},
		"no public URL":         {func(c *config.Config) { c.PublicURL = "stint.example.com" }, []string{"--public-url", "stint.example.com"}},
		"a provider for nobody": {func(c *config.Config) { c.OIDCIssuer = "https://login.example.com" }, []string{"--oidc-audience"}},
		"grants of no provider": {func(c *config.Config) { c.OIDCGrants = []string{"a:b=ORG_ADMIN"} }, []string{"--oidc-grant"}},
		"every address":         {func(c *config.Config) { c.Listen = ":8080" }, []string{"loopback", `":8080"`}},
		"another address":       {func(c *config.Config) { c.Listen = "10.0.0.1:8080" }, []string{"loopback"}},
		"a name":                {func(c *config.Config) { c.Listen = "localhost.example.com:80" }, []string{"loopback"}},
		"no port":               {func(c *config.Config) { c.OpsListen = "127.0.0.1" }, []string{"--ops-listen"}},
		"retention too short":   {func(c *config.Config) { c.Retention = config.Duration(time.Hour) }, []string{"--retention", "--visibility"}},
		"audit kept too short":  {func(c *config.Config) { c.AuditRetention = config.Duration(time.Hour) }, []string{"--audit-retention", "--retention 90d"}},
		"audit kept shorter than tasks that stay": {func(c *config.Config) { c.Visibility, c.Retention, c.AuditRetention = 0, 0, 1e18 }, []string{"--audit-retention", "--retention 0s"}},
		"audit kept less than no time":            {func(c *config.Config) { c.AuditRetention = -1 }, []string{"--audit-retention -1ns is negative"}},
		"visible for ever alone":                  {func(c *config.Config) { c.Visibility = 0 }, []string{"--retention"}},
		"another URL":                             {func(c *config.Config) { c.DB = "mysql://x" }, []string{"--db", "postgres://"}},
		"no URL":                                  {func(c *config.Config) { c.DB = "postgres://a b:%" }, []string{"--db", "postgres://"}},
		"PostgreSQL without a key file":           {func(c *config.Config) { c.DB = "postgres://x/y" }, []string{"--key-file", "every node"}},
		"unknown role":                            {func(c *config.Config) { c.Role = "reader" }, []string{"--role", "reader", "worker"}},
		"role of one process alone":               {func(c *config.Config) { c.Role = config.RoleAPI }, []string{"--role api", "PostgreSQL"}},
		"two things": {
			func(c *config.Config) { c.LogFormat, c.LogLevel = "xml", "loud" },
			[]string{"--log-format", "xml", "--log-level", "loud"},
		},
		"no time to stop": {func(c *config.Config) { c.ShutdownTimeout = 0 }, []string{"--shutdown-timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := valid
			tc.change(&c)
			err := c.Validate()
			if err == nil {
				t.Fatal("got no error")
			}
			for _, text := range tc.says {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %q, want it to say %q", err, text)
				}
			}
		})
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "LOCALHOST:1": true, "::1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.168.0.1:1": false, "example.com:1": false, "": false,
	} {
		if got := config.IsLoopback(address); got != want {
			t.Errorf("%q: got %t, want %t", address, got, want)
		}
	}
}
