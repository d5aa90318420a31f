# One server that keeps its data on disk.
#   gatehouse agent -config-file config/server.hcl

datacenter = "dc1"
data_dir   = "/var/lib/gatehouse"
log_level  = "info"

# The node's address in the catalog. Set it to one that other machines reach.
bind_addr = "127.0.0.1"

# Where clients connect. Whoever reaches another address than loopback has all rights so far, so that
# one is only taken with both of these stated: acl { enabled = false } tls { https {} }
client_addr = "127.0.0.1"

ports {
  http = 8500
  dns  = 8600
}

dns_config {
  # Without a TTL every look-up by a proxy or resolver comes back here.
  node_ttl = "5s"
  service_ttl {
    "*" = "2s"
  }
  enable_truncate = true
}

store {
  engine = "level"
}
