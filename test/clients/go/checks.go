// Checks as Go programs define them, against targets that are Go's own: net/http over TLS with
// HTTP/2, and plain sockets.
package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hashicorp/consul/api"
)

func checks() {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(r.Proto + " " + r.UserAgent() + " " + r.Header.Get("X-Test")))
		}))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	address := secure.Listener.Addr().String()
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	no(err, "UDP target listens")
	defer datagrams.Close()
	go func() {
		buffer := make([]byte, 1500)
		for {
			size, from, err := datagrams.ReadFrom(buffer)
			if err != nil {
				return
			}
			datagrams.WriteTo(buffer[:size], from)
		}
	}()
	no(client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		Name: "kinds",
		Checks: api.AgentServiceChecks{
			{
				CheckID: "https", HTTP: "https://" + address + "/", Interval: "1s", TLSSkipVerify: true,
				Header: map[string][]string{"X-Test": {"yes"}}, Method: "GET",
			},
			{CheckID: "untrusted", HTTP: "https://" + address + "/", Interval: "1s"},
			{CheckID: "h2ping", H2PING: address, H2PingUseTLS: true, TLSSkipVerify: true, Interval: "1s"},
			{CheckID: "tcp-tls", TCP: address, TCPUseTLS: true, TLSSkipVerify: true, Interval: "1s"},
			{CheckID: "udp", UDP: datagrams.LocalAddr().String(), Interval: "1s", Timeout: "2s"},
			{
				CheckID: "grpc", GRPC: address + "/some.Service", GRPCUseTLS: true, TLSSkipVerify: true,
				Interval: "1s",
			},
			{CheckID: "alias", AliasService: "nosuch"},
			{
				CheckID: "refused", TCP: "127.0.0.1:9", Interval: "1s", FailuresBeforeCritical: 2,
				Status: api.HealthPassing,
			},
		},
	}), "a service with checks of many kinds")
	says := func(id, status, part string) {
		until(id+" is "+status, func() bool {
			all, err := client.Agent().Checks()
			if err != nil || all[id] == nil {
				return false
			}
			return all[id].Status == status && strings.Contains(all[id].Output, part)
		})
	}
	says("https", "passing", "200 OK Output: HTTP/1.1 Consul Health Check yes")
	says("untrusted", "critical", "x509: certificate signed by unknown authority")
	says("h2ping", "passing", "HTTP2 ping was successful")
	says("tcp-tls", "passing", "Success")
	says("udp", "passing", "UDP connect "+datagrams.LocalAddr().String()+": Success")
	says("grpc", "critical", "rpc error: code = ")
	says("alias", "critical", "Service nosuch could not be found on node ")
	says("refused", "critical", "connection refused")
	secure.CloseClientConnections()
	err = client.Agent().CheckRegister(&api.AgentCheckRegistration{
		Name:              "script",
		AgentServiceCheck: api.AgentServiceCheck{Args: []string{"true"}, Interval: "1s"},
	})
	fails(err, "Scripts are disabled on this agent", "a script, where they are off")
	no(client.Agent().ServiceDeregister("kinds"), "service with its checks deregistered")
	left, err := client.Agent().Checks()
	no(err, "agent checks")
	is(len(left), 0, "no check is left")
}
