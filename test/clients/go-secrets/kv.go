package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

func kv1() {
	kv := client.KVv1("kv1")
	no(kv.Put(ctx, "a", object{"password": "one", "n": 18446744073709551615 >> 1,
		"deep": object{"list": []any{1, "x", nil, true}}}), "put")
	found, err := kv.Get(ctx, "a")
	ok(err == nil && found.Data["password"] == "one", "get", err)
	is(found.Data["n"], json.Number("9223372036854775807"), "a number keeps its digits")
	is(inner(found.Data["deep"])["list"], []any{json.Number("1"), "x", nil, true}, "what is within")
	secret, err := client.Logical().Read("kv1/a")
	ok(err == nil && secret.LeaseDuration == 2764800 && !secret.Renewable && secret.LeaseID == "",
		"a lease that is none", secret)
	no(kv.Put(ctx, "a", object{"other": "two"}), "put again")
	found, err = kv.Get(ctx, "a")
	ok(err == nil && found.Data["password"] == nil && found.Data["other"] == "two", "replaces it", err)
	no(kv.Put(ctx, "ttl", object{"ttl": "30s", "x": "y"}), "with a time")
	secret, err = client.Logical().Read("kv1/ttl")
	ok(err == nil && secret.LeaseDuration == 30, "which is told", secret)
	_, err = kv.Get(ctx, "none")
	ok(errors.Is(err, api.ErrSecretNotFound), "one that is not there", err)
	_, err = write(client, "kv1/a", nil)
	refused(err, 400, "missing data fields", "nothing to put")
	no(kv.Put(ctx, "dir/b", object{"data": object{"x": 1}}), "deeper, with a key named data")
	no(kv.Put(ctx, "dir/c/d", object{"é ü": "ß"}), "with other letters")
	no(kv.Put(ctx, "dir", object{"x": "y"}), "beside a folder")
	is(keysAt("kv1/dir"), []string{"b", "c/"}, "LIST")
	listed := keysAt("kv1")
	ok(strings.Contains(fmt.Sprint(listed), "dir dir/"), "a secret and a folder of one name", listed)
	secret, err = client.Logical().List("kv1/nowhere")
	ok(err == nil && secret == nil, "LIST of nothing", err, secret)
	secret, err = client.Logical().ReadWithData("kv1/dir", map[string][]string{"list": {"true"}})
	ok(err == nil && fmt.Sprint(secret.Data["keys"]) == "[b c/]", "by GET", err, secret)
	no(kv.Delete(ctx, "a"), "delete")
	no(kv.Delete(ctx, "a"), "what is gone")
	_, err = kv.Get(ctx, "a")
	ok(errors.Is(err, api.ErrSecretNotFound), "it is gone", err)
	no(kv.Put(ctx, "odd name/ä?#%", object{"x": "y"}), "an odd name")
	found, err = kv.Get(ctx, "odd name/ä?#%")
	ok(err == nil && found.Data["x"] == "y", "is read", err)
}

func kv2() {
	kv := client.KVv2("kv2")
	put, err := kv.Put(ctx, "kept", object{"a": "1"})
	ok(err == nil && put.VersionMetadata.Version == 1 && !put.VersionMetadata.Destroyed &&
		time.Since(put.VersionMetadata.CreatedTime) < time.Minute, "put", err)
	put, err = kv.Put(ctx, "app/a", object{"v": "1", "n": 9007199254740993,
		"deep": object{"x": 1, "y": object{"z": 2}}})
	no(err, "put")
	got, err := kv.Get(ctx, "app/a")
	ok(err == nil && got.Data["v"] == "1" && got.VersionMetadata.Version == 1, "get", err)
	is(got.Data["n"], json.Number("9007199254740993"), "a number keeps its digits")
	ok(got.CustomMetadata == nil && got.VersionMetadata.DeletionTime.IsZero(), "no metadata",
		got.CustomMetadata)
	_, err = kv.Get(ctx, "none")
	ok(errors.Is(err, api.ErrSecretNotFound), "one that is not there", err)
	_, err = kv.Put(ctx, "app/a", object{"v": "2"}, api.WithCheckAndSet(0))
	refused(err, 400, "check-and-set parameter did not match the current version",
		"cas 0 on what is there")
	put, err = kv.Put(ctx, "app/a", object{"v": "2"}, api.WithCheckAndSet(1))
	ok(err == nil && put.VersionMetadata.Version == 2, "cas 1", err)
	_, err = kv.Put(ctx, "app/new", object{"v": "1"}, api.WithCheckAndSet(0))
	no(err, "cas 0 on what is not")
	_, err = write(client, "kv2/data/app/a", object{"nothing": 1})
	refused(err, 400, "no data provided", "without data")
	got, err = kv.Patch(ctx, "app/a", object{"w": "3"})
	ok(err == nil && got.VersionMetadata.Version == 3, "patch", err)
	got, err = kv.Patch(ctx, "app/a", object{"v": nil}, api.WithMergeMethod(api.KVMergeMethodPatch))
	no(err, "patch away")
	got, err = kv.Get(ctx, "app/a")
	ok(err == nil && fmt.Sprint(got.Data) == "map[w:3]" && got.VersionMetadata.Version == 4,
		"what is left", err, got)
	_, err = kv.Patch(ctx, "app/a", object{"x": "5"}, api.WithMergeMethod(api.KVMergeMethodReadWrite))
	no(err, "by reading and writing")
	_, err = kv.Patch(ctx, "app/a", object{"x": "6"}, api.WithCheckAndSet(1))
	refused(err, 400, "check-and-set parameter did not match", "patch with an old version")
	_, err = kv.Patch(ctx, "none", object{"x": "6"})
	ok(errors.Is(err, api.ErrSecretNotFound), "patch nothing", err)
	got, err = kv.GetVersion(ctx, "app/a", 1)
	ok(err == nil && got.Data["v"] == "1" && got.VersionMetadata.Version == 1, "an old version", err)
	versions, err := kv.GetVersionsAsList(ctx, "app/a")
	ok(err == nil && len(versions) == 5 && versions[4].Version == 5, "all versions", err, versions)

	no(kv.Delete(ctx, "app/a"), "delete the newest")
	got, err = kv.Get(ctx, "app/a")
	ok(err == nil && got.Data == nil && !got.VersionMetadata.DeletionTime.IsZero() &&
		got.VersionMetadata.Version == 5, "it is told as deleted", err, got)
	no(kv.DeleteVersions(ctx, "app/a", []int{1, 2}), "delete others")
	no(kv.Undelete(ctx, "app/a", []int{1, 5}), "undelete")
	got, err = kv.Get(ctx, "app/a")
	ok(err == nil && got.Data["x"] == "5", "it is back", err, got)
	got, err = kv.GetVersion(ctx, "app/a", 2)
	ok(err == nil && got.Data == nil, "the other is not", err, got)
	no(kv.Destroy(ctx, "app/a", []int{2, 3}), "destroy")
	no(kv.Undelete(ctx, "app/a", []int{2}), "undelete what is destroyed")
	got, err = kv.GetVersion(ctx, "app/a", 2)
	ok(err == nil && got.Data == nil && got.VersionMetadata.Destroyed, "it stays so", err, got)
	_, err = write(client, "kv2/destroy/app/a", object{})
	refused(err, 400, "", "destroy no version")
	back, err := kv.Rollback(ctx, "app/a", 1)
	ok(err == nil && back.VersionMetadata.Version == 6, "roll back", err)
	got, err = kv.Get(ctx, "app/a")
	ok(err == nil && got.Data["v"] == "1", "to the first", err)
	_, err = kv.Rollback(ctx, "app/a", 2)
	ok(err != nil, "not to a destroyed one")

	no(kv.PutMetadata(ctx, "app/a", api.KVMetadataPutInput{
		MaxVersions: 3, CustomMetadata: object{"owner": "us",
			"tier": "1"}, DeleteVersionAfter: time.Hour,
	}), "metadata")
	meta, err := kv.GetMetadata(ctx, "app/a")
	no(err, "is read")
	ok(meta.MaxVersions == 3 && meta.CurrentVersion == 6 && meta.DeleteVersionAfter == time.Hour &&
		!meta.CASRequired, "as written", meta)
	is(meta.CustomMetadata["owner"], "us", "with its own")
	ok(!meta.CreatedTime.IsZero() && !meta.UpdatedTime.IsZero(), "and times", meta)
	got, err = kv.Get(ctx, "app/a")
	ok(err == nil && got.CustomMetadata["owner"] == "us", "told with the secret", err)
	for at := 0; at < 2; at++ {
		put, err = kv.Put(ctx, "app/a", object{"v": at})
		no(err, "put more")
	}
	ok(put != nil && !put.VersionMetadata.DeletionTime.IsZero(), "which will be deleted", put)
	meta, err = kv.GetMetadata(ctx, "app/a")
	ok(err == nil && len(meta.Versions) == 3 && meta.OldestVersion == 6 && meta.CurrentVersion == 8,
		"three are kept", err, meta)
	required := true
	no(kv.PatchMetadata(ctx, "app/a", api.KVMetadataPatchInput{CASRequired: &required,
		CustomMetadata: object{"tier": nil, "x": "y"}}), "patch metadata")
	meta, err = kv.GetMetadata(ctx, "app/a")
	ok(err == nil && meta.CASRequired && meta.MaxVersions == 3 &&
		fmt.Sprint(meta.CustomMetadata) == "map[owner:us x:y]", "is merged", err, meta)
	_, err = kv.Put(ctx, "app/a", object{"v": "x"})
	refused(err, 400, "check-and-set parameter required for this call", "cas is required now")
	err = kv.PatchMetadata(ctx, "none", api.KVMetadataPatchInput{CASRequired: &required})
	refused(err, 404, "", "metadata of nothing")
	long := object{"a": strings.Repeat("x", 513)}
	ok(kv.PutMetadata(ctx, "app/a", api.KVMetadataPutInput{CustomMetadata: long}) != nil,
		"metadata that is too long")

	_, err = kv.Put(ctx, "app/dir/b", object{"x": "y"})
	no(err, "deeper")
	is(keysAt("kv2/metadata/app"), []string{"a", "dir/", "new"}, "LIST")
	_, err = client.Logical().List("kv2/data/app")
	refused(err, 405, "unsupported operation", "LIST of data")
	secret, err := client.Logical().List("kv2/metadata/nowhere")
	ok(err == nil && secret == nil, "LIST of nothing", err, secret)
	_, err = kv.Put(ctx, "sub", object{"a": object{"b": 1, "c": object{"d": "x"}}, "e": []any{1, 2}})
	no(err, "something deep")
	keys := read("kv2/subkeys/sub", "its keys")
	is(fmt.Sprint(keys["subkeys"]), "map[a:map[b:<nil> c:map[d:<nil>]] e:<nil>]", "without values")
	is(text(inner(keys["metadata"])["version"]), "1", "with its version")
	secret, err = client.Logical().ReadWithData("kv2/subkeys/sub", map[string][]string{"depth": {"1"}})
	ok(err == nil && fmt.Sprint(secret.Data["subkeys"]) == "map[a:<nil> e:<nil>]", "to a depth", err,
		secret)
	no(kv.DeleteMetadata(ctx, "app/new"), "delete all of it")
	_, err = kv.GetMetadata(ctx, "app/new")
	ok(errors.Is(err, api.ErrSecretNotFound), "it is gone", err)
	config := wrote("kv2/config", object{"max_versions": 5, "cas_required": false,
		"delete_version_after": "0s"}, "configure")
	ok(len(config) == 0, "says nothing", config)
	config = read("kv2/config", "configuration")
	ok(text(config["max_versions"]) == "5" && config["cas_required"] == false &&
		text(config["delete_version_after"]) == "0s", "as written", config)
	secret, err = client.Logical().Read("kv2/app/a")
	ok(err == nil && secret != nil && strings.Contains(strings.Join(secret.Warnings, "|"),
		"Invalid path for a versioned K/V secrets engine"), "a path of version 1", err, secret)
	pair, err := kv.Put(ctx, "empty", object{})
	ok(err == nil && pair.VersionMetadata.Version == 1, "an empty secret", err)

	c, _ := tokenOf("app")
	_, err = c.KVv2("kv2").Put(ctx, "app/theirs", object{"x": "y"})
	no(err, "by who may")
	_, err = c.KVv2("kv2").Patch(ctx, "app/theirs", object{"z": "y"})
	no(err, "patch by who may")
	refused(c.KVv2("kv2").Delete(ctx, "app/theirs"), 403, "permission denied", "delete by who may not")
	_, err = c.KVv2("kv2").Get(ctx, "kept")
	refused(err, 403, "permission denied", "elsewhere")
}

func cubbyhole() {
	first, _ := tokenOf("default")
	second, _ := tokenOf("default")
	_, err := write(first, "cubbyhole/mine", object{"x": "y", "n": 9007199254740993})
	no(err, "write")
	secret, err := first.Logical().Read("cubbyhole/mine")
	ok(err == nil && secret != nil && secret.Data["x"] == "y" &&
		fmt.Sprint(secret.Data["n"]) == "9007199254740993", "read", err, secret)
	secret, err = first.Logical().List("cubbyhole")
	ok(err == nil && secret != nil && fmt.Sprint(secret.Data["keys"]) == "[mine]", "LIST", err, secret)
	secret, err = second.Logical().Read("cubbyhole/mine")
	ok(err == nil && secret == nil, "not another's", err, secret)
	absent("cubbyhole/mine", "nor root's")
	_, err = first.Logical().Delete("cubbyhole/mine")
	no(err, "delete")
	secret, err = first.Logical().Read("cubbyhole/mine")
	ok(err == nil && secret == nil, "it is gone", err)
	batch, err := client.Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"},
		Type: "batch", TTL: "1m"})
	no(err, "a batch token")
	_, err = write(with(batch.Auth.ClientToken), "cubbyhole/x", object{"a": 1})
	refused(err, 400, "cubbyhole operations are only supported by 'service' type tokens", "has none")
}
