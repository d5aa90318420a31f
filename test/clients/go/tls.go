// The same client over TLS, to a server that wants a certificate of its clients.
package main

import (
	"os"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

func overTLS(port, ca, cert, key string) {
	ask := func(change func(*api.Config)) (string, error) {
		config := api.DefaultConfig()
		config.Address = "127.0.0.1:" + port
		config.Scheme = "https"
		config.TLSConfig = api.TLSConfig{CAFile: ca, CertFile: cert, KeyFile: key}
		change(config)
		made, err := api.NewClient(config)
		if err != nil {
			return "", err
		}
		return made.Status().Leader()
	}
	leader, err := ask(func(*api.Config) {})
	no(err, "a client that shows its certificate is answered")
	ok(strings.HasPrefix(leader, "127.0.0.1:"), "with the leader", leader)
	_, err = ask(func(c *api.Config) { c.TLSConfig.CAFile = "" })
	fails(err, "certificate signed by unknown authority", "an authority that nobody named is not believed")
	_, err = ask(func(c *api.Config) { c.TLSConfig.Address = "other.example" })
	fails(err, "certificate is valid for", "the name in the certificate is looked at")
	_, err = ask(func(c *api.Config) { c.TLSConfig.Address = "server.dc1.consul" })
	no(err, "by the name of servers it is the right one")
	_, err = ask(func(c *api.Config) { c.TLSConfig.InsecureSkipVerify, c.TLSConfig.CAFile = true, "" })
	no(err, "a client may look at nothing")
	_, err = ask(func(c *api.Config) { c.TLSConfig.CertFile, c.TLSConfig.KeyFile = "", "" })
	ok(err != nil, "a client that shows nothing is not answered", err)
	_, err = ask(func(c *api.Config) { c.Scheme = "http" })
	ok(err != nil, "nor is one that speaks in clear", err)

	for name, value := range map[string]string{
		"CONSUL_HTTP_ADDR": "https://127.0.0.1:" + port, "CONSUL_CACERT": ca,
		"CONSUL_CLIENT_CERT": cert, "CONSUL_CLIENT_KEY": key,
	} {
		os.Setenv(name, value)
	}
	if client, err = api.NewClient(api.DefaultConfig()); err != nil {
		panic(err)
	}
	_, err = client.KV().Put(&api.KVPair{Key: "tls/a", Value: []byte("1")}, nil)
	no(err, "the environment says all that is needed")
	found := changed(func(options *api.QueryOptions) (any, *api.QueryMeta, error) {
		pair, meta, err := client.KV().Get("tls/a", options)
		if err != nil {
			return nil, nil, err
		}
		return string(pair.Value), meta, nil
	}, func() {
		_, err := client.KV().Put(&api.KVPair{Key: "tls/a", Value: []byte("2")}, nil)
		no(err, "a write beside a blocking query over TLS")
	})
	is(found, "2", "which wakes")
	started := time.Now()
	self, err := client.Agent().Self()
	no(err, "the agent says what it is")
	config, _ := self["DebugConfig"]
	is(config["HTTPSPort"] != nil, true, "its port of HTTPS too")
	ok(time.Since(started) < bound, "in time")
}
