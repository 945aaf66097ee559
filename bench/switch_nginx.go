package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rawHost is the host that the benchmark orders about by itself.
const rawHost = "raw.test"

// nginxConfiguration has the environment's upstream, and one that the benchmark orders about by itself.
const nginxConfiguration = `worker_processes 2;
pid nginx.pid;
error_log error.log notice;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path tmp/body;
  proxy_temp_path tmp/proxy;
  fastcgi_temp_path tmp/fastcgi;
  uwsgi_temp_path tmp/uwsgi;
  scgi_temp_path tmp/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_buffering off;
  include conf.d/*.conf;
  server { listen %[1]s default_server backlog=4096; location / { proxy_pass http://shop; } }
  server { listen %[1]s; server_name %[2]s; location / { proxy_pass http://raw; } }
}
`

// trafficNginx is an nginx that carries the load.
type trafficNginx struct {
	*process
	address string
	folder  string
}

func (s *stage) startNginx(ctx context.Context) (*trafficNginx, error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/nginx") // where Debian has it, and only root looks
	}
	if err != nil {
		return nil, fmt.Errorf("%w (install Debian's nginx-light)", err)
	}
	n := &trafficNginx{folder: s.path("nginx")}
	if n.address, err = freeAddress(); err != nil {
		return nil, err
	}
	for _, folder := range []string{"conf.d", "tmp"} {
		if err := os.MkdirAll(n.path(folder), 0o700); err != nil {
			return nil, err
		}
	}
	for name, text := range map[string]string{
		"nginx.conf":       fmt.Sprintf(nginxConfiguration, n.address, rawHost),
		"conf.d/shop.conf": "upstream shop { server 127.0.0.1:1 down; }\n",
		"conf.d/raw.conf":  "upstream raw { server 127.0.0.1:1 down; }\n",
	} {
		if err := os.WriteFile(n.path(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if n.process, err = s.start("nginx", nil, program, "-p", n.folder, "-c", "nginx.conf", "-g", "daemon off;"); err != nil {
		return nil, err
	}
	return n, until(ctx, "nginx", func() (bool, error) {
		a := &asker{address: n.address, host: rawHost}
		defer a.close()
		_, err := a.ask("/")
		return err != nil && strings.HasPrefix(err.Error(), "502"), err // nobody serves yet
	})
}

func (n *trafficNginx) path(name string) string { return filepath.Join(n.folder, name) }

// command calls its program with arguments, as a script would.
func (n *trafficNginx) command(arguments string) string {
	return fmt.Sprintf("PATH=$PATH:/usr/sbin nginx -p %s -c nginx.conf %s", n.folder, arguments)
}

// definition is it as a balancer of the pipeline file.
func (n *trafficNginx) definition() string {
	return fmt.Sprintf("{nginx: {upstream: shop, file: %q, test: %q, reload: %q, pid: %q, log: %q}}",
		n.path("conf.d/shop.conf"), n.command("-t"), n.command("-s reload"), n.path("nginx.pid"), n.path("error.log"))
}

// rawNginxSide writes the file and reloads nginx, which is all that a script would do.
type rawNginxSide struct {
	pair
	nginx *trafficNginx
}

func (r *rawNginxSide) host() string { return rawHost }

func (r *rawNginxSide) move(ctx context.Context) error {
	text := "upstream raw { server " + r.now.address + "; }\n"
	if err := os.WriteFile(r.nginx.path("conf.d/raw.conf"), []byte(text), 0o600); err != nil {
		return err
	}
	return spoken(exec.CommandContext(ctx, "sh", "-c", r.nginx.command("-t")+" && "+r.nginx.command("-s reload")))
}

// onlookers are those who ask behind nginx, which closes connections that wait for a request when it is reloaded.
func (n *trafficNginx) onlookers(orders string) onlookers {
	return onlookers{
		asks: kept(n.address), beside: anew(n.address), orders: orders,
		unpromised: "nginx's reload closes kept connections",
		others:     "clients that connect anew",
	}
}

// measureSwitchNginx moves traffic behind nginx by a server's deployments and rollbacks, and by hand, in turn.
func measureSwitchNginx(ctx context.Context, s *stage) ([]Figure, error) {
	nginx, err := s.startNginx(ctx)
	if err != nil {
		return nil, err
	}
	raw := &rawNginxSide{pair{stage: s, name: "raw"}, nginx}
	if err := first(ctx, raw, nginx.address); err != nil {
		return nil, err
	}
	whole, err := newWholeSide(ctx, s, nginx.definition())
	if err != nil {
		return nil, err
	}
	return nginx.onlookers("a rewrite and a reload").measure(ctx, s, s.rounds(30, 5), raw, whole)
}

// witness is the script that moves an nginx in the tests of the balancer command, from the module's folder.
const witness = "internal/balancer/command/testdata/nginx.sh"

// scriptSide calls the script of a balancer command as a person would.
type scriptSide struct {
	pair
	call string
}

func (r *scriptSide) host() string { return rawHost }

func (r *scriptSide) move(ctx context.Context) error {
	for _, operation := range []string{"shift", "drain"} {
		command := exec.CommandContext(ctx, "sh", "-c", r.call)
		command.Env = append(os.Environ(), "TOWPATH_OPERATION="+operation, "TOWPATH_EPOCH=1", "TOWPATH_HOLDER=hand",
			fmt.Sprintf("TOWPATH_MEMBERS=r%d-1 %s 100\n", r.releases, r.now.address))
		if err := spoken(command); err != nil {
			return err
		}
	}
	return nil
}

// measureSwitchCommand moves traffic by a script, behind an nginx that only the script knows: by a server's deployments and
// rollbacks, and by hand, in turn.
func measureSwitchCommand(ctx context.Context, s *stage) ([]Figure, error) {
	script, err := os.ReadFile(witness)
	if err != nil {
		return nil, fmt.Errorf("%w: go run ./bench switch --driver command has to be called in the folder of the module", err)
	}
	nginx, err := s.startNginx(ctx)
	if err != nil {
		return nil, err
	}
	call := func(upstream string) string {
		return fmt.Sprintf("FILE=%s DIR=%s sh %s", nginx.path("conf.d/"+upstream+".conf"), nginx.folder, s.path(upstream+".sh"))
	}
	err = errors.Join(os.WriteFile(s.path("shop.sh"), script, 0o600),
		os.WriteFile(s.path("raw.sh"), []byte(strings.Replace(string(script), "upstream shop", "upstream raw", 1)), 0o600))
	if err != nil {
		return nil, err
	}
	raw := &scriptSide{pair{stage: s, name: "raw"}, call("raw")}
	if err := first(ctx, raw, nginx.address); err != nil {
		return nil, err
	}
	shop := call("shop")
	whole, err := newWholeSide(ctx, s, fmt.Sprintf("{command: {observe: %q, shift: %q, drain: %q, can: [weights, fencing]}}", shop, shop, shop))
	if err != nil {
		return nil, err
	}
	return nginx.onlookers("the script by hand").measure(ctx, s, s.rounds(30, 5), raw, whole)
}
