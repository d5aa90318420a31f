package main

import (
	"context"
	"encoding/base64"
	"net/url"
	"os/exec"
	"strings"

	"github.com/hashicorp/vault/api"
	userpassauth "github.com/hashicorp/vault/api/auth/userpass"
	bao "github.com/openbao/openbao/api/v2"
)

// The passcode that oathtool shows for the secret of a URL, at another time.
func oathtool(secret *url.URL, at string) string {
	said := secret.Query()
	out, err := exec.Command("oathtool", "--totp="+said.Get("algorithm"), "--base32",
		"--digits="+said.Get("digits"), "--time-step-size="+said.Get("period")+"s", "--now="+at,
		said.Get("secret")).Output()
	no(err, "oathtool")
	return strings.TrimSpace(string(out))
}

// A method of logins for OpenBao's client.
type zoe struct{}

func (zoe) Login(ctx context.Context, c *bao.Client) (*bao.Secret, error) {
	return c.Logical().WriteWithContext(ctx, "auth/people/login/zoe", object{"password": "x"})
}

// Logins with second factors, by what both clients have for them.
func mfa() {
	const method = "identity/mfa/method/totp"
	no(client.Sys().EnableAuthWithOptions("people", &api.EnableAuthOptions{Type: "userpass"}),
		"a method of logins")
	defer func() { no(client.Sys().DisableAuth("people"), "which goes again") }()
	wrote("auth/people/users/zoe", object{"password": "x", "token_policies": "app"}, "a user")
	auths, err := client.Sys().ListAuth()
	no(err, "methods of logins")
	accessor := auths["people/"].Accessor
	entity := text(wrote("identity/entity", object{"name": "zoe"}, "an entity")["id"])
	wrote("identity/entity-alias", object{"name": "zoe", "canonical_id": entity,
		"mount_accessor": accessor}, "its alias")
	// A long period: what is begun in one ends in it.
	id := text(wrote(method, object{"method_name": "phone", "issuer": "gatehouse", "period": "1h",
		"algorithm": "SHA256", "digits": 8}, "a method")["method_id"])
	found := read(method+"/"+id, "read")
	ok(text(found["period"]) == "3600" && text(found["digits"]) == "8" &&
		text(found["max_validation_attempts"]) == "5", "as written", found)
	made := wrote(method+"/admin-generate", object{"method_id": id, "entity_id": entity}, "a secret")
	secret, err := url.Parse(text(made["url"]))
	no(err, "its URL")
	picture, err := base64.StdEncoding.DecodeString(text(made["barcode"]))
	ok(err == nil && strings.HasPrefix(string(picture), "\x89PNG"), "and its picture", err)
	again, err := write(client, method+"/admin-generate", object{"method_id": id, "entity_id": entity})
	ok(err == nil && again != nil && len(again.Warnings) == 1, "no second one", err, again)
	wrote("identity/mfa/login-enforcement/people", object{"mfa_method_ids": []string{id},
		"auth_method_accessors": []string{accessor}}, "an enforcement")
	_, err = client.Logical().Delete(method + "/" + id)
	ok(err != nil && strings.Contains(err.Error(), "still used by an enforcement"), "it is used", err)

	password, err := userpassauth.NewUserpassAuth("zoe", &userpassauth.Password{FromString: "x"},
		userpassauth.WithMountPath("people"))
	no(err, "the client's own method")
	login := with("")
	first, err := login.Auth().MFALogin(ctx, password)
	ok(err == nil && first != nil && first.Auth.MFARequirement != nil && first.Auth.ClientToken == "" &&
		len(first.Warnings) == 1, "what is asked for", err, first)
	if err != nil || first == nil {
		return
	}
	any := first.Auth.MFARequirement.MFAConstraints["people"].Any
	ok(len(any) == 1 && any[0].ID == id && any[0].Type == "totp" && any[0].UsesPasscode, "by which",
		any)
	_, err = login.Auth().MFAValidate(ctx, first, object{id: []string{"00000000"}})
	refused(err, 403, "MFA credentials not supplied or incorrect", "a wrong passcode")
	now := oathtool(secret, "now")
	logged, err := login.Auth().MFAValidate(ctx, first, object{id: []string{now}})
	ok(err == nil && logged != nil && logged.Auth.ClientToken != "" && login.Token() != "" &&
		logged.Auth.EntityID == entity, "the right one", err)
	if err == nil {
		is(sorted(logged.Auth.Policies), []string{"app", "default"}, "policies")
		_, err = login.Auth().Token().LookupSelf()
		no(err, "a token")
	}
	_, err = with("").Auth().MFAValidate(ctx, first, object{id: []string{now}})
	refused(err, 400, "invalid request ID", "once")
	_, err = with("").Auth().MFALogin(ctx, password, "phone:"+now)
	refused(err, 403, "MFA credentials not supplied or incorrect", "a used passcode")
	// Clocks differ: of the hours before and behind both are taken.
	logged, err = with("").Auth().MFALogin(ctx, password, id+":"+oathtool(secret, "now + 1 hour"))
	ok(err == nil && logged != nil && logged.Auth.ClientToken != "", "in one request", err)
	wrapped := wrapping(with(""), "1m")
	wrapped.SetMFACreds([]string{"phone:" + oathtool(secret, "now - 1 hour")})
	logged, err = write(wrapped, "auth/people/login/zoe", object{"password": "x"})
	ok(err == nil && logged != nil && logged.WrapInfo != nil && logged.WrapInfo.WrappedAccessor != "",
		"wrapped", err, logged)
	_, err = with("").Auth().MFALogin(ctx, password, "other:1")
	refused(err, 403, "failed to find MFA credentials", "another method")

	wrote(method+"/admin-destroy", object{"method_id": id, "entity_id": entity}, "the secret goes")
	made = wrote(method+"/admin-generate", object{"method_id": id, "entity_id": entity}, "another")
	secret, err = url.Parse(text(made["url"]))
	no(err, "its URL")
	config := bao.DefaultConfig()
	config.Address = address
	config.MaxRetries = 0
	config.Timeout = bound
	c, err := bao.NewClient(config)
	no(err, "OpenBao's client")
	c.SetToken("")
	own := zoe{}
	asked, err := c.Auth().MFALogin(ctx, own)
	ok(err == nil && asked != nil && asked.Auth.MFARequirement != nil, "what is asked for", err)
	if err == nil && asked != nil {
		given, err := c.Auth().MFAValidate(ctx, asked, object{id: []string{oathtool(secret, "now")}})
		ok(err == nil && given != nil && given.Auth.ClientToken != "", "the right passcode", err)
	}
	sys, err := c.Auth().MFALogin(ctx, own)
	no(err, "once more")
	if err == nil {
		given, err := c.Sys().MFAValidate(sys.Auth.MFARequirement.MFARequestID,
			object{id: []string{oathtool(secret, "now + 1 hour")}})
		ok(err == nil && given != nil && given.Auth.ClientToken != "", "as its command line does", err)
	}

	_, err = client.Logical().Delete("identity/mfa/login-enforcement/people")
	no(err, "the enforcement goes")
	_, err = client.Logical().Delete(method + "/" + id)
	no(err, "and the method")
	absent(method+"/"+id, "it is gone")
	logged, err = with("").Auth().Login(ctx, password)
	ok(err == nil && logged != nil && logged.Auth.ClientToken != "", "nothing is asked any more", err)
	_, err = client.Logical().Delete("identity/entity/id/" + entity)
	no(err, "the entity goes")
}
