package cluster

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// mode is what a proxy does with what comes.
type mode int

const (
	open  mode = iota // hands everything on
	cut               // ends every connection, and takes no other
	stall             // takes everything and hands nothing on
	mute              // hands on what the node says, and none of the answers
)

func (m mode) String() string { return []string{"open", "cut", "stall", "mute"}[m] }

// proxy is the way of one node to the database.
type proxy struct {
	listener net.Listener
	network  string
	target   string

	mu      sync.Mutex
	mode    mode
	changed chan struct{} // closed at each change of mode
	conns   map[net.Conn]bool
	closed  bool
}

func newProxy(t *testing.T, network, target string) *proxy {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, network: network, target: target, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	go p.accept(context.WithoutCancel(t.Context()))
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes what the proxy does from now on, and ends the connections that it has
// where that is asked for, or where it lets nothing through.
func (p *proxy) set(m mode, reset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
	close(p.changed)
	p.changed = make(chan struct{})
	if reset || m == cut {
		p.reset()
	}
}

func (p *proxy) reset() {
	for conn := range p.conns {
		_ = conn.Close()
	}
}

func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.reset()
}

func (p *proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(ctx, conn)
	}
}

func (p *proxy) serve(ctx context.Context, conn net.Conn) {
	if !p.keep(conn) {
		return
	}
	defer p.drop(conn)
	if !p.pass(conn, true) {
		return
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	server, err := dialer.DialContext(ctx, p.network, p.target)
	if err != nil {
		return
	}
	if !p.keep(server) {
		return
	}
	defer p.drop(server)
	done := make(chan struct{}, 2)
	go func() { p.copy(server, conn, true); done <- struct{}{} }()
	go func() { p.copy(conn, server, false); done <- struct{}{} }()
	<-done
}

func (p *proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == cut {
		_ = conn.Close()
		return false
	}
	p.conns[conn] = true
	return true
}

func (p *proxy) drop(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = conn.Close()
	delete(p.conns, conn)
}

// copy hands on one direction: what the node asks, or the answers.
func (p *proxy) copy(to, from net.Conn, asks bool) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !p.pass(to, asks) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until a direction is let through. It returns false where its connection
// was ended meanwhile.
func (p *proxy) pass(conn net.Conn, asks bool) bool {
	for {
		p.mu.Lock()
		m, changed, alive := p.mode, p.changed, p.conns[conn] && !p.closed
		p.mu.Unlock()
		switch {
		case !alive || m == cut:
			return false
		case m == open, m == mute && asks:
			return true
		}
		<-changed
	}
}
