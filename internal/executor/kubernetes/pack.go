package kubernetes

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// packer writes files as a tar. It is one that every tar reads: GNU's, since the one of busybox knows no PAX.
type packer struct {
	to       *tar.Writer
	uid, gid int // of all files
}

// pack writes the folders with all that is in them, by their whole paths.
func (p packer) pack(folders []string) error {
	for _, folder := range folders {
		if err := filepath.WalkDir(folder, p.add); err != nil {
			return fmt.Errorf("pack %s: %w", folder, err)
		}
	}
	return nil
}

// add takes files, folders and symbolic links. What is gone by now, and what is nothing to send, is left out.
func (p packer) add(path string, entry fs.DirEntry, err error) error {
	if err != nil {
		return unlessGone(err)
	}
	info, err := entry.Info()
	if err != nil {
		return unlessGone(err)
	}
	header := tar.Header{Name: path, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime()}
	switch info.Mode().Type() {
	case fs.ModeDir:
		header.Typeflag = tar.TypeDir
		return p.put(header, nil)
	case fs.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = os.Readlink(path); err != nil {
			return unlessGone(err)
		}
		return p.put(header, nil)
	case 0:
		return p.addFile(path, header)
	}
	return nil
}

func (p packer) addFile(path string, header tar.Header) error {
	file, err := os.Open(path)
	if err != nil {
		return unlessGone(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	return p.put(header, io.LimitReader(file, info.Size()))
}

func (p packer) put(header tar.Header, content io.Reader) error {
	header.Name, header.Format, header.Uid, header.Gid = strings.TrimPrefix(header.Name, "/"), tar.FormatGNU, p.uid, p.gid
	if header.Typeflag == tar.TypeDir {
		header.Name += "/"
	}
	if header.ModTime.Before(time.Unix(0, 0)) { // which tar cannot write
		header.ModTime = time.Unix(0, 0)
	}
	if err := p.to.WriteHeader(&header); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	_, err := io.Copy(p.to, content)
	return err
}

func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
