package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	managementID = "00000000-0000-0000-0000-000000000001"
	anonymousID  = "00000000-0000-0000-0000-000000000002"
	nobodysID    = "7b3d1f0e-3a44-4a3c-9a55-0123456789ab"
)

// A client of its own, with connections of its own, that shows this token.
func clientWith(token string) *api.Client {
	config := api.DefaultConfig()
	config.Address = "127.0.0.1:" + os.Args[1]
	config.Token = token
	made, err := api.NewClient(config)
	if err != nil {
		panic(err)
	}
	return made
}

// A client with a new token that has these rules, and the token.
func clientOf(name, rules string) (*api.Client, *api.ACLToken) {
	policy, _, err := client.ACL().PolicyCreate(&api.ACLPolicy{Name: name, Rules: rules}, nil)
	no(err, "policy "+name)
	token, _, err := client.ACL().TokenCreate(&api.ACLToken{
		Description: name, Policies: []*api.ACLLink{{ID: policy.ID}},
	}, nil)
	no(err, "token of "+name)
	return clientWith(token.SecretID), token
}

// What the other parts cannot see: ACLs are on, and nobody has a right that no token gives.
func accessControl() {
	for _, part := range []func(){
		nobody, bootstrap, policies, tokens, roles, templates, filtered, revoked, logins,
		nomad, terraform, vault, template, agentTokens,
	} {
		part()
	}
}

func disabled() {
	_, _, err := client.ACL().TokenList(nil)
	fails(err, "Unexpected response code: 401 (ACL support disabled)", "without ACLs: token list")
	_, _, err = client.ACL().Bootstrap()
	fails(err, "401 (ACL support disabled)", "without ACLs: bootstrap")
	_, _, err = client.ACL().PolicyReadByName("x", nil)
	fails(err, "401 (ACL support disabled)", "without ACLs: policy by name")
	_, _, err = client.ACL().Login(&api.ACLLoginParams{AuthMethod: "x", BearerToken: "y"}, nil)
	fails(err, "401 (ACL support disabled)", "without ACLs: login")
	_, err = client.ACL().Logout(nil)
	fails(err, "401 (ACL support disabled)", "without ACLs: logout")
}

func nobody() {
	client = clientWith("")
	leader, err := client.Status().Leader()
	ok(err == nil && leader != "", "anybody may ask for the leader", err)
	_, _, err = client.KV().Get("a", nil)
	fails(err, "Unexpected response code: 403 (Permission denied: anonymous token lacks "+
		"permission 'key:read' on \"a\"", "a key without a token")
	pairs, _, err := client.KV().List("", nil)
	ok(err == nil && len(pairs) == 0, "a list without a token is empty", err)
	services, meta, err := client.Catalog().Services(nil)
	ok(err == nil && len(services) == 0, "so is the catalog", err)
	ok(!meta.ResultsFilteredByACLs, "and nobody is told that something was left out")
	is(meta.DefaultACLPolicy, "deny", "and what the default is")
	_, err = client.Agent().Self()
	fails(err, "403 (Permission denied", "the agent without a token")
	stranger := clientWith(nobodysID)
	for what, ask := range map[string]func() error{
		"a key":    func() error { _, _, err := stranger.KV().Get("a", nil); return err },
		"a list":   func() error { _, _, err := stranger.KV().List("", nil); return err },
		"services": func() error { _, _, err := stranger.Catalog().Services(nil); return err },
		"itself":   func() error { _, _, err := stranger.ACL().TokenReadSelf(nil); return err },
		"a write": func() error {
			_, err := stranger.KV().Put(&api.KVPair{Key: "a"}, nil)
			return err
		},
	} {
		fails(ask(), "Unexpected response code: 403 (ACL not found)", "an unknown token: "+what)
	}
}

func bootstrap() {
	made, _, err := client.ACL().Bootstrap()
	no(err, "bootstrap")
	is(made.Policies[0].ID, managementID, "gives a token that may do everything")
	_, _, err = client.ACL().Bootstrap()
	fails(err, "Unexpected response code: 403 (Permission denied: ACL bootstrap no longer allowed "+
		"(reset index: ", "a second time is refused")
	_, _, err = client.ACL().BootstrapWithToken(nobodysID)
	fails(err, "403", "also with a secret")
	client = clientWith(made.SecretID)
	self, _, err := client.ACL().TokenReadSelf(nil)
	ok(err == nil && self.AccessorID == made.AccessorID, "it reads itself", err)
	replication, _, err := client.ACL().Replication(nil)
	ok(err == nil && !replication.Enabled, "replication", err)
}

func policies() {
	acl := client.ACL()
	made, _, err := acl.PolicyCreate(&api.ACLPolicy{
		Name: "one", Description: "d", Rules: `key "a" { policy = "read" }`,
		Datacenters: []string{"dc1"},
	}, nil)
	no(err, "policy create")
	ok(len(made.Hash) > 0 && made.CreateIndex > 0, "with hash and index")
	read, meta, err := acl.PolicyRead(made.ID, nil)
	no(err, "policy read")
	is(read, made, "as it was made")
	ok(meta.LastIndex >= made.ModifyIndex, "with an index to wait from")
	named, _, err := acl.PolicyReadByName("one", nil)
	ok(err == nil && named.ID == made.ID, "by name", err)
	named, _, err = acl.PolicyReadByName("none", nil)
	ok(err == nil && named == nil, "a missing one by name is nil", err)
	_, _, err = acl.PolicyRead(nobodysID, nil)
	fails(err, "Unexpected response code: 404 (Requested policy does not exist: ACL not found)",
		"a missing one by id")
	read.Description, read.Rules = "e", `{"key": {"a": {"policy": "write"}}}`
	changed := changed(func(options *api.QueryOptions) (any, *api.QueryMeta, error) {
		found, meta, err := acl.PolicyRead(made.ID, options)
		if err != nil {
			return nil, nil, err
		}
		return found.Description, meta, nil
	}, func() {
		_, _, err := acl.PolicyUpdate(read, nil)
		no(err, "policy update")
	})
	is(changed, "e", "whoever waits for it sees the change")
	list, _, err := acl.PolicyList(nil)
	ok(err == nil && len(list) == 3, "policy list", len(list), err)
	for name, want := range map[string]string{
		"one":   `Invalid Policy: A Policy with Name "one" already exists`,
		"a b":   "Invalid Policy: invalid Name.",
		"a/b/c": "Invalid Policy: invalid Name.",
	} {
		_, _, err = acl.PolicyCreate(&api.ACLPolicy{Name: name}, nil)
		fails(err, "Unexpected response code: 500 ("+want, "policy create "+name)
	}
	_, _, err = acl.PolicyCreate(&api.ACLPolicy{Name: "bad", Rules: "key = 7"}, nil)
	fails(err, "Unexpected response code: 500 (", "rules that are none")
	_, _, err = acl.PolicyCreate(&api.ACLPolicy{ID: nobodysID, Name: "x"}, nil)
	fails(err, "Cannot specify an ID in Policy Creation", "an id of one's own, by the client")
	_, err = acl.PolicyDelete(made.ID, nil)
	no(err, "policy delete")
	_, err = acl.PolicyDelete(made.ID, nil)
	// This client closes the body before it reads the text.
	fails(err, "Unexpected response code: 404 (", "and again")
	_, err = acl.PolicyDelete(managementID, nil)
	fails(err, "Unexpected response code: 500 (", "the first policy stays")
}

func tokens() {
	acl := client.ACL()
	policy, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: "held"}, nil)
	no(err, "a policy to hold")
	made, _, err := acl.TokenCreate(&api.ACLToken{
		Description: "d",
		Policies:    []*api.ACLLink{{Name: "held"}},
		ServiceIdentities: []*api.ACLServiceIdentity{
			{ServiceName: "web"}, {ServiceName: "db", Datacenters: []string{"dc1"}},
		},
		NodeIdentities: []*api.ACLNodeIdentity{{NodeName: "n1", Datacenter: "dc1"}},
		TemplatedPolicies: []*api.ACLTemplatedPolicy{{
			TemplateName:      api.ACLTemplatedPolicyServiceName,
			TemplateVariables: &api.ACLTemplatedPolicyVariables{Name: "api"},
		}},
		ExpirationTTL: time.Hour,
	}, nil)
	no(err, "token create")
	if err != nil {
		return
	}
	is(made.Policies[0].ID, policy.ID, "the policy by its id")
	ok(made.ExpirationTime != nil && made.ExpirationTime.Sub(made.CreateTime) == time.Hour,
		"it ends after an hour", made.ExpirationTime)
	read, _, err := acl.TokenRead(made.AccessorID, nil)
	no(err, "token read")
	is(read, made, "as it was made")
	own := clientWith(made.SecretID)
	self, _, err := own.ACL().TokenReadSelf(nil)
	no(err, "it reads itself")
	is(self, made, "with its secret")
	_, _, err = own.ACL().TokenList(nil)
	fails(err, "Unexpected response code: 403 (Permission denied: token with AccessorID '"+
		made.AccessorID+"' lacks permission 'acl:read'", "but no others")
	expanded, _, err := acl.TokenReadExpanded(made.AccessorID, nil)
	ok(err == nil && len(expanded.ExpandedPolicies) == 5, "all that it comes to", err)
	is(expanded.AgentACLDefaultPolicy, "deny", "and what holds beside it")
	read.Description, read.Policies = "e", nil
	changed, _, err := acl.TokenUpdate(read, nil)
	ok(err == nil && changed.Description == "e" && len(changed.Policies) == 0, "token update", err)
	clone, _, err := acl.TokenClone(made.AccessorID, "copy", nil)
	ok(err == nil && clone.Description == "copy" && clone.SecretID != made.SecretID &&
		len(clone.ServiceIdentities) == 2, "token clone", err)
	list, _, err := acl.TokenList(nil)
	ok(err == nil && len(list) == 4, "token list", len(list), err)
	list, _, err = acl.TokenListFiltered(api.ACLTokenFilterOptions{ServiceName: "db"}, nil)
	ok(err == nil && len(list) == 2, "by the service that they are for", len(list), err)
	list, _, err = acl.TokenListFiltered(api.ACLTokenFilterOptions{Policy: managementID}, nil)
	ok(err == nil && len(list) == 1, "by policy", len(list), err)
	for what, refused := range map[string]struct {
		token *api.ACLToken
		want  string
	}{
		"an unknown policy": {
			&api.ACLToken{Policies: []*api.ACLLink{{Name: "none"}}},
			`No such ACL policy with name "none"`},
		"a used accessor": {
			&api.ACLToken{AccessorID: made.AccessorID},
			"Invalid Token: AccessorID is already in use"},
		"a bad secret": {&api.ACLToken{SecretID: "short"}, "not a valid UUID"},
		"a short life": {&api.ACLToken{ExpirationTTL: time.Second}, "cannot be less than 1m0s"},
		"a bad service": {
			&api.ACLToken{ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "A b"}}},
			"has an invalid name"},
	} {
		_, _, err = acl.TokenCreate(refused.token, nil)
		fails(err, "Unexpected response code: 500 (", what+" is refused")
		fails(err, refused.want, what+": why")
	}
	_, err = acl.TokenDelete(clone.AccessorID, nil)
	no(err, "token delete")
	_, err = acl.TokenDelete(clone.AccessorID, nil)
	fails(err, "Unexpected response code: 404 (Cannot find token to delete)", "and again")
	_, _, err = acl.TokenRead(clone.AccessorID, nil)
	fails(err, "ACL not found", "a missing token")
	_, err = acl.TokenDelete(anonymousID, nil)
	fails(err, "Unexpected response code: 500 (", "the anonymous token stays")
	_, err = acl.TokenDelete(made.AccessorID, nil)
	no(err, "token delete")
}

func roles() {
	acl := client.ACL()
	made, _, err := acl.RoleCreate(&api.ACLRole{
		Name: "one", Description: "d", Policies: []*api.ACLLink{{Name: "held"}},
		NodeIdentities: []*api.ACLNodeIdentity{{NodeName: "n1", Datacenter: "dc1"}},
	}, nil)
	no(err, "role create")
	read, _, err := acl.RoleRead(made.ID, nil)
	no(err, "role read")
	is(read, made, "as it was made")
	named, _, err := acl.RoleReadByName("one", nil)
	ok(err == nil && named != nil && named.ID == made.ID, "by name", err)
	for what, ask := range map[string]func() (*api.ACLRole, *api.QueryMeta, error){
		"by name": func() (*api.ACLRole, *api.QueryMeta, error) { return acl.RoleReadByName("x", nil) },
		"by id":   func() (*api.ACLRole, *api.QueryMeta, error) { return acl.RoleRead(nobodysID, nil) },
	} {
		found, _, err := ask()
		ok(found == nil && err == nil, "a missing role is nil, "+what, err)
	}
	read.Description = "e"
	changed, _, err := acl.RoleUpdate(read, nil)
	ok(err == nil && changed.Description == "e" && len(changed.Policies) == 1, "role update", err)
	list, _, err := acl.RoleList(nil)
	ok(err == nil && len(list) == 1, "role list", err)
	token, _, err := acl.TokenCreate(&api.ACLToken{Roles: []*api.ACLLink{{Name: "one"}}}, nil)
	ok(err == nil && token.Roles[0].ID == made.ID, "a token of it", err)
	tokens, _, err := acl.TokenListFiltered(api.ACLTokenFilterOptions{Role: made.ID}, nil)
	ok(err == nil && len(tokens) == 1, "is found by it", err)
	_, err = acl.RoleDelete(made.ID, nil)
	no(err, "role delete")
	_, err = acl.RoleDelete(made.ID, nil)
	fails(err, "Unexpected response code: 404 (Cannot find role to delete)", "and again")
	token, _, err = acl.TokenRead(token.AccessorID, nil)
	ok(err == nil && len(token.Roles) == 0, "its token has no role then", err)
}

func templates() {
	acl := client.ACL()
	all, _, err := acl.TemplatedPolicyList(nil)
	no(err, "templated policies")
	for _, name := range []string{
		api.ACLTemplatedPolicyServiceName, api.ACLTemplatedPolicyNodeName,
		api.ACLTemplatedPolicyDNSName, api.ACLTemplatedPolicyNomadServerName,
		api.ACLTemplatedPolicyNomadClientName, api.ACLTemplatedPolicyAPIGatewayName,
		api.ACLTemplatedPolicyWorkloadIdentityName,
	} {
		is(all[name].TemplateName, name, "there is "+name)
	}
	one, _, err := acl.TemplatedPolicyReadByName(api.ACLTemplatedPolicyNodeName, nil)
	ok(err == nil && one != nil && strings.Contains(one.Template, "node"), "one of them", err)
	made, _, err := acl.TemplatedPolicyPreview(&api.ACLTemplatedPolicy{
		TemplateName:      api.ACLTemplatedPolicyServiceName,
		TemplateVariables: &api.ACLTemplatedPolicyVariables{Name: "api"},
	}, nil)
	ok(err == nil && strings.Contains(made.Rules, `service "api-sidecar-proxy"`), "preview", err)
}

// Lists leave out what the token may not see, and say so; what is named is refused.
func filtered() {
	reader, _ := clientOf("reader", `key_prefix "a/" { policy = "read" }
		service_prefix "web" { policy = "read" } node_prefix "" { policy = "read" }
		session_prefix "" { policy = "read" }`)
	for _, key := range []string{"a/1", "a/2", "b/1"} {
		_, err := client.KV().Put(&api.KVPair{Key: key, Value: []byte(key)}, nil)
		no(err, "put "+key)
	}
	for _, name := range []string{"web", "db"} {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: "ext", Address: "10.0.0.9", Service: &api.AgentService{Service: name},
		}, nil)
		no(err, "register "+name)
	}
	keys, meta, err := reader.KV().Keys("", "", nil)
	ok(err == nil && len(keys) == 2 && meta.ResultsFilteredByACLs, "two of three keys", keys, err)
	keys, meta, err = reader.KV().Keys("a/", "", nil)
	ok(err == nil && len(keys) == 2 && !meta.ResultsFilteredByACLs, "all of these", keys, err)
	services, meta, err := reader.Catalog().Services(nil)
	ok(err == nil && len(services) == 1 && meta.ResultsFilteredByACLs, "one service", services, err)
	entries, _, err := reader.Health().Service("db", "", false, nil)
	ok(err == nil && len(entries) == 0, "none of the other", err)
	_, err = reader.KV().Put(&api.KVPair{Key: "a/1"}, nil)
	fails(err, `lacks permission 'key:write' on "a/1"`, "what it may read it may not write")
	_, err = reader.KV().DeleteTree("a/", nil)
	fails(err, "Unexpected response code: 403 (Permission denied", "nor delete")
	fails(reader.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web"}),
		`lacks permission 'service:write' on "web"`, "nor register")
	_, _, err = reader.Session().Create(nil, nil)
	fails(err, "Unexpected response code: 403 (Permission denied", "nor lock")
	done, response, _, err := reader.KV().Txn(api.KVTxnOps{
		{Verb: api.KVGet, Key: "a/1"}, {Verb: api.KVSet, Key: "b/1"},
	}, nil)
	ok(!done && err == nil && response != nil && len(response.Errors) == 1 &&
		strings.Contains(response.Errors[0].What, "Permission denied"),
		"a transaction says which part is refused", response, err)
	pair, _, err := client.KV().Get("b/1", &api.QueryOptions{Token: "anonymous"})
	fails(err, "Permission denied", "the token of one call goes before that of the client")
	ok(pair == nil, "and is the one that counts")
}

// A token that is deleted on one connection is refused on others at once, open ones too.
func revoked() {
	reader, token := clientOf("revoked", `key_prefix "" { policy = "write" }
		session_prefix "" { policy = "write" } node_prefix "" { policy = "read" }`)
	_, err := reader.KV().Put(&api.KVPair{Key: "r/1"}, nil)
	no(err, "it writes")
	_, meta, err := reader.KV().List("r/", nil)
	no(err, "it reads")
	waits := []func(*api.QueryOptions) error{
		func(o *api.QueryOptions) error { _, _, err := reader.KV().Get("r/1", o); return err },
		func(o *api.QueryOptions) error { _, _, err := reader.KV().List("r/", o); return err },
		func(o *api.QueryOptions) error { _, _, err := reader.Catalog().Nodes(o); return err },
	}
	answers := make(chan error, len(waits))
	for _, ask := range waits {
		go func(ask func(*api.QueryOptions) error) {
			options := api.QueryOptions{WaitIndex: meta.LastIndex + 1_000, WaitTime: time.Minute}
			answers <- ask(&options)
		}(ask)
	}
	time.Sleep(500 * time.Millisecond)
	_, err = client.ACL().TokenDelete(token.AccessorID, nil)
	no(err, "its token is deleted")
	_, err = reader.KV().Put(&api.KVPair{Key: "r/1"}, nil)
	fails(err, "403 (ACL not found)", "the next write is refused")
	for range waits {
		select {
		case err := <-answers:
			fails(err, "403 (ACL not found)", "a read that waits is refused")
		case <-time.After(bound):
			ok(false, "a read that waits is refused")
		}
	}
}

// --- logins

type issuer struct{ key *ecdsa.PrivateKey }

func newIssuer() *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return &issuer{key}
}

func (i *issuer) pem() string {
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// A signed JWT (RFC 7519, ES256) that is good for an hour.
func (i *issuer) sign(claims map[string]any) string {
	claims["iss"], claims["aud"] = "https://nomad.example", "gatehouse"
	claims["iat"], claims["exp"] = time.Now().Unix(), time.Now().Add(time.Hour).Unix()
	body, _ := json.Marshal(claims)
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + encode(body)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return text + "." + encode(signature)
}

func logins() {
	acl, nomad := client.ACL(), newIssuer()
	made, _, err := acl.AuthMethodCreate(&api.ACLAuthMethod{
		Name: "nomad", Type: "jwt", MaxTokenTTL: time.Hour, TokenLocality: "local",
		Config: map[string]any{
			"JWTValidationPubKeys": []string{nomad.pem()},
			"JWTSupportedAlgs":     []string{"ES256"},
			"BoundIssuer":          "https://nomad.example",
			"BoundAudiences":       []string{"gatehouse"},
			"ClaimMappings":        map[string]string{"nomad_job_id": "job"},
			"ListClaimMappings":    map[string]string{"groups": "groups"},
		},
	}, nil)
	no(err, "auth method create")
	if err != nil {
		return
	}
	is(made.MaxTokenTTL, time.Hour, "how long its tokens live")
	read, _, err := acl.AuthMethodRead("nomad", nil)
	no(err, "auth method read")
	is(read, made, "as it was made")
	none, _, err := acl.AuthMethodRead("none", nil)
	ok(none == nil && err == nil, "a missing one is nil", err)
	read.Description = "e"
	changed, _, err := acl.AuthMethodUpdate(read, nil)
	ok(err == nil && changed.Description == "e", "auth method update", err)
	methods, _, err := acl.AuthMethodList(nil)
	ok(err == nil && len(methods) == 1 && methods[0].Type == "jwt", "auth method list", err)

	rule, _, err := acl.BindingRuleCreate(&api.ACLBindingRule{
		AuthMethod: "nomad", BindType: api.BindingRuleBindTypeService, BindName: "${value.job}",
		Selector: `value.job != "none"`,
	}, nil)
	no(err, "binding rule create")
	found, _, err := acl.BindingRuleRead(rule.ID, nil)
	no(err, "binding rule read")
	is(found, rule, "as it was made")
	missing, _, err := acl.BindingRuleRead(nobodysID, nil)
	ok(missing == nil && err == nil, "a missing one is nil", err)
	found.Description = "e"
	found, _, err = acl.BindingRuleUpdate(found, nil)
	ok(err == nil && found.Description == "e", "binding rule update", err)
	rules, _, err := acl.BindingRuleList("nomad", nil)
	ok(err == nil && len(rules) == 1, "binding rule list", err)

	login := func(bearer string) (*api.ACLToken, error) {
		token, _, err := clientWith("").ACL().Login(&api.ACLLoginParams{
			AuthMethod: "nomad", BearerToken: bearer, Meta: map[string]string{"requested_by": "go"},
		}, nil)
		return token, err
	}
	token, err := login(nomad.sign(map[string]any{"nomad_job_id": "web"}))
	no(err, "login")
	if err == nil {
		ok(token.Local && token.AuthMethod == "nomad" && token.ExpirationTime != nil &&
			token.ServiceIdentities[0].ServiceName == "web", "with the rights of its service", token)
		web := clientWith(token.SecretID)
		no(web.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "web"}), "it registers")
		fails(web.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: "db"}),
			"Permission denied", "and no other")
		no(web.Agent().ServiceDeregister("web"), "and deregisters")
		held, _, err := acl.TokenListFiltered(api.ACLTokenFilterOptions{AuthMethod: "nomad"}, nil)
		ok(err == nil && len(held) == 1, "its token is found by the method", err)
		_, err = web.ACL().Logout(nil)
		no(err, "logout")
		_, _, err = web.ACL().TokenReadSelf(nil)
		fails(err, "403 (ACL not found)", "then its token is nobody's")
		_, err = web.ACL().Logout(nil)
		fails(err, "ACL not found", "and cannot log out again")
	}
	_, err = login(nomad.sign(map[string]any{"nomad_job_id": "none"}))
	fails(err, "Unexpected response code: 403 (Permission denied", "whom no rule knows is refused")
	_, err = login(newIssuer().sign(map[string]any{"nomad_job_id": "web"}))
	fails(err, "Unexpected response code: 403 (", "so is whom another issuer signed for")
	_, _, err = client.ACL().Login(&api.ACLLoginParams{AuthMethod: "none", BearerToken: "x"}, nil)
	fails(err, `Unexpected response code: 403 (ACL not found: auth method "none" not found`,
		"an unknown method")
	_, err = client.ACL().Logout(nil)
	fails(err, "Permission denied: token wasn't created via login", "a token that no login gave")
	_, err = clientWith("").ACL().Logout(nil)
	fails(err, "Unexpected response code: 401 (Supplied token does not exist)", "no token at all")

	token, err = login(nomad.sign(map[string]any{"nomad_job_id": "web"}))
	no(err, "another login")
	_, err = acl.BindingRuleDelete(rule.ID, nil)
	no(err, "binding rule delete")
	_, err = acl.BindingRuleDelete(rule.ID, nil)
	fails(err, "Unexpected response code: 404 (Cannot find binding rule to delete)", "and again")
	_, err = acl.AuthMethodDelete("nomad", nil)
	no(err, "auth method delete")
	_, err = acl.AuthMethodDelete("nomad", nil)
	fails(err, "Unexpected response code: 404 (Cannot find auth method to delete)", "and again")
	if token != nil {
		_, _, err = clientWith(token.SecretID).ACL().TokenReadSelf(nil)
		fails(err, "ACL not found", "the tokens of its logins went with it")
	}
}

// --- what tools on this client call, in their order

// Nomad: a server makes tokens for its tasks; a client registers their services.
func nomad() {
	server, _ := clientOf("nomad-server", `acl = "write" operator = "write"
		agent_prefix "" { policy = "read" } node_prefix "" { policy = "read" }
		service_prefix "" { policy = "write" }`)
	self, err := server.Agent().Self()
	ok(err == nil && self["Config"]["Server"] == isServer, "nomad: fingerprint", err)
	token, _, err := server.ACL().TokenReadSelf(nil)
	no(err, "nomad: its own token")
	for _, link := range token.Policies {
		policy, _, err := server.ACL().PolicyRead(link.ID, nil)
		ok(err == nil && strings.Contains(policy.Rules, "acl"), "nomad: its own policies", err)
	}
	_, _, err = server.Namespaces().List(nil)
	fails(err, "Unexpected response code: 404", "nomad: no namespaces here")
	derived, _, err := server.ACL().TokenCreate(&api.ACLToken{
		Description:       "_nomad_si: alloc, node, task",
		ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "nomad-web"}},
	}, nil)
	no(err, "nomad: a token for a task")
	list, _, err := server.ACL().TokenList(nil)
	ok(err == nil && len(list) > 1, "nomad: its tokens", err)
	node, _ := clientOf("nomad-client", `agent_prefix "" { policy = "read" }
		node_prefix "" { policy = "read" } service_prefix "" { policy = "write" }`)
	registration := &api.AgentServiceRegistration{
		ID: "_nomad-task-1-web", Name: "nomad-web", Port: 8080,
		Check: &api.AgentServiceCheck{CheckID: "_nomad-check-1", TTL: "1h"},
	}
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true, Token: derived.SecretID}
	no(node.Agent().ServiceRegisterOpts(registration, options), "nomad: registers by its token")
	registration.Name = "other"
	registration.ID = "_nomad-task-2-other"
	registration.Check.CheckID = "_nomad-check-2"
	fails(node.Agent().ServiceRegisterOpts(registration, options), "Permission denied",
		"nomad: that token is for one service")
	services, err := node.Agent().ServicesWithFilter(`Meta["x"] != "y" or ID contains "_nomad"`)
	ok(err == nil && services["_nomad-task-1-web"] != nil, "nomad: sees it", err)
	no(node.Agent().UpdateTTL("_nomad-check-1", "fine", api.HealthPassing), "nomad: heartbeat")
	no(node.Agent().ServiceDeregister("_nomad-task-1-web"), "nomad: deregisters")
	_, err = server.ACL().TokenDelete(derived.AccessorID, nil)
	no(err, "nomad: the token ends with its task")
}

// Terraform's provider: everything is created, read back, changed, read, deleted, and found gone.
func terraform() {
	provider, _ := clientOf("terraform", `acl = "write" operator = "write"
		service_prefix "" { policy = "write" intentions = "write" }`)
	acl := provider.ACL()
	policy, _, err := acl.PolicyCreate(&api.ACLPolicy{Name: "tf", Rules: "acl = \"read\""}, nil)
	no(err, "terraform: policy")
	role, _, err := acl.RoleCreate(&api.ACLRole{
		Name: "tf", Policies: []*api.ACLLink{{ID: policy.ID}},
		ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "tf"}},
	}, nil)
	no(err, "terraform: role")
	token, _, err := acl.TokenCreate(&api.ACLToken{
		Description: "tf", Local: true, Policies: []*api.ACLLink{{Name: "tf"}},
		Roles: []*api.ACLLink{{Name: "tf"}},
	}, nil)
	no(err, "terraform: token")
	read, _, err := acl.TokenRead(token.AccessorID, nil)
	no(err, "terraform: reads the token")
	is(read, token, "terraform: as it was made")
	// A policy is attached to a token by changing the token as it was read.
	read.Policies = append(read.Policies, &api.ACLLink{Name: "held"})
	attached, _, err := acl.TokenUpdate(read, nil)
	ok(err == nil && len(attached.Policies) == 2, "terraform: attaches a policy", err)
	_, err = acl.TokenDelete(token.AccessorID, nil)
	no(err, "terraform: deletes the token")
	_, _, err = acl.TokenRead(token.AccessorID, nil)
	fails(err, "ACL not found", "terraform: knows by these words that the token is gone")
	_, err = acl.RoleDelete(role.ID, nil)
	no(err, "terraform: deletes the role")
	gone, _, err := acl.RoleRead(role.ID, nil)
	ok(gone == nil && err == nil, "terraform: the role is gone", err)
	_, err = acl.PolicyDelete(policy.ID, nil)
	no(err, "terraform: deletes the policy")
	_, _, err = acl.PolicyRead(policy.ID, nil)
	fails(err, "ACL not found", "terraform: knows by these words that the policy is gone")
	_, _, err = provider.ConfigEntries().Get(api.ServiceDefaults, "none", nil)
	fails(err, "Unexpected response code: 404", "terraform: a missing configuration entry")
}

// Vault's secrets engine: tokens by policies, roles and identities, revoked when their lease ends.
func vault() {
	engine, _ := clientOf("vault", `acl = "write"`)
	config := api.DefaultConfig()
	for _, wanted := range []*api.ACLToken{
		{Description: "Vault a token 1", Policies: []*api.ACLLink{{Name: "held"}}, Local: false},
		{Description: "Vault b token 2", Local: true,
			ServiceIdentities: []*api.ACLServiceIdentity{{ServiceName: "web"}}},
		{Description: "Vault c token 3",
			NodeIdentities: []*api.ACLNodeIdentity{{NodeName: "n1", Datacenter: "dc1"}}},
	} {
		made, _, err := engine.ACL().TokenCreate(wanted, (&api.WriteOptions{
			Namespace: config.Namespace, Partition: config.Partition,
		}))
		no(err, "vault: "+wanted.Description)
		_, _, err = clientWith(made.SecretID).ACL().TokenReadSelf(nil)
		no(err, "vault: it is good")
		_, err = engine.ACL().TokenDelete(made.AccessorID, nil)
		no(err, "vault: its lease ends")
		_, _, err = clientWith(made.SecretID).ACL().TokenReadSelf(nil)
		fails(err, "ACL not found", "vault: it is good no more")
	}
	// The mode of Consul before 1.4 is gone there as well.
	_, _, err := engine.ACL().Create(&api.ACLEntry{Name: "old", Type: api.ACLClientType}, nil)
	ok(err != nil, "vault: tokens of the old kind are refused", err)
}

// consul-template: everything with index and wait; what it may not see it is told or not shown.
func template() {
	reader, _ := clientOf("template", `key_prefix "t/" { policy = "read" }
		service "web" { policy = "read" } node_prefix "" { policy = "read" }`)
	_, err := client.KV().Put(&api.KVPair{Key: "t/1", Value: []byte("one")}, nil)
	no(err, "template: a key")
	pair, meta, err := reader.KV().Get("t/1", &api.QueryOptions{AllowStale: true})
	ok(err == nil && pair != nil && meta.LastIndex > 0, "template: key", err)
	answers := make(chan string, 1)
	go func() {
		pair, _, err := reader.KV().Get("t/1", &api.QueryOptions{
			AllowStale: true, WaitIndex: meta.LastIndex, WaitTime: time.Minute,
		})
		if err != nil {
			answers <- err.Error()
		} else {
			answers <- string(pair.Value)
		}
	}()
	time.Sleep(200 * time.Millisecond)
	_, err = client.KV().Put(&api.KVPair{Key: "t/1", Value: []byte("two")}, nil)
	no(err, "template: it changes")
	is(<-answers, "two", "template: and is told")
	pairs, _, err := reader.KV().List("t/", nil)
	ok(err == nil && len(pairs) == 1, "template: ls", err)
	_, _, err = reader.KV().Get("other", nil)
	fails(err, "Unexpected response code: 403 (Permission denied", "template: a key of others")
	entries, _, err := reader.Health().Service("web", "", true, &api.QueryOptions{AllowStale: true})
	ok(err == nil && len(entries) == 1, "template: service", len(entries), err)
	services, _, err := reader.Catalog().Services(nil)
	ok(err == nil && len(services) == 1, "template: services", services, err)
	datacenters, err := reader.Catalog().Datacenters()
	ok(err == nil && len(datacenters) == 1, "template: datacenters", err)
}

func agentTokens() {
	agent := client.Agent()
	_, err := agent.UpdateDefaultACLToken("", nil)
	no(err, "the default token")
	_, err = agent.UpdateAgentACLToken("", nil)
	no(err, "the agent's token")
	_, err = agent.UpdateReplicationACLToken("", nil)
	no(err, "the token of replication")
	secret := "99999999-aaaa-4bbb-8ccc-dddddddddddd"
	_, err = agent.UpdateAgentRecoveryACLToken(secret, nil)
	no(err, "the recovery token")
	_, err = clientWith(secret).Agent().Self()
	no(err, "which may ask the agent")
	_, err = agent.UpdateAgentMasterACLToken("", nil)
	no(err, "the same by its older name")
	_, err = clientWith(secret).Agent().Self()
	fails(err, "403 (ACL not found)", "then it is nobody's")
	_, err = clientWith("").Agent().UpdateDefaultACLToken(secret, nil)
	fails(err, "Permission denied", "not everybody sets tokens")
}
