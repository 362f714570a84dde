package auth

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"stint/internal/task"
)

// FuzzBearer changes a good token: what is accepted is that token.
func FuzzBearer(f *testing.F) {
	fr := newForger(f)
	parts := strings.Split(fr.token, ".")
	for _, seed := range []string{
		"", ".", "..", fr.token, fr.token + ".", fr.signed(f), fr.signed(f, "@typ", "JWT"), parts[0] + "." + parts[1] + ".", parts[0] + "..",
		fr.token[:len(fr.token)-1] + "_", fr.token + "=", " " + fr.token, `{"payload":"","signatures":[]}`, strings.Repeat(".", 1000),
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		p, err := fr.Bearer(t.Context(), token)
		if err != nil {
			if p != nil || task.KindOf(err) != task.Unauthenticated {
				t.Fatalf("%+v, %v", p, err)
			}
			return
		}
		given := strings.Split(token, ".")
		header, claims := decoded(t, token)
		if len(given) != 3 || claims["client_id"] != fr.claims["client_id"] || header["kid"] != fr.header["kid"] || claims["scope"] != fr.claims["scope"] {
			t.Fatalf("accepted: %q", token)
		}
	})
}

// FuzzClaims signs any claims with the right key: what is accepted has an issuer,
// an audience, an expiry and a client.
func FuzzClaims(f *testing.F) {
	fr := newForger(f)
	good, err := json.Marshal(fr.claims)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(good), "", "{}", "null", "[]", `{"exp":1e400}`, `{"exp":-1}`, `{"exp":9223372036854775808}`,
		strings.Replace(string(good), `"aud":`, `"AUD":`, 1), strings.Replace(string(good), `"exp":`, `"exp":1,"exp":`, 1),
		strings.Replace(string(good), `"aud":"`, `"aud":["x","`, 1),
	} {
		f.Add(seed)
	}
	header, err := json.Marshal(fr.header)
	if err != nil {
		f.Fatal(err)
	}
	sign := es256(f, fr.key)
	f.Fuzz(func(t *testing.T, payload string) {
		input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
		p, err := fr.Bearer(t.Context(), input+"."+base64.RawURLEncoding.EncodeToString(sign([]byte(input))))
		if err != nil {
			if p != nil || task.KindOf(err) != task.Unauthenticated {
				t.Fatalf("%+v, %v", p, err)
			}
			return
		}
		var claims struct {
			Issuer   string          `json:"iss"`
			Audience json.RawMessage `json:"aud"`
			Expiry   float64         `json:"exp"`
			Client   string          `json:"client_id"`
		}
		if err := json.Unmarshal([]byte(payload), &claims); err != nil {
			t.Fatalf("accepted, although %v: %q", err, payload)
		}
		var one string
		var several []string
		if json.Unmarshal(claims.Audience, &several) != nil && json.Unmarshal(claims.Audience, &one) == nil {
			several = []string{one}
		}
		oldest := float64(fr.clock.Now().Add(-leeway).Unix())
		if claims.Issuer != issuer || !slices.Contains(several, issuer) || claims.Expiry < oldest || claims.Client != fr.claims["client_id"] {
			t.Fatalf("accepted: %q", payload)
		}
	})
}
