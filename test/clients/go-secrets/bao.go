package main

import (
	"fmt"
	"strings"

	bao "github.com/openbao/openbao/api/v2"
)

// The same server through OpenBao's client: what is the same is asked briefly, what Vault does not
// have is asked as well.
func openbao() {
	config := bao.DefaultConfig()
	config.Address = address
	config.MaxRetries = 0
	config.Timeout = bound
	c, err := bao.NewClient(config)
	no(err, "a client")
	c.SetToken(client.Token())
	health, err := c.Sys().Health()
	ok(err == nil && health.Initialized && !health.Sealed, "health", err, health)
	status, err := c.Sys().SealStatus()
	ok(err == nil && !status.Sealed && status.Type == "shamir", "seal status", err, status)
	_, err = c.Sys().Leader()
	no(err, "leader")
	no(c.Sys().Mount("bao", &bao.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}),
		"mount")
	mount, err := c.Sys().MountInfo("bao")
	ok(err == nil && mount.Type == "kv", "one mount", err, mount)
	kv := c.KVv2("bao")
	for at := 0; at < 5; at++ {
		_, err = kv.Put(ctx, fmt.Sprint("k/", at), object{"n": at})
		no(err, "put")
	}
	_, err = kv.Patch(ctx, "k/0", object{"m": 1})
	no(err, "patch")
	got, err := kv.Get(ctx, "k/0")
	ok(err == nil && fmt.Sprint(got.Data) == "map[m:1 n:0]" && got.VersionMetadata.Version == 2, "get",
		err, got)
	page, err := c.Logical().ListPage("bao/metadata/k", "1", 2)
	ok(err == nil && page != nil && fmt.Sprint(page.Data["keys"]) == "[2 3]", "a page", err, page)
	page, err = c.Logical().ListPage("bao/metadata/k", "3", 10)
	ok(err == nil && page != nil && fmt.Sprint(page.Data["keys"]) == "[4]", "the last page", err, page)
	_, err = kv.Put(ctx, "deep/er/x", object{"n": 1})
	no(err, "put deeper")
	all, err := c.Logical().Scan("bao/metadata")
	ok(err == nil && all != nil && fmt.Sprint(all.Data["keys"]) == "[deep/er/x k/0 k/1 k/2 k/3 k/4]",
		"scan", err, all)
	page, err = c.Logical().ScanPage("bao/metadata", "k/1", 2)
	ok(err == nil && page != nil && fmt.Sprint(page.Data["keys"]) == "[k/2 k/3]", "a page of it", err,
		page)
	detailed, err := c.Logical().List("bao/detailed-metadata/k")
	ok(err == nil && detailed != nil && len(inner(detailed.Data["key_info"])) == 5, "with details", err,
		detailed)
	secret, err := c.Auth().Token().Create(&bao.TokenCreateRequest{Policies: []string{"default"},
		TTL: "1h"})
	ok(err == nil && secret.Auth.ClientToken != "", "a token", err)
	own, err := c.Clone()
	no(err, "a clone")
	own.SetToken(secret.Auth.ClientToken)
	_, err = own.Auth().Token().LookupSelf()
	no(err, "lookup-self")
	_, err = own.KVv2("bao").Get(ctx, "k/0")
	ok(err != nil && strings.Contains(err.Error(), "permission denied"), "not allowed", err)
	no(own.Auth().Token().RevokeSelf(""), "revoke-self")
	no(c.Sys().PutPolicy("scanner", `path "bao/metadata/*" { capabilities = ["scan"] }`),
		"a policy with scan")
	secret, err = c.Auth().Token().Create(&bao.TokenCreateRequest{Policies: []string{"scanner"},
		TTL: "1h"})
	no(err, "a token of it")
	own.SetToken(secret.Auth.ClientToken)
	all, err = own.Logical().Scan("bao/metadata/k")
	ok(err == nil && all != nil, "may scan", err)
	_, err = own.Logical().List("bao/metadata/k")
	ok(err != nil && strings.Contains(err.Error(), "permission denied"), "and not list", err)
	no(c.Sys().RotateKeyring(), "rotate the keyring")
	rotation, err := c.Sys().RotateRootStatus()
	ok(err == nil && !rotation.Started, "no rotation of the root key under way", err, rotation)
	rotation, err = c.Sys().RotateRootInit(&bao.RotateInitRequest{SecretShares: 3, SecretThreshold: 2})
	ok(err == nil && rotation.Started && rotation.Required == 2, "begin one", err, rotation)
	no(c.Sys().RotateRootCancel(), "cancel it")
	no(c.Sys().Unmount("bao"), "unmount")
}
