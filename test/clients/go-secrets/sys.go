package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/api"
)

func mounts() {
	sys := client.Sys()
	found, err := sys.ListMounts()
	no(err, "list")
	for path, kind := range map[string]string{"sys/": "system", "identity/": "identity",
		"cubbyhole/": "cubbyhole"} {
		ok(found[path] != nil && found[path].Type == kind, path, found[path])
	}
	no(sys.Mount("kv1", &api.MountInput{Type: "kv", Description: "the first",
		Options: map[string]string{"version": "1"}}), "kv version 1")
	no(sys.Mount("kv2", &api.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}),
		"kv version 2")
	no(sys.Mount("team/deep/kv", &api.MountInput{Type: "kv-v2"}), "the short name, deeper")
	no(sys.Mount("old", &api.MountInput{Type: "generic"}), "the old name")
	found, err = sys.ListMounts()
	no(err, "list")
	ok(found["kv1/"] != nil && found["kv1/"].Description == "the first" &&
		found["kv1/"].Options["version"] == "1", "the first", found["kv1/"])
	ok(found["kv2/"] != nil && strings.HasPrefix(found["kv2/"].Accessor, "kv_") &&
		found["kv2/"].UUID != "", "an accessor", found["kv2/"])
	ok(found["team/deep/kv/"] != nil && found["team/deep/kv/"].Type == "kv" &&
		found["team/deep/kv/"].Options["version"] == "2", "is kv of version 2", found["team/deep/kv/"])
	one, err := sys.GetMount("kv2")
	ok(err == nil && one.Type == "kv" && one.Options["version"] == "2", "one", err, one)
	_, err = sys.GetMount("nowhere")
	refused(err, 400, "No secret engine mount at nowhere/", "one that is not there")
	refused(sys.Mount("kv2", &api.MountInput{Type: "kv"}), 400, "path is already in use at kv2/",
		"a path twice")
	refused(sys.Mount("kv2/below", &api.MountInput{Type: "kv"}), 400, "path is already in use at kv2/",
		"below another")
	refused(sys.Mount("team", &api.MountInput{Type: "kv"}), 400,
		"path is already in use at team/deep/kv/", "above another")
	refused(sys.Mount("x", &api.MountInput{Type: "nonsense"}), 400, "", "an engine that is none")
	refused(sys.Mount("sys/x", &api.MountInput{Type: "kv"}), 400, "", "below sys")
	refused(sys.Mount("x", &api.MountInput{Type: "cubbyhole"}), 400, "", "what there is once")
	config, err := sys.MountConfig("kv2")
	ok(err == nil && config.DefaultLeaseTTL == 2764800 && config.MaxLeaseTTL == 2764800, "its leases",
		err, config)
	description := "tuned"
	no(sys.TuneMount("kv2", api.MountConfigInput{
		DefaultLeaseTTL: "1h", MaxLeaseTTL: "24h", Description: &description, ListingVisibility: "unauth",
		AuditNonHMACRequestKeys: []string{"a", "b"}, PassthroughRequestHeaders: []string{"X-Mine"},
	}), "tune")
	config, err = sys.MountConfig("kv2")
	ok(err == nil && config.DefaultLeaseTTL == 3600 && config.MaxLeaseTTL == 86400, "its leases", err,
		config)
	is(config.ListingVisibility, "unauth", "and the rest")
	is(config.AuditNonHMACRequestKeys, []string{"a", "b"}, "keys")
	is(config.PassthroughRequestHeaders, []string{"X-Mine"}, "headers")
	refused(sys.TuneMount("kv2", api.MountConfigInput{DefaultLeaseTTL: "48h"}), 400, "",
		"a default above the most")
	refused(sys.TuneMount("nowhere", api.MountConfigInput{MaxLeaseTTL: "1h"}), 400, "", "tune nothing")
	_, err = sys.MountConfig("nowhere")
	refused(err, 400, "cannot fetch sysview for path", "nor read it")
	no(sys.TuneMount("kv2", api.MountConfigInput{DefaultLeaseTTL: "system", MaxLeaseTTL: "system",
		ListingVisibility: "hidden"}), "tune back")
	config, err = sys.MountConfig("kv2")
	ok(err == nil && config.DefaultLeaseTTL == 2764800, "the system's", err, config)

	wrote("old/moved", object{"a": "1"}, "write before the move")
	started, err := sys.StartRemount("old", "new/place")
	ok(err == nil && started.MigrationID != "", "move", err, started)
	until("it is moved", func() bool {
		status, err := sys.RemountStatus(started.MigrationID)
		return err == nil && status.MigrationInfo.MigrationStatus == "success" &&
			status.MigrationInfo.SourceMount == "old/" &&
			status.MigrationInfo.TargetMount == "new/place/"
	})
	is(read("new/place/moved", "what was in it")["a"], "1", "came along")
	_, err = sys.GetMount("old")
	refused(err, 400, "No secret engine mount at old/", "the old place")
	refused(sys.Remount("nowhere", "x"), 400, "", "move nothing")
	refused(sys.Remount("cubbyhole", "x"), 400, "", "move what stays")
	refused(sys.Remount("new/place", "kv2"), 400, `path already in use at "kv2/"`, "move onto another")
	no(sys.Remount("new/place", "old"), "move, and wait")
	no(sys.Unmount("old"), "unmount")
	no(sys.Unmount("old"), "what is gone")
	refused(sys.Unmount("sys"), 400, "", "not sys")
	_, err = write(client, "old/x", object{"a": "1"})
	refused(err, 404, "no handler for route", "write to what is gone")
	no(sys.Mount("old", &api.MountInput{Type: "kv"}), "mounted anew")
	absent("old/moved", "it is empty")

	wrote("kv1/up", object{"a": "1"}, "a secret of version 1")
	no(sys.Mount("grows", &api.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}),
		"version 1")
	wrote("grows/a/b", object{"a": "1"}, "a secret")
	no(sys.TuneMount("grows", api.MountConfigInput{Options: map[string]string{"version": "2"}}),
		"is upgraded")
	until("it is of version 2", func() bool {
		pair, err := client.KVv2("grows").Get(ctx, "a/b")
		return err == nil && pair.Data["a"] == "1" && pair.VersionMetadata.Version == 1
	})
	refused(sys.TuneMount("grows", api.MountConfigInput{Options: map[string]string{"version": "1"}}),
		400, "", "and stays so")
}

func authMounts() {
	sys := client.Sys()
	found, err := sys.ListAuth()
	ok(err == nil && found["token/"] != nil && found["token/"].Type == "token", "list", err, found)
	no(sys.EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle",
		Description: "roles"}), "approle")
	no(sys.EnableAuthWithOptions("userpass", &api.EnableAuthOptions{Type: "userpass",
		Config: api.MountConfigInput{
			ListingVisibility: "unauth", DefaultLeaseTTL: "2h",
		}}), "userpass")
	no(sys.EnableAuthWithOptions("team/roles", &api.EnableAuthOptions{Type: "approle"}), "deeper")
	found, err = sys.ListAuth()
	ok(err == nil && found["approle/"] != nil && found["approle/"].Description == "roles" &&
		found["team/roles/"] != nil, "list", err, found)
	ok(found["approle/"] != nil && strings.HasPrefix(found["approle/"].Accessor, "auth_approle_"),
		"accessors", found["approle/"])
	one, err := sys.GetAuth("userpass")
	ok(err == nil && one.Type == "userpass" && one.Config.DefaultLeaseTTL == 7200, "one", err, one)
	_, err = sys.GetAuth("nowhere")
	refused(err, 400, "No secret engine mount at auth/nowhere/",
		"one that is not there, in the words of that path")
	_, err = client.Logical().Read("sys/auth/nowhere")
	refused(err, 400, "No auth engine at nowhere/", "and of its own")
	refused(sys.EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}), 400,
		"path is already in use at", "twice")
	refused(sys.EnableAuthWithOptions("x", &api.EnableAuthOptions{Type: "kv"}), 400, "", "no method")
	no(sys.TuneMount("auth/userpass", api.MountConfigInput{MaxLeaseTTL: "4h",
		TokenType: "default-batch"}), "tune")
	config, err := sys.MountConfig("auth/userpass")
	ok(err == nil && config.MaxLeaseTTL == 14400 && config.TokenType == "default-batch", "is tuned",
		err, config)
	wrote("sys/auth/userpass/tune", object{"token_type": "default-service",
		"user_lockout_config": object{"lockout_threshold": "3",
			"lockout_duration": "10m"}}, "tune by its other path")
	tuned := read("sys/auth/userpass/tune", "read by it")
	is(tuned["token_type"], "default-service", "the type of tokens")
	is(tuned["user_lockout_threshold"], "3", "when users are locked out")
	no(sys.DisableAuth("team/roles"), "disable")
	no(sys.DisableAuth("team/roles"), "what is gone")
	refused(sys.DisableAuth("token"), 400, "", "not tokens")
}

func policies() {
	sys := client.Sys()
	rules := `path "kv2/data/app/*" { capabilities = ["create", "read", "update", "patch"] }
path "kv2/metadata/app/*" { capabilities = ["list", "read"] }
path "kv1/app" { capabilities = ["read"] }`
	no(sys.PutPolicy("App", rules), "write")
	found, err := sys.GetPolicy("app")
	ok(err == nil && found == rules, "in small letters", err, found)
	list, err := sys.ListPolicies()
	no(err, "list")
	is(sorted(list), []string{"app", "default", "root"}, "with those that are built in")
	refused(sys.PutPolicy("bad", `path "a" { capabilities = ["fly"] }`), 400, "invalid capability",
		"no capability")
	refused(sys.PutPolicy("bad", `path "a" {`), 400, "", "no rules")
	refused(sys.PutPolicy("bad", `paths "a" {}`), 400, "", "a word that is none")
	refused(sys.PutPolicy("root", rules), 400, `cannot update "root" policy`, "root stays")
	refused(sys.DeletePolicy("root"), 400, `cannot delete "root" policy`, "nor goes")
	refused(sys.DeletePolicy("default"), 400, "cannot delete default policy", "nor default")
	none, err := sys.GetPolicy("nothing")
	ok(err == nil && none == "", "one that is not there", err, none)
	legacy := read("sys/policy/app", "by the old path")
	ok(legacy["name"] == "app" && legacy["rules"] == rules, "name and rules", legacy)
	modern := read("sys/policies/acl/app", "by the new path")
	ok(modern["name"] == "app" && modern["policy"] == rules, "name and policy", modern)
	is(sorted(keysAt("sys/policies/acl")), []string{"app", "default", "root"}, "LIST")
	wrote("sys/policies/acl/json", object{"policy": `{"path":{"kv1/json":{"capabilities":["read"]}}}`},
		"rules in JSON")
	no(sys.DeletePolicy("json"), "delete")
	no(sys.DeletePolicy("json"), "what is gone")
	wrote("sys/policies/password/mine", object{"policy": `length = 20
rule "charset" { charset = "abcdef" min-chars = 2 }
rule "charset" { charset = "0123456789" min-chars = 4 }`}, "a password policy")
	ok(len(text(read("sys/policies/password/mine", "read")["policy"])) > 20, "as it was written")
	is(len(text(read("sys/policies/password/mine/generate", "generate")["password"])), 20, "a password")
	is(keysAt("sys/policies/password"), []string{"mine"}, "LIST")
	_, err = write(client, "sys/policies/password/bad", object{"policy": `length = 4
rule "charset" { charset = "ab" min-chars = 5 }`})
	refused(err, 400, "", "one that no password meets")
	_, err = client.Logical().Delete("sys/policies/password/mine")
	no(err, "delete")

	no(sys.PutPolicy("parts", `path "kv1/parts/*" {
  capabilities = ["create", "update"]
  required_parameters = ["a"]
  allowed_parameters = { "a" = ["x*"], "b" = [] }
  denied_parameters = { "c" = [] }
}
path "kv1/+/plus" { capabilities = ["read"] }
path "kv1/none/*" { capabilities = ["deny"] }
path "kv1/none/but" { capabilities = ["read"] }`), "parameters and patterns")
	c, _ := tokenOf("parts")
	_, err = write(c, "kv1/parts/1", object{"a": "xyz", "b": "1"})
	no(err, "what is allowed")
	for _, data := range []object{{"b": "1"}, {"a": "y"}, {"a": "x", "c": "1"}, {"a": "x", "d": "1"}} {
		_, err = write(c, "kv1/parts/1", data)
		refused(err, 403, "permission denied", fmt.Sprint("what is not: ", len(data)))
	}
	wrote("kv1/any/plus", object{"a": "1"}, "a secret")
	_, err = c.Logical().Read("kv1/any/plus")
	no(err, "one segment, whatever it is")
	_, err = c.Logical().Read("kv1/any/more/plus")
	refused(err, 403, "permission denied", "not two")
	_, err = c.Logical().Read("kv1/none/but")
	no(err, "the exact path wins")
	_, err = c.Logical().Read("kv1/none/other")
	refused(err, 403, "permission denied", "over the denial")
}

func capabilities() {
	sys := client.Sys()
	found, err := sys.CapabilitiesSelf("kv2/data/app/x")
	ok(err == nil && len(found) == 1 && found[0] == "root", "of root", err, found)
	c, token := tokenOf("app")
	found, err = c.Sys().CapabilitiesSelf("kv2/data/app/x")
	no(err, "of oneself")
	is(found, []string{"create", "patch", "read", "update"}, "in order")
	found, err = c.Sys().CapabilitiesSelf("kv2/data/other")
	ok(err == nil && len(found) == 1 && found[0] == "deny", "elsewhere", err, found)
	found, err = sys.Capabilities(token, "kv1/app")
	ok(err == nil && len(found) == 1 && found[0] == "read", "of a token", err, found)
	self, err := c.Auth().Token().LookupSelf()
	no(err, "its accessor")
	found, err = sys.CapabilitiesAccessor(text(dataOf(self)["accessor"]), "kv1/app")
	ok(err == nil && len(found) == 1 && found[0] == "read", "of an accessor", err, found)
	several := wrote("sys/capabilities", object{"token": token,
		"paths": []string{"kv1/app", "kv1/other"}}, "of several paths")
	is(texts(several["kv1/app"]), []string{"read"}, "the one")
	is(texts(several["kv1/other"]), []string{"deny"}, "and the other")
	_, err = sys.Capabilities("nonsense", "kv1/app")
	refused(err, 400, "invalid token", "of no token")
}

func leases() {
	sys := client.Sys()
	_, err := sys.Lookup("auth/none/1")
	refused(err, 400, "invalid lease", "look up none")
	_, err = sys.Renew("kv1/none/1", 60)
	refused(err, 400, "lease not found", "renew none")
	no(sys.Revoke("kv1/none/1"), "revoke none")
	no(sys.RevokePrefix("kv1/none"), "by prefix")
	no(sys.RevokeForce("kv1/none"), "by force")
	count, err := client.Logical().ReadWithData("sys/leases/count",
		map[string][]string{"type": {"irrevocable"}})
	ok(err == nil && text(dataOf(count)["lease_count"]) == "0", "none that cannot be revoked", err,
		count)
	wrote("auth/userpass/users/leased", object{"password": "x", "token_ttl": "1h"}, "a user")
	login := with("")
	secret, err := write(login, "auth/userpass/login/leased", object{"password": "x"})
	no(err, "a login")
	held := keysAt("sys/leases/lookup/auth/userpass/login")
	ok(len(held) > 0, "has a lease", held)
	if len(held) > 0 {
		path := "auth/userpass/login/"
		if strings.HasSuffix(held[0], "/") {
			deeper := keysAt("sys/leases/lookup/" + path + held[0])
			path += held[0]
			held = deeper
		}
		lease, err := sys.Lookup(path + held[0])
		ok(err == nil && lease != nil && lease.Data["expire_time"] != nil &&
			lease.Data["issue_time"] != nil, "look it up", err, lease)
		_, err = sys.Renew(path+held[0], 60)
		refused(err, 400, "tokens cannot be renewed through this endpoint", "renew it here")
	}
	no(sys.RevokePrefix("auth/userpass/login"), "revoke by prefix")
	_, err = with(secret.Auth.ClientToken).Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "its token is gone")
	denied, _ := tokenOf("default")
	refused(denied.Sys().RevokePrefix("auth/userpass"), 403, "permission denied", "not by everybody")
}

// Section 1.4 of what clients match on: the texts and their statuses.
func faults() {
	_, err := write(client, "nothing/here", object{"a": "1"})
	refused(err, 404, `no handler for route "nothing/here". route entry not found.`, "no mount")
	_, err = write(client, "sys/nothing/here", object{"a": "1"})
	refused(err, 404, "unsupported path", "no such path of sys")
	_, err = client.Logical().List("sys/rotate")
	refused(err, 405, "unsupported operation", "a path without that verb")
	c, _ := tokenOf("default")
	_, err = write(c, "kv1/denied", object{"a": "1"})
	refused(err, 403, "permission denied", "not allowed")
	var text string
	if response, is := err.(*api.ResponseError); is {
		text = strings.Join(response.Errors, "|")
	}
	is(text, "1 error occurred:\n\t* permission denied\n\n", "in exactly these words")
	_, err = with("hvs.nobody").Logical().Read("kv1/a")
	refused(err, 403, "permission denied", "nobody's token")
	refused(err, 403, "invalid token", "says which")
	_, err = with("").Logical().Read("kv1/a")
	refused(err, 403, "permission denied", "no token")
	_, err = client.Logical().WriteBytes("kv1/a", []byte(`{"a":`))
	refused(err, 400, "", "no JSON")
	_, err = client.Logical().WriteBytes("kv1/a",
		[]byte("["+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"]"))
	refused(err, 400, "", "deep JSON")
	request := client.NewRequest("PATCH", "/v1/kv2/data/kept")
	request.BodyBytes = []byte(`{"data":{}}`)
	_, err = client.RawRequest(request)
	refused(err, 400, "", "PATCH without a type")
	request = client.NewRequest("PATCH", "/v1/kv2/data/kept")
	request.BodyBytes = []byte(`{"data":{}}`)
	request.Headers.Set("Content-Type", "application/json")
	_, err = client.RawRequest(request)
	refused(err, 415,
		"PATCH requires Content-Type of application/merge-patch+json, provided application/json", "PATCH of another type")
	request = client.NewRequest("GET", "/v1/kv1/x")
	request.Params.Set("list", "maybe")
	_, err = client.RawRequest(request)
	refused(err, 400, "", "neither true nor false")
	_, err = client.RawRequest(client.NewRequest("PROPFIND", "/v1/kv1/x"))
	refused(err, 405, "", "a verb that is none")
	_, err = client.RawRequest(client.NewRequest("LINK", "/v1/kv1/x"))
	refused(err, 405, "", "nor is this")
	_, err = write(client, "auth/token/create", object{"ttl": "soon"})
	refused(err, 400, "", "no duration")
	_, err = client.RawRequest(client.NewRequest("GET", "/elsewhere"))
	refused(err, 404, "", "outside of the API")
	wrote("kv1/big", object{"a": strings.Repeat("x", 500_000)}, "half a megabyte")
	is(len(fmt.Sprint(read("kv1/big", "is read")["a"])), 500_000, "whole")
	request = client.NewRequest("PUT", "/v1/kv1/huge")
	request.BodyBytes = []byte(`{"a":"` + strings.Repeat("x", 33<<20) + `"}`)
	_, err = client.RawRequest(request)
	refused(err, 413, "request body too large", "more than 32 megabytes")
	secret, err := write(client, "auth/token/create", object{"ttl": "1h", "nonsense": 1, "more": 2})
	ok(err == nil && strings.Contains(strings.Join(secret.Warnings, "|"),
		"ignored these unrecognized parameters: [more nonsense]"), "fields that are none", err, secret)
	help, err := client.Help("kv1/")
	ok(err == nil && help.Help != "", "help", err, help)
}

func namespaces() {
	wrote("sys/namespaces/ns1", object{"custom_metadata": object{"owner": "us"}}, "create")
	wrote("sys/namespaces/ns2", object{}, "and another")
	found := read("sys/namespaces/ns1", "read")
	ok(text(found["path"]) == "ns1/" && text(found["id"]) != "" &&
		text(inner(found["custom_metadata"])["owner"]) == "us", "it", found)
	is(keysAt("sys/namespaces"), []string{"ns1/", "ns2/"}, "LIST")
	in := client.WithNamespace("ns1")
	no(in.Sys().Mount("kv", &api.MountInput{Type: "kv-v2"}), "a mount in it")
	_, err := in.KVv2("kv").Put(ctx, "a", object{"in": "ns1"})
	no(err, "a secret in it")
	pair, err := in.KVv2("kv").Get(ctx, "a")
	ok(err == nil && pair.Data["in"] == "ns1", "is read there", err)
	pair, err = client.KVv2("ns1/kv").Get(ctx, "a")
	ok(err == nil && pair.Data["in"] == "ns1", "by its path as well", err)
	absent("kv/data/a", "and nowhere else")
	elsewhere := client.WithNamespace("ns2")
	mountsOf, err := elsewhere.Sys().ListMounts()
	ok(err == nil && mountsOf["kv/"] == nil && mountsOf["cubbyhole/"] != nil,
		"another has its own mounts", err, mountsOf)
	no(in.Sys().PutPolicy("local", `path "kv/data/*" { capabilities = ["read"] }`), "a policy in it")
	secret, err := in.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"local"},
		TTL: "1h"})
	no(err, "a token of it")
	if err == nil {
		ok(strings.Contains(secret.Auth.ClientToken[4:], "."), "says so", len(secret.Auth.ClientToken))
		own := with(secret.Auth.ClientToken)
		pair, err = own.WithNamespace("ns1").KVv2("kv").Get(ctx, "a")
		ok(err == nil && pair.Data["in"] == "ns1", "reads there", err)
		_, err = own.Logical().Read("kv2/data/kept")
		refused(err, 403, "permission denied", "and nowhere else")
		_, err = own.WithNamespace("ns2").Logical().Read("kv/data/a")
		refused(err, 403, "permission denied", "nor in another")
	}
	nested := client.WithNamespace("ns1")
	_, err = write(nested, "sys/namespaces/deep", object{})
	no(err, "one in another")
	deep, err := client.WithNamespace("ns1/deep").Sys().ListMounts()
	ok(err == nil && deep["cubbyhole/"] != nil, "has its own", err)
	_, err = write(in, "sys/rotate", object{})
	refused(err, 400, "operation unavailable in namespaces", "what is the root's alone")
	_, err = write(client.WithNamespace("nowhere"), "kv/data/a", object{"data": object{}})
	refused(err, 404, "namespace not found", "one that is not there")
	_, err = write(client, "sys/namespaces/root", object{})
	refused(err, 400, "", "a name that is taken")
	_, err = nested.Logical().Delete("sys/namespaces/deep")
	no(err, "delete the inner")
	_, err = client.Logical().Delete("sys/namespaces/ns2")
	no(err, "and another")
	until("it is gone", func() bool { return len(keysAt("sys/namespaces")) == 1 })
}

func tools() {
	random := wrote("sys/tools/random/16", object{"format": "hex"}, "random")
	is(len(text(random["random_bytes"])), 32, "in hex")
	hash := wrote("sys/tools/hash/sha2-256", object{"input": "YWJj", "format": "hex"}, "hash")
	is(hash["sum"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "of abc")
	hash = wrote("sys/tools/hash", object{"input": "YWJj", "algorithm": "sha3-256"}, "another")
	is(hash["sum"], "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532", "of abc")
	_, err := write(client, "sys/tools/hash/md5", object{"input": "YWJj"})
	refused(err, 400, "", "one that is not offered")
	_, err = write(client, "sys/tools/random/999999999", object{})
	refused(err, 400, "", "too much")
}

func audit() {
	sys := client.Sys()
	found, err := sys.ListAudit()
	ok(err == nil && found["log/"] != nil && found["log/"].Type == "file", "the configured one", err,
		found)
	hash, err := sys.AuditHash("log", "hello")
	ok(err == nil && strings.HasPrefix(hash, "hmac-sha256:") && len(hash) == 12+64, "hash", err, hash)
	again, err := sys.AuditHash("log", "hello")
	ok(err == nil && again == hash, "is the same", err)
	_, err = sys.AuditHash("nowhere", "hello")
	refused(err, 400, "unknown audit backend", "of no device")
	err = sys.EnableAuditWithOptions("go", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": "discard"},
	})
	refused(err, 400, "cannot enable audit device via API", "one more, by a request")
	refused(sys.DisableAudit("log"), 400, "", "nor one less")
	denied, _ := tokenOf("default")
	_, err = denied.Sys().ListAudit()
	refused(err, 403, "permission denied", "not for everybody")
	cors, err := sys.CORSStatus()
	ok(err == nil && !cors.Enabled, "CORS", err, cors)
	no(sys.ConfigureCORS(&api.CORSRequest{AllowedOrigins: []string{"http://one.example"},
		AllowedHeaders: []string{"X-Mine"}}), "configure it")
	cors, err = sys.CORSStatus()
	ok(err == nil && cors.Enabled && len(cors.AllowedOrigins) == 1, "is on", err, cors)
	no(sys.DisableCORS(), "disable it")
	wrote("sys/config/auditing/request-headers/X-Mine", object{"hmac": true}, "an audited header")
	ok(len(read("sys/config/auditing/request-headers", "headers")) > 0, "is listed")
}

func quotas() {
	wrote("sys/quotas/rate-limit/mine", object{"path": "kv1/", "rate": 1000, "interval": "1m"},
		"a rate")
	found := read("sys/quotas/rate-limit/mine", "read")
	ok(text(found["name"]) == "mine" && text(found["path"]) == "kv1/" &&
		text(found["rate"]) == "1000" && text(found["interval"]) == "60", "as written", found)
	is(keysAt("sys/quotas/rate-limit"), []string{"mine"}, "LIST")
	_, err := write(client, "sys/quotas/rate-limit/bad", object{"rate": -1})
	refused(err, 400, "", "no rate")
	_, err = client.Logical().Delete("sys/quotas/rate-limit/mine")
	no(err, "delete")
	wrote("sys/quotas/config", object{"enable_rate_limit_response_headers": true}, "configure")
	is(read("sys/quotas/config", "configuration")["enable_rate_limit_response_headers"], true,
		"as written")
	no(client.Sys().Mount("slow", &api.MountInput{Type: "kv"}), "a mount")
	wrote("sys/quotas/rate-limit/slow", object{"path": "slow/", "rate": 1, "interval": "1h"},
		"once an hour")
	err = nil
	// Each server counts for itself, and there are three at most.
	for at := 0; at < 4 && err == nil; at++ {
		_, err = client.Logical().Read("slow/a")
	}
	refused(err, 429, "rate limit quota exceeded", "then no more")
	_, err = client.Logical().Delete("sys/quotas/rate-limit/slow")
	no(err, "delete")
	_, err = client.Logical().Read("slow/a")
	no(err, "then it is free")
}

func internal() {
	found := read("sys/internal/ui/mounts", "mounts for a UI")
	ok(inner(found["secret"])["kv2/"] != nil && inner(found["auth"])["token/"] != nil, "all of root's",
		len(found))
	c, _ := tokenOf("app")
	secret, err := c.Logical().Read("sys/internal/ui/mounts")
	no(err, "of a token")
	ok(inner(dataOf(secret)["secret"])["kv2/"] != nil &&
		inner(dataOf(secret)["secret"])["slow/"] == nil, "those that it may use", secret)
	secret, err = with("").Logical().Read("sys/internal/ui/mounts")
	ok(err == nil && inner(dataOf(secret)["auth"])["userpass/"] != nil &&
		inner(dataOf(secret)["secret"])["kv2/"] == nil, "of nobody: those that say so", err, secret)
	one := read("sys/internal/ui/mounts/kv2/data/x", "where a path lies")
	ok(text(one["path"]) == "kv2/" && text(one["type"]) == "kv" &&
		text(inner(one["options"])["version"]) == "2", "the mount", one)
	for _, path := range []string{"nowhere/x", "kv1/x"} {
		lone, _ := tokenOf("default")
		_, err = lone.Logical().Read("sys/internal/ui/mounts/" + path)
		refused(err, 403,
			"preflight capability check returned 403, please ensure client's policies grant access to path", path)
	}
	acl := read("sys/internal/ui/resultant-acl", "rights of root")
	is(acl["root"], true, "all")
	secret, err = c.Logical().Read("sys/internal/ui/resultant-acl")
	ok(err == nil && inner(dataOf(secret)["glob_paths"])["kv2/data/app/"] != nil, "of a token", err,
		secret)
	response, err := client.RawRequest(client.NewRequest("GET", "/v1/sys/internal/specs/openapi"))
	ok(err == nil && response.StatusCode == 200, "OpenAPI", err)
}

// The client reads it to its end, and takes none without sealed sums.
func archive() {
	var taken bytes.Buffer
	err := client.Sys().RaftSnapshot(&taken)
	ok(err == nil && bytes.HasPrefix(taken.Bytes(), []byte{0x1f, 0x8b}), "taken", err, taken.Len())
	c, _ := tokenOf("default")
	ok(c.Sys().RaftSnapshot(&bytes.Buffer{}) != nil, "by whoever may")
}
