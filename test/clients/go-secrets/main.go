// The Go clients of Vault and of OpenBao against a running server that nobody has initialised:
// github.com/hashicorp/vault/api, on which Nomad, Terraform and consul-template stand, and
// github.com/openbao/openbao/api.
//
// Usage: go-secrets ADDRESS [ROOT_TOKEN]
//
// With a token the server is one that is initialised already, and what operators do is left out.
//
// Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

const bound = 15 * time.Second

type object = map[string]any

var (
	address = os.Args[1]
	// Of the root token.
	client *api.Client
	// The shares that unseal it, two of three.
	keys    []string
	section string
	ctx     = context.Background()
)

func say(verdict, what string, details ...any) {
	text := strings.ReplaceAll(fmt.Sprint(details...), "\n", " ")
	fmt.Println(strings.TrimSuffix(verdict+" - "+section+": "+what+": "+text, ": "))
}

func ok(holds bool, what string, details ...any) {
	if holds {
		say("ok", what)
	} else {
		say("not ok", what, details...)
	}
}

func is(found, wanted any, what string) {
	holds := reflect.DeepEqual(found, wanted)
	// What JSON says: numbers come as json.Number, lists as []any.
	if !holds {
		holds = fmt.Sprint(found) == fmt.Sprint(wanted)
	}
	ok(holds, what, fmt.Sprintf("%#v is not %#v", found, wanted))
}

func no(err error, what string) {
	ok(err == nil, what, err)
}

// The status and the texts that a call was refused with.
func refused(err error, status int, part, what string) {
	var response *api.ResponseError
	if !errors.As(err, &response) {
		ok(false, what, "no refusal: ", err)
		return
	}
	text := strings.Join(response.Errors, "|")
	holds := response.StatusCode == status && strings.Contains(text, part)
	ok(holds, what, fmt.Sprintf("%d %q is not %d %q", response.StatusCode, text, status, part))
}

func until(what string, probe func() bool) {
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if probe() {
			say("ok", what)
			return
		}
	}
	say("not ok", what, "not within ", bound)
}

// A client of its own, with this token.
func with(token string) *api.Client {
	config := api.DefaultConfig()
	config.Address = address
	// An answer that asks for another try is one that we want to see.
	config.MaxRetries = 0
	config.Timeout = bound
	made, err := api.NewClient(config)
	if err != nil {
		panic(err)
	}
	made.SetToken(token)
	return made
}

// The same client, asking that answers are wrapped.
func wrapping(c *api.Client, ttl string) *api.Client {
	made := with(c.Token())
	made.SetWrappingLookupFunc(func(string, string) string { return ttl })
	return made
}

func write(c *api.Client, path string, data object) (*api.Secret, error) {
	return c.Logical().Write(path, data)
}

// Writes what must succeed, and gives the answer's data.
func wrote(path string, data object, what string) object {
	secret, err := write(client, path, data)
	no(err, what)
	return dataOf(secret)
}

func dataOf(secret *api.Secret) object {
	if secret == nil || secret.Data == nil {
		return object{}
	}
	return secret.Data
}

// The data of what must be there.
func read(path, what string) object {
	secret, err := client.Logical().Read(path)
	ok(err == nil && secret != nil, what, path, " ", err)
	return dataOf(secret)
}

func absent(path, what string) {
	secret, err := client.Logical().Read(path)
	ok(err == nil && secret == nil, what, secret, err)
}

func keysAt(path string) []string {
	secret, err := client.Logical().List(path)
	if err != nil {
		return []string{err.Error()}
	}
	return texts(dataOf(secret)["keys"])
}

func texts(list any) []string {
	found := []string{}
	values, _ := list.([]any)
	for _, value := range values {
		found = append(found, fmt.Sprint(value))
	}
	return found
}

func sorted(list []string) []string {
	copied := append([]string{}, list...)
	sort.Strings(copied)
	return copied
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

func inner(value any) object {
	found, _ := value.(map[string]any)
	return found
}

// A token with these policies, and a client that has it.
func tokenOf(policies ...string) (*api.Client, string) {
	secret, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: policies, TTL: "1h"})
	if err != nil {
		ok(false, "a token", err)
		return with(""), ""
	}
	return with(secret.Auth.ClientToken), secret.Auth.ClientToken
}

func part(name string, facts func()) {
	section = name
	defer func() {
		if fault := recover(); fault != nil {
			ok(false, "it ran to its end", fault)
		}
	}()
	facts()
}

func main() {
	isFresh := len(os.Args) == 2
	if isFresh {
		client = with("")
		part("init", initialise)
	} else {
		client = with(os.Args[2])
	}
	part("health", health)
	part("mounts", mounts)
	part("auth mounts", authMounts)
	part("policies", policies)
	part("tokens", tokens)
	part("token roles", tokenRoles)
	part("capabilities", capabilities)
	part("wrapping", wraps)
	part("kv 1", kv1)
	part("kv 2", kv2)
	part("cubbyhole", cubbyhole)
	part("approle", approle)
	part("userpass", userpass)
	part("identity", identity)
	part("second factors", mfa)
	part("leases", leases)
	part("errors", faults)
	part("namespaces", namespaces)
	part("tools", tools)
	part("transit", transit)
	part("pki", pki)
	part("audit", audit)
	part("quotas", quotas)
	part("internal", internal)
	part("archive", archive)
	part("watcher", watcher)
	part("External Secrets", externalSecrets)
	part("consul-template", consulTemplate)
	part("Terraform", terraform)
	part("Nomad", nomad)
	part("Spring", spring)
	part("Ansible", ansible)
	part("OpenBao's client", openbao)
	part("rotate", rotate)
	if isFresh {
		part("generate-root", generateRoot)
		part("rekey", rekey)
		part("seal", seal)
	}
	fmt.Println("done")
}
