package metrics

import (
	"net/http"
	"strconv"
	"time"
)

// Request counts a request as one that is being answered, until the returned function
// is called with what became of it: the pattern of its route, empty where there is
// none; its method, its status, 0 where it was broken off, and how long it took, less than
// 0 of a stream.
func (m *Metrics) Request() func(route, method string, status int, took time.Duration) {
	m.inFlight.Inc()
	return func(route, method string, status int, took time.Duration) {
		m.inFlight.Dec()
		if route == "" {
			route = other
		}
		method = methodLabel(method)
		m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
		if took >= 0 {
			m.duration.WithLabelValues(route, method).Observe(took.Seconds())
		}
	}
}

// methodLabel keeps what is no method out of the labels: anybody can send it.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return method
	}
	return other
}
