//go:build unix

package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"
)

// BenchmarkProxy compares with a plain ReverseProxy with the same transport, and with no proxy at all. Rounds
// alternate, so that what else the machine does hits all alike; the ratio is that of the sums.
func BenchmarkProxy(b *testing.B) {
	backend := newSmallAnswers(b)
	address, client := inside(b, Options{})
	app := &application{release: 1, address: backend}
	serveShop(b, client, app.backend(1))
	sides := []struct {
		name    string
		address string
		spent   time.Duration
		cpu     time.Duration // of client and application too, the same for all
	}{
		{name: "none", address: backend},
		{name: "plain", address: newPlainProxy(b, backend)},
		{name: "ours", address: address},
	}
	const connections, round = 32, 200
	asked := 0
	for b.Loop() {
		for i := range sides {
			began, cpu := time.Now(), cpuTime(b)
			hammer(b, sides[i].address, connections, round)
			sides[i].spent += time.Since(began)
			sides[i].cpu += cpuTime(b) - cpu
		}
		asked += connections * round
	}
	for _, side := range sides {
		b.ReportMetric(float64(asked)/side.spent.Seconds(), side.name+"-req/s")
		b.ReportMetric(float64(side.cpu.Microseconds())/float64(asked), side.name+"-cpu-µs/req")
	}
	b.ReportMetric(sides[1].spent.Seconds()/sides[2].spent.Seconds(), "ours/plain")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func newSmallAnswers(b *testing.B) string {
	b.Helper()
	body := make([]byte, 1024)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })}
	return serveForBenchmark(b, server)
}

func newPlainProxy(b *testing.B, backend string) string {
	b.Helper()
	target := &url.URL{Scheme: "http", Host: backend}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  newTransport(),
		BufferPool: newBodies(),
	}
	return serveForBenchmark(b, &http.Server{Handler: proxy})
}

func serveForBenchmark(b *testing.B, server *http.Server) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// hammer is a client that costs little itself.
func hammer(b *testing.B, address string, connections, requests int) {
	b.Helper()
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			if err := askRaw(address, requests); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

func askRaw(address string, requests int) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	question := fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", shopHost)
	for range requests {
		if _, err := conn.Write(question); err != nil {
			return err
		}
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			return err
		}
		if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != 1024 {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	return nil
}
