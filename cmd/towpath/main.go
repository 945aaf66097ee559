// Command towpath is the server, the worker, the proxy and the command line of Towpath.
package main

import (
	"os"

	"github.com/towpath-cd/towpath/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:]))
}
