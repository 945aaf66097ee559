// Command pack makes an archive of a folder. The same files make the same archive, byte by byte, on every machine.
package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// built is a folder of the shop that its pipeline makes.
const built = "dist"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack FOLDER ARCHIVE")
		os.Exit(2)
	}
	if err := pack(os.DirFS(os.Args[1]), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(files fs.FS, to string) error {
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(file)
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name == built:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		return add(archive, files, name)
	})
	return errors.Join(err, archive.Close(), file.Close())
}

// add stores a file as it is, so that a change of it can be read in the archive's, without its time or its owner.
func add(archive *zip.Writer, files fs.FS, name string) error {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	info, err := fs.Stat(files, name)
	if err != nil {
		return err
	}
	header := &zip.FileHeader{Name: name, Method: zip.Store}
	header.SetMode(0o644 | info.Mode()&0o111)
	entry, err := archive.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = entry.Write(content)
	return err
}
