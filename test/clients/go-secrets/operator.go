package main

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

var semver = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

func initialise() {
	sys := client.Sys()
	health, err := sys.Health()
	no(err, "health before it is initialised")
	ok(health != nil && !health.Initialized && health.Sealed, "it is neither", health)
	done, err := sys.InitStatus()
	ok(err == nil && !done, "init status", err)
	status, err := sys.SealStatus()
	no(err, "seal status")
	ok(status != nil && status.Sealed && !status.Initialized && status.T == 0, "nothing yet", status)
	_, err = client.Logical().Read("secret/a")
	refused(err, 503, "Vault is sealed", "a read")
	_, err = sys.Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 2})
	refused(err, 400, "", "a threshold above the shares")
	_, err = sys.Init(&api.InitRequest{SecretShares: 2, SecretThreshold: 1})
	refused(err, 400, "", "a threshold of one among several")
	made, err := sys.Init(&api.InitRequest{SecretShares: 3, SecretThreshold: 2})
	no(err, "init")
	if made == nil {
		panic("nothing further can be told")
	}
	ok(len(made.Keys) == 3 && len(made.KeysB64) == 3, "three shares, in two forms", len(made.Keys))
	ok(strings.HasPrefix(made.RootToken, "hvs.") && len(made.RootToken) == 28, "a root token")
	ok(len(made.Keys[0]) == 66 && len(made.KeysB64[0]) == 44, "shares of 33 bytes")
	ok(len(made.RecoveryKeys) == 0, "no recovery keys")
	keys = made.Keys
	client = with(made.RootToken)
	sys = client.Sys()
	_, err = sys.Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	refused(err, 400, "Vault is already initialized", "a second init")
	status, err = sys.SealStatus()
	no(err, "seal status")
	ok(status.Sealed && status.Initialized && status.T == 2 && status.N == 3, "sealed, two of three",
		status)
	ok(status.Type == "shamir" && status.Progress == 0 && status.ClusterID == "", "by shares", status)
	_, err = client.Logical().Read("secret/a")
	refused(err, 503, "Vault is sealed", "a read")
	unseal()
}

// Every way to get it wrong, and then the right one.
func unseal() {
	sys := client.Sys()
	status, err := sys.Unseal(keys[0])
	no(err, "the first share")
	ok(status != nil && status.Sealed && status.Progress == 1 && status.Nonce != "", "one is in",
		status)
	again, err := sys.Unseal(keys[0])
	ok(err == nil && again.Progress == 1, "the same once more is no progress", err, again)
	status, err = sys.ResetUnsealProcess()
	ok(err == nil && status.Progress == 0, "reset", err, status)
	_, err = sys.Unseal("not a key!")
	refused(err, 400, "'key' must be a valid hex or base64 string", "no key")
	_, err = sys.UnsealWithOptions(&api.UnsealOpts{})
	refused(err, 400, "'key' must be specified in request body as JSON", "no key at all")
	share, _ := base64.StdEncoding.DecodeString(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 33))))
	_, err = sys.Unseal(fmt.Sprintf("%x", share))
	no(err, "a wrong share looks like a right one")
	_, err = sys.Unseal(keys[1])
	refused(err, 400, "", "until they are put together")
	status, err = sys.SealStatus()
	ok(err == nil && status.Sealed && status.Progress == 0, "then it begins again", status)
	_, err = sys.Unseal(keys[2])
	no(err, "a share")
	bytes := make([]byte, 33)
	_, _ = fmt.Sscanf(keys[0], "%x", &bytes)
	status, err = sys.Unseal(base64.StdEncoding.EncodeToString(bytes))
	no(err, "and another, in base64")
	ok(status != nil && !status.Sealed, "it is unsealed", status)
	ok(status != nil && status.ClusterID != "" && status.ClusterName != "", "it names its cluster",
		status)
	until("it answers", func() bool {
		secret, err := client.Auth().Token().LookupSelf()
		return err == nil && secret != nil
	})
	_, err = sys.ResetUnsealProcess()
	refused(err, 400, "vault is unsealed", "nothing to reset")
}

func health() {
	sys := client.Sys()
	found, err := sys.Health()
	no(err, "health")
	ok(found.Initialized && !found.Sealed && !found.Standby && !found.PerformanceStandby, "active",
		found)
	ok(found.ReplicationDRMode == "disabled" && found.ReplicationPerformanceMode == "disabled",
		"no replication", found)
	ok(semver.MatchString(found.Version), "a version", found.Version)
	ok(found.ClusterID != "" && found.ClusterName != "" && !found.Enterprise, "of a cluster", found)
	age := time.Since(time.Unix(found.ServerTimeUTC, 0))
	ok(age > -time.Minute && age < time.Minute, "it has the time", age)
	response, err := client.RawRequest(client.NewRequest("HEAD", "/v1/sys/health"))
	ok(err == nil && response.StatusCode == 200, "HEAD", err)
	request := client.NewRequest("GET", "/v1/sys/health")
	request.Params.Set("activecode", "299")
	response, err = client.RawRequest(request)
	ok(err == nil && response.StatusCode == 299, "a status of one's own", err)
	request = client.NewRequest("GET", "/v1/sys/health")
	request.Params.Set("activecode", "x")
	_, err = client.RawRequest(request)
	refused(err, 400, "", "no status")
	response, err = client.RawRequest(client.NewRequest("GET", "/v1/sys/seal-status"))
	ok(err == nil && response.Header.Get("Cache-Control") == "no-store", "it is not stored", err)
	leader, err := sys.Leader()
	no(err, "leader")
	// Of another server its place among servers is known, and not where its API is.
	ok(leader != nil && !leader.PerfStandby && (!leader.HAEnabled || leader.IsSelf ||
		leader.LeaderClusterAddress != ""), "it knows the leader", leader)
	nodes, err := sys.HAStatus()
	no(err, "ha-status")
	active := 0
	for _, node := range nodes.Nodes {
		if node.ActiveNode {
			active++
		}
	}
	is(active, 1, "one is active")
	status, err := sys.SealStatus()
	ok(err == nil && !status.Sealed && status.Version == found.Version &&
		status.ClusterID == found.ClusterID, "seal status agrees", status)
	done, err := sys.InitStatus()
	ok(err == nil && done, "init status", err)
	without := with("")
	_, err = without.Sys().Health()
	no(err, "anybody may ask")
	_, err = without.Sys().SealStatus()
	no(err, "for the seal as well")
	info := read("sys/host-info", "host-info")
	ok(info["timestamp"] != nil && info["memory"] != nil, "of this host", info)
	response, err = client.RawRequest(client.NewRequest("GET", "/v1/sys/in-flight-req"))
	ok(err == nil && response.StatusCode == 200, "requests in flight", err)
	response, err = client.RawRequest(client.NewRequest("GET", "/v1/sys/metrics"))
	ok(err == nil && response.StatusCode == 200, "metrics", err)
}

func generateRoot() {
	sys := client.Sys()
	status, err := sys.GenerateRootStatus()
	ok(err == nil && !status.Started && status.Required == 2, "none is under way", err, status)
	_, err = sys.GenerateRootUpdate(keys[0], "")
	refused(err, 400, "", "a share for nothing")
	status, err = sys.GenerateRootInit("", "")
	no(err, "begin")
	ok(status.Started && status.Nonce != "" && status.OTPLength == len(status.OTP) && status.OTP != "",
		"an OTP", status)
	otp := status.OTP
	_, err = sys.GenerateRootInit("", "")
	refused(err, 400, "", "one at a time")
	again, err := sys.GenerateRootStatus()
	ok(err == nil && again.Started && again.OTP == "", "the OTP is told once", err, again)
	no(sys.GenerateRootCancel(), "cancel")
	status, err = sys.GenerateRootInit("", "")
	no(err, "begin again")
	otp = status.OTP
	_, err = sys.GenerateRootUpdate(keys[0], "another")
	refused(err, 400, "", "another nonce")
	first, err := sys.GenerateRootUpdate(keys[0], status.Nonce)
	ok(err == nil && first.Progress == 1 && !first.Complete, "the first share", err, first)
	last, err := sys.GenerateRootUpdate(keys[1], status.Nonce)
	ok(err == nil && last.Complete && last.EncodedToken != "", "the last", err, last)
	if last == nil {
		return
	}
	decoded, err := write(client, "sys/decode-token",
		object{"encoded_token": last.EncodedToken, "otp": otp})
	no(err, "decode-token")
	bytes, err := base64.RawStdEncoding.DecodeString(last.EncodedToken)
	ok(err == nil && len(bytes) == len(otp), "as long as the OTP", err)
	for at := range bytes {
		bytes[at] ^= otp[at]
	}
	is(text(dataOf(decoded)["token"]), string(bytes), "the server decodes what it encoded")
	made := with(string(bytes))
	self, err := made.Auth().Token().LookupSelf()
	no(err, "the new root token")
	is(texts(dataOf(self)["policies"]), []string{"root"}, "may do everything")
	no(made.Auth().Token().RevokeSelf(""), "and is given back")
	_, err = made.Auth().Token().LookupSelf()
	refused(err, 403, "permission denied", "it is gone")
}

func rekey() {
	sys := client.Sys()
	status, err := sys.RekeyStatus()
	ok(err == nil && !status.Started, "none is under way", err, status)
	status, err = sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 4, SecretThreshold: 3})
	ok(err == nil && status.Started && status.N == 4 && status.T == 3 && status.Required == 2, "begin",
		err, status)
	no(sys.RekeyCancelWithNonce(status.Nonce), "cancel")
	status, err = sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 3, SecretThreshold: 2,
		RequireVerification: true})
	ok(err == nil && status.Started && status.VerificationRequired, "begin again", err, status)
	first, err := sys.RekeyUpdate(keys[0], status.Nonce)
	ok(err == nil && !first.Complete, "the first share", err, first)
	last, err := sys.RekeyUpdate(keys[1], status.Nonce)
	ok(err == nil && last.Complete && len(last.Keys) == 3 && last.VerificationNonce != "", "new shares",
		err)
	if last == nil || len(last.Keys) != 3 {
		return
	}
	old := keys
	proof, err := sys.RekeyVerificationStatus()
	ok(err == nil && proof.Started && proof.T == 2, "they are to be proved", err, proof)
	one, err := sys.RekeyVerificationUpdate(last.Keys[1], last.VerificationNonce)
	ok(err == nil && !one.Complete, "one of them", err, one)
	both, err := sys.RekeyVerificationUpdate(last.Keys[2], last.VerificationNonce)
	ok(err == nil && both.Complete, "and another", err, both)
	keys = last.Keys
	status, err = sys.RekeyStatus()
	ok(err == nil && !status.Started, "it is over", err, status)
	again, err := sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 3, SecretThreshold: 2})
	no(err, "once more")
	_, err = sys.RekeyUpdate(old[0], again.Nonce)
	no(err, "by an old share")
	_, err = sys.RekeyUpdate(old[1], again.Nonce)
	ok(err != nil, "which is worth nothing now")
	no(sys.RekeyCancelWithNonce(again.Nonce), "cancel")
}

func rotate() {
	sys := client.Sys()
	before, err := sys.KeyStatus()
	no(err, "key-status")
	no(sys.Rotate(), "rotate")
	after, err := sys.KeyStatus()
	ok(err == nil && after.Term == before.Term+1, "a new term", err, before, after)
	ok(time.Since(after.InstallTime) < time.Minute, "installed now", after)
	config := read("sys/rotate/config", "its configuration")
	is(config["max_operations"], "3865470566", "by default")
	wrote("sys/rotate/config", object{"max_operations": 2_000_000, "interval": "48h"}, "configure")
	config = read("sys/rotate/config", "read again")
	is(config["max_operations"], "2000000", "operations")
	is(config["interval"], "172800", "an interval in seconds")
	pair, err := client.KVv2("kv2").Get(ctx, "kept")
	ok(err == nil && pair.Data["a"] == "1", "what was written before is read", err)
}

func seal() {
	sys := client.Sys()
	denied, _ := tokenOf("default")
	refused(denied.Sys().Seal(), 403, "permission denied", "not by everybody")
	no(sys.Seal(), "seal")
	status, err := sys.SealStatus()
	ok(err == nil && status.Sealed && status.Initialized, "sealed", err, status)
	_, err = client.Logical().Read("kv2/data/kept")
	refused(err, 503, "Vault is sealed", "nothing is read")
	request := client.NewRequest("GET", "/v1/sys/health")
	response, err := client.RawRequest(request)
	ok(response != nil && response.StatusCode == http.StatusServiceUnavailable, "health is 503", err)
	_, err = sys.Unseal(keys[0])
	no(err, "a new share")
	status, err = sys.Unseal(keys[2])
	ok(err == nil && !status.Sealed, "and another", err, status)
	until("it is as it was", func() bool {
		pair, err := client.KVv2("kv2").Get(ctx, "kept")
		return err == nil && pair.Data["a"] == "1"
	})
}
