// Command stint is the server and the command line of Stint. It owns nothing but the
// process: signals and the exit status.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"stint/internal/cli"
)

func main() {
	ctx, stop := context.WithCancel(context.Background())
	// A shell starts background jobs with SIGINT ignored; asking for it would undo that.
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		if !signal.Ignored(sig) {
			ctx, stop = signal.NotifyContext(ctx, sig)
			// Once told, the default comes back: a second Ctrl-C ends a slow shutdown.
			context.AfterFunc(ctx, stop)
		}
	}
	code := cli.Run(ctx, os.Args[1:], cli.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, os.Environ())
	stop()
	os.Exit(code)
}
