package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	// takeOverTime is how long a proxy waits for the one before it to give up the data folder.
	takeOverTime = 5 * time.Second
	// farewellTime bounds how long the end waits for the successor, and the last answers may take.
	farewellTime = 2 * time.Second
)

// Options say what a proxy process needs to know. DataDir is required; the rest has defaults.
type Options struct {
	DataDir string   // state, sockets and locks; made with mode 0700 when missing
	Listen  []string // addresses for every route that has none of its own
	// ControlAddress opens the control API on a port as well, for who has the data folder's Key.
	ControlAddress string
	// HoldCommand starts a process that calls Hold; the data folder is appended to it. Without it the proxy
	// binds its addresses itself, and refuses connections while it restarts.
	HoldCommand []string
	Limits      Limits
	Stop        Clocks // after ctx has ended; 1 s idle, 30 s requests, 30 s streams
	HandOver    Clocks // after a successor has taken over; 15 s idle, 10 min requests, 1 h streams
	// Ready is called each time the proxy has begun to take connections and orders: once, and again if a
	// successor failed to take over.
	Ready  func(control.State) `json:"-"`
	Logger *slog.Logger        `json:"-"`
}

func (o Options) checked() (Options, error) {
	folder, err := filepath.Abs(o.DataDir)
	if err != nil {
		return o, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return o, err
	}
	o.DataDir = folder
	o.Stop = o.Stop.withDefaults(Clocks{Idle: time.Second, Requests: 30 * time.Second, Streams: 30 * time.Second})
	o.HandOver = o.HandOver.withDefaults(Clocks{Idle: 15 * time.Second, Requests: 10 * time.Minute, Streams: time.Hour})
	if o.Ready == nil {
		o.Ready = func(control.State) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Run serves until ctx ends or another proxy takes over, and returns when what had begun by then has ended.
// A proxy that already serves the data folder is taken over from: it stops taking connections as this one
// begins, none is refused, and it finishes its own. ErrBadState when the state file cannot be read, ErrLocked
// when the other does not give up the folder.
func Run(ctx context.Context, options Options) error {
	options, err := options.checked()
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p := &process{
		options:    options,
		controller: newController(options, options.Logger),
		socket:     ownSocket(options.DataDir),
	}
	ballast := newBallast()
	defer runtime.KeepAlive(ballast)
	p.api = &api{controller: p.controller, gone: make(chan struct{}), dismissed: make(chan struct{}, 1)}
	if err := p.run(ctx); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	return nil
}

// process is one proxy from start to end.
type process struct {
	options    Options
	controller *controller
	api        *api
	socket     string
	local      *http.Server // on the socket, for all its life
	port       *http.Server // on the control address, while it owns the folder
}

func (p *process) run(ctx context.Context) error {
	if err := p.start(ctx); err != nil {
		return err
	}
	defer p.close()
	for p.serve(ctx) {
		unlock := p.awaitSuccessor(ctx)
		if unlock == nil {
			break
		}
		if err := p.takeBack(ctx, unlock); err != nil {
			p.options.Logger.Error("folder not taken back", "error", err)
			break
		}
	}
	p.finish(ctx)
	return nil
}

func (p *process) start(ctx context.Context) error {
	// Looked at before anybody is asked to leave: with a bad file the one that serves goes on.
	if _, err := loadBook(p.options.DataDir); err != nil {
		return err
	}
	unlock, err := p.takeFolder(ctx)
	if err != nil {
		return err
	}
	if err := p.controller.serve(ctx); err != nil {
		p.controller.disown()
		return errors.Join(err, unlock())
	}
	if err := p.openControl(ctx); err != nil {
		p.controller.disown()
		p.close()
		return errors.Join(err, unlock())
	}
	// Last, so that the one before still goes on if anything above has failed.
	p.controller.own(ctx, unlock)
	p.options.Ready(p.controller.state(ctx))
	return nil
}

// takeFolder locks the folder, having asked the proxy that has it, if one does, to hand over.
func (p *process) takeFolder(ctx context.Context) (unlock func() error, err error) {
	unlock, err = lockFolder(ctx, p.options.DataDir, 0)
	if err == nil || !errors.Is(err, ErrLocked) {
		return unlock, err
	}
	before := control.New(control.Options{DataDir: p.options.DataDir, Patience: takeOverTime})
	defer before.Close()
	asking, cancel := context.WithTimeout(ctx, takeOverTime)
	defer cancel()
	if err := before.HandOver(asking); err != nil {
		p.options.Logger.Warn("the proxy before did not answer", "error", err)
	}
	return lockFolder(ctx, p.options.DataDir, takeOverTime)
}

// takeBack makes this process the owner again, when its successor never stood.
func (p *process) takeBack(ctx context.Context, unlock func() error) error {
	p.options.Logger.Warn("successor did not take over; going on")
	err := p.controller.serve(ctx)
	if err == nil {
		err = errors.Join(p.openPort(ctx), publishSocket(p.options.DataDir, p.socket))
	}
	if err != nil {
		p.controller.disown()
		return errors.Join(err, unlock())
	}
	p.local.SetKeepAlivesEnabled(true)
	p.controller.own(ctx, unlock)
	p.options.Ready(p.controller.state(ctx))
	return nil
}

// serve returns when this process no longer owns the folder; true when it was asked for it.
func (p *process) serve(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		p.controller.disown()
		p.leaveOrders()
		return false
	case <-p.controller.handedOver:
		p.leaveOrders()
		p.options.Logger.Info("handing over")
		return true
	}
}

// awaitSuccessor returns nil once a successor serves. If it ended before that, its lock of the folder is
// free again, and is returned, taken.
func (p *process) awaitSuccessor(ctx context.Context) (unlock func() error) {
	tick := time.NewTicker(time.Second) // by the first, a successor that is well has the lock
	defer tick.Stop()
	for {
		select {
		case <-p.controller.followed:
			return nil
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if unlock, err := lockFolder(ctx, p.options.DataDir, 0); err == nil {
				return unlock
			}
		}
	}
}

// finish lets end what had begun: with the long clocks after a hand-over, until ctx asks for the short ones.
func (p *process) finish(ctx context.Context) {
	server := p.controller.server
	server.linger(ctx, p.options.HandOver)
	if server.connections.count() > 0 {
		server.linger(context.WithoutCancel(ctx), p.options.Stop)
	}
	p.options.Logger.Info("finished")
}

func (p *process) openControl(ctx context.Context) error {
	listener, err := listenUnix(p.socket)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	p.local = p.serveControl(listener, p.api.local())
	if err := p.openPort(ctx); err != nil {
		return err
	}
	return publishSocket(p.options.DataDir, p.socket)
}

func (p *process) openPort(ctx context.Context) error {
	if p.options.ControlAddress == "" {
		return nil
	}
	id, err := identityOf(ctx, p.options.DataDir, false)
	if err != nil {
		return fmt.Errorf("control address: %w", err)
	}
	secured, err := id.tls()
	if err != nil {
		return fmt.Errorf("control address: %w", err)
	}
	listener, err := p.controller.sockets.listen(ctx, p.options.ControlAddress)
	if err != nil {
		return fmt.Errorf("control address: %w", err)
	}
	p.controller.setPort(listener.Addr().String())
	p.port = p.serveControl(tls.NewListener(listener, secured), guarded(id.Token, p.api.orders()))
	return nil
}

func (p *process) serveControl(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(p.options.Logger.Handler(), slog.LevelDebug),
	}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.options.Logger.Error("control listener failed", "error", err)
		}
	}()
	return server
}

// leaveOrders sends clients to the successor: kept connections to this process are closed.
func (p *process) leaveOrders() {
	p.local.SetKeepAlivesEnabled(false)
	p.closePort()
}

// closePort leaves the control address to the successor. Calls that wait there are answered still, while this
// process lives.
func (p *process) closePort() {
	if p.port == nil {
		return
	}
	port := p.port
	p.port = nil
	go func() { _ = port.Shutdown(context.Background()) }()
}

// close ends the process, once a successor has taken down what it did.
func (p *process) close() {
	p.closePort()
	close(p.api.gone)
	if p.controller.hasHeir.Load() {
		select {
		case <-p.api.dismissed:
		case <-time.After(farewellTime):
			p.options.Logger.Warn("successor did not ask for the last counts")
		}
	}
	if p.local != nil {
		ctx, cancel := context.WithTimeout(context.Background(), farewellTime)
		defer cancel()
		_ = p.local.Shutdown(ctx)
		_ = p.local.Close() // whoever still waits has had their time
	}
	withdrawSocket(p.options.DataDir, p.socket)
	_ = p.controller.server.Close() // what is left was cut
}
