// The arithmetic of OpenBao's transit (its keysutil) on keys of another server: restores each from
// its backup, opens and verifies what the server made, and makes the same kinds of things for the
// server to open.
//
// Usage: go-transit GIVEN MADE
//
// GIVEN and MADE are files of a list of keys; test/secrets/engine/transit/vectors/vectors.ts says what
// stands in them. Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end.
package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/openbao/openbao/sdk/v2/helper/keysutil"
	"github.com/openbao/openbao/sdk/v2/logical"
)

type ciphertext struct {
	Version        int    `json:"version"`
	Context        string `json:"context,omitempty"`
	AssociatedData string `json:"associated_data,omitempty"`
	Plaintext      string `json:"plaintext"`
	Ciphertext     string `json:"ciphertext"`
}

type signature struct {
	Version   int               `json:"version"`
	Input     string            `json:"input"`
	Settings  map[string]string `json:"settings"`
	Signature string            `json:"signature"`
	PublicKey string            `json:"publicKey,omitempty"`
}

type mac struct {
	Version   int    `json:"version"`
	Algorithm string `json:"algorithm"`
	Input     string `json:"input"`
	Hmac      string `json:"hmac"`
}

type key struct {
	Name        string                       `json:"name"`
	Type        string                       `json:"type"`
	Derived     bool                         `json:"derived"`
	Convergent  bool                         `json:"convergent"`
	Exported    map[string]map[string]string `json:"exported"`
	Ciphertexts []ciphertext                 `json:"ciphertexts"`
	Signatures  []signature                  `json:"signatures"`
	Hmacs       []mac                        `json:"hmacs"`
	Backup      string                       `json:"backup"`
}

// Associated data as keysutil asks for it.
type associated string

func (a associated) GetAssociatedData() ([]byte, error) { return unbase(string(a)), nil }

var ctx = context.Background()

func ok(holds bool, what string, details ...any) {
	if holds {
		fmt.Println("ok - " + what)
		return
	}
	why := strings.ReplaceAll(fmt.Sprint(details...), "\n", " ")
	fmt.Println("not ok - " + what + ": " + why)
}

func unbase(text string) []byte {
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return decoded
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	var given, made []key
	if err := json.Unmarshal(must(os.ReadFile(os.Args[1])), &given); err != nil {
		panic(err)
	}
	storage := &logical.InmemStorage{}
	manager := must(keysutil.NewLockManager(true, 0))
	for _, each := range given {
		err := manager.RestorePolicy(ctx, storage, each.Name, each.Backup, false)
		ok(err == nil, each.Name+": its backup is restored", err)
		if err != nil {
			continue
		}
		request := keysutil.PolicyRequest{Storage: storage, Name: each.Name}
		policy, _, err := manager.GetPolicy(ctx, request, rand.Reader)
		if err != nil || policy == nil {
			ok(false, each.Name+": it is there", err)
			continue
		}
		ok(policy.Type.String() == each.Type, each.Name+": type", policy.Type.String())
		open(policy, each)
		again := each
		again.Ciphertexts = seal(policy, each)
		again.Signatures = sign(policy, each)
		again.Hmacs = hmacs(policy, each)
		again.Backup = must(manager.BackupPolicy(ctx, storage, each.Name))
		made = append(made, again)
	}
	if err := os.WriteFile(os.Args[2], must(json.Marshal(made)), 0o600); err != nil {
		panic(err)
	}
	fmt.Println("done")
}

// Opens and verifies what the other server made.
func open(policy *keysutil.Policy, given key) {
	for at, each := range given.Ciphertexts {
		what := fmt.Sprintf("%s: ciphertext %d", given.Name, at)
		plaintext, err := policy.DecryptWithFactory(
			unbase(each.Context), nil, each.Ciphertext, associated(each.AssociatedData))
		ok(err == nil && plaintext == each.Plaintext, what, err)
	}
	for _, each := range given.Signatures {
		what := fmt.Sprintf("%s: signature %v", given.Name, each.Settings)
		input, options := inputOf(policy, each)
		valid, err := policy.VerifySignatureWithOptions(
			unbase(each.Settings["context"]), input, each.Signature, options)
		ok(err == nil && valid, what, err)
	}
	for _, each := range given.Hmacs {
		what := fmt.Sprintf("%s: %s of version %d", given.Name, each.Algorithm, each.Version)
		ok(each.Hmac == hmacOf(policy, each), what, each.Hmac)
	}
}

func seal(policy *keysutil.Policy, given key) []ciphertext {
	made := []ciphertext{}
	for _, each := range given.Ciphertexts {
		each.Ciphertext = must(policy.EncryptWithFactory(each.Version, unbase(each.Context), nil,
			each.Plaintext, associated(each.AssociatedData)))
		made = append(made, each)
	}
	return made
}

func sign(policy *keysutil.Policy, given key) []signature {
	made := []signature{}
	for _, each := range given.Signatures {
		input, options := inputOf(policy, each)
		result := must(policy.SignWithOptions(
			each.Version, unbase(each.Settings["context"]), input, options))
		each.Signature = result.Signature
		each.PublicKey = ""
		if len(result.PublicKey) > 0 {
			each.PublicKey = base64.StdEncoding.EncodeToString(result.PublicKey)
		}
		made = append(made, each)
	}
	return made
}

func hmacs(policy *keysutil.Policy, given key) []mac {
	made := []mac{}
	for _, each := range given.Hmacs {
		each.Hmac = hmacOf(policy, each)
		made = append(made, each)
	}
	return made
}

// What is signed, and how, as transit's paths would have it.
func inputOf(policy *keysutil.Policy, each signature) ([]byte, *keysutil.SigningOptions) {
	word := func(name, byDefault string) string {
		if each.Settings[name] != "" {
			return each.Settings[name]
		}
		return byDefault
	}
	hash := keysutil.HashTypeMap[word("hash_algorithm", "sha2-256")]
	input := unbase(each.Input)
	if policy.Type.HashSignatureInput() {
		hasher := keysutil.HashFuncMap[hash]()
		hasher.Write(input)
		input = hasher.Sum(nil)
	}
	salts := map[string]int{"auto": rsa.PSSSaltLengthAuto, "hash": rsa.PSSSaltLengthEqualsHash}
	salt, isWord := salts[word("salt_length", "auto")]
	if !isWord {
		salt = must(strconv.Atoi(each.Settings["salt_length"]))
	}
	return input, &keysutil.SigningOptions{
		HashAlgorithm: hash,
		Marshaling:    keysutil.MarshalingTypeMap[word("marshaling_algorithm", "asn1")],
		SaltLength:    salt,
		SigAlgorithm:  word("signature_algorithm", ""),
	}
}

func hmacOf(policy *keysutil.Policy, each mac) string {
	hasher := keysutil.HashFuncMap[keysutil.HashTypeMap[each.Algorithm]]
	made := hmac.New(hasher, bytes.Clone(must(policy.HMACKey(each.Version))))
	made.Write(unbase(each.Input))
	sum := base64.StdEncoding.EncodeToString(made.Sum(nil))
	return fmt.Sprintf("vault:v%d:%s", each.Version, sum)
}
