package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	shop     = "shop/production"
	shopHost = "shop.test"
	patience = 20 * time.Second
)

// keeper is who gives orders in these tests.
func keeper() control.Epoch { return control.Epoch{Number: 1, Holder: "keeper"} }

// newFolder is short enough for sockets, which t.TempDir is not always.
func newFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "proxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	return folder
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls what another process does; within this one tests wait for the event.
func eventually(t testing.TB, what string, isTrue func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !isTrue() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		case <-tick.C:
		}
	}
}

// inside runs a proxy in this process, where the race detector sees it.
func inside(t testing.TB, options Options) (address string, client *control.Client) {
	t.Helper()
	if options.DataDir == "" {
		options.DataDir = newFolder(t)
	}
	options.Listen = []string{"127.0.0.1:0"}
	options.Stop = Clocks{Idle: time.Millisecond, Requests: time.Second, Streams: time.Millisecond}
	ready := make(chan control.State, 1)
	options.Ready = func(state control.State) { ready <- state }
	options.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, options) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("proxy ended: %v", err)
		}
	})
	client = control.New(control.Options{DataDir: options.DataDir})
	t.Cleanup(client.Close)
	select {
	case state := <-ready:
		return state.Listeners[0].Address, client
	case err := <-ended:
		ended <- nil
		t.Fatalf("proxy did not start: %v", err)
		return "", nil
	}
}

// proxyProcess is a proxy as it runs in earnest.
type proxyProcess struct {
	command *exec.Cmd
	address string
	ended   chan struct{}
}

func spawn(t testing.TB, folder string) *proxyProcess {
	t.Helper()
	p, err := trySpawn(t, folder)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func trySpawn(t testing.TB, folder string) (*proxyProcess, error) {
	t.Helper()
	options, err := json.Marshal(Options{DataDir: folder, Listen: []string{"127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyProcess{command: exec.Command(os.Args[0], "proxy", string(options)), ended: make(chan struct{})}
	var complaints bytes.Buffer
	p.command.Stderr = io.MultiWriter(t.Output(), &complaints)
	output, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(output).ReadBytes('\n')
	go func() {
		_ = p.command.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	t.Cleanup(func() { _ = StopHolder(context.Background(), folder) })
	var state control.State
	if err := json.Unmarshal(line, &state); err != nil {
		<-p.ended
		return nil, errors.New(complaints.String())
	}
	p.address = state.Listeners[0].Address
	return p, nil
}

func (p *proxyProcess) kill() {
	_ = p.command.Process.Kill()
	<-p.ended
}

func (p *proxyProcess) terminate() { _ = p.command.Process.Signal(syscall.SIGTERM) }

// application is an instance of a release: it answers with its number, on /hold when it is told to, on
// /events with an event stream, on /socket with a WebSocket.
type application struct {
	release int
	address string
	server  *http.Server
	letGo   chan struct{}
	held    chan struct{} // one for each request that is being held
	hits    atomic.Int64
}

func newApplication(t testing.TB, release int, handlerTime time.Duration) *application {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &application{
		release: release,
		address: listener.Addr().String(),
		letGo:   make(chan struct{}),
		held:    make(chan struct{}, 100),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.hits.Add(1)
		asked, _ := io.ReadAll(r.Body)
		if handlerTime > 0 {
			<-time.After(handlerTime)
		}
		fmt.Fprintf(w, "%d %s", a.release, asked)
	})
	mux.HandleFunc("/cookie", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "basket", Value: "7"})
		fmt.Fprint(w, a.release)
	})
	mux.HandleFunc("/hold", a.hold)
	mux.HandleFunc("/headers", headers)
	mux.HandleFunc("/half", half)
	mux.HandleFunc("/events", a.events)
	mux.HandleFunc("/socket", a.socket)
	a.server = &http.Server{Handler: mux}
	go func() { _ = a.server.Serve(listener) }()
	t.Cleanup(a.kill)
	return a
}

// kill closes the listener and every connection, at once.
func (a *application) kill() { _ = a.server.Close() }

func (a *application) hold(w http.ResponseWriter, r *http.Request) {
	a.held <- struct{}{}
	select {
	case <-a.letGo:
		fmt.Fprintf(w, "%d held", a.release)
	case <-r.Context().Done():
	}
}

func (a *application) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: first\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// headers tells what arrived.
func headers(w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Host", r.Host)
	_ = json.NewEncoder(w).Encode(r.Header)
}

// half promises ten bytes and dies after five.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "10")
	fmt.Fprint(w, "12345")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (a *application) backend(weight int) control.Backend {
	return control.Backend{ID: a.id(), Address: a.address, Release: a.release, Weight: weight}
}

func (a *application) id() string { return fmt.Sprintf("shop-%d", a.release) }

// serveShop puts the route with these backends.
func serveShop(t testing.TB, client *control.Client, backends ...control.Backend) {
	t.Helper()
	if _, err := client.PutRoute(soon(t), keeper(), control.Route{Name: shop, Hosts: []string{shopHost}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBackends(soon(t), keeper(), shop, backends); err != nil {
		t.Fatal(err)
	}
}

// ask makes one request that nothing tries again.
func ask(ctx context.Context, client *http.Client, address, path, body string) (string, error) {
	// A body that cannot be rewound keeps net/http from sending it twice.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return "", err
	}
	request.ContentLength = int64(len(body))
	request.Host = shopHost
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", answer.Status, content)
	}
	return string(content), err
}

// load asks without a pause on so many connections until it is stopped.
type load struct {
	asked, failed, refused atomic.Int64
	stop                   context.CancelFunc
	wait                   sync.WaitGroup
	mu                     sync.Mutex
	failures               []string
}

func startLoad(t testing.TB, address string, connections int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop}
	for worker := range connections {
		l.wait.Go(func() { l.work(ctx, address, worker) })
	}
	t.Cleanup(l.end)
	return l
}

func (l *load) work(ctx context.Context, address string, worker int) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for turn := 0; ctx.Err() == nil; turn++ {
		body := fmt.Sprintf("request %d of %d", turn, worker)
		answer, err := ask(context.WithoutCancel(ctx), client, address, "/", body)
		if err == nil && !strings.HasSuffix(answer, body) {
			err = fmt.Errorf("wrong answer %q", answer)
		}
		l.asked.Add(1)
		if err != nil {
			l.note(err)
		}
	}
}

func (l *load) note(err error) {
	l.failed.Add(1)
	if errors.Is(err, syscall.ECONNREFUSED) {
		l.refused.Add(1)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < 5 {
		l.failures = append(l.failures, err.Error())
	}
}

// more waits until so many requests more have been answered.
func (l *load) more(t testing.TB, count int64) {
	t.Helper()
	until := l.asked.Load() + count
	eventually(t, "requests under load", func() bool { return l.asked.Load() >= until })
}

func (l *load) end() {
	l.stop()
	l.wait.Wait()
}

func (l *load) mustNotFail(t testing.TB) {
	t.Helper()
	l.end()
	if l.failed.Load() > 0 {
		t.Errorf("%d of %d requests failed: %q", l.failed.Load(), l.asked.Load(), l.failures)
	}
	t.Logf("%d requests, none failed", l.asked.Load())
}
