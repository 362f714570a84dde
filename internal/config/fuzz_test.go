package config_test

import (
	"fmt"
	"net/http"
	"testing"

	"stint/internal/config"
)

// FuzzNetwork: what a setting takes it writes so that it takes it again, and is
// what it is for.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"100/10s", "0", "https://console.example.com:8443", "http://[::1]:80", "*", "10.0.0.0/8,fd00::/8", "::ffff:1.2.3.4", "1/1d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var limit, limitAgain config.RateLimit
		if limit.Set(s) == nil && (limitAgain.Set(limit.String()) != nil || limit != limitAgain) {
			t.Errorf("%q is written %q, and read as %v", s, limit, limitAgain)
		}
		var origins, originsAgain config.Origins
		if origins.Set(s) == nil {
			if originsAgain.Set(origins.String()) != nil || fmt.Sprint(origins) != fmt.Sprint(originsAgain) {
				t.Errorf("%q is written %q, and read as %v", s, origins, originsAgain)
			}
			for _, origin := range origins {
				if err := http.NewCrossOriginProtection().AddTrustedOrigin(origin); err != nil {
					t.Errorf("%q: %v", origin, err)
				}
			}
		}
		var prefixes, prefixesAgain config.Prefixes
		if prefixes.Set(s) == nil && (prefixesAgain.Set(prefixes.String()) != nil || fmt.Sprint(prefixes) != fmt.Sprint(prefixesAgain)) {
			t.Errorf("%q is written %q, and read as %v", s, prefixes, prefixesAgain)
		}
	})
}
