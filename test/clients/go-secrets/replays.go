package main

// What programs that stand on these clients ask, in their order: each from its own sources, as they
// are called and with what they look at. The programs themselves are not here.

import (
	"fmt"
	"strings"

	"github.com/hashicorp/vault/api"
)

// Before each use the token is looked at; then secrets are read, listed, pushed and taken back.
func externalSecrets() {
	wrote("auth/approle/role/eso", object{"token_policies": "eso", "token_ttl": "10m"}, "its role")
	no(client.Sys().PutPolicy("eso",
		`path "kv2/*" { capabilities = ["create", "read", "update", "delete", "list"] }`), "its policy")
	id := read("auth/approle/role/eso/role-id", "role-id")["role_id"]
	secret, err := write(client, "auth/approle/role/eso/secret-id", object{})
	no(err, "secret-id")
	c := with("")
	secret, err = write(c, "auth/approle/login", object{"role_id": id,
		"secret_id": dataOf(secret)["secret_id"]})
	no(err, "login")
	c.SetToken(secret.Auth.ClientToken)
	self, err := c.Auth().Token().LookupSelf()
	no(err, "lookup-self")
	data := dataOf(self)
	_, isText := data["type"].(string)
	_, hasEnd := data["expire_time"].(string)
	ok(isText && hasEnd && text(data["ttl"]) != "0", "type, ttl, expire_time", data)
	secret, err = c.Logical().Read("kv2/metadata/pushed")
	ok(err == nil && secret == nil, "nothing of it yet", err)
	_, err = write(c, "kv2/metadata/pushed",
		object{"custom_metadata": map[string]string{"managed-by": "external-secrets"}})
	no(err, "it is marked as theirs")
	_, err = write(c, "kv2/data/pushed", object{"data": object{"a": "b"}})
	no(err, "push")
	secret, err = c.Logical().Read("kv2/metadata/pushed")
	ok(err == nil && text(inner(dataOf(secret)["custom_metadata"])["managed-by"]) == "external-secrets",
		"whose it is", err, secret)
	secret, err = c.Logical().ReadWithData("kv2/data/pushed", map[string][]string{"version": {"1"}})
	ok(err == nil && text(inner(dataOf(secret)["data"])["a"]) == "b", "a version", err, secret)
	secret, err = c.Logical().List("kv2/metadata/")
	ok(err == nil && strings.Contains(fmt.Sprint(dataOf(secret)["keys"]), "pushed"), "find by name",
		err)
	_, err = c.Logical().Delete("kv2/data/pushed")
	no(err, "take back")
	secret, err = c.Logical().Read("kv2/data/pushed")
	ok(err == nil && secret != nil && secret.Data["data"] == nil &&
		inner(secret.Data["metadata"])["deletion_time"] != "", "data is null", err, secret)
	_, err = c.Logical().Delete("kv2/metadata/pushed")
	no(err, "all of it")
	no(c.Auth().Token().RevokeSelf(""), "revoke-self")
}

// Each secret is preceded by a look at its mount.
func consulTemplate() {
	c, _ := tokenOf("app")
	mount, err := c.Logical().Read("sys/internal/ui/mounts/kv2/app/a")
	no(err, "which mount")
	data := dataOf(mount)
	ok(text(data["path"]) == "kv2/" && text(inner(data["options"])["version"]) == "2", "of version 2",
		data)
	secret, err := c.Logical().ReadWithData("kv2/data/app/a", map[string][]string{})
	ok(err == nil && inner(dataOf(secret)["data"]) != nil && inner(dataOf(secret)["metadata"]) != nil,
		"read", err)
	ok(secret != nil && secret.LeaseDuration == 0 && !secret.Renewable && secret.LeaseID == "",
		"without a lease", secret)
	secret, err = c.Logical().List("kv2/metadata/app")
	ok(err == nil && len(texts(dataOf(secret)["keys"])) > 0, "list", err)
	_, err = c.Logical().Read("sys/internal/ui/mounts/nowhere/a")
	refused(err, 403, "preflight capability check returned 403", "no mount")
	wrote("kv1/app", object{"x": "y", "ttl": "90s"}, "a secret of version 1")
	mount, err = c.Logical().Read("sys/internal/ui/mounts/kv1/app")
	ok(err == nil && text(inner(dataOf(mount)["options"])["version"]) == "1", "of version 1", err,
		mount)
	secret, err = c.Logical().Read("kv1/app")
	ok(err == nil && secret != nil && secret.LeaseDuration == 90, "when to read again", err, secret)
	wrapped, err := wrapping(client,
		"1m").Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"}, TTL: "10m"})
	no(err, "a wrapped token for it")
	opened, err := with("").Logical().Unwrap(wrapped.WrapInfo.Token)
	ok(err == nil && opened.Auth != nil && opened.Auth.ClientToken != "", "unwrap", err)
	secret, err = with(opened.Auth.ClientToken).Auth().Token().RenewSelf(0)
	ok(err == nil && secret.Auth.LeaseDuration == 600, "renew-self", err)
}

// Every write is read again, and what is read must be what was written, in the same types.
func terraform() {
	self := read("auth/token/lookup-self", "lookup-self")
	ok(self["namespace_path"] == nil || text(self["namespace_path"]) == "", "in the root namespace",
		self["namespace_path"])
	secret, err := write(client, "auth/token/create",
		object{"display_name": "terraform", "ttl": "1200s", "explicit_max_ttl": "1200s",
			"renewable": false})
	ok(err == nil && secret.Auth.LeaseDuration == 1200 && !secret.Auth.Renewable, "a token of its own",
		err)
	c := with(secret.Auth.ClientToken)
	status, err := c.Sys().SealStatus()
	ok(err == nil && semver.MatchString(status.Version), "the version that gates its features", err)
	_, err = c.Sys().GetMount("tf")
	ok(err != nil && strings.Contains(err.Error(), "No secret engine mount at") &&
		strings.Contains(err.Error(), "Code: 400"), "no mount yet", err)
	no(c.Sys().Mount("tf", &api.MountInput{Type: "kv", Description: "of terraform",
		Options: map[string]string{"version": "2"}, Config: api.MountConfigInput{DefaultLeaseTTL: "3600s", MaxLeaseTTL: "86400s"}}), "mount")
	mount, err := c.Sys().GetMount("tf")
	ok(err == nil && mount.Description == "of terraform" && mount.Config.DefaultLeaseTTL == 3600 &&
		mount.Config.MaxLeaseTTL == 86400 && mount.Options["version"] == "2", "as written", err, mount)
	none := ""
	no(c.Sys().TuneMount("tf", api.MountConfigInput{Description: &none, DefaultLeaseTTL: "7200s",
		MaxLeaseTTL: "86400s"}), "tune")
	config, err := c.Sys().MountConfig("tf")
	ok(err == nil && config.DefaultLeaseTTL == 7200, "as tuned", err, config)
	_, err = c.Logical().Read("sys/auth/tf-roles")
	ok(err != nil && strings.Contains(err.Error(), "No auth engine at"), "no method yet", err)
	no(c.Sys().EnableAuthWithOptions("tf-roles", &api.EnableAuthOptions{Type: "approle",
		Config: api.MountConfigInput{TokenType: "default-service"}}), "a method")
	moved, err := c.Sys().StartRemount("auth/tf-roles", "auth/tf-moved")
	no(err, "move it")
	until("it is moved", func() bool {
		found, err := c.Sys().RemountStatus(moved.MigrationID)
		return err == nil && found.MigrationInfo.MigrationStatus == "success"
	})
	role := object{"bind_secret_id": true, "token_policies": []string{"app", "default"},
		"token_ttl": 600, "token_max_ttl": 1200, "token_num_uses": 0, "token_bound_cidrs": []string{"10.0.0.0/8", "192.168.0.0/16"}, "secret_id_num_uses": 3}
	_, err = write(c, "auth/tf-moved/role/r", role)
	no(err, "a role")
	found, err := c.Logical().Read("auth/tf-moved/role/r")
	no(err, "is read")
	for key, value := range role {
		is(fmt.Sprint(dataOf(found)[key]), fmt.Sprint(value), key)
	}
	_, err = write(c, "sys/policies/acl/tf",
		object{"policy": "# of terraform\npath \"a\" {\n  capabilities = [\"read\"]\n}\n"})
	no(err, "a policy")
	found, err = c.Logical().Read("sys/policies/acl/tf")
	ok(err == nil &&
		text(dataOf(found)["policy"]) == "# of terraform\npath \"a\" {\n  capabilities = [\"read\"]\n}\n", "letter by letter", err, found)
	entity, err := write(c, "identity/entity", object{"name": "tf", "policies": []string{"b", "a"},
		"metadata": map[string]string{"x": "y"}})
	no(err, "an entity")
	found, err = c.Logical().Read("identity/entity/id/" + text(dataOf(entity)["id"]))
	ok(err == nil && len(texts(dataOf(found)["policies"])) == 2, "is read", err, found)
	_, err = c.Logical().Delete("identity/entity/id/" + text(dataOf(entity)["id"]))
	no(err, "and goes")
	found, err = c.Logical().Read("identity/entity/id/" + text(dataOf(entity)["id"]))
	ok(err == nil && found == nil, "it is gone", err, found)
	no(c.Sys().Unmount("tf"), "unmount")
	_, err = c.Sys().GetMount("tf")
	ok(err != nil && strings.Contains(err.Error(), "No secret engine mount at"), "it is gone", err)
	no(c.Sys().DisableAuth("tf-moved"), "and the method")
	no(c.Sys().DeletePolicy("tf"), "and the policy")
	_, err = write(c, "auth/token/lookup-accessor", object{"accessor": "nonsense"})
	ok(err != nil && strings.Contains(err.Error(), "invalid accessor"),
		"what tells that a token is gone", err)
	_, err = write(c, "sys/quotas/rate-limit/tf", object{"path": "", "rate": 100.5, "interval": 1})
	no(err, "a quota")
	found, err = c.Logical().Read("sys/quotas/rate-limit/tf")
	ok(err == nil && fmt.Sprint(dataOf(found)["rate"]) == "100.5" &&
		fmt.Sprint(dataOf(found)["interval"]) == "1", "as written", err, found)
	_, err = c.Logical().Delete("sys/quotas/rate-limit/tf")
	no(err, "and goes")
}

// A server of Nomad makes wrapped tokens for tasks by a role; a client of Nomad unwraps and renews.
func nomad() {
	status, err := with("").Sys().SealStatus()
	ok(err == nil && status.ClusterID != "" && status.ClusterName != "" &&
		semver.MatchString(status.Version), "the fingerprint", err, status)
	wrote("auth/token/roles/nomad", object{"disallowed_policies": "nomad-server",
		"token_explicit_max_ttl": 0, "orphan": true, "token_period": 259200, "renewable": true}, "its role")
	no(client.Sys().PutPolicy("nomad-server", `path "auth/token/create/nomad" { capabilities = ["update"] }
path "auth/token/roles/nomad" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/lookup" { capabilities = ["update"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "auth/token/renew-self" { capabilities = ["update"] }`), "its policy")
	made, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"nomad-server"}, Period: "72h", NoParent: true})
	ok(err == nil && made.Auth.LeaseDuration == 259200 && made.Auth.Orphan, "its token", err)
	server := with(made.Auth.ClientToken)
	self, err := server.Auth().Token().LookupSelf()
	ok(err == nil && text(self.Data["period"]) == "259200" && self.Data["renewable"] == true,
		"lookup-self", err, self)
	role, err := server.Logical().Read("auth/token/roles/nomad")
	ok(err == nil && text(dataOf(role)["token_period"]) == "259200" &&
		text(dataOf(role)["token_explicit_max_ttl"]) == "0", "the role", err, role)
	found, err := server.Sys().CapabilitiesSelf("auth/token/create/nomad")
	ok(err == nil && fmt.Sprint(found) == "[update]", "what it may", err, found)
	wrapped, err := wrapping(server,
		"60s").Auth().Token().CreateWithRole(&api.TokenCreateRequest{Policies: []string{"app"},
		Metadata: map[string]string{"TaskName": "web"}, DisplayName: "alloc-web"}, "nomad")
	ok(err == nil && wrapped.WrapInfo != nil && wrapped.WrapInfo.WrappedAccessor != "",
		"a wrapped token", err)
	if err != nil || wrapped.WrapInfo == nil {
		return
	}
	opened, err := with(wrapped.WrapInfo.Token).Logical().Unwrap("")
	ok(err == nil && opened.Auth != nil && opened.Auth.LeaseDuration == 259200, "the client unwraps it",
		err)
	task := with(opened.Auth.ClientToken)
	secret, err := task.Auth().Token().RenewSelf(259200)
	ok(err == nil && secret.Auth.LeaseDuration == 259200, "and renews it", err)
	_, err = task.KVv2("kv2").Get(ctx, "app/a")
	no(err, "it reads")
	_, err = server.Auth().Token().CreateWithRole(&api.TokenCreateRequest{Policies: []string{"nomad-server"}}, "nomad")
	refused(err, 400, "", "a policy that the role does not give")
	no(server.Auth().Token().RevokeAccessor(wrapped.WrapInfo.WrappedAccessor), "the server revokes it")
	_, err = task.Auth().Token().RenewSelf(60)
	ok(err != nil && strings.Contains(err.Error(), "permission denied"), "which is fatal to the client",
		err)
}

// Property sources that are not there, and the old paths for leases.
func spring() {
	made, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "10m"})
	no(err, "a token")
	c := with(made.Auth.ClientToken)
	self, err := c.Logical().Read("auth/token/lookup-self")
	ok(err == nil && self != nil && self.Data["renewable"] == true, "lookup-self", err)
	for _, path := range []string{"app/prod", "app/default", "application"} {
		secret, err := client.Logical().Read("kv2/data/" + path)
		ok(err == nil && secret == nil, "no source "+path, err, secret)
	}
	request := c.NewRequest("POST", "/v1/auth/token/renew-self")
	response, err := c.RawRequest(request)
	ok(err == nil && response.StatusCode == 200, "POST renew-self, without a body", err)
	for _, path := range []string{"sys/renew", "sys/leases/renew"} {
		_, err = write(client, path, object{"lease_id": "kv1/none", "increment": 60})
		refused(err, 400, "lease not found", path)
	}
	for _, path := range []string{"sys/revoke", "sys/leases/revoke"} {
		_, err = write(client, path, object{"lease_id": "kv1/none"})
		no(err, path)
	}
	_, err = write(client, "sys/revoke-prefix/kv1", object{})
	no(err, "sys/revoke-prefix")
	request = c.NewRequest("POST", "/v1/auth/token/revoke-self")
	response, err = c.RawRequest(request)
	ok(err == nil && response.StatusCode == 204, "POST revoke-self", err)
}

// A lookup for validation, one read, and the token goes back.
func ansible() {
	wrote("auth/userpass/users/ansible", object{"password": "x", "token_policies": "app"}, "a user")
	c := with("")
	secret, err := write(c, "auth/userpass/login/ansible", object{"password": "x"})
	no(err, "login")
	c.SetToken(secret.Auth.ClientToken)
	_, err = c.Auth().Token().LookupSelf()
	no(err, "validate")
	secret, err = c.Logical().Read("kv2/data/app/a")
	ok(err == nil && inner(dataOf(secret)["data"]) != nil && inner(dataOf(secret)["metadata"]) != nil,
		"data and metadata, which it flattens", err)
	secret, err = c.Logical().List("kv2/metadata/app")
	ok(err == nil && len(texts(dataOf(secret)["keys"])) > 0, "list", err)
	secret, err = write(client, "auth/token/create-orphan",
		object{"policies": []string{"app"}, "ttl": "5m", "no_default_policy": true})
	ok(err == nil && secret.Auth.Orphan, "a token for a task", err)
	no(c.Auth().Token().RevokeSelf(""), "logout")
	_, err = c.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "it is out")
}
