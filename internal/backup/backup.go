// Package backup packs files into one archive, and gives them back only if every byte is what it was.
//
// An archive is a tar compressed by zstd. Its last entry is its contents: the name, size and SHA-256 digest of every
// other one. So an archive that was cut off anywhere is not taken for a whole one.
package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
)

// format is the version of what an archive looks like. Others are refused.
const format = 1

// contentsName is the name of the last entry.
const contentsName = "contents.json"

// About says what an archive is of.
type About struct {
	Program string    `json:"program"` // version of the program that made it
	MadeAt  time.Time `json:"made_at"`
}

// Contents is what an archive holds.
type Contents struct {
	Format int `json:"format"`
	About
	Files []File `json:"files"`
}

// File is one file of an archive.
type File struct {
	Name   string `json:"name"` // with slashes, below the archive's root
	Size   int64  `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

// Bytes is the size of all files.
func (c Contents) Bytes() (sum int64) {
	for _, f := range c.Files {
		sum += f.Size
	}
	return sum
}

// Part is a file, or a folder with all the regular files in it, that goes into an archive.
type Part struct {
	Name string // in the archive
	Path string // on this machine; a folder may be missing
}

// Write packs the parts. A file that grows meanwhile is packed as long as it was when its turn came; one that vanishes
// before its turn is left out.
func Write(ctx context.Context, w io.Writer, about About, parts ...Part) (Contents, error) {
	packed, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest)) // most of it is compressed already
	if err != nil {
		return Contents{}, fmt.Errorf("write a backup: %w", err)
	}
	b := &writer{tar: tar.NewWriter(packed), contents: Contents{Format: format, About: about}}
	for _, part := range parts {
		if err := b.addPart(ctx, part); err != nil {
			return b.contents, errors.Join(fmt.Errorf("write a backup: %w", err), packed.Close())
		}
	}
	return b.contents, errors.Join(b.end(), b.tar.Close(), packed.Close())
}

type writer struct {
	tar      *tar.Writer
	contents Contents
}

func (b *writer) addPart(ctx context.Context, part Part) error {
	return filepath.WalkDir(part.Path, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		below, err := filepath.Rel(part.Path, file)
		if err != nil {
			return err
		}
		return b.addFile(path.Join(part.Name, filepath.ToSlash(below)), file)
	})
}

func (b *writer) addFile(name, file string) error {
	content, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Close()
	info, err := content.Stat()
	if err != nil {
		return err
	}
	if err := b.begin(name, info.Size()); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(b.tar, digest), content, info.Size()); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	b.contents.Files = append(b.contents.Files, File{Name: name, Size: info.Size(), SHA256: hex.EncodeToString(digest.Sum(nil))})
	return nil
}

func (b *writer) begin(name string, size int64) error {
	return b.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: b.contents.MadeAt})
}

func (b *writer) end() error {
	encoded, err := json.Marshal(b.contents)
	if err != nil {
		return fmt.Errorf("write a backup: %w", err)
	}
	if err := b.begin(contentsName, int64(len(encoded))); err != nil {
		return err
	}
	_, err = b.tar.Write(encoded)
	return err
}
