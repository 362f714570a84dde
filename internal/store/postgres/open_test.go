package postgres

import (
	"runtime"
	"testing"
)

func TestMaxConns(t *testing.T) {
	t.Parallel()
	const url = "postgres://stint@db.example.com/stint"
	own := int32(max(16, 4*runtime.GOMAXPROCS(0)))
	for _, test := range []struct {
		url   string
		given int
		want  int32
	}{
		{url, 0, own},
		{url, 40, 40},
		{url, 1, minConns},
		{url + "?pool_max_conns=30", 0, 30},
		{url + "?sslmode=disable&pool_max_conns=8", 0, 8},
		{url + "?pool_max_conns=2", 0, minConns},
		{url + "?pool_max_conns=30", 40, 40},
	} {
		config, err := poolConfig(Options{URL: test.url, MaxConns: test.given})
		if err != nil {
			t.Fatal(err)
		}
		if config.MaxConns != test.want {
			t.Errorf("%s, %d given: %d connections, want %d", test.url, test.given, config.MaxConns, test.want)
		}
	}
}
