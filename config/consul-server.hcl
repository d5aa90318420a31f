# A single server as configurations for Consul have it: it starts unchanged. What means nothing here,
# or is not served yet, is told in the log at the start, one line each.
#   gatehouse agent -config-file config/consul-server.hcl

datacenter       = "dc1"
node_name        = "server-1"
data_dir         = "/opt/consul"
server           = true
bootstrap_expect = 1

bind_addr      = "0.0.0.0"
advertise_addr = "{{ GetInterfaceIP \"^(eth|en)\" }}"
client_addr    = "127.0.0.1"
retry_join     = ["127.0.0.1"]
encrypt        = "pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s="

addresses {
  http = "127.0.0.1 unix:///run/consul/http.sock"
}
unix_sockets {
  mode = "0770"
}
ports {
  grpc = 8502
}
ui_config {
  enabled = true
}
connect {
  enabled = true
}

log_level            = "INFO"
leave_on_terminate   = false
rejoin_after_leave   = true
disable_update_check = true
raft_protocol        = 3

performance {
  raft_multiplier = 1
}
autopilot {
  cleanup_dead_servers = true
}
telemetry {
  prometheus_retention_time = "24h"
  disable_hostname          = true
}
http_config {
  response_headers {
    Access-Control-Allow-Origin = "*"
  }
  allow_write_http_from = ["127.0.0.0/8"]
}
limits {
  http_max_conns_per_client = 1000
  request_limits {
    mode       = "permissive"
    read_rate  = 5000
    write_rate = 500
  }
}
acl {
  enabled                  = false
  default_policy           = "allow"
  enable_token_persistence = true
}

service {
  name = "web"
  tags = ["v1"]
  port = 8080
  checks = [
    {
      http     = "http://127.0.0.1:8080/health"
      interval = "10s"
      timeout  = "1s"
    }
  ]
}

watches = [
  {
    type = "key"
    key  = "web/config"
    args = ["/usr/local/bin/reload-web"]
  },
  {
    type         = "service"
    service      = "web"
    passingonly  = true
    handler_type = "http"
    http_handler_config {
      path    = "http://127.0.0.1:8080/changed"
      timeout = "3s"
    }
  }
]
