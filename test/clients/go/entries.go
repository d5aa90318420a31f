// Configuration entries, intentions, the operator's view and snapshots.
package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

func entries() {
	configs := client.ConfigEntries()
	limit := 7
	wanted := &api.ServiceConfigEntry{
		Kind: api.ServiceDefaults, Name: "go-web", Protocol: "http",
		MeshGateway: api.MeshGatewayConfig{Mode: api.MeshGatewayModeLocal},
		// An empty one is always answered.
		TransparentProxy: &api.TransparentProxyConfig{},
		Expose:           api.ExposeConfig{Paths: []api.ExposePath{{Path: "/health", LocalPathPort: 80}}},
		UpstreamConfig: &api.UpstreamConfiguration{Overrides: []*api.UpstreamConfig{{
			Name: "go-db", ConnectTimeoutMs: 100,
			Limits:             &api.UpstreamLimits{MaxConnections: &limit},
			PassiveHealthCheck: &api.PassiveHealthCheck{Interval: 3 * time.Second, MaxFailures: 2},
		}}},
		Meta: map[string]string{"owner_name": "go"},
	}
	done, _, err := configs.Set(wanted, nil)
	ok(err == nil && done, "config set", err)
	read, meta, err := configs.Get(api.ServiceDefaults, "go-web", nil)
	no(err, "config get")
	found, isService := read.(*api.ServiceConfigEntry)
	ok(isService && meta.LastIndex == found.ModifyIndex, "its index is the answer's")
	wanted.CreateIndex, wanted.ModifyIndex = found.CreateIndex, found.ModifyIndex
	is(found, wanted, "it comes back as it was set")
	done, _, err = configs.CAS(wanted, 1, nil)
	ok(err == nil && !done, "cas with an old index")
	wanted.Protocol = "grpc"
	done, _, err = configs.CAS(wanted, found.ModifyIndex, nil)
	ok(err == nil && done, "cas with the right one", err)

	resolver := &api.ServiceResolverConfigEntry{
		Kind: api.ServiceResolver, Name: "go-web", DefaultSubset: "v1",
		Subsets:        map[string]api.ServiceResolverSubset{"v1": {Filter: "Service.Meta.v == 1"}},
		ConnectTimeout: 15 * time.Second,
	}
	_, _, err = configs.Set(resolver, nil)
	no(err, "a resolver")
	read, _, err = configs.Get(api.ServiceResolver, "go-web", nil)
	back, isResolver := read.(*api.ServiceResolverConfigEntry)
	ok(err == nil && isResolver && back.ConnectTimeout == 15*time.Second, "with its durations", err)
	_, _, err = configs.Set(&api.ProxyConfigEntry{
		Kind: api.ProxyDefaults, Name: "global", Config: map[string]any{"a_b": 1.5},
	}, nil)
	no(err, "defaults of proxies")
	list := changed(func(options *api.QueryOptions) (any, *api.QueryMeta, error) {
		list, meta, err := configs.List(api.ServiceDefaults, options)
		return len(list), meta, err
	}, func() {
		_, _, err := configs.Set(&api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: "go-b"}, nil)
		no(err, "another")
	})
	is(list, 2, "a waiting list sees it")
	_, _, err = configs.Get(api.ServiceDefaults, "none", nil)
	fails(err, "Unexpected response code: 404", "a missing entry, as Terraform sees it")
	_, _, err = configs.Set(&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "x"}, nil)
	fails(err, "not served yet", "a kind that comes later")
	for _, kind := range []string{api.ServiceResolver, api.ServiceDefaults} {
		_, err = configs.Delete(kind, "go-web", nil)
		no(err, "config delete")
	}
	_, err = configs.Delete(api.ServiceDefaults, "go-b", nil)
	no(err, "config delete")
	_, err = configs.Delete(api.ProxyDefaults, "global", nil)
	no(err, "config delete of the defaults of proxies")
}

func intentions() {
	connect := client.Connect()
	said := &api.Intention{
		SourceName: "go-a", DestinationName: "go-b", SourceType: api.IntentionSourceConsul,
		Action: api.IntentionActionDeny, Description: "not these two",
	}
	_, err := connect.IntentionUpsert(said, nil)
	no(err, "intention upsert")
	found, _, err := connect.IntentionGetExact("go-a", "go-b", nil)
	ok(err == nil && found.Action == api.IntentionActionDeny && found.Precedence == 9, "get exact", err)
	allowed, _, err := connect.IntentionCheck(
		&api.IntentionCheck{Source: "go-a", Destination: "go-b"}, nil)
	ok(err == nil && !allowed, "check", err)
	matches, _, err := connect.IntentionMatch(
		&api.IntentionMatch{By: api.IntentionMatchDestination, Names: []string{"go-b"}}, nil)
	ok(err == nil && len(matches["go-b"]) == 1, "match", err)
	list, _, err := connect.Intentions(nil)
	ok(err == nil && len(list) == 1 && list[0].SourceName == "go-a", "list", err)
	entry, _, err := client.ConfigEntries().Get(api.ServiceIntentions, "go-b", nil)
	no(err, "it is a configuration entry")
	sources := entry.(*api.ServiceIntentionsConfigEntry).Sources
	ok(len(sources) == 1 && sources[0].Description == "not these two", "with one source")
	_, err = connect.IntentionDeleteExact("go-a", "go-b", nil)
	no(err, "delete exact")
	found, _, err = connect.IntentionGetExact("go-a", "go-b", nil)
	ok(err == nil && found == nil, "it is gone", err)
	id, _, err := connect.IntentionCreate(said, nil)
	no(err, "create by id")
	found, _, err = connect.IntentionGet(id, nil)
	ok(err == nil && found.ID == id && !found.CreatedAt.IsZero(), "get by id", err)
	_, err = connect.IntentionDelete(id, nil)
	no(err, "delete by id")
}

func operator() {
	operator := client.Operator()
	raft, err := operator.RaftGetConfiguration(nil)
	leads := func(server *api.RaftServer) bool { return server.Leader }
	ok(err == nil && len(raft.Servers) == servers && slices.ContainsFunc(raft.Servers, leads),
		"raft configuration", err)
	fails(operator.RaftRemovePeerByAddress("1.2.3.4:8300", nil), "was not found", "remove a peer")
	_, err = operator.RaftLeaderTransfer("", nil)
	if servers == 1 {
		fails(err, "cannot find peer", "transfer the lead")
	} else {
		no(err, "transfer the lead")
	}
	settings, err := operator.AutopilotGetConfiguration(nil)
	ok(err == nil && settings.LastContactThreshold.Duration() == 200*time.Millisecond, "autopilot", err)
	settings.MaxTrailingLogs = 300
	done, err := operator.AutopilotCASConfiguration(settings, nil)
	ok(err == nil && done, "autopilot cas", err)
	settings, err = operator.AutopilotGetConfiguration(nil)
	ok(err == nil && settings.MaxTrailingLogs == 300 && settings.ModifyIndex > 0, "is kept", err)
	until("autopilot health", func() bool {
		health, err := operator.AutopilotServerHealth(nil)
		return err == nil && health.Healthy && len(health.Servers) == servers
	})
	until("autopilot state", func() bool {
		state, err := operator.AutopilotState(nil)
		return err == nil && state.Healthy && len(state.Voters) == servers
	})
	_, err = operator.KeyringList(nil)
	fails(err, "Keyring is empty (encryption not enabled)", "keyring")
}

func snapshots() {
	_, err := client.KV().Put(&api.KVPair{Key: "go/kept", Value: []byte("old")}, nil)
	no(err, "a key to keep")
	archive, meta, err := client.Snapshot().Save(nil)
	no(err, "snapshot save")
	saved, err := io.ReadAll(archive)
	no(err, "is read to its end")
	ok(meta.LastIndex > 0 && meta.KnownLeader, "with the meta of a read", meta)
	_, err = client.KV().Put(&api.KVPair{Key: "go/kept", Value: []byte("new")}, nil)
	no(err, "the key changes")
	fails(client.Snapshot().Restore(nil, strings.NewReader("no archive")), "gzip: invalid header",
		"what is no archive is refused")
	no(client.Snapshot().Restore(nil, bytes.NewReader(saved)), "snapshot restore")
	pair, _, err := client.KV().Get("go/kept", nil)
	ok(err == nil && string(pair.Value) == "old", "the key is what it was", err)
	_, err = client.KV().Delete("go/kept", nil)
	no(err, "and goes")
}
