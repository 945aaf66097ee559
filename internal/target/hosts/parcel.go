package hosts

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/internal/deploy"
)

// parcels are releases as they are sent: laid out on the keeper's disk, once for all hosts. The last one is kept, as a
// rolling deployment places it host by host.
type parcels struct {
	folder string
	files  deploy.Files
	mutex  sync.Mutex
	last   *parcel
}

// newParcels begins with an empty folder: what an earlier keeper laid out may be half there.
func newParcels(folder string, files deploy.Files) (*parcels, error) {
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	return &parcels{folder: folder, files: files}, os.MkdirAll(folder, 0o700)
}

// parcel is a release that is laid out.
type parcel struct {
	release  int
	folder   string
	files    []file // sorted by path
	others   []file // folders and links, a folder before what is in it
	manifest string
}

// file is something of a release.
type file struct {
	path   string // with slashes
	info   fs.FileInfo
	link   string // where a link leads
	digest string // of a file's content: SHA-256, as hex
}

// of answers a release's parcel.
func (p *parcels) of(ctx context.Context, r towpath.Release) (*parcel, error) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.last != nil && p.last.release == r.Number {
		return p.last, nil
	}
	if p.last != nil {
		if err := os.RemoveAll(p.last.folder); err != nil {
			return nil, err
		}
		p.last = nil
	}
	folder, err := os.MkdirTemp(p.folder, "release-")
	if err != nil {
		return nil, err
	}
	made := &parcel{release: r.Number, folder: folder}
	if err := p.files(ctx, r, folder); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := made.read(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	p.last = made
	return made, nil
}

// read finds what is in the folder.
func (p *parcel) read(ctx context.Context) error {
	err := filepath.WalkDir(p.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == p.folder {
			return err
		}
		return p.add(path, entry)
	})
	if err != nil {
		return err
	}
	if err := p.digest(ctx); err != nil {
		return err
	}
	slices.SortFunc(p.files, func(a, b file) int { return strings.Compare(a.path, b.path) })
	lines := make([]string, 0, len(p.files))
	for _, f := range p.files {
		lines = append(lines, f.mark()+" "+f.digest+"  ./"+f.path+"\n")
	}
	slices.Sort(lines) // as comm(1) expects them
	p.manifest = strings.Join(lines, "")
	return nil
}

func (p *parcel) add(path string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	below, err := filepath.Rel(p.folder, path)
	if err != nil {
		return err
	}
	f := file{path: filepath.ToSlash(below), info: info}
	if strings.ContainsAny(f.path, "\n\r") {
		return &deploy.Permanent{Err: fmt.Errorf("the name of %q has a line break, which the list of files on a host cannot hold", f.path)}
	}
	switch {
	case info.Mode().IsRegular():
		p.files = append(p.files, f)
		return nil
	case info.Mode()&fs.ModeSymlink != 0:
		f.link, err = os.Readlink(path)
	case !info.IsDir():
		return &deploy.Permanent{Err: fmt.Errorf("%s is neither a file nor a folder nor a link", f.path)}
	}
	p.others = append(p.others, f)
	return err
}

// digest reads all files, a few at once.
func (p *parcel) digest(ctx context.Context) error {
	reads, ctx := errgroup.WithContext(ctx)
	share := (len(p.files) + runtime.NumCPU() - 1) / max(runtime.NumCPU(), 1)
	for part := range slices.Chunk(p.files, max(share, 1)) {
		reads.Go(func() error {
			buffer := make([]byte, 128<<10)
			for n := range part {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := part[n].read(p.folder, buffer); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return reads.Wait()
}

func (f *file) read(folder string, buffer []byte) error {
	content, err := os.Open(filepath.Join(folder, filepath.FromSlash(f.path)))
	if err != nil {
		return err
	}
	defer content.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, struct{ io.Reader }{content}, buffer); err != nil {
		return err
	}
	f.digest = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// mark says in the manifest whether a file can be executed.
func (f file) mark() string {
	if f.info.Mode()&0o100 != 0 {
		return "x"
	}
	return "-"
}

// mode is what a file has on a host. Nobody writes into it: other releases may have it too.
func (f file) mode() int64 {
	switch {
	case f.info.IsDir():
		return 0o755
	case f.mark() == "x":
		return 0o555
	}
	return 0o444
}

// pack writes folders, links and the files that are wanted.
func (p *parcel) pack(to io.Writer, wanted map[string]bool) error {
	archive := tar.NewWriter(to)
	for _, f := range p.others {
		if err := p.packOne(archive, f); err != nil {
			return err
		}
	}
	for _, f := range p.files {
		if !wanted[f.path] {
			continue
		}
		if err := p.packOne(archive, f); err != nil {
			return err
		}
	}
	return archive.Close()
}

func (p *parcel) packOne(archive *tar.Writer, f file) error {
	header, err := tar.FileInfoHeader(f.info, f.link)
	if err != nil {
		return err
	}
	header.Name, header.Mode, header.Format = "./"+f.path, f.mode(), tar.FormatGNU
	header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "", ""
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{} // busybox takes them for a part of the name
	if f.info.IsDir() {
		header.Name += "/"
	}
	if err := archive.WriteHeader(header); err != nil || !f.info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(filepath.Join(p.folder, filepath.FromSlash(f.path)))
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(archive, content)
	return err
}
