# One server in a container, where clients come from outside of it.
#   gatehouse agent -config-file config/container.hcl -bind=0.0.0.0
#
# Whoever reaches its ports has all rights, since access control and TLS are not served yet: that must
# be stated, both as off, for it to listen on more than loopback.

datacenter     = "dc1"
data_dir       = "/var/lib/gatehouse"
client_addr    = "0.0.0.0"
advertise_addr = "{{ GetPrivateIP }}"
log_json       = true

acl {
  enabled = false
}
tls {
  https {}
}
