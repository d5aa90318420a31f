// Reads as Go programs narrow and sort them: filters, coordinates, what a cache says of itself.
package main

import (
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"
)

func reads() {
	register := func(node, address, id string) {
		_, err := client.Catalog().Register(&api.CatalogRegistration{
			Node: node, Address: address, NodeMeta: map[string]string{"zone": id},
			Service: &api.AgentService{Service: "sorted", ID: id, Tags: []string{id}},
			Check: &api.AgentCheck{
				Node: node, CheckID: "c-" + id, Name: "c", Status: api.HealthPassing, ServiceID: id,
			},
		}, nil)
		no(err, "an instance on "+node)
	}
	register("reads1", "10.1.0.1", "one")
	register("reads2", "10.1.0.2", "two")

	filter := &api.QueryOptions{Filter: `Node.Meta.zone == two and "two" in Service.Tags`}
	found, _, err := client.Health().Service("sorted", "", true, filter)
	no(err, "a filtered service")
	ok(len(found) == 1 && found[0].Service.ID == "two", "the filter keeps one instance")
	services, err := client.Agent().ServicesWithFilter(`Service matches "^none"`)
	no(err, "filtered services of the agent")
	ok(len(services) == 0, "none of them")
	_, _, err = client.Catalog().Nodes(&api.QueryOptions{Filter: "Nothing == 1"})
	fails(err, "Unexpected response code: 500", "a bad filter is 500")

	for at, node := range []string{"reads1", "reads2"} {
		place := coordinate.NewCoordinate(coordinate.DefaultConfig())
		place.Vec[0] = float64(2 - at)
		_, err := client.Coordinate().Update(&api.CoordinateEntry{Node: node, Coord: place}, nil)
		no(err, "the coordinate of "+node)
	}
	until("both nodes have coordinates", func() bool {
		entries, _, err := client.Coordinate().Node("reads2", nil)
		return err == nil && len(entries) == 1
	})
	near := &api.QueryOptions{Near: "reads2"}
	instances, _, err := client.Catalog().Service("sorted", "", near)
	no(err, "instances near to a node")
	ok(len(instances) == 2 && instances[0].Node == "reads2", "the near one is first")
	maps, err := client.Coordinate().Datacenters()
	no(err, "coordinates of datacenters")
	ok(len(maps) == 1 && maps[0].AreaID == "wan", "one datacenter")

	cached := &api.QueryOptions{UseCache: true, MaxAge: 10 * time.Second}
	for _, hit := range []bool{false, true} {
		_, meta, err := client.Health().Service("cached", "", false, cached)
		no(err, "a cached read")
		ok(meta.CacheHit == hit && meta.CacheAge == 0, "it tells what was there already")
		ok(meta.LastIndex > 0 && meta.KnownLeader, "and all the rest")
	}
	usage, _, err := client.Operator().Usage(nil)
	no(err, "usage")
	ok(usage.Usage["dc1"].ServiceInstances >= 3, "what is registered is counted")
	var nodes []map[string]any
	one := &api.QueryOptions{Filter: "Node == reads1"}
	_, err = client.Raw().Query("/v1/internal/ui/nodes", &nodes, one)
	no(err, "nodes of the web interface")
	ok(len(nodes) == 1, "filtered")
	for _, node := range []string{"reads1", "reads2"} {
		_, err := client.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil)
		no(err, node+" is gone")
	}
}
