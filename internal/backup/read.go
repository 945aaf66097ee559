package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/towpath-cd/towpath/internal/durable"
)

// ErrDamaged is the cause of every error about an archive that is not whole, or not one of ours.
var ErrDamaged = errors.New("not a whole backup")

const (
	// mostMemory bounds what decompressing may take, in bytes.
	mostMemory = 64 << 20
	// mostContents bounds the list of the files, in bytes.
	mostContents = 1 << 30
)

// Check reads an archive to its end and compares every byte with its contents. The error is an ErrDamaged unless
// reading itself failed.
func Check(ctx context.Context, r io.Reader) (Contents, error) {
	return read(ctx, r, func(_ string, content io.Reader) error {
		_, err := io.Copy(io.Discard, content)
		return err
	})
}

// Unpack writes an archive's files below a folder, and answers after they are on the disk. After an error, what was
// written so far is worth nothing.
func Unpack(ctx context.Context, r io.Reader, folder string) (Contents, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return Contents{}, fmt.Errorf("unpack a backup: %w", err)
	}
	defer root.Close()
	folders := map[string]bool{".": true}
	contents, err := read(ctx, r, func(name string, content io.Reader) error {
		local := filepath.FromSlash(name)
		for dir := filepath.Dir(local); !folders[dir]; dir = filepath.Dir(dir) {
			folders[dir] = true
		}
		if err := root.MkdirAll(filepath.Dir(local), 0o700); err != nil {
			return err
		}
		return writeFile(root, local, content)
	})
	for dir := range folders {
		if err == nil {
			err = durable.SyncFolder(filepath.Join(folder, dir))
		}
	}
	return contents, err
}

func writeFile(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	return errors.Join(err, file.Sync(), file.Close())
}

// read hands each file to take, and compares what take has read with what the contents say.
func read(ctx context.Context, r io.Reader, take func(name string, content io.Reader) error) (Contents, error) {
	plain, err := zstd.NewReader(r, zstd.WithDecoderMaxMemory(mostMemory), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return Contents{}, fmt.Errorf("read a backup: %w", err)
	}
	defer plain.Close()
	archive := tar.NewReader(plain)
	var found []File
	for {
		header, err := archive.Next()
		if err := errors.Join(damage(err), context.Cause(ctx)); err != nil {
			return Contents{}, err
		}
		if header.Name == contentsName {
			return readContents(archive, found)
		}
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(header.Name)) {
			return Contents{}, fmt.Errorf("%w: %q does not belong into one", ErrDamaged, header.Name)
		}
		digest := sha256.New()
		if err := take(header.Name, damaging{io.TeeReader(archive, digest)}); err != nil {
			return Contents{}, fmt.Errorf("read %s of a backup: %w", header.Name, err)
		}
		found = append(found, File{Name: header.Name, Size: header.Size, SHA256: hex.EncodeToString(digest.Sum(nil))})
	}
}

// damage makes an archive that ends early, or cannot be read on, a damaged one.
func damage(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// damaging tells errors of reading the archive from those of writing elsewhere.
type damaging struct{ io.Reader }

func (d damaging) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damage(err)
	}
	return n, err
}

func readContents(r io.Reader, found []File) (Contents, error) {
	var encoded bytes.Buffer
	if _, err := io.Copy(&encoded, io.LimitReader(r, mostContents)); err != nil {
		return Contents{}, damage(err)
	}
	var c Contents
	if err := json.Unmarshal(encoded.Bytes(), &c); err != nil {
		return c, damage(err)
	}
	if c.Format != format {
		return c, fmt.Errorf("%w: its format is %d, and this program reads %d", ErrDamaged, c.Format, format)
	}
	if !slices.Equal(c.Files, found) {
		return c, fmt.Errorf("%w: what it holds is not what its contents say", ErrDamaged)
	}
	return c, nil
}
