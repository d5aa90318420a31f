package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"
	approleauth "github.com/hashicorp/vault/api/auth/approle"
	userpassauth "github.com/hashicorp/vault/api/auth/userpass"
)

func approle() {
	const role = "auth/approle/role/"
	wrote(role+"Web", object{
		"token_policies": "app", "token_ttl": "20m", "token_max_ttl": "1h", "secret_id_ttl": "10m", "secret_id_num_uses": 2,
	}, "write")
	found := read(role+"web", "read")
	is(texts(found["token_policies"]), []string{"app"}, "policies")
	ok(text(found["token_ttl"]) == "1200" && text(found["token_max_ttl"]) == "3600" &&
		text(found["secret_id_ttl"]) == "600" && text(found["secret_id_num_uses"]) == "2" &&
		found["bind_secret_id"] == true, "the rest", found)
	is(keysAt("auth/approle/role"), []string{"web"}, "LIST")
	id := text(read(role+"web/role-id", "role-id")["role_id"])
	ok(len(id) == 36, "a UUID", id)
	secret, err := write(client, role+"web/secret-id", object{"metadata": `{"host":"h1"}`})
	no(err, "secret-id")
	secretID := text(secret.Data["secret_id"])
	ok(secretID != "" && text(secret.Data["secret_id_accessor"]) != "" &&
		text(secret.Data["secret_id_ttl"]) == "600" &&
		text(secret.Data["secret_id_num_uses"]) == "2", "with its bounds", len(secret.Data))

	login := with("")
	method, err := approleauth.NewAppRoleAuth(id, &approleauth.SecretID{FromString: secretID})
	no(err, "the client's own method")
	logged, err := login.Auth().Login(ctx, method)
	no(err, "login")
	if err == nil {
		a := logged.Auth
		is(sorted(a.Policies), []string{"app", "default"}, "policies")
		ok(a.LeaseDuration == 1200 && a.Renewable && a.EntityID != "" && a.Orphan, "a token",
			a.LeaseDuration)
		ok(a.Metadata["role_name"] == "web" && a.Metadata["host"] == "h1", "metadata", a.Metadata)
		pair, err := login.KVv2("kv2").Get(ctx, "app/a")
		ok(err == nil && pair != nil, "it reads", err)
		self, err := login.Auth().Token().LookupSelf()
		ok(err == nil && text(self.Data["path"]) == "auth/approle/login" &&
			text(self.Data["display_name"]) == "approle", "it says how", err, self)
		secret, err = login.Auth().Token().RenewSelf(7200)
		ok(err == nil && secret.Auth.LeaseDuration <= 3600 && len(secret.Warnings) > 0,
			"is not renewed past the most", err, secret)
	}
	path := filepath.Join(os.TempDir(), fmt.Sprint("secret-id-", os.Getpid()))
	wrap := wrapping(client, "1m")
	secret, err = write(wrap, role+"web/secret-id", object{})
	ok(err == nil && secret.WrapInfo != nil && secret.WrapInfo.WrappedAccessor != "",
		"a wrapped secret-id", err, secret)
	if err == nil && secret.WrapInfo != nil {
		no(os.WriteFile(path, []byte(secret.WrapInfo.Token), 0o600), "in a file")
		defer os.Remove(path)
		method, err = approleauth.NewAppRoleAuth(id, &approleauth.SecretID{FromFile: path},
			approleauth.WithWrappingToken())
		no(err, "the method with a wrapped secret-id")
		_, err = with("").Auth().Login(ctx, method)
		no(err, "login by it")
	}
	try := func(what string, data object) {
		_, err := write(with(""), "auth/approle/login", data)
		refused(err, 400, "invalid role or secret ID", what)
	}
	try("a wrong secret-id", object{"role_id": id, "secret_id": "nonsense"})
	try("a wrong role", object{"role_id": "nonsense", "secret_id": secretID})
	_, err = write(with(""), "auth/approle/login", object{"role_id": id})
	refused(err, 400, "missing secret_id", "no secret-id")
	_, err = write(with(""), "auth/approle/login", object{"secret_id": secretID})
	refused(err, 400, "missing role_id", "no role")
	_, err = write(with(""), "auth/approle/login", object{"role_id": id, "secret_id": secretID})
	no(err, "the second use")
	try("no third", object{"role_id": id, "secret_id": secretID})

	custom, err := write(client, role+"web/custom-secret-id",
		object{"secret_id": "my own secret id", "num_uses": 1})
	ok(err == nil && text(custom.Data["secret_id"]) == "my own secret id", "of one's own", err)
	accessor := text(dataOf(custom)["secret_id_accessor"])
	looked, err := write(client, role+"web/secret-id/lookup", object{"secret_id": "my own secret id"})
	ok(err == nil && looked != nil && text(looked.Data["secret_id_accessor"]) == accessor &&
		text(looked.Data["secret_id_num_uses"]) == "1" &&
		looked.Data["creation_time"] != nil, "look it up", err, looked)
	looked, err = write(client, role+"web/secret-id/lookup", object{"secret_id": "nonsense"})
	ok(err == nil && looked == nil, "look up nothing", err, looked)
	looked, err = write(client, role+"web/secret-id-accessor/lookup",
		object{"secret_id_accessor": accessor})
	ok(err == nil && looked != nil && text(looked.Data["secret_id_accessor"]) == accessor,
		"by accessor", err, looked)
	ok(strings.Contains(fmt.Sprint(keysAt(role+"web/secret-id")), accessor), "LIST of accessors")
	_, err = write(client, role+"web/secret-id-accessor/destroy",
		object{"secret_id_accessor": accessor})
	no(err, "destroy by accessor")
	_, err = write(client, role+"web/secret-id-accessor/lookup", object{"secret_id_accessor": accessor})
	refused(err, 404, "failed to find accessor entry", "it is gone")
	secret, _ = write(client, role+"web/secret-id", object{})
	_, err = write(client, role+"web/secret-id/destroy", object{"secret_id": secret.Data["secret_id"]})
	no(err, "destroy")
	try("it is gone", object{"role_id": id, "secret_id": secret.Data["secret_id"]})

	wrote(role+"web/role-id", object{"role_id": "my-role"}, "a role-id of one's own")
	is(read(role+"web/role-id", "role-id")["role_id"], "my-role", "as written")
	wrote(role+"open", object{"bind_secret_id": false, "token_bound_cidrs": "127.0.0.0/8",
		"secret_id_bound_cidrs": "127.0.0.0/8"}, "without secret-ids")
	openID := read(role+"open/role-id", "its role-id")["role_id"]
	_, err = write(with(""), "auth/approle/login", object{"role_id": openID})
	no(err, "from where it may")
	_, err = write(client, role+"nothing", object{"bind_secret_id": false})
	refused(err, 400, "at least one constraint should be enabled on the role", "bound by nothing")
	_, err = write(client, role+"other/role-id", object{"role_id": "my-role"})
	ok(err != nil, "the role-id of another, for no role", err)
	wrote(role+"other", object{"token_policies": "app"}, "another")
	_, err = write(client, role+"other/role-id", object{"role_id": "my-role"})
	ok(err != nil && strings.Contains(err.Error(), "already in use"), "the role-id of another", err)
	for field, value := range map[string]string{"token-ttl": "300", "token-max-ttl": "600",
		"token-num-uses": "7", "secret-id-ttl": "60", "secret-id-num-uses": "9", "period": "120"} {
		key := strings.ReplaceAll(field, "-", "_")
		if field == "period" {
			key = "token_period"
		}
		wrote(role+"other/"+field, object{key: value}, field)
		found := read(role+"other/"+field, field)
		is(text(found[key]), value, field)
		_, err = client.Logical().Delete(role + "other/" + field)
		no(err, field)
	}
	wrote(role+"other/policies", object{"token_policies": "app,default"}, "policies")
	is(texts(read(role+"other/policies", "policies")["token_policies"]), []string{"app", "default"},
		"policies")
	_, err = client.Logical().Delete(role + "other")
	no(err, "delete")
	absent(role+"other", "it is gone")
	_, err = write(client, "auth/approle/tidy/secret-id", object{})
	no(err, "tidy")
}

func userpass() {
	const users = "auth/userpass/users/"
	wrote(users+"Alice", object{"password": "pässword", "token_policies": "app", "token_ttl": "30m"},
		"write")
	found := read(users+"alice", "read")
	is(texts(found["token_policies"]), []string{"app"}, "policies")
	ok(text(found["token_ttl"]) == "1800" && found["password"] == nil, "and no password", found)
	ok(strings.Contains(fmt.Sprint(keysAt("auth/userpass/users")), "alice"), "LIST")
	_, err := write(client, users+"bob", object{"token_policies": "app"})
	refused(err, 400, "missing password", "without a password")
	method, err := userpassauth.NewUserpassAuth("ALICE", &userpassauth.Password{FromString: "pässword"})
	no(err, "the client's own method")
	login := with("")
	logged, err := login.Auth().Login(ctx, method)
	no(err, "login")
	if err == nil {
		a := logged.Auth
		is(sorted(a.Policies), []string{"app", "default"}, "policies")
		ok(a.LeaseDuration == 1800 && a.Metadata["username"] == "alice" && a.EntityID != "", "a token",
			a.Metadata)
		self, err := login.Auth().Token().LookupSelf()
		ok(err == nil && text(self.Data["display_name"]) == "userpass-alice" &&
			strings.EqualFold(text(self.Data["path"]),
				"auth/userpass/login/alice"), "it says how", err, self)
	}
	_, err = write(with(""), "auth/userpass/login/alice", object{"password": "wrong"})
	refused(err, 400, "invalid username or password", "a wrong password")
	_, err = write(with(""), "auth/userpass/login/nobody", object{"password": "wrong"})
	refused(err, 400, "invalid username or password", "no user, in the same words")
	_, err = write(with(""), "auth/userpass/login/alice", object{})
	refused(err, 400, "missing password", "no password")
	wrote(users+"alice/password", object{"password": "other"}, "another password")
	_, err = write(with(""), "auth/userpass/login/alice", object{"password": "other"})
	no(err, "login by it")
	wrote(users+"alice/policies", object{"token_policies": "default"}, "other policies")
	is(texts(read(users+"alice", "read")["token_policies"]), []string{"default"}, "as written")

	wrote(users+"eve", object{"password": "right"}, "a user")
	for at := 0; at < 3; at++ {
		_, _ = write(with(""), "auth/userpass/login/eve", object{"password": "wrong"})
	}
	_, err = write(with(""), "auth/userpass/login/eve", object{"password": "right"})
	refused(err, 403, "permission denied", "locked out after three")
	accessor := text(inner(read("sys/auth/userpass", "its mount"))["accessor"])
	locked := read("sys/locked-users", "who is locked out")
	ok(text(locked["total"]) != "0" && text(locked["total"]) != "", "one at least", locked)
	wrote("sys/locked-users/"+accessor+"/unlock/eve", object{}, "unlock")
	_, err = write(with(""), "auth/userpass/login/eve", object{"password": "right"})
	no(err, "then in")
	no(client.Sys().EnableAuthWithOptions("brief", &api.EnableAuthOptions{Type: "userpass"}), "a method")
	wrote("auth/brief/users/eve", object{"password": "right"}, "its user")
	secret, err := write(with(""), "auth/brief/login/eve", object{"password": "right"})
	no(err, "its login")
	no(client.Sys().DisableAuth("brief"), "the method goes")
	_, err = with(secret.Auth.ClientToken).Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "and what it gave with it")
	_, err = client.Logical().Delete(users + "eve")
	no(err, "delete")
	_, err = write(with(""), "auth/userpass/login/eve", object{"password": "right"})
	refused(err, 400, "invalid username or password", "it is gone")
}

func identity() {
	made := wrote("identity/entity", object{"name": "dora", "metadata": object{"team": "one"},
		"policies": []string{"app"}}, "an entity")
	id := text(made["id"])
	ok(len(id) == 36 && text(made["name"]) == "dora", "with an id", made)
	found := read("identity/entity/id/"+id, "by id")
	ok(text(found["name"]) == "dora" && text(inner(found["metadata"])["team"]) == "one" &&
		found["disabled"] == false && found["creation_time"] != nil, "as written", found)
	is(text(read("identity/entity/name/dora", "by name")["id"]), id, "the same")
	ok(strings.Contains(fmt.Sprint(keysAt("identity/entity/id")), id), "LIST of ids")
	ok(strings.Contains(fmt.Sprint(keysAt("identity/entity/name")), "dora"), "LIST of names")
	absent("identity/entity/id/"+strings.Repeat("0", 36), "one that is not there")
	auths, err := client.Sys().ListAuth()
	no(err, "methods")
	accessor := auths["userpass/"].Accessor
	wrote("auth/userpass/users/dora", object{"password": "x"}, "a user")
	alias := wrote("identity/entity-alias", object{"name": "dora", "canonical_id": id,
		"mount_accessor": accessor, "custom_metadata": object{"k": "v"}}, "an alias")
	aliasID := text(alias["id"])
	ok(text(alias["canonical_id"]) == id && aliasID != "", "of it", alias)
	login := with("")
	secret, err := write(login, "auth/userpass/login/dora", object{"password": "x"})
	ok(err == nil && secret.Auth.EntityID == id, "whoever logs in is it", err)
	if err == nil {
		is(sorted(secret.Auth.IdentityPolicies), []string{"app"}, "with its policies")
		login.SetToken(secret.Auth.ClientToken)
		_, err = login.KVv2("kv2").Get(ctx, "app/a")
		no(err, "and its rights")
		self, err := login.Auth().Token().LookupSelf()
		ok(err == nil && text(self.Data["entity_id"]) == id &&
			fmt.Sprint(self.Data["identity_policies"]) == "[app]", "says so", err, self)
	}
	group := wrote("identity/group", object{"name": "devs", "member_entity_ids": []string{id},
		"policies": []string{"group"}, "metadata": object{"x": "y"}}, "a group")
	groupID := text(group["id"])
	no(client.Sys().PutPolicy("group", `path "kv1/group/*" { capabilities = ["create", "update", "read"] }
path "kv1/own/{{identity.entity.name}}/*" { capabilities = ["create", "update", "read"] }
path "kv1/of/{{identity.groups.names.devs.metadata.x}}" { capabilities = ["update", "create"] }
path "kv1/alias/{{identity.entity.aliases.`+accessor+`.custom_metadata.k}}" { capabilities = ["update", "create"] }`), "its policy, by templates")
	_, err = write(login, "kv1/group/a", object{"a": 1})
	no(err, "by the group")
	_, err = write(login, "kv1/own/dora/a", object{"a": 1})
	no(err, "by the entity's name")
	_, err = write(login, "kv1/own/other/a", object{"a": 1})
	refused(err, 403, "permission denied", "not another's")
	_, err = write(login, "kv1/of/y", object{"a": 1})
	no(err, "by the group's metadata")
	_, err = write(login, "kv1/alias/v", object{"a": 1})
	no(err, "by the alias's metadata")
	found = read("identity/group/id/"+groupID, "the group")
	ok(text(found["type"]) == "internal" && fmt.Sprint(found["member_entity_ids"]) == "["+id+"]",
		"as written", found)
	found = read("identity/entity/id/"+id, "the entity")
	ok(fmt.Sprint(found["direct_group_ids"]) == "["+groupID+"]" && len(found["aliases"].([]any)) == 1,
		"is in it", found)
	outer := wrote("identity/group", object{"name": "all", "member_group_ids": []string{groupID}},
		"a group of groups")
	found = read("identity/entity/id/"+id, "the entity")
	ok(strings.Contains(fmt.Sprint(found["inherited_group_ids"]), text(outer["id"])),
		"is in that as well", found["inherited_group_ids"])
	is(text(read("identity/group/name/devs", "by name")["id"]), groupID, "the same")
	ok(len(keysAt("identity/group/id")) == 2 && len(keysAt("identity/group/name")) == 2, "LIST")
	looked := wrote("identity/lookup/entity", object{"alias_name": "dora",
		"alias_mount_accessor": accessor}, "look up by alias")
	is(text(looked["id"]), id, "it")
	looked = wrote("identity/lookup/group", object{"name": "devs"}, "look up a group")
	is(text(looked["id"]), groupID, "it")
	secret, err = write(client, "identity/lookup/entity", object{"name": "nobody"})
	ok(err == nil && secret == nil, "look up nobody", err, secret)
	second := wrote("identity/entity", object{"name": "second"}, "another entity")
	wrote("identity/entity/merge", object{"from_entity_ids": []string{text(second["id"])},
		"to_entity_id": id}, "merge")
	absent("identity/entity/name/second", "is the first now")
	found = read("identity/entity-alias/id/"+aliasID, "the alias")
	ok(text(found["name"]) == "dora" && text(inner(found["custom_metadata"])["k"]) == "v" &&
		text(found["mount_type"]) == "userpass", "as written", found)
	ok(strings.Contains(fmt.Sprint(keysAt("identity/entity-alias/id")), aliasID), "LIST of aliases")
	wrote("identity/entity/id/"+id, object{"disabled": true}, "disable")
	_, err = login.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "whoever is it")
	wrote("identity/entity/id/"+id, object{"disabled": false}, "enable")
	_, err = login.Auth().Token().LookupSelf()
	no(err, "again")
	external := wrote("identity/group", object{"name": "outside", "type": "external"},
		"an external group")
	groupAlias := wrote("identity/group-alias", object{"name": "theirs", "mount_accessor": accessor,
		"canonical_id": external["id"]}, "its alias")
	found = read("identity/group-alias/id/"+text(groupAlias["id"]), "read")
	is(text(found["name"]), "theirs", "as written")
	for _, path := range []string{"group/id/" + groupID, "group/name/all", "entity-alias/id/" + aliasID,
		"entity/id/" + id} {
		_, err = client.Logical().Delete("identity/" + path)
		no(err, "delete "+strings.Split(path, "/")[0])
	}
	absent("identity/entity/id/"+id, "it is gone")
	_, err = login.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "whoever was it")
	_, err = write(client, "identity/entity-alias",
		object{"name": "x", "canonical_id": "nonsense", "mount_accessor": accessor})
	refused(err, 400, "", "an alias of nobody")
	_, err = write(client, "identity/entity-alias", object{"name": "x", "mount_accessor": "nonsense"})
	refused(err, 400, "", "an alias of no mount")
}
