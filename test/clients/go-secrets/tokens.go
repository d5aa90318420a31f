package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

func tokens() {
	auth := client.Auth().Token()
	self, err := auth.LookupSelf()
	no(err, "lookup-self of root")
	data := dataOf(self)
	ok(data["expire_time"] == nil && text(data["ttl"]) == "0" && data["orphan"] == true &&
		text(data["type"]) == "service", "it never ends", data)
	is(texts(data["policies"]), []string{"root"}, "root")
	made, err := auth.Create(&api.TokenCreateRequest{
		Policies: []string{"app"}, TTL: "1h", DisplayName: "my app", Metadata: map[string]string{"owner": "us"}, NumUses: 0,
	})
	no(err, "create")
	a := made.Auth
	ok(strings.HasPrefix(a.ClientToken, "hvs.") && a.Accessor != "" && a.LeaseDuration == 3600 &&
		a.Renewable && !a.Orphan, "a token", a.LeaseDuration)
	is(sorted(a.Policies), []string{"app", "default"}, "with default")
	is(sorted(a.TokenPolicies), []string{"app", "default"}, "its own")
	is(a.Metadata["owner"], "us", "metadata")
	secret, err := auth.Lookup(a.ClientToken)
	no(err, "lookup")
	data = dataOf(secret)
	ok(text(data["display_name"]) == "token-my-app" && text(data["accessor"]) == a.Accessor &&
		text(data["id"]) == a.ClientToken, "its name", data["display_name"])
	ok(text(data["path"]) == "auth/token/create" && text(data["creation_ttl"]) == "3600" &&
		data["expire_time"] != nil && data["issue_time"] != nil, "its times", data["path"])
	is(text(inner(data["meta"])["owner"]), "us", "its metadata")
	secret, err = auth.LookupAccessor(a.Accessor)
	ok(err == nil && text(secret.Data["id"]) == "" &&
		text(secret.Data["display_name"]) == "token-my-app", "by accessor, without the token", err)
	secret, err = auth.Renew(a.ClientToken, 7200)
	ok(err == nil && secret.Auth.LeaseDuration == 7200 && secret.Auth.ClientToken == a.ClientToken,
		"renew", err)
	secret, err = auth.RenewAccessor(a.Accessor, 600)
	ok(err == nil && secret.Auth.LeaseDuration == 600, "by accessor", err)
	own := with(a.ClientToken)
	secret, err = own.Auth().Token().RenewSelf(1200)
	ok(err == nil && secret.Auth.LeaseDuration == 1200 && secret.Auth.Renewable, "renew-self", err)
	ttl, err := secret.TokenTTL()
	ok(err == nil && ttl == 20*time.Minute, "in the client's words", err)
	accessors := keysAt("auth/token/accessors")
	ok(strings.Contains(strings.Join(accessors, " "), a.Accessor), "accessors", len(accessors))
	_, err = own.Logical().List("auth/token/accessors")
	refused(err, 403, "permission denied", "not for everybody")

	child, err := own.Auth().Token().Create(&api.TokenCreateRequest{TTL: "10m"})
	refused(err, 403, "permission denied", "who may not make tokens")
	no(client.Sys().PutPolicy("parent", `path "auth/token/create" { capabilities = ["update"] }
path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }`), "a policy")
	parent, parentToken := tokenOf("parent", "app")
	child, err = parent.Auth().Token().Create(&api.TokenCreateRequest{TTL: "10m"})
	no(err, "a child")
	if err == nil {
		is(sorted(child.Auth.Policies), []string{"app", "default", "parent"},
			"with its parent's policies")
	}
	_, err = parent.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app", "other"}})
	refused(err, 400, "child policies must be subset of parent", "more than its parent may")
	_, err = parent.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"root"}})
	ok(err != nil, "root is not given away")
	orphan, err := parent.Auth().Token().CreateOrphan(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "10m"})
	ok(err == nil && orphan.Auth.Orphan, "an orphan", err)
	grand, _ := parent.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "10m"})
	no(auth.RevokeOrphan(child.Auth.ClientToken), "revoke-orphan")
	no(auth.RevokeTree(parentToken), "revoke the parent")
	_, err = with(grand.Auth.ClientToken).Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "its child went with it")
	_, err = with(orphan.Auth.ClientToken).Auth().Token().LookupSelf()
	no(err, "the orphan stays")
	_, err = auth.Lookup(parentToken)
	refused(err, 403, "bad token", "look up what is gone")
	no(auth.RevokeAccessor(orphan.Auth.Accessor), "revoke by accessor")
	_, err = auth.LookupAccessor(orphan.Auth.Accessor)
	ok(err != nil && strings.Contains(err.Error(), "invalid accessor"), "no accessor", err)
	err = auth.RevokeAccessor("nonsense")
	refused(err, 400, "invalid accessor", "revoke by none")
	no(own.Auth().Token().RevokeSelf(""), "revoke-self")
	_, err = own.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "it is gone")

	twice, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, NumUses: 2, TTL: "1h"})
	no(err, "two uses")
	c := with(twice.Auth.ClientToken)
	_, err = c.Auth().Token().LookupSelf()
	no(err, "the first")
	_, err = c.Auth().Token().LookupSelf()
	no(err, "the second")
	_, err = c.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "no third")

	periodic, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, Period: "30m"})
	ok(err == nil && periodic.Auth.LeaseDuration == 1800, "periodic", err)
	secret, err = auth.Renew(periodic.Auth.ClientToken, 60)
	ok(err == nil && secret.Auth.LeaseDuration == 1800, "is renewed for its period", err)
	no(auth.RevokeTree(periodic.Auth.ClientToken), "and ended")
	maximal, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, TTL: "10m",
		ExplicitMaxTTL: "20m"})
	no(err, "with an explicit maximum")
	secret, err = auth.Renew(maximal.Auth.ClientToken, 7200)
	ok(err == nil && secret.Auth.LeaseDuration <= 1200 && len(secret.Warnings) > 0,
		"is not renewed past it", err, secret)
	fixed := false
	still, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, TTL: "10m",
		Renewable: &fixed})
	ok(err == nil && !still.Auth.Renewable, "one that is not renewed", err)
	_, err = auth.Renew(still.Auth.ClientToken, 60)
	refused(err, 400, "lease is not renewable", "is not")
	batch, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, TTL: "10m",
		Type: "batch"})
	ok(err == nil && strings.HasPrefix(batch.Auth.ClientToken, "hvb.") && batch.Auth.Accessor == "" &&
		!batch.Auth.Renewable, "batch", err)
	if err == nil {
		b := with(batch.Auth.ClientToken)
		secret, err = b.Auth().Token().LookupSelf()
		ok(err == nil && text(secret.Data["type"]) == "batch", "looks itself up", err)
		err = auth.RevokeTree(batch.Auth.ClientToken)
		refused(err, 400, "batch tokens cannot be revoked", "is not revoked")
		_, err = auth.Renew(batch.Auth.ClientToken, 60)
		refused(err, 400, "batch tokens cannot be renewed", "nor renewed")
	}
	named, err := auth.Create(&api.TokenCreateRequest{ID: "my-own-name", Policies: []string{"app"},
		TTL: "10m"})
	ok(err == nil && named.Auth.ClientToken == "my-own-name", "with a name of one's own", err)
	_, err = auth.Create(&api.TokenCreateRequest{ID: "hvs.mine", TTL: "10m"})
	refused(err, 400, "", "not like ours")
	missing, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"missing"}, TTL: "10m"})
	ok(err == nil && strings.Contains(strings.Join(missing.Warnings, "|"),
		`Policy "missing" does not exist`), "a policy that is not there", err, missing)
	bare, err := auth.Create(&api.TokenCreateRequest{Policies: []string{"app"}, NoDefaultPolicy: true,
		TTL: "10m"})
	ok(err == nil && fmt.Sprint(bare.Auth.Policies) == "[app]", "without default", err)
	secret, err = write(client, "auth/token/tidy", object{})
	ok(err == nil, "tidy", err, secret)
}

func tokenRoles() {
	auth := client.Auth().Token()
	wrote("auth/token/roles/ops", object{
		"allowed_policies": "app,default", "orphan": true, "token_period": "1h", "renewable": true, "path_suffix": "ops", "token_explicit_max_ttl": 0,
	}, "write")
	role := read("auth/token/roles/ops", "read")
	is(texts(role["allowed_policies"]), []string{"app", "default"}, "policies")
	ok(text(role["name"]) == "ops" && role["orphan"] == true && text(role["token_period"]) == "3600" &&
		text(role["path_suffix"]) == "ops", "the rest", role)
	ok(role["token_bound_cidrs"] != nil && text(role["token_type"]) == "default-service",
		"with what was not said", role)
	is(keysAt("auth/token/roles"), []string{"ops"}, "LIST")
	made, err := auth.CreateWithRole(&api.TokenCreateRequest{Policies: []string{"app"}}, "ops")
	ok(err == nil && made.Auth.Orphan && made.Auth.LeaseDuration == 3600, "a token of it", err)
	if err == nil {
		self, err := with(made.Auth.ClientToken).Auth().Token().LookupSelf()
		ok(err == nil && text(self.Data["role"]) == "ops" &&
			text(self.Data["path"]) == "auth/token/create/ops/ops" &&
			text(self.Data["period"]) == "3600", "says so", err, self)
	}
	_, err = auth.CreateWithRole(&api.TokenCreateRequest{Policies: []string{"other"}}, "ops")
	refused(err, 400, "", "a policy that it does not give")
	_, err = auth.CreateWithRole(&api.TokenCreateRequest{}, "nobody")
	refused(err, 400, "", "no role")
	wrote("auth/token/roles/globs", object{"allowed_policies_glob": "app*",
		"disallowed_policies": "root"}, "by patterns")
	_, err = auth.CreateWithRole(&api.TokenCreateRequest{Policies: []string{"apple"}, TTL: "1m"},
		"globs")
	no(err, "one that matches")
	_, err = client.Logical().Delete("auth/token/roles/globs")
	no(err, "delete")
	absent("auth/token/roles/globs", "it is gone")
}

func wraps() {
	wrapped := wrapping(client, "5m")
	secret, err := wrapped.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "1h"})
	no(err, "a wrapped token")
	info := secret.WrapInfo
	ok(info != nil && info.Token != "" && info.TTL == 300 && info.CreationPath == "auth/token/create" &&
		info.WrappedAccessor != "", "is not there but a wrapping token is", info)
	ok(secret.Auth == nil && secret.Data == nil, "and nothing else")
	looked, err := with("").Logical().Write("sys/wrapping/lookup", object{"token": info.Token})
	ok(err == nil && text(looked.Data["creation_path"]) == "auth/token/create" &&
		text(looked.Data["creation_ttl"]) == "300" &&
		looked.Data["creation_time"] != nil, "look it up", err, looked)
	opened, err := with(info.Token).Logical().Unwrap("")
	ok(err == nil && opened.Auth != nil && opened.Auth.Accessor == info.WrappedAccessor,
		"unwrap with it", err)
	_, err = with(info.Token).Logical().Unwrap("")
	ok(err != nil, "but once")
	_, err = client.Logical().Unwrap(info.Token)
	refused(err, 400, "wrapping token is not valid or does not exist", "nor by another")
	wrote("kv1/wrapped", object{"password": "x"}, "a secret")
	secret, err = wrapped.Logical().Read("kv1/wrapped")
	ok(err == nil && secret.WrapInfo != nil && secret.WrapInfo.CreationPath == "kv1/wrapped", "wrapped",
		err)
	again, err := client.Logical().Write("sys/wrapping/rewrap", object{"token": secret.WrapInfo.Token})
	ok(err == nil && again.WrapInfo != nil && again.WrapInfo.Token != secret.WrapInfo.Token &&
		again.WrapInfo.CreationPath == "kv1/wrapped" && again.WrapInfo.TTL == 300, "rewrap", err, again)
	_, err = client.Logical().Unwrap(secret.WrapInfo.Token)
	refused(err, 400, "wrapping token is not valid or does not exist", "the old one")
	opened, err = client.Logical().Unwrap(again.WrapInfo.Token)
	ok(err == nil && opened.Data["password"] == "x", "unwrap by the new", err, opened)
	secret, err = wrapped.Logical().Write("sys/wrapping/wrap", object{"any": "thing"})
	ok(err == nil && secret.WrapInfo != nil && secret.WrapInfo.CreationPath == "sys/wrapping/wrap",
		"wrap anything", err)
	opened, err = with("").Logical().Unwrap(secret.WrapInfo.Token)
	ok(err == nil && opened.Data["any"] == "thing", "unwrap without a token of one's own", err, opened)
	secret, err = wrapped.Logical().Write("sys/wrapping/wrap", object{"any": "thing"})
	no(err, "wrap once more")
	_, err = with(secret.WrapInfo.Token).Logical().Read("kv1/wrapped")
	refused(err, 403, "permission denied", "its token is for nothing else")
	_, err = with("").Logical().Unwrap(secret.WrapInfo.Token)
	refused(err, 400, "wrapping token is not valid or does not exist", "and is used up by that")
	// Unless it is told otherwise this client has a time of its own there.
	_, err = wrapping(client, "").Logical().Write("sys/wrapping/wrap", object{"any": "thing"})
	refused(err, 400, "endpoint requires response wrapping to be used", "without a time")
	_, err = client.Logical().Unwrap("hvs.nonsense")
	refused(err, 400, "wrapping token is not valid or does not exist", "no token")
	_, err = wrapping(client, "-5m").Logical().Read("kv1/wrapped")
	refused(err, 400, "requested wrap ttl cannot be negative", "a time that is over")
	denied, _ := tokenOf("default")
	_, err = wrapping(denied, "5m").Logical().Read("kv1/wrapped")
	refused(err, 403, "permission denied", "a refusal is not wrapped")
	secret, err = wrapped.Logical().Read("kv1/nothing")
	ok(err == nil && secret == nil, "nor is nothing", err, secret)
}

func watcher() {
	made, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "3s"})
	no(err, "a token of three seconds")
	own := with(made.Auth.ClientToken)
	watcher, err := own.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: made, Increment: 3})
	no(err, "a watcher")
	go watcher.Start()
	for at := 0; at < 2; at++ {
		select {
		case renewal := <-watcher.RenewCh():
			ok(renewal.Secret.Auth != nil && renewal.Secret.Auth.LeaseDuration == 3,
				fmt.Sprint("renewal ", at+1), renewal.Secret)
		case err := <-watcher.DoneCh():
			ok(false, fmt.Sprint("renewal ", at+1), "it ended: ", err)
			return
		case <-time.After(bound):
			ok(false, fmt.Sprint("renewal ", at+1), "none came")
		}
	}
	no(client.Auth().Token().RevokeTree(made.Auth.ClientToken), "its token is revoked")
	select {
	case <-watcher.DoneCh():
		ok(true, "it ends")
	case <-time.After(bound):
		ok(false, "it ends")
	}
	watcher.Stop()
	short, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"app"},
		TTL: "1s"})
	no(err, "a token of one second")
	until("it ends by itself", func() bool {
		_, err := with(short.Auth.ClientToken).Auth().Token().LookupSelf()
		return err != nil
	})
}
