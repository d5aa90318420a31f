// Programs that use Consul start an agent in their own tests, by the helpers of Consul's Go SDK:
// a program called consul on the PATH, which is ours here. What those helpers write into its
// configuration, ask it and send it must work as it does with Consul.
package sdk

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/consul/sdk/testutil"
)

func start(t *testing.T, change testutil.ServerConfigCallback) *testutil.TestServer {
	t.Helper()
	server, err := testutil.NewTestServerConfigT(t, change)
	if err != nil {
		t.Fatalf("it did not start: %v", err)
	}
	return server
}

func stop(t *testing.T, server *testutil.TestServer) {
	t.Helper()
	begin := time.Now()
	if err := server.Stop(); err != nil {
		t.Fatalf("it did not stop well: %v", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Fatalf("it took %v to obey the signal", took)
	}
}

func get(t *testing.T, server *testutil.TestServer, path string, into any) {
	t.Helper()
	base := "http://" + server.HTTPAddr
	if server.Config.Addresses.HTTP != "" {
		base = "http://consul"
	}
	answer, err := server.HTTPClient.Get(base + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %s", path, answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestDefaults(t *testing.T) {
	server := start(t, nil)
	server.WaitForLeader(t)
	server.WaitForSerfCheck(t)

	server.SetKVString(t, "a/b", "value")
	if got := server.GetKVString(t, "a/b"); got != "value" {
		t.Fatalf("read %q", got)
	}
	server.PopulateKV(t, map[string][]byte{"p/1": []byte("x"), "p/2": []byte("y")})
	if keys := server.ListKV(t, "p/"); len(keys) != 2 {
		t.Fatalf("listed %v", keys)
	}
	server.AddService(t, "redis", testutil.HealthPassing, []string{"master"})
	server.AddAddressableService(t, "web", testutil.HealthCritical, "10.0.0.1", 80, []string{"v1"})
	server.AddCheck(t, "service:redis:extra", "redis", testutil.HealthWarning)

	var self struct {
		Config struct{ NodeName, NodeID, Version string }
	}
	get(t, server, "/v1/agent/self", &self)
	if self.Config.NodeName != server.Config.NodeName || self.Config.NodeID != server.Config.NodeID {
		t.Fatalf("it is %+v", self.Config)
	}
	if self.Config.Version != server.Config.Version {
		t.Fatalf("version %q, configured %q", self.Config.Version, server.Config.Version)
	}
	var entries []struct {
		Service struct{ Service string }
		Checks  []struct{ Status string }
	}
	get(t, server, "/v1/health/service/web", &entries)
	if len(entries) != 1 || len(entries[0].Checks) != 2 {
		t.Fatalf("health of web: %+v", entries)
	}
	folder := filepath.Dir(server.Config.DataDir)
	stop(t, server)
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Fatalf("its folder is still there: %v", err)
	}
}

func TestEverythingThatTheHelperCanWrite(t *testing.T) {
	server := start(t, func(c *testutil.TestServerConfig) {
		c.NodeMeta = map[string]string{"rack": "r1"}
		c.NodeLocality = &testutil.Locality{Region: "r", Zone: "z"}
		c.Datacenter = "dc7"
		c.PrimaryDatacenter = "dc7"
		c.RaftProtocol = 3
		c.ACL = testutil.TestACLs{
			PolicyTTL:     "30s",
			TokenTTL:      "30s",
			DownPolicy:    "extend-cache",
			DefaultPolicy: "deny",
			DisabledTTL:   "1s",
			Tokens:        testutil.TestTokens{InitialManagement: "root", AgentRecovery: "other"},
		}
		c.ACLDefaultPolicy = "deny"
		c.Encrypt = "kdxRGPYPXQ7rE0WUgTrmqw=="
		c.EnableScriptChecks = true
		c.EnableDebug = true
		c.SkipLeaveOnInt = false
		c.Peering = nil
		c.Autopilot = &testutil.TestAutopilotConfig{ServerStabilizationTime: "500ms"}
		c.Audit = &testutil.TestAuditConfig{}
		c.Ports.HTTPS = -1
		c.Ports.GRPC = -1
		c.Ports.GRPCTLS = -1
		c.Ports.DNS = -1
		c.Ports.SerfWan = -1
		c.Ports.ProxyMinPort = 20000
		c.Ports.ProxyMaxPort = 20255
		c.Connect = nil
		c.Args = []string{"-hcl", `limits { http_max_conns_per_client = -1 }`}
	})
	defer stop(t, server)
	server.WaitForLeader(t)
	var names []string
	get(t, server, "/v1/catalog/datacenters", &names)
	if len(names) != 1 || names[0] != "dc7" {
		t.Fatalf("datacenters %v", names)
	}
}

func TestSocketInAFile(t *testing.T) {
	folder, err := os.MkdirTemp("", "sdk")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	server := start(t, func(c *testutil.TestServerConfig) {
		c.Addresses.HTTP = "unix://" + filepath.Join(folder, "http.sock")
	})
	defer stop(t, server)
	server.WaitForLeader(t)
	var leader string
	get(t, server, "/v1/status/leader", &leader)
	if _, _, err := net.SplitHostPort(leader); err != nil {
		t.Fatalf("leader %q", leader)
	}
}

func TestFourAtOnce(t *testing.T) {
	for i := 0; i < 4; i++ {
		i := i
		t.Run(fmt.Sprintf("server %d", i), func(t *testing.T) {
			t.Parallel()
			server := start(t, nil)
			defer stop(t, server)
			server.WaitForSerfCheck(t)
			server.SetKVString(t, "who", fmt.Sprint(i))
			if got := server.GetKVString(t, "who"); got != fmt.Sprint(i) {
				t.Fatalf("read %q", got)
			}
		})
	}
}

func TestAccessControl(t *testing.T) {
	const token = "5f1d0a3c-8d6e-4b1f-9a53-2c7c1c1f7e10"
	server := start(t, func(c *testutil.TestServerConfig) {
		c.ACL.Enabled = true
		c.ACL.DefaultPolicy = "deny"
		c.ACL.Tokens.InitialManagement = token
	})
	defer stop(t, server)
	server.WaitForLeader(t)
	for shown, wanted := range map[string]int{token: http.StatusOK, "": http.StatusForbidden} {
		asked, _ := http.NewRequest("GET", "http://"+server.HTTPAddr+"/v1/acl/tokens", nil)
		asked.Header.Set("X-Consul-Token", shown)
		answer, err := server.HTTPClient.Do(asked)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != wanted {
			t.Fatalf("token %q: %d", shown, answer.StatusCode)
		}
	}
}

// The certificates are made as people make them, by the program called consul.
func TestHTTPS(t *testing.T) {
	folder := t.TempDir()
	for _, words := range [][]string{{"ca", "create"}, {"cert", "create", "-server"}} {
		made := exec.Command("consul", append([]string{"tls"}, words...)...)
		made.Dir = folder
		if said, err := made.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
	}
	at := func(name string) string { return filepath.Join(folder, name) }
	server := start(t, func(c *testutil.TestServerConfig) {
		c.CAFile = at("consul-agent-ca.pem")
		c.CertFile = at("dc1-server-consul-0.pem")
		c.KeyFile = at("dc1-server-consul-0-key.pem")
		c.VerifyIncomingHTTPS = true
	})
	defer stop(t, server)
	authority, err := os.ReadFile(at("consul-agent-ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(at("dc1-server-consul-0.pem"), at("dc1-server-consul-0-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(authority)
	ask := func(shown ...tls.Certificate) error {
		config := &tls.Config{RootCAs: trusted, Certificates: shown}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
		defer client.CloseIdleConnections()
		answer, err := client.Get("https://" + server.HTTPSAddr + "/v1/status/leader")
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := ask(pair); err != nil {
		t.Fatalf("who shows a certificate: %v", err)
	}
	if ask() == nil {
		t.Fatal("who shows none was answered")
	}
}
