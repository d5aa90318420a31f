// Transactions, events and prepared queries, as Go's client has them.
package main

import (
	"math"
	"time"

	"github.com/hashicorp/consul/api"
)

func transactions() {
	store := client.KV()
	held, _, err := client.Session().CreateNoChecks(nil, nil)
	no(err, "session")
	done, reply, _, err := store.Txn(api.KVTxnOps{
		{Verb: api.KVSet, Key: "txn/a", Value: []byte("one"), Flags: math.MaxUint64},
		{Verb: api.KVLock, Key: "txn/lock", Session: held},
		{Verb: api.KVGet, Key: "txn/a"},
		{Verb: api.KVGetTree, Key: "txn/"},
		{Verb: api.KVCheckNotExists, Key: "txn/none"},
	}, nil)
	ok(done && err == nil && len(reply.Errors) == 0, "KV.Txn", err, reply)
	is(len(reply.Results), 5, "a result of each that has one, two of the tree")
	is(reply.Results[0].Value, []byte(nil), "a set shows no value")
	is(reply.Results[2].Value, []byte("one"), "a get does")
	ok(reply.Results[2].Flags == math.MaxUint64, "flags keep their 64 bits")
	pair, _, err := store.Get("txn/a", nil)
	ok(err == nil && pair.ModifyIndex == reply.Results[0].ModifyIndex, "and the index that is stored")
	done, reply, _, err = store.Txn(api.KVTxnOps{
		{Verb: api.KVDelete, Key: "txn/a"},
		{Verb: api.KVCAS, Key: "txn/lock", Index: 1},
	}, nil)
	ok(!done && err == nil && len(reply.Errors) == 1, "one that fails is no error", err)
	is(reply.Errors[0].OpIndex, 1, "it names the operation")
	is(reply.Errors[0].What, `failed to set key "txn/lock", index is stale`, "and says why")
	pair, _, err = store.Get("txn/a", nil)
	ok(err == nil && pair != nil, "and nothing was done")
	big := api.KVTxnOps{{Verb: api.KVSet, Key: "txn/big", Value: make([]byte, 524_288)}}
	done, _, _, err = store.Txn(big, nil)
	ok(done && err == nil, "a value of 512 KiB", err)
	big[0].Value = make([]byte, 524_289)
	_, _, _, err = store.Txn(big, nil)
	fails(err, "is too large", "a larger one is refused, in Vault's words")
	many := make(api.KVTxnOps, 129)
	for i := range many {
		many[i] = &api.KVTxnOp{Verb: api.KVGet, Key: "txn/a"}
	}
	_, _, _, err = store.Txn(many, nil)
	fails(err, "Transaction contains too many operations (129 > 128)", "too many operations")
	catalogTransaction()
	_, err = store.DeleteTree("txn/", nil)
	no(err, "delete tree")
	_, err = client.Session().Destroy(held, nil)
	no(err, "session destroy")
}

func catalogTransaction() {
	node := api.Node{Node: "txn", Address: "10.0.0.7"}
	done, reply, _, err := client.Txn().Txn(api.TxnOps{
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: node}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: "txn",
			Service: api.AgentService{ID: "s", Service: "txn-service", Port: 7}}},
		{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: api.HealthCheck{
			Node: "txn", CheckID: "c", Name: "c", Status: "passing", ServiceID: "s"}}},
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: "txn/catalog"}},
	}, nil)
	ok(done && err == nil && len(reply.Results) == 4, "Txn.Txn", err, reply)
	// This client reads services as the catalog lists them; the id is all that it finds in these.
	is(reply.Results[1].Service.ID, "s", "the service that was set")
	entries, _, err := client.Health().Service("txn-service", "", true, nil)
	ok(err == nil && len(entries) == 1 && entries[0].Checks[0].CheckID == "c", "it is in the catalog")
	node.ModifyIndex = reply.Results[0].Node.ModifyIndex
	done, reply, _, err = client.Txn().Txn(api.TxnOps{
		{Node: &api.NodeTxnOp{Verb: api.NodeGet, Node: node}},
		{Node: &api.NodeTxnOp{Verb: api.NodeDeleteCAS, Node: node}},
	}, nil)
	ok(done && err == nil && len(reply.Results) == 1, "delete by the index that it has", err, reply)
	services, _, err := client.Catalog().Service("txn-service", "", nil)
	ok(err == nil && len(services) == 0, "its services went with it")
}

func events() {
	list, meta, err := client.Event().List("go", nil)
	ok(err == nil && len(list) == 0 && meta.LastIndex == 1, "no events", err)
	id, _, err := client.Event().Fire(&api.UserEvent{Name: "go", Payload: []byte("now")}, nil)
	no(err, "fire")
	list, meta, err = client.Event().List("go", nil)
	ok(err == nil && len(list) == 1 && list[0].ID == id, "the event is listed", err)
	is(list[0].Payload, []byte("now"), "with its payload")
	is(meta.LastIndex, client.Event().IDToIndex(id), "the index is made of its id")
	woken := make(chan int, 1)
	go func() {
		// The index has no order: it is another one, higher or lower.
		list, _, _ := client.Event().List("go", &api.QueryOptions{WaitIndex: meta.LastIndex})
		woken <- len(list)
	}()
	time.Sleep(200 * time.Millisecond)
	_, _, err = client.Event().Fire(&api.UserEvent{Name: "go"}, nil)
	no(err, "fire again")
	select {
	case found := <-woken:
		is(found, 2, "who waits for events is woken")
	case <-time.After(bound):
		ok(false, "who waits for events is woken")
	}
	_, _, err = client.Event().Fire(&api.UserEvent{Name: "go", NodeFilter: "^elsewhere$"}, nil)
	no(err, "an event for other nodes")
	list, _, err = client.Event().List("go", nil)
	ok(err == nil && len(list) == 2, "is not listed here")
	_, _, err = client.Event().Fire(&api.UserEvent{Name: "go", TagFilter: "x"}, nil)
	fails(err, "Cannot provide tag filter without service filter", "a tag of no service")
}

func queries() {
	for n, status := range map[string]string{"q1": "passing", "q2": "warning", "q3": "critical"} {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: n, Address: "10.0.0.8",
			Service: &api.AgentService{ID: n, Service: "queried", Tags: []string{n}},
			Check:   &api.AgentCheck{Node: n, CheckID: "c", Name: "c", Status: status, ServiceID: n},
		}, nil)
		no(err, "register "+n)
	}
	prepared := client.PreparedQuery()
	definition := &api.PreparedQueryDefinition{
		Name:    "go-query",
		Service: api.ServiceQuery{Service: "queried", Tags: []string{"!q9"}},
		DNS:     api.QueryDNSOptions{TTL: "30s"},
	}
	id, _, err := prepared.Create(definition, nil)
	no(err, "create")
	definition.ID = id
	got, _, err := prepared.Get(id, nil)
	no(err, "get")
	is(got, []*api.PreparedQueryDefinition{definition}, "it is what was created, field by field")
	list, meta, err := prepared.List(nil)
	ok(err == nil && len(list) == 1 && meta.LastIndex > 1, "list")
	answer, meta, err := prepared.Execute("go-query", nil)
	ok(err == nil && meta.KnownLeader, "execute", err)
	is(len(answer.Nodes), 2, "all that are not critical")
	is(answer.DNS.TTL, "30s", "with the TTL of the query")
	answer, _, err = prepared.Execute(id, &api.QueryOptions{Near: "q2"})
	ok(err == nil && answer.Nodes[0].Node.Node == "q2", "near to a node, which comes first", err)
	definition.Service.OnlyPassing = true
	_, err = prepared.Update(definition, nil)
	no(err, "update")
	answer, _, err = prepared.Execute("go-query", nil)
	ok(err == nil && len(answer.Nodes) == 1, "only those that pass", err)
	_, _, err = prepared.Create(&api.PreparedQueryDefinition{
		Name: "go-query", Service: api.ServiceQuery{Service: "x"}}, nil)
	fails(err, "aliases an existing query name", "a name that is taken")
	template, _, err := prepared.Create(&api.PreparedQueryDefinition{
		Name:     "go-geo-",
		Template: api.QueryTemplate{Type: "name_prefix_match", Regexp: "^go-geo-(.*)$"},
		Service:  api.ServiceQuery{Service: "${match(1)}"},
	}, nil)
	no(err, "create a template")
	answer, _, err = prepared.Execute("go-geo-queried", nil)
	ok(err == nil && answer.Service == "queried" && len(answer.Nodes) == 2, "execute it", err)
	for _, one := range []string{id, template} {
		_, err = prepared.Delete(one, nil)
		no(err, "delete")
	}
	_, _, err = prepared.Execute("go-query", nil)
	fails(err, "404", "one that is gone")
	fails(err, "Query not found", "says so")
	for _, n := range []string{"q1", "q2", "q3"} {
		_, err = client.Catalog().Deregister(&api.CatalogDeregistration{Node: n}, nil)
		no(err, "deregister")
	}
}
