# A server to try things out on one machine: nothing is kept when it ends.
#   gatehouse agent -config-file config/dev.hcl

datacenter = "dc1"
log_level  = "debug"

store {
  engine = "memory"
}
