// The Go client against a running agent: github.com/hashicorp/consul/api, on which Nomad, Terraform
// and consul-template stand.
//
// Usage: go-consul HTTP_PORT PROGRAM, or go-consul tls HTTPS_PORT CA CERT KEY
//
// Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end.
package main

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

const bound = 15 * time.Second

var client *api.Client

// What there is behind the port, as test/clients/daemon.ts says it.
var isServer, servers, members = shape(os.Getenv("GATEHOUSE_TEST_TARGET"))

func shape(target string) (bool, int, int) {
	switch target {
	case "cluster":
		return true, 3, 3
	case "agent":
		return false, 3, 4
	}
	return true, 1, 1
}

func ok(holds bool, what string, details ...any) {
	if holds {
		fmt.Println("ok - " + what)
	} else {
		fmt.Println("not ok -", what, strings.ReplaceAll(fmt.Sprint(details...), "\n", " "))
	}
}

func is(found, wanted any, what string) {
	ok(reflect.DeepEqual(found, wanted), what, fmt.Sprintf(": %#v is not %#v", found, wanted))
}

func no(err error, what string) {
	ok(err == nil, what, err)
}

func fails(err error, part, what string) {
	ok(err != nil && strings.Contains(err.Error(), part), what, err)
}

func until(what string, probe func() bool) {
	for end := time.Now().Add(bound); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if probe() {
			fmt.Println("ok - " + what)
			return
		}
	}
	fmt.Println("not ok -", what, "not within", bound)
}

// Runs `ask` from its present index in the background, makes the change, and gives the answer.
func changed(ask func(*api.QueryOptions) (any, *api.QueryMeta, error), change func()) any {
	_, meta, err := ask(nil)
	if err != nil {
		return err
	}
	answers := make(chan any, 1)
	go func() {
		options := &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: bound}
		found, later, err := ask(options)
		if err == nil && later.LastIndex <= meta.LastIndex {
			err = fmt.Errorf("the index did not grow: %d", later.LastIndex)
		}
		if err != nil {
			answers <- err
		} else {
			answers <- found
		}
	}()
	time.Sleep(200 * time.Millisecond)
	change()
	return <-answers
}

func main() {
	if os.Args[1] == "tls" {
		overTLS(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
		fmt.Println("done")
		return
	}
	config := api.DefaultConfig()
	config.Address = "127.0.0.1:" + os.Args[1]
	var err error
	if client, err = api.NewClient(config); err != nil {
		panic(err)
	}
	if len(os.Args) > 3 {
		accessControl()
		fmt.Println("done")
		return
	}
	for _, part := range []func(){
		status, agent, checks, catalog, health, reads, kv, sessions, locks,
		entries, intentions, operator, snapshots,
		transactions, events, queries,
		commandLine, disabled,
	} {
		part()
	}
	fmt.Println("done")
}

func status() {
	leader, err := client.Status().Leader()
	no(err, "status leader")
	peers, err := client.Status().Peers()
	no(err, "status peers")
	ok(len(peers) == servers && slices.Contains(peers, leader), "peers names the leader", peers)
}

func agent() {
	self, err := client.Agent().Self()
	no(err, "agent self")
	node := self["Config"]["NodeName"]
	is(self["Config"]["Server"], isServer, "whether it is a server")
	is(self["Member"]["Name"], node, "its member")
	_, hasAddresses := self["DebugConfig"]["DNSAddrs"].([]any)
	ok(hasAddresses, "DebugConfig has the DNS addresses that Nomad reads")
	name, err := client.Agent().NodeName()
	no(err, "node name")
	is(any(name), node, "node name is the same")
	all, err := client.Agent().Members(false)
	no(err, "agent members")
	is(len(all), members, "all members")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	no(err, "target listens")
	healthy := http.StatusOK
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(healthy)
	}))
	url := "http://" + listener.Addr().String() + "/"
	registration := &api.AgentServiceRegistration{
		ID: "go1", Name: "go", Port: 4321, Address: "127.0.0.1", Tags: []string{"a", "b"},
		Meta:    map[string]string{"version": "2"},
		Weights: &api.AgentWeights{Passing: 3, Warning: 1},
		Checks: api.AgentServiceChecks{
			{HTTP: url, Interval: "1s", Timeout: "2s", Name: "web"},
			{CheckID: "go-ttl", TTL: "1h", Status: api.HealthPassing},
		},
	}
	no(client.Agent().ServiceRegister(registration), "service register")
	options := api.ServiceRegisterOpts{ReplaceExistingChecks: true}
	no(client.Agent().ServiceRegisterOpts(registration, options), "and again, replacing checks")
	services, err := client.Agent().Services()
	no(err, "agent services")
	mine := services["go1"]
	ok(mine != nil && mine.Weights.Passing == 3 && mine.Meta["version"] == "2", "as registered")
	check := func(id string) *api.AgentCheck {
		checks, _ := client.Agent().Checks()
		if checks[id] == nil {
			return &api.AgentCheck{}
		}
		return checks[id]
	}
	until("the HTTP check passes", func() bool { return check("service:go1:1").Status == "passing" })
	healthy = http.StatusInternalServerError
	until("it fails", func() bool { return check("service:go1:1").Status == "critical" })
	no(client.Agent().UpdateTTL("go-ttl", "by update", api.HealthWarning), "update TTL")
	is(check("go-ttl").Status+" "+check("go-ttl").Output, "warning by update", "it is a warning")
	no(client.Agent().FailTTL("go-ttl", "failed"), "fail TTL")
	is(check("go-ttl").Status, "critical", "it is critical")
	no(client.Agent().PassTTL("go-ttl", "passed"), "pass TTL")
	is(check("go-ttl").Status, "passing", "it is passing")
	service, meta, err := client.Agent().Service("go1", nil)
	ok(err == nil && service.Port == 4321 && meta.LastContentHash != "", "one service, with its hash")
	go func() {
		time.Sleep(200 * time.Millisecond)
		registration.Port = 4322
		client.Agent().ServiceRegister(registration)
	}()
	service, _, err = client.Agent().Service(
		"go1", &api.QueryOptions{WaitHash: meta.LastContentHash, WaitTime: bound})
	ok(err == nil && service.Port == 4322, "waiting by hash sees the change", err)
	state, infos, err := client.Agent().AgentHealthServiceByName("go")
	ok(err == nil && state == "critical" && len(infos) == 1, "health of the agent's service", state)
	no(client.Agent().EnableServiceMaintenance("go1", "why"), "service maintenance")
	state, _, err = client.Agent().AgentHealthServiceByID("go1")
	ok(err == nil && state == "critical", "counts as critical", state)
	no(client.Agent().DisableServiceMaintenance("go1"), "service maintenance off")
	no(client.Agent().EnableNodeMaintenance("why"), "node maintenance")
	is(check("_node_maintenance").Status, "critical", "is a critical check")
	no(client.Agent().DisableNodeMaintenance(), "node maintenance off")
	err = client.Agent().CheckRegister(&api.AgentCheckRegistration{
		Name: "of node", ID: "node-check", AgentServiceCheck: api.AgentServiceCheck{TTL: "1h"},
	})
	no(err, "check register")
	no(client.Agent().CheckDeregister("node-check"), "check deregister")
	fails(client.Agent().PassTTL("node-check", ""), "Unknown check", "it is gone")
	no(client.Agent().ServiceDeregister("go1"), "service deregister")
	fails(client.Agent().ServiceDeregister("go1"), "Unknown service", "it is gone")
}

func catalog() {
	register := func(id, status string) error {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: "ext", Address: "10.0.0.9", NodeMeta: map[string]string{"external-node": "true"},
			Service: &api.AgentService{ID: id, Service: "db", Tags: []string{id}, Port: 5432},
			Checks: api.HealthChecks{{
				Node: "ext", CheckID: id + "-health", Name: "health", ServiceID: id, Status: status,
			}},
		}, nil)
		return err
	}
	no(register("db1", api.HealthPassing), "catalog register")
	no(register("db2", api.HealthWarning), "and another instance")
	datacenters, err := client.Catalog().Datacenters()
	no(err, "datacenters")
	is(datacenters, []string{"dc1"}, "one datacenter")
	nodes, meta, err := client.Catalog().Nodes(
		&api.QueryOptions{NodeMeta: map[string]string{"external-node": "true"}})
	no(err, "nodes by metadata")
	ok(len(nodes) == 1 && nodes[0].Node == "ext", "only the one")
	ok(meta.KnownLeader && meta.LastIndex > 0 && meta.LastContact == 0, "the meta of a read", meta)
	services, _, err := client.Catalog().Services(nil)
	no(err, "services")
	tags := append([]string{}, services["db"]...)
	sort.Strings(tags)
	is(tags, []string{"db1", "db2"}, "with the tags of all instances")
	instances, _, err := client.Catalog().Service("db", "db2", nil)
	no(err, "service by tag")
	ok(len(instances) == 1 && instances[0].ServicePort == 5432, "one instance")
	node, _, err := client.Catalog().Node("ext", nil)
	no(err, "node")
	ok(node != nil && len(node.Services) == 2, "its services")
	node, _, err = client.Catalog().Node("nobody", nil)
	ok(node == nil && err == nil, "an unknown node is nil")
	_, _, err = client.Catalog().Nodes(&api.QueryOptions{Datacenter: "elsewhere"})
	fails(err, "No path to datacenter", "an unknown datacenter")
	_, _, err = client.Catalog().Nodes(&api.QueryOptions{AllowStale: true, RequireConsistent: true})
	fails(err, "conflicting semantics", "contradicting consistency")
}

func health() {
	entries, _, err := client.Health().Service("db", "", true, nil)
	no(err, "health of the passing instances")
	ok(len(entries) == 1 && entries[0].Service.ID == "db1", "one of two")
	entries, _, err = client.Health().ServiceMultipleTags("db", []string{"db1", "db2"}, false, nil)
	ok(err == nil && len(entries) == 0, "two tags mean both")
	checks, _, err := client.Health().Checks("db", nil)
	ok(err == nil && len(checks) == 2, "checks of a service")
	checks, _, err = client.Health().Node("ext", nil)
	ok(err == nil && checks.AggregatedStatus() == api.HealthWarning, "checks of a node")
	checks, _, err = client.Health().State(api.HealthWarning, nil)
	ok(err == nil && len(checks) == 1 && checks[0].CheckID == "db2-health", "checks by state")
	found := changed(func(options *api.QueryOptions) (any, *api.QueryMeta, error) {
		entries, meta, err := client.Health().Service("db", "", false, options)
		return len(entries), meta, err
	}, func() {
		_, err := client.Catalog().Deregister(
			&api.CatalogDeregistration{Node: "ext", ServiceID: "db2"}, nil)
		no(err, "catalog deregister")
	})
	is(found, 1, "a waiting health query sees the instance go")
	_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: "ext"}, nil)
	no(err, "catalog deregister of the node")
}

func kv() {
	store := client.KV()
	pair, meta, err := store.Get("go/none", nil)
	ok(pair == nil && err == nil && meta.LastIndex > 0, "a missing key", err)
	_, err = store.Put(&api.KVPair{Key: "go/a", Value: []byte("one"), Flags: math.MaxUint64}, nil)
	no(err, "put")
	pair, _, err = store.Get("go/a", &api.QueryOptions{RequireConsistent: true})
	ok(err == nil && string(pair.Value) == "one" && pair.Flags == math.MaxUint64, "get", err)
	done, _, err := store.CAS(&api.KVPair{Key: "go/a", Value: []byte("x")}, nil)
	ok(err == nil && !done, "cas 0 on an existing key")
	done, _, err = store.CAS(
		&api.KVPair{Key: "go/a", Value: []byte("two"), ModifyIndex: pair.ModifyIndex}, nil)
	ok(err == nil && done, "cas with the right index")
	_, err = store.Put(&api.KVPair{Key: "go/b/1", Value: make([]byte, 524_288)}, nil)
	no(err, "a value of 512 KiB")
	_, err = store.Put(&api.KVPair{Key: "go/b/2", Value: make([]byte, 524_289)}, nil)
	fails(err, "too large", "a larger one is refused, in Terraform's words")
	fails(err, "Value exceeds", "and in Vault's")
	pairs, _, err := store.List("go/", nil)
	ok(err == nil && len(pairs) == 2, "list")
	keys, _, err := store.Keys("go/", "/", nil)
	no(err, "keys")
	is(keys, []string{"go/a", "go/b/"}, "keys up to a separator")
	found := changed(func(options *api.QueryOptions) (any, *api.QueryMeta, error) {
		pairs, meta, err := store.List("go/b/", options)
		return len(pairs), meta, err
	}, func() {
		done, _, err := store.DeleteCAS(&api.KVPair{Key: "go/a", ModifyIndex: 1}, nil)
		ok(err == nil && !done, "delete by an old index")
		_, err = store.DeleteTree("go/b/", nil)
		no(err, "delete tree")
	})
	is(found, 0, "a waiting list sees the deletion")
	_, err = store.Delete("go/a", nil)
	no(err, "delete")
}

func sessions() {
	entry := &api.SessionEntry{
		Name: "one", TTL: "3600s", LockDelay: time.Millisecond, Behavior: "delete",
	}
	id, _, err := client.Session().Create(entry, nil)
	no(err, "session create")
	other, _, err := client.Session().CreateNoChecks(nil, nil)
	no(err, "session without checks")
	info, _, err := client.Session().Info(id, nil)
	ok(err == nil && info.TTL == "3600s" && info.LockDelay == time.Millisecond, "session info", info)
	list, _, err := client.Session().List(nil)
	ok(err == nil && len(list) == 2, "session list")
	list, _, err = client.Session().Node(info.Node, nil)
	ok(err == nil && len(list) == 2, "session node")
	renewed, _, err := client.Session().Renew(id, nil)
	ok(err == nil && renewed.ID == id, "session renew")
	held, _, err := client.KV().Acquire(&api.KVPair{Key: "go/held", Session: id}, nil)
	ok(err == nil && held, "acquire")
	held, _, err = client.KV().Acquire(&api.KVPair{Key: "go/held", Session: other}, nil)
	ok(err == nil && !held, "a second is refused")
	_, err = client.Session().Destroy(id, nil)
	no(err, "session destroy")
	pair, _, err := client.KV().Get("go/held", nil)
	ok(err == nil && pair == nil, "its key went with it")
	renewed, _, err = client.Session().Renew(id, nil)
	ok(err == nil && renewed == nil, "an ended session is not renewed")
	_, err = client.Session().Destroy(other, nil)
	no(err, "session destroy")
}

func locks() {
	first, err := client.LockOpts(&api.LockOptions{Key: "go/lock", LockDelay: time.Nanosecond})
	no(err, "lock")
	lost, err := first.Lock(nil)
	ok(err == nil && lost != nil, "the first holds it", err)
	second, _ := client.LockKey("go/lock")
	taken := make(chan error, 1)
	go func() {
		_, err := second.Lock(nil)
		taken <- err
	}()
	select {
	case <-taken:
		ok(false, "the second waits")
	case <-time.After(300 * time.Millisecond):
		ok(true, "the second waits")
	}
	no(first.Unlock(), "the first gives it back")
	select {
	case err := <-taken:
		no(err, "the second has it")
	case <-time.After(bound):
		ok(false, "the second has it")
	}
	ok(first.Destroy() == api.ErrLockInUse, "a lock in use is not destroyed")
	no(second.Unlock(), "the second gives it back")
	no(second.Destroy(), "then it is")

	third, _ := client.LockOpts(&api.LockOptions{Key: "go/lost", LockDelay: time.Nanosecond})
	lost, err = third.Lock(nil)
	no(err, "a lock to be lost")
	pair, _, err := client.KV().Get("go/lost", nil)
	no(err, "its key")
	_, err = client.Session().Destroy(pair.Session, nil)
	no(err, "its session ends")
	select {
	case <-lost:
		ok(true, "the holder is told")
	case <-time.After(bound):
		ok(false, "the holder is told")
	}

	semaphore, err := client.SemaphorePrefix("go/semaphore", 2)
	no(err, "semaphore")
	slot, err := semaphore.Acquire(nil)
	ok(err == nil && slot != nil, "semaphore acquire", err)
	no(semaphore.Release(), "semaphore release")
}
