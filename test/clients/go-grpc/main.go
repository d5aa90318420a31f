// Foreign clients of the gRPC port: consul-server-connection-manager, by which consul-dataplane and
// consul-k8s find servers and log in, and the stubs that Consul publishes for its public services.
//
// Usage: go-grpc HOST:PORT TLS_HOST:PORT CA_FILE SERVER_NAME TOKEN AUTH_METHOD JWT
//
// The manager speaks TLS: in clear it sends an empty :authority, which Node's HTTP/2 resets.
//
// `web` is a service with one healthy instance at 10.0.0.7, which TOKEN and the token of the login
// may read.
//
// Prints `ok - what` or `not ok - what: why` for each fact and `done` at the end.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul-server-connection-manager/discovery"
	"github.com/hashicorp/consul/proto-public/pbacl"
	"github.com/hashicorp/consul/proto-public/pbconnectca"
	"github.com/hashicorp/consul/proto-public/pbdataplane"
	"github.com/hashicorp/consul/proto-public/pbdns"
	"github.com/hashicorp/consul/proto-public/pbserverdiscovery"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	transport "google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const bound = 15 * time.Second

var section string

func say(verdict, what string, details ...any) {
	text := strings.ReplaceAll(fmt.Sprint(details...), "\n", " ")
	fmt.Println(strings.TrimSuffix(verdict+" - "+section+": "+what+": "+text, ": "))
}

func ok(holds bool, what string, details ...any) {
	if holds {
		say("ok", what)
	} else {
		say("not ok", what, details...)
	}
}

func no(err error, what string) bool {
	ok(err == nil, what, err)
	return err == nil
}

func code(err error, wanted codes.Code, part, what string) {
	found := status.Convert(err)
	ok(found.Code() == wanted && strings.Contains(found.Message(), part), what, err)
}

func main() {
	address, secure, ca, name := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	token, method, jwt := os.Args[5], os.Args[6], os.Args[7]
	trusted := trustedBy(ca, name)
	manager(secure, trusted, "a token", discovery.Credentials{
		Type:   discovery.CredentialsTypeStatic,
		Static: discovery.StaticTokenCredential{Token: token},
	}, token)
	manager(secure, trusted, "a login", discovery.Credentials{
		Type: discovery.CredentialsTypeLogin,
		Login: discovery.LoginCredential{
			AuthMethod: method, BearerToken: jwt, Meta: map[string]string{"pod": "web-1"},
		},
	}, "")
	stubs(address, token, method, jwt)
	fmt.Println("done")
}

func trustedBy(file, name string) *tls.Config {
	pem, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, ServerName: name}
}

// What consul-dataplane does before anything else.
func manager(
	address string, trusted *tls.Config, name string, credentials discovery.Credentials, token string,
) {
	section = "connection manager with " + name
	host, text, _ := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	config := discovery.Config{
		Addresses: host, GRPCPort: port, TLS: trusted, Credentials: credentials,
	}
	quiet := hclog.NewNullLogger()
	watcher, err := discovery.NewWatcher(ctx, config, quiet)
	if !no(err, "it is made") {
		return
	}
	go watcher.Run()
	state, err := watcher.State()
	if !no(err, "it finds a server") {
		return
	}
	ok(state.Address.String() == address, "at the address that the server says", state.Address)
	ok(state.DataplaneFeatures["DATAPLANE_FEATURES_WATCH_SERVERS"], "which tells of all servers")
	if token != "" {
		ok(state.Token == token, "the token is the one that was given")
	} else {
		ok(len(state.Token) == 36, "the login gave a token", len(state.Token))
	}
	ask := metadata.AppendToOutgoingContext(ctx, "x-consul-token", state.Token)
	found, err := addresses(ask, state.GRPCConn, "web.service.consul.")
	no(err, "DNS is asked through its connection")
	ok(strings.Join(found, " ") == "10.0.0.7", "and answers", found)
	watcher.Stop()
	if token == "" {
		connection := dial(address, transport.NewTLS(trusted))
		defer connection.Close()
		stream, err := pbserverdiscovery.NewServerDiscoveryServiceClient(connection).
			WatchServers(ask, &pbserverdiscovery.WatchServersRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		code(err, codes.Unauthenticated, "ACL not found", "stopping logged it out")
	}
}

func dial(address string, by transport.TransportCredentials) *grpc.ClientConn {
	connection, err := grpc.NewClient(
		"passthrough:///"+address, grpc.WithTransportCredentials(by))
	if err != nil {
		panic(err)
	}
	return connection
}

// The IPv4 addresses of a name, asked by DNS over gRPC.
func addresses(ctx context.Context, connection grpc.ClientConnInterface, name string) ([]string, error) {
	question := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 4711, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}},
	}
	bytes, err := question.Pack()
	if err != nil {
		return nil, err
	}
	answer, err := pbdns.NewDNSServiceClient(connection).Query(ctx, &pbdns.QueryRequest{
		Msg: bytes, Protocol: pbdns.Protocol_PROTOCOL_UDP,
	})
	if err != nil {
		return nil, err
	}
	var message dnsmessage.Message
	if err := message.Unpack(answer.Msg); err != nil {
		return nil, err
	}
	if message.ID != 4711 {
		return nil, fmt.Errorf("the id is %d", message.ID)
	}
	var found []string
	for _, record := range message.Answers {
		if a, isA := record.Body.(*dnsmessage.AResource); isA {
			found = append(found, net.IP(a.A[:]).String())
		}
	}
	return found, nil
}

func stubs(address, token, method, jwt string) {
	section = "stubs"
	connection := dial(address, insecure.NewCredentials())
	defer connection.Close()
	plain, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	ctx := metadata.AppendToOutgoingContext(plain, "x-consul-token", token)

	servers := pbserverdiscovery.NewServerDiscoveryServiceClient(connection)
	stream, err := servers.WatchServers(ctx, &pbserverdiscovery.WatchServersRequest{})
	no(err, "servers are watched")
	first, err := stream.Recv()
	if no(err, "all servers are told at once") {
		ok(len(first.Servers) == 1 && first.Servers[0].Id != "" && first.Servers[0].Version != "",
			"each with its id and version", first)
	}
	stream, err = servers.WatchServers(
		metadata.AppendToOutgoingContext(plain, "x-consul-token", "00000000-1111-2222-3333-444444444444"),
		&pbserverdiscovery.WatchServersRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	code(err, codes.Unauthenticated, "ACL not found", "a token that nobody has is refused")

	acl := pbacl.NewACLServiceClient(connection)
	_, err = acl.Login(plain, &pbacl.LoginRequest{AuthMethod: "none-such", BearerToken: jwt})
	ok(err != nil, "a login by a method that is not there is refused")
	login, err := acl.Login(plain, &pbacl.LoginRequest{AuthMethod: method, BearerToken: jwt})
	if no(err, "a login") {
		ok(login.Token.AccessorId != "" && login.Token.SecretId != "", "gives a token")
		_, err = acl.Logout(plain, &pbacl.LogoutRequest{Token: login.Token.SecretId})
		no(err, "which is logged out")
		_, err = acl.Logout(plain, &pbacl.LogoutRequest{Token: login.Token.SecretId})
		no(err, "and once more, which changes nothing")
	}
	_, err = acl.Login(plain, &pbacl.LoginRequest{AuthMethod: method, BearerToken: jwt + "x"})
	ok(err != nil, "a login with a forged token is refused")

	features, err := pbdataplane.NewDataplaneServiceClient(connection).
		GetSupportedDataplaneFeatures(ctx, &pbdataplane.GetSupportedDataplaneFeaturesRequest{})
	no(err, "features are told")
	for _, feature := range features.GetSupportedDataplaneFeatures() {
		if feature.FeatureName != pbdataplane.DataplaneFeatures_DATAPLANE_FEATURES_WATCH_SERVERS {
			ok(!feature.Supported, "nothing is said to be served that is not", feature)
		}
	}
	_, err = pbconnectca.NewConnectCAServiceClient(connection).Sign(ctx, &pbconnectca.SignRequest{})
	code(err, codes.Unimplemented, "not served yet", "what comes with the mesh says so")
}
