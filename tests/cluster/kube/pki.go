package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Who talks to the API server with a certificate: file name, user, groups.
var clients = map[string]pkix.Name{
	"admin":             {CommonName: "admin", Organization: []string{"system:masters"}},
	"apiserver-kubelet": {CommonName: "apiserver-kubelet", Organization: []string{"system:masters"}},
	"controllers":       {CommonName: "system:kube-controller-manager"},
	"scheduler":         {CommonName: "system:kube-scheduler"},
	"proxy":             {CommonName: "system:kube-proxy"},
	"coredns":           {CommonName: "test:coredns"},
}

// pki --server https://ADDRESS:PORT [--node NAME=ADDRESS]... DIRECTORY
//
// Writes ca.crt, NAME.crt, NAME.key and NAME.conf (a kubeconfig) for each client and node,
// apiserver.crt and .key, and sa.key and sa.pub for tokens of service accounts.
func pki(args []string) error {
	flags := flag.NewFlagSet("pki", flag.ExitOnError)
	server := flags.String("server", "https://127.0.0.1:6443", "address of the API server")
	nodes := map[string]net.IP{}
	flags.Func("node", "NAME=ADDRESS, repeatable", func(text string) error {
		name, address, _ := strings.Cut(text, "=")
		nodes[name] = net.ParseIP(address)
		if nodes[name] == nil {
			return fmt.Errorf("no address in %q", text)
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("usage: kube pki [--server URL] [--node NAME=ADDRESS]... DIRECTORY")
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(*server, "https://"))
	if err != nil {
		return err
	}
	authority, err := newAuthority(flags.Arg(0), *server)
	if err != nil {
		return err
	}
	api := []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local"}
	ips := []net.IP{net.ParseIP(host), net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
	if err := authority.issue("apiserver", pkix.Name{CommonName: "kube-apiserver"}, api, ips); err != nil {
		return err
	}
	for name, subject := range clients {
		if err := authority.issue(name, subject, nil, nil); err != nil {
			return err
		}
	}
	for name, ip := range nodes {
		subject := pkix.Name{CommonName: "system:node:" + name, Organization: []string{"system:nodes"}}
		if err := authority.issue(name, subject, []string{name}, []net.IP{ip}); err != nil {
			return err
		}
	}
	return authority.serviceAccounts()
}

type authority struct {
	dir, server string
	cert        *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(dir, server string) (*authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificate(pkix.Name{CommonName: "test-ca"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	a := &authority{dir, server, cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	return a, os.WriteFile(filepath.Join(dir, "ca.crt"), a.pem, 0o600)
}

// issue writes NAME.crt, NAME.key and NAME.conf.
func (a *authority) issue(name string, subject pkix.Name, hosts []string, ips []net.IP) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := certificate(subject)
	template.DNSNames, template.IPAddresses = hosts, ips
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM, err := privatePEM(key)
	if err != nil {
		return err
	}
	config := api.NewConfig()
	config.Clusters["test"] = &api.Cluster{Server: a.server, CertificateAuthorityData: a.pem}
	config.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: certPEM, ClientKeyData: keyPEM}
	config.Contexts["test"] = &api.Context{Cluster: "test", AuthInfo: name}
	config.CurrentContext = "test"
	if err := clientcmd.WriteToFile(*config, filepath.Join(a.dir, name+".conf")); err != nil {
		return err
	}
	return a.write(map[string][]byte{name + ".crt": certPEM, name + ".key": keyPEM})
}

func (a *authority) serviceAccounts() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := privatePEM(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return a.write(map[string][]byte{"sa.key": private, "sa.pub": publicPEM})
}

func (a *authority) write(files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(a.dir, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func privatePEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func certificate(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
	}
}
