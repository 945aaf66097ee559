// Command app is the application that the stories deploy. What it says, and whether it is well, stands in the files
// "version" and "mode" beside it; a second word in "mode" names the version that it is about. How long an answer takes
// stands in "takes", and is 5 ms where nothing does.
package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 3 && os.Args[1] == "check" {
		return check(os.Args[2])
	}
	version := read("version")
	mode := modeOf(version)
	fmt.Printf("version %s, mode %q\n", version, mode)
	if mode == "crash" {
		return errors.New("cannot open the books: no such table")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	takes, err := time.ParseDuration(cmp.Or(read("takes"), "5ms"))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cmp.Or(os.Getenv("HOST"), "127.0.0.1")+":"+os.Getenv("PORT"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages(version, mode, takes)}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if err := tellReady(); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return server.Shutdown(context.Background())
	}
}

func read(name string) string {
	content, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// modeOf is how this version is.
func modeOf(version string) string {
	mode, of, _ := strings.Cut(read("mode"), " ")
	if of != "" && of != version {
		return "well"
	}
	return mode
}

// tellReady says to systemd, where that has started us, that we serve (sd_notify(3)).
func tellReady() error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	conn, err := net.Dial("unixgram", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = fmt.Fprint(conn, "READY=1")
	return err
}

func pages(version, mode string, takes time.Duration) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if mode == "sick" {
			fmt.Println("the books are closed")
			http.Error(w, "the books are closed", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/release", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("TOWPATH_RELEASE")) })
	mux.HandleFunc("/secret", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getenv("PASSWORD")) })
	mux.HandleFunc("/stream", stream)
	var books books
	mux.HandleFunc("/metrics", books.metrics)
	mux.HandleFunc("/lost", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, books.lost.Load()) })
	mux.Handle("/public/", http.StripPrefix("/public/", http.FileServer(http.Dir("public"))))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if mode == "erring" {
			http.Error(w, "the books are wet", http.StatusInternalServerError)
			return
		}
		books.note(mode)
		answer(w, r, version, takes)
	})
	return mux
}

// books count orders. An application in the mode "losing" answers as it should, and loses each fourth order.
type books struct{ taken, lost atomic.Int64 }

func (b *books) note(mode string) {
	if n := b.taken.Add(1); mode == "losing" && n%4 == 0 {
		b.lost.Add(1)
	}
}

// metrics answers in the text format of Prometheus.
func (b *books) metrics(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "shop_orders_total{release=%[1]q} %[2]d\nshop_orders_lost_total{release=%[1]q} %[3]d\n",
		os.Getenv("TOWPATH_RELEASE"), b.taken.Load(), b.lost.Load())
}

// stream says again and again that it lives.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		fmt.Fprint(w, "data: tick\n\n")
		if http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// answer takes its time and names its SHA-256, so that a cut or mixed answer is noticed.
func answer(w http.ResponseWriter, r *http.Request, version string, takes time.Duration) {
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		return
	}
	body := strings.Repeat("version "+version+"\n", 100)
	sum := sha256.Sum256([]byte(body))
	w.Header().Set("X-Version", version)
	w.Header().Set("X-Release", os.Getenv("TOWPATH_RELEASE"))
	w.Header().Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
	fmt.Fprint(w, body)
}

// check is the smoke test: the address answers with the version that was built.
func check(address string) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, want := response.Header.Get("X-Version"), read("dist/version")
	if got != want {
		return fmt.Errorf("%s answers with version %q, not %q", address, got, want)
	}
	fmt.Printf("%s answers with version %s\n", address, got)
	return nil
}
