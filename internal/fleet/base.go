//go:build linux

package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// suite is the release of Debian that the hosts run.
const suite = "bookworm"

// packages of a host, beside those that every Debian has. What serves there is for a test to start.
var packages = []string{
	"systemd", "systemd-sysv", "dbus", "openssh-server", "iproute2", "procps", "curl", "sudo", "rsync", "haproxy", "nginx-light",
}

// furnishing runs once, in the folder of a base that is being made ($1): what a host of a test has, and what it is spared.
const furnishing = `#!/bin/sh
set -e
chroot "$1" useradd --create-home --shell /bin/bash deploy
echo 'deploy ALL=(root) NOPASSWD: /usr/bin/systemctl' >"$1/etc/sudoers.d/deploy"
chmod 440 "$1/etc/sudoers.d/deploy"
for home in root home/deploy; do mkdir -p -m 700 "$1/$home/.ssh"; done
chroot "$1" chown deploy:deploy /home/deploy/.ssh
rm -f "$1"/etc/ssh/ssh_host_*
printf 'UseDNS no\nHostKey /etc/ssh/ssh_host_ed25519_key\n' >"$1/etc/ssh/sshd_config.d/fleet.conf"
echo uninitialized >"$1/etc/machine-id"
chroot "$1" systemctl -q mask console-getty.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  e2scrub_reap.service systemd-resolved.service systemd-networkd.service systemd-timesyncd.service
chroot "$1" systemctl -q disable haproxy.service nginx.service
`

// basePath is the folder with the files that the disks of all hosts begin with. Its name says how it was made.
func basePath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	recipe := sha256.Sum256([]byte(suite + strings.Join(packages, " ") + furnishing))
	return filepath.Join(cache, "towpath-test", "host-"+hex.EncodeToString(recipe[:6])), nil
}

// Prepare makes the base if it is not there yet, which needs Debian's packages and takes about half a minute. When two
// tests begin at once, the second one waits for the first. Run does it by itself; others call it before they are in
// namespaces, where there are no packages to be had.
func Prepare(ctx context.Context) error {
	base, err := basePath()
	if err != nil || isThere(base) {
		return err
	}
	if err := prepare(ctx, base); err != nil {
		return fmt.Errorf("prepare the disk that all hosts begin with: %w", err)
	}
	return nil
}

func prepare(ctx context.Context, base string) error {
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(base+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("wait for another test: %w", err)
	}
	if isThere(base) {
		return nil
	}
	return build(ctx, base)
}

// build makes the base under another name, so that it is there whole or not at all. The lock is held.
func build(ctx context.Context, base string) error {
	folder := base + ".new" // of a build that was killed
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	script := base + ".furnish"
	if err := os.WriteFile(script, []byte(furnishing), 0o700); err != nil {
		return err
	}
	if err := run(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--include="+strings.Join(packages, ","), "--dpkgopt=force-unsafe-io",
		"--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*", "--customize-hook="+script, suite, folder); err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	return os.Rename(folder, base)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
