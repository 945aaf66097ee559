package kubernetes

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// errForeign says that a pod sent what is not the step's.
var errForeign = errors.New("the pod sent a file that is not of the step's folders")

// unpacker makes folders what a tar says they are. The tar comes from where the step's script was, and may name anything:
// nothing outside of the places is reached, also not through links that it brought along.
type unpacker struct {
	folders []string
	roots   map[string]*os.Root // of the places that the folders are in, by their paths
	seen    map[string]bool     // whole paths
	isWhole bool                // its last file has come
	modes   []mode              // of folders, for when all is in them
}

type mode struct {
	path string
	mode fs.FileMode
}

// unpack writes what the tar holds below the folders, each of which is in one of the places, and removes the rest of what
// is there. Places exist, and only the worker writes to them. The tar ends with endMark.
func unpack(from io.Reader, folders, places []string) error {
	u := &unpacker{folders: folders, roots: map[string]*os.Root{}, seen: map[string]bool{}}
	defer u.close()
	for _, place := range places {
		root, err := os.OpenRoot(place)
		if err != nil {
			return err
		}
		u.roots[place] = root
	}
	archive := tar.NewReader(from)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			if !u.isWhole {
				return io.ErrUnexpectedEOF
			}
			return errors.Join(u.removeRest(), u.setModes())
		}
		if err != nil {
			return err
		}
		if path.Join("/", header.Name) == endMark {
			u.isWhole = true
			continue
		}
		if err := u.take(header, archive); err != nil {
			return fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

func (u *unpacker) close() {
	for _, root := range u.roots {
		_ = root.Close()
	}
}

// find answers where a name of the tar belongs: the root, and the path in it.
func (u *unpacker) find(name string) (root *os.Root, in string, whole string, err error) {
	whole = path.Join("/", name)
	isOurs := func(folder string) bool { return whole == folder || isBelow(whole, folder) }
	if strings.Contains("/"+name+"/", "/../") || !slices.ContainsFunc(u.folders, isOurs) {
		return nil, "", "", errForeign
	}
	for place, root := range u.roots {
		if isBelow(whole, place) {
			return root, strings.TrimPrefix(whole, strings.TrimSuffix(place, "/")+"/"), whole, nil
		}
	}
	return nil, "", "", errForeign
}

func (u *unpacker) take(header *tar.Header, content io.Reader) error {
	root, in, whole, err := u.find(header.Name)
	if err != nil {
		return err
	}
	bits := header.FileInfo().Mode().Perm() // no other bit is taken over
	switch header.Typeflag {
	case tar.TypeDir:
		err = u.takeFolder(root, in)
		u.modes = append(u.modes, mode{whole, bits})
	case tar.TypeReg:
		err = u.takeFile(root, in, content, header, bits)
	case tar.TypeSymlink:
		if err = u.makeWay(root, in); err == nil {
			err = root.Symlink(header.Linkname, in)
		}
	case tar.TypeLink:
		err = u.takeLink(root, in, header.Linkname)
	default:
		return nil // a pipe or a device is nothing to bring home
	}
	u.seen[whole] = true
	return err
}

// makeWay removes what has the name of something new, and makes the folders above it.
func (u *unpacker) makeWay(root *os.Root, in string) error {
	if err := root.RemoveAll(in); err != nil {
		return err
	}
	return root.MkdirAll(filepath.Dir(in), 0o700)
}

func (u *unpacker) takeFolder(root *os.Root, in string) error {
	if info, err := root.Lstat(in); err == nil && info.IsDir() {
		return root.Chmod(in, info.Mode().Perm()|0o700)
	}
	if err := u.makeWay(root, in); err != nil {
		return err
	}
	return root.Mkdir(in, 0o700)
}

func (u *unpacker) takeFile(root *os.Root, in string, content io.Reader, header *tar.Header, bits fs.FileMode) error {
	if err := u.makeWay(root, in); err != nil {
		return err
	}
	file, err := root.OpenFile(in, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Chmod(bits), file.Close()); err != nil {
		return err
	}
	return root.Chtimes(in, header.ModTime, header.ModTime)
}

// takeLink makes another name of a file that came before.
func (u *unpacker) takeLink(root *os.Root, in, of string) error {
	other, old, whole, err := u.find(of)
	if err != nil || other != root || !u.seen[whole] {
		return errors.Join(errForeign, err)
	}
	if err := u.makeWay(root, in); err != nil {
		return err
	}
	return root.Link(old, in)
}

// removeRest removes what the tar did not name.
func (u *unpacker) removeRest() error {
	for _, folder := range u.folders {
		root, in, _, err := u.find(folder)
		if err == nil {
			err = unlessGone(u.removeRestOf(root, in, folder))
		}
		if err != nil {
			return fmt.Errorf("remove what the step removed: %w", err)
		}
	}
	return nil
}

func (u *unpacker) removeRestOf(root *os.Root, in, whole string) error {
	if info, err := root.Lstat(in); err != nil || !info.IsDir() {
		if err == nil && !u.seen[whole] {
			err = root.RemoveAll(in)
		}
		return err
	}
	folder, err := root.Open(in)
	if err != nil {
		return err
	}
	entries, err := folder.ReadDir(-1)
	if err = errors.Join(err, folder.Close()); err != nil {
		return err
	}
	for _, entry := range entries {
		below, name := filepath.Join(in, entry.Name()), path.Join(whole, entry.Name())
		switch {
		case !u.seen[name]:
			err = root.RemoveAll(below)
		case entry.IsDir():
			err = u.removeRestOf(root, below, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setModes goes from the leaves to the roots, as a folder may be closed.
func (u *unpacker) setModes() error {
	for _, m := range slices.Backward(u.modes) {
		root, in, _, err := u.find(m.path)
		if err != nil {
			return err
		}
		if err := root.Chmod(in, m.mode); unlessGone(err) != nil {
			return err
		}
	}
	return nil
}
