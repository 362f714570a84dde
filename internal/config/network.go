package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// RateLimit is how many requests one access token may make within a time. The
// zero value sets no limit.
type RateLimit struct {
	Requests int
	Per      time.Duration
}

const mostRequests = 1_000_000

// Set reads a flag's value: 100/10s, or 0 for no limit.
func (l *RateLimit) Set(s string) error {
	if s == "0" {
		*l = RateLimit{}
		return nil
	}
	requests, per, _ := strings.Cut(s, "/")
	n, err := strconv.ParseUint(requests, 10, 32)
	d, perErr := ParseDuration(per)
	if err != nil || perErr != nil || n < 1 || n > mostRequests || d < time.Millisecond || d > day {
		return fmt.Errorf("%q is not a rate: REQUESTS/TIME, like 100/10s, with 1 to %d requests in 1ms to 1d; 0 is no limit", s, mostRequests)
	}
	*l = RateLimit{Requests: int(n), Per: d}
	return nil
}

// String writes the limit as it is read.
func (l RateLimit) String() string {
	if l.Requests == 0 {
		return "0"
	}
	per := Duration(l.Per).String()
	// 1m0s and 1h0m0s as people write them.
	if short := strings.TrimSuffix(per, "m0s"); short != per {
		per = short + "m"
	}
	if short := strings.TrimSuffix(per, "h0m"); short != per {
		per = short + "h"
	}
	return strconv.Itoa(l.Requests) + "/" + per
}

// Type names the type in help texts.
func (l RateLimit) Type() string { return "rate" }

// Origins are the sites whose pages may call the API from a browser, each as
// scheme://host[:port].
type Origins []string

// Set adds the origins of a flag's value, with commas between them.
func (o *Origins) Set(s string) error {
	var added Origins
	for _, given := range strings.Split(s, ",") {
		origin, err := parseOrigin(strings.TrimSpace(given))
		if err != nil {
			return err
		}
		added = append(added, origin)
	}
	*o = append(*o, added...)
	return nil
}

// parseOrigin returns an origin as browsers send it.
func parseOrigin(s string) (string, error) {
	if strings.Contains(s, "*") {
		return "", fmt.Errorf("%q is not allowed: name each site; with a * the pages of other sites could call the API too", s)
	}
	const form = "scheme://host[:port], like https://console.example.com"
	if s == "null" {
		return "", fmt.Errorf("%q is not allowed: it is what a page of any site can send; %s", s, form)
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		!strings.EqualFold(s, u.Scheme+"://"+u.Host) || strings.HasSuffix(u.Host, ":") || strings.ContainsAny(u.Host, " \\\"'<>") {
		return "", fmt.Errorf("%q is not an origin: %s", s, form)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return "", fmt.Errorf("%q is not an origin: %q is no port", s, port)
		}
	}
	host := strings.ToLower(u.Host)
	// A browser leaves the port of the scheme out.
	if u.Scheme == "https" {
		host = strings.TrimSuffix(host, ":443")
	} else {
		host = strings.TrimSuffix(host, ":80")
	}
	for _, r := range host {
		if r > '~' {
			return "", fmt.Errorf("%q is not an origin as browsers send it: write the host in its ASCII form (xn--…)", s)
		}
	}
	return u.Scheme + "://" + host, nil
}

// String writes the origins with commas between them.
func (o Origins) String() string { return strings.Join(o, ",") }

// Type names the type in help texts.
func (o Origins) Type() string { return "origin" }

// Prefixes are ranges of addresses.
type Prefixes []netip.Prefix

// Set adds the ranges of a flag's value, with commas between them; an address is
// the range of itself.
func (p *Prefixes) Set(s string) error {
	var added Prefixes
	for _, given := range strings.Split(s, ",") {
		prefix, err := parsePrefix(strings.TrimSpace(given))
		if err != nil {
			return err
		}
		added = append(added, prefix)
	}
	*p = append(*p, added...)
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(s); err == nil && address.Zone() == "" {
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err == nil && prefix.Addr().Is4In6() {
		err = errors.New("an IPv4 range is written as one")
	}
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a range of addresses: like 10.0.0.0/8, 192.0.2.7 or fd00::/8", s)
	}
	if prefix.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%q holds every address: then anybody could say to be anybody; name the proxies", s)
	}
	return prefix.Masked(), nil
}

// String writes the ranges with commas between them.
func (p Prefixes) String() string {
	all := make([]string, len(p))
	for i, prefix := range p {
		all[i] = prefix.String()
	}
	return strings.Join(all, ",")
}

// Type names the type in help texts.
func (p Prefixes) Type() string { return "addresses" }
