package demo

import (
	"archive/zip"
	"bytes"
	_ "embed"
	"fmt"
	"io/fs"
	"os"
)

//go:generate go run ./pack ../../examples/shop shop.zip

// archive is examples/shop. It is a module of its own, whose files the compiler does not take in one by one.
//
//go:embed shop.zip
var archive []byte

// productionHost is by what name the shop's pipeline file lets the proxy know its production.
const productionHost = "shop.localhost"

// shopFiles are the files of the shop.
func shopFiles() (fs.FS, error) {
	files, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open the shop inside the program: %w", err)
	}
	return files, nil
}

// unpackShop lays the shop's files out in a folder.
func unpackShop(folder string) error {
	files, err := shopFiles()
	if err != nil {
		return err
	}
	if err := os.CopyFS(folder, files); err != nil {
		return fmt.Errorf("lay out the shop: %w", err)
	}
	return nil
}
