package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// The value of a signature or an HMAC, `vault:v1:…`.
func valueOf(text any) []byte {
	parts := strings.SplitN(fmt.Sprint(text), ":", 3)
	value, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	no(err, "its base64")
	return value
}

func transit() {
	no(client.Sys().Mount("transit", &api.MountInput{Type: "transit"}), "mount")
	plain := b64("attack at dawn")
	made := wrote("transit/encrypt/upserted", object{"plaintext": plain}, "encrypt, with a key that it makes")
	ok(strings.HasPrefix(text(made["ciphertext"]), "vault:v1:"), "its form", made)
	is(made["key_version"], json.Number("1"), "its version")
	opened := wrote("transit/decrypt/upserted", object{"ciphertext": made["ciphertext"]}, "decrypt")
	is(opened["plaintext"], plain, "what it was")

	wrote("transit/keys/derived", object{"derived": true, "convergent_encryption": true}, "a derived key")
	one := wrote("transit/encrypt/derived", object{"plaintext": plain, "context": b64("x")}, "convergent")
	two := wrote("transit/encrypt/derived", object{"plaintext": plain, "context": b64("x")}, "again")
	is(one["ciphertext"], two["ciphertext"], "the same")
	_, err := write(client, "transit/encrypt/derived", object{"plaintext": plain})
	refused(err, 400, "context", "without a context")

	// What Terraform and SOPS do: batches and rotation.
	batch := []object{{"plaintext": plain}, {"plaintext": "?"}, {"plaintext": b64("")}}
	_, err = write(client, "transit/encrypt/upserted", object{"batch_input": batch})
	refused(err, 400, "", "a batch with one that is wrong")
	sealed := wrote("transit/encrypt/upserted", object{"batch_input": batch,
		"partial_failure_response_code": 200}, "the same, and it is to be 200")
	results, _ := sealed["batch_results"].([]any)
	ok(len(results) == 3 && inner(results[1])["error"] != nil && inner(results[2])["ciphertext"] != nil,
		"the others are there", results)
	wrote("transit/keys/upserted/rotate", object{}, "rotate")
	rewrapped := wrote("transit/rewrap/upserted", object{"ciphertext": made["ciphertext"]}, "rewrap")
	ok(strings.HasPrefix(text(rewrapped["ciphertext"]), "vault:v2:"), "by the new key", rewrapped)
	key := read("transit/keys/upserted", "read")
	is(key["latest_version"], json.Number("2"), "two versions")

	// Go verifies what was signed.
	wrote("transit/keys/ec", object{"type": "ecdsa-p256"}, "an EC key")
	signed := wrote("transit/sign/ec", object{"input": plain}, "sign")
	digest := sha256.Sum256([]byte("attack at dawn"))
	public, _ := publicOf("transit/keys/ec").(*ecdsa.PublicKey)
	ok(public != nil && ecdsa.VerifyASN1(public, digest[:], valueOf(signed["signature"])), "Go verifies it")
	wrote("transit/keys/ed", object{"type": "ed25519"}, "an Ed25519 key")
	signed = wrote("transit/sign/ed", object{"input": plain}, "sign")
	raw, err := base64.StdEncoding.DecodeString(text(versionOf("transit/keys/ed")["public_key"]))
	ok(err == nil && ed25519.Verify(raw, []byte("attack at dawn"), valueOf(signed["signature"])),
		"Go verifies it", err)
	wrote("transit/keys/rsa", object{"type": "rsa-2048"}, "an RSA key")
	signed = wrote("transit/sign/rsa", object{"input": plain, "signature_algorithm": "pss",
		"salt_length": "hash"}, "sign")
	hash := x509.SHA256WithRSAPSS
	checkRSA(publicOf("transit/keys/rsa"), hash, []byte("attack at dawn"), valueOf(signed["signature"]))
	verified := wrote("transit/verify/rsa", object{"input": plain, "signature": signed["signature"]}, "verify")
	is(verified["valid"], true, "it is valid")
	wrote("transit/decrypt/rsa", object{"ciphertext": wrote("transit/encrypt/rsa",
		object{"plaintext": plain}, "encrypt for it")["ciphertext"]}, "decrypt by it")
	_, err = client.Logical().Delete("transit/keys/rsa")
	refused(err, 400, "deletion is not allowed", "not deleted")
}

func versionOf(path string) object {
	return inner(inner(read(path, "its key")["keys"])["1"])
}

func publicOf(path string) any {
	block, _ := pem.Decode([]byte(text(versionOf(path)["public_key"])))
	if block == nil {
		return nil
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	no(err, "its public part")
	return key
}

func checkRSA(key any, algorithm x509.SignatureAlgorithm, signed, signature []byte) {
	certificate := &x509.Certificate{PublicKey: key}
	no(certificate.CheckSignature(algorithm, signed, signature), "Go verifies it")
}

func certificatesIn(text string) []*x509.Certificate {
	found := []*x509.Certificate{}
	for rest := []byte(text); ; {
		block, next := pem.Decode(rest)
		if block == nil {
			return found
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		no(err, "Go reads it")
		if err == nil {
			found = append(found, certificate)
		}
		rest = next
	}
}

// Go's own view of a leaf behind its chain.
func trusted(data object, root string, host, what string) *x509.Certificate {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(root))
	for _, each := range texts(data["ca_chain"]) {
		between.AppendCertsFromPEM([]byte(each))
	}
	leaves := certificatesIn(text(data["certificate"]))
	if len(leaves) != 1 {
		ok(false, what, data)
		return &x509.Certificate{}
	}
	_, err := leaves[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: host})
	no(err, what)
	return leaves[0]
}

func request(key any) string {
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "c.example.com"},
		DNSNames: []string{"c.example.com"}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	no(err, "a request")
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func pki() {
	year := &api.MountInput{Type: "pki", Config: api.MountConfigInput{MaxLeaseTTL: "8760h"}}
	no(client.Sys().Mount("root-ca", year), "mount")
	no(client.Sys().Mount("pki", year), "another")
	made := wrote("root-ca/root/generate/internal", object{"common_name": "Root", "ttl": "8760h"}, "a root of RSA")
	root := text(made["certificate"])
	csr := wrote("pki/intermediate/generate/internal", object{"common_name": "Middle", "key_type": "ec"}, "a request")
	signed := wrote("root-ca/root/sign-intermediate", object{"csr": csr["csr"], "common_name": "Middle",
		"ttl": "4380h", "max_path_length": 0}, "an intermediate")
	middle := trusted(signed, root, "", "Go trusts it")
	ok(middle.IsCA && middle.MaxPathLenZero, "it is an authority, of leaves alone", middle.MaxPathLen)
	imported := wrote("pki/intermediate/set-signed", object{"certificate": text(signed["certificate"]) + "\n" + root}, "import")
	is(len(texts(imported["imported_issuers"])), 2, "both")
	wrote("pki/roles/web", object{"allowed_domains": "example.com", "allow_subdomains": true,
		"allowed_uri_sans": "spiffe://example/*", "key_type": "any", "max_ttl": "72h"}, "a role")

	keys := map[string]object{"rsa": {"key_type": "rsa", "key_bits": 2048},
		"ec": {"key_type": "ec", "key_bits": 384}, "ed25519": {"key_type": "ed25519"}}
	for name, key := range keys {
		body := object{"common_name": "www.example.com", "alt_names": "b.example.com",
			"ip_sans": "10.0.0.1,::1", "uri_sans": "spiffe://example/web", "ttl": "1h"}
		for field, value := range key {
			body[field] = value
		}
		issued := wrote("pki/issue/web", body, "issue "+name)
		leaf := trusted(issued, root, "b.example.com", name+": Go trusts it")
		ok(len(leaf.IPAddresses) == 2 && leaf.IPAddresses[0].Equal(net.ParseIP("10.0.0.1")), "its addresses")
		spiffe := &url.URL{Scheme: "spiffe", Host: "example", Path: "/web"}
		ok(len(leaf.URIs) == 1 && leaf.URIs[0].String() == spiffe.String(), "its URI", leaf.URIs)
		hours := time.Until(leaf.NotAfter)
		ok(hours > 50*time.Minute && hours <= time.Hour, "its end", leaf.NotAfter)
		ok(len(leaf.AuthorityKeyId) > 0 && bytes.Equal(leaf.AuthorityKeyId, middle.SubjectKeyId), "its issuer's key")
		is(text(issued["serial_number"]), colons(leaf), "its serial number")
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	no(err, "an RSA key")
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	no(err, "an EC key")
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	no(err, "an Ed25519 key")
	var last object
	for _, key := range []any{rsaKey, ecKey, edKey} {
		// As cert-manager asks.
		last = wrote("pki/sign/web", object{"csr": request(key), "common_name": "c.example.com",
			"ttl": "1h0m0s", "exclude_cn_from_sans": "true", "alt_names": "c.example.com"}, "sign")
		leaf := trusted(last, root, "c.example.com", "Go trusts it")
		same := fmt.Sprintf("%T", key)
		ok(leaf.PublicKey != nil && text(last["issuing_ca"]) != "", same+": the request's key")
	}
	_, err = write(client, "pki/issue/web", object{"common_name": "www.example.org",
		"key_type": "ec"})
	refused(err, 400, "not allowed by this role", "another domain")
	_, err = write(client, "pki/sign/web", object{"csr": "nonsense", "common_name": "c.example.com"})
	refused(err, 400, "", "no request")
	revocation(text(last["serial_number"]), middle)
}

func revocation(serial string, issuer *x509.Certificate) {
	gone := wrote("pki/revoke", object{"serial_number": serial}, "revoke")
	ok(text(gone["revocation_time"]) != "0", "when", gone)
	secret, err := client.Logical().ReadRaw("pki/crl")
	if err != nil {
		ok(false, "the list", err)
		return
	}
	defer secret.Body.Close()
	body := new(bytes.Buffer)
	_, err = body.ReadFrom(secret.Body)
	no(err, "the list")
	list, err := x509.ParseRevocationList(body.Bytes())
	no(err, "Go reads it")
	if err != nil {
		return
	}
	no(list.CheckSignatureFrom(issuer), "Go verifies it")
	found := false
	for _, entry := range list.RevokedCertificateEntries {
		found = found || colons(&x509.Certificate{SerialNumber: entry.SerialNumber}) == serial
	}
	ok(found, "it is in the list")
	ok(list.NextUpdate.After(time.Now()), "the list is new", list.NextUpdate)
}

// A serial number as answers have it.
func colons(certificate *x509.Certificate) string {
	parts := []string{}
	for _, each := range certificate.SerialNumber.Bytes() {
		parts = append(parts, fmt.Sprintf("%02x", each))
	}
	return strings.Join(parts, ":")
}
