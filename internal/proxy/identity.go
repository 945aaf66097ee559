package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath-cd/towpath/internal/durable"
	"github.com/towpath-cd/towpath/internal/proxy/control"
)

const (
	identityName = "control.json"
	// certificateLife outlasts a proxy: it is known by its public key, and a new one is a new key for everybody.
	certificateLife = 100 * 365 * 24 * time.Hour
)

// identity is how a proxy is known on its control port, and who may give orders there.
type identity struct {
	Certificate []byte `json:"certificate"` // DER, signed by itself
	PrivateKey  []byte `json:"privateKey"`  // PKCS #8
	Token       string `json:"token"`
}

// Key answers the key of the proxy whose data folder it is, and makes it where there is none yet. A key that is renewed
// counts from the proxy's next start on; nobody with the old one gives it orders then.
func Key(ctx context.Context, folder string, renew bool) (control.Key, error) {
	id, err := identityOf(ctx, folder, renew)
	if err != nil {
		return control.Key{}, fmt.Errorf("proxy's key: %w", err)
	}
	return id.key()
}

func identityOf(ctx context.Context, folder string, renew bool) (identity, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return identity{}, err
	}
	path := filepath.Join(folder, identityName)
	unlock, err := durable.AwaitLock(ctx, path+".lock")
	if err != nil {
		return identity{}, err
	}
	defer func() { _ = unlock() }() // a file that cannot be closed is not locked either
	content, err := os.ReadFile(path)
	if renew || errors.Is(err, fs.ErrNotExist) {
		return makeIdentity(path)
	}
	var id identity
	if err == nil {
		err = json.Unmarshal(content, &id)
	}
	if err != nil {
		return identity{}, fmt.Errorf("read %s: %w", path, err)
	}
	return id, nil
}

func makeIdentity(path string) (identity, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "towpath proxy"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	id := identity{Token: rand.Text()}
	if id.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		return identity{}, err
	}
	if id.PrivateKey, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return identity{}, err
	}
	content, err := json.Marshal(id)
	if err != nil {
		return identity{}, err
	}
	return id, durable.WriteFile(path, content)
}

func (id identity) key() (control.Key, error) {
	certificate, err := x509.ParseCertificate(id.Certificate)
	if err != nil {
		return control.Key{}, fmt.Errorf("proxy's certificate: %w", err)
	}
	return control.Key{Pin: control.PinOf(certificate), Token: id.Token}, nil
}

// tls is how the control port answers.
func (id identity) tls() (*tls.Config, error) {
	private, err := x509.ParsePKCS8PrivateKey(id.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("proxy's certificate: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{id.Certificate}, PrivateKey: private}},
	}, nil
}
