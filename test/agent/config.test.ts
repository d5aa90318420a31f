/**
 * What a configuration means: defaults, merging, refusals with their place, and the rule that
 * nothing listens where others can reach it.
 */
import fc from 'fast-check'
import t from 'tap'
import type { MachineAddress } from '../../src/agent/address-template.ts'
import {
  type Config,
  type ConfigResult,
  type ConfigSources,
  resolveConfig,
} from '../../src/agent/config.ts'
import { agentFlags } from '../../src/agent/config-read.ts'
import { later, served } from '../../src/agent/config-schema.ts'
import { propertyRuns } from '../run/budget.ts'

/** An address of the machine, on an interface of its own. */
const onMachine = (address: string): MachineAddress => ({
  name: address,
  address,
  prefixBits: 24,
  isLoopback: address.startsWith('127.'),
  isDefault: false,
})

const surroundings = {
  hostName: 'host-1',
  interfaces: [onMachine('127.0.0.1')],
  workingDir: '/w',
}

function resolve(sources: Partial<ConfigSources>, machine = surroundings): ConfigResult {
  return resolveConfig({ texts: [], flags: [], isDev: false, ...sources }, machine)
}

const text = (body: string, name = 'a.hcl') => ({ name, text: body, format: 'hcl' as const })
const hcl = (...bodies: string[]): ConfigResult =>
  resolve({ texts: bodies.map((body, i) => text(body, `${i}.hcl`)) })

function configOf(result: ConfigResult): Config {
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return result.config
}

const problemsOf = (result: ConfigResult): string =>
  'problems' in result ? result.problems.join('\n') : 'accepted'

t.test('defaults: one server on the level engine, loopback, 8500 and 8600', async t => {
  const config = configOf(resolve({}))
  t.match(config, {
    datacenter: 'dc1',
    nodeName: 'host-1',
    nodeId: undefined,
    domain: 'consul',
    altDomain: undefined,
    isDev: false,
    dataDir: '/w/data',
    bindAddress: '127.0.0.1',
    advertiseAddress: '127.0.0.1',
    addresses: { dns: ['127.0.0.1'], http: ['127.0.0.1'] },
    ports: { dns: 8600, http: 8500, server: 8300, serfLan: 8301, serfWan: 8302 },
    portOffset: 0,
    dns: { nodeTtlMs: 0, udpAnswerLimit: 3, enableTruncate: false, allowStale: true },
    http: { prettyJson: false, maxHeaderSizeBytes: 65_536 },
    kvMaxValueSizeBytes: 524_288,
    checkUpdateIntervalMs: 300_000,
    discardCheckOutput: false,
    scriptChecks: { byAnybody: false, byFiles: false },
    checkReapIntervalMs: 30_000,
    checkDeregisterMinMs: 60_000,
    checkTargetsAllow: [],
    antiEntropyIntervalMs: 60_000,
    defaultQueryTimeMs: 300_000,
    maxQueryTimeMs: 600_000,
    sessionTtlMinMs: 10_000,
    log: { level: 'info', json: false, file: undefined },
    store: { engine: 'level' },
  })
  t.equal(config.dns.maxStaleMs, 87_600 * 3_600_000)
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.dns.soa))
})

t.test('-dev: in memory and pretty, unless something else is stated', async t => {
  t.match(configOf(resolve({ isDev: true })), {
    store: { engine: 'memory' },
    dataDir: undefined,
    http: { prettyJson: true },
  })
  const stated = resolve({ isDev: true, texts: [text('store { engine = "level" }')] })
  t.match(configOf(stated), { store: { engine: 'level' }, dataDir: '/w/data' })
})

t.test('later sources override, lists append, maps merge', async t => {
  const first = `
    datacenter = "one"
    node_meta { a = "1" b = "1" }
    dns_config { service_ttl { "*" = "1s" web = "2s" } soa { retry = 1 } }
    service { name = "x" }
    ports { http = 21001 }
    store { engine = "etcd" etcd { endpoints = ["http://10.0.0.1:2379"] prefix = "p" } }`
  const second = `
    datacenter = "two"
    node_meta { b = "2" }
    dns_config { service_ttl { web = "3s" } soa { expire = 2 } }
    services = [{ name = "y" }]
    store { etcd { endpoints = ["http://10.0.0.2:2379"] } }`
  const config = configOf(
    resolve({
      texts: [text(first), text(second)],
      flags: [
        { name: 'datacenter', value: 'THREE' },
        { name: 'node-meta', value: 'c:3:3' },
        { name: 'http-port', value: '21002' },
        { name: 'log-json', value: true },
      ],
    }),
  )
  t.match(config, {
    datacenter: 'three',
    dns: { serviceTtlMs: { '*': 1000, web: 3000 }, soa: { retrySeconds: 1, expireSeconds: 2 } },
    ports: { http: 21_002, dns: 8600 },
    log: { json: true },
    store: {
      engine: 'etcd',
      etcd: { endpoints: ['http://10.0.0.1:2379', 'http://10.0.0.2:2379'], prefix: 'p' },
    },
  })
  t.same(config.nodeMeta, { a: '1', b: '2', c: '3:3' })
  t.same(
    config.services.map(({ body }) => body.Name),
    ['x', 'y'],
  )
})

t.test('JSON says the same as HCL, null is not set', async t => {
  const json = { name: 'a.json', format: 'json' as const }
  const body = JSON.stringify({
    server: true,
    log_level: 'WARN',
    ports: { dns: -1 },
    data_dir: null,
    acl: null,
    service: { name: 'web', port: 80 },
  })
  const config = configOf(resolve({ texts: [{ ...json, text: body }] }))
  t.match(config, { log: { level: 'warn' }, ports: { dns: -1 }, addresses: { dns: [] } })
  t.same(config.services[0]?.body, { Name: 'web', Port: 80 })
})

t.test('gRPC is on where nobody but this machine reaches it, or where it is said', async t => {
  const ports = (hcl: string, isDev = false): readonly number[] => {
    const { grpc, grpcTls } = configOf(resolve({ texts: [text(hcl)], isDev })).ports
    return [grpc, grpcTls]
  }
  const files = 'cert_file = "a.pem" key_file = "a-key.pem"'
  const cert = `tls { grpc { ${files} } }`
  const open = 'acl { enabled = false }'
  t.strictSame(ports(''), [8502, -1])
  t.strictSame(ports('port_offset = 10'), [8512, -1])
  t.strictSame(ports('ports { grpc = -1 }'), [-1, -1])
  t.strictSame(ports('ports { http = 9500 }'), [0, -1], 'any free port beside others')
  t.strictSame(ports('ports { http = 9500 grpc = 9502 }'), [9502, -1])
  t.strictSame(ports('ports { http = -1 }'), [-1, -1], 'nothing in clear is wanted')
  t.strictSame(ports(`client_addr = "10.0.0.1" ${open} tls { enabled = false }`), [-1, -1])
  t.strictSame(ports('client_addr = "10.0.0.1"', true), [8502, -1])
  t.strictSame(ports(cert), [8502, 8503])
  t.strictSame(
    ports(`${cert} ports { http = -1 https = 9501 } tls { https { ${files} } }`),
    [-1, 0],
  )
  t.strictSame(ports(`${cert} server = false retry_join = ["10.0.0.2"]`), [8502, -1])
  t.strictSame(ports(`${cert} client_addr = "10.0.0.1" ${open}`), [-1, 8503])
  t.strictSame(ports('registry { enabled = false }'), [-1, -1])
  t.match(
    problemsOf(resolve({ texts: [text('ports { grpc = 8500 }')] })),
    'ports.grpc: is the port of another face too: 8500',
  )
})

t.test('a port offset shifts every port that is on', async t => {
  const flags = [{ name: 'port-offset', value: '10000' }]
  const shifted = configOf(resolve({ flags, texts: [text('ports { http = 0 serf_wan = -1 }')] }))
  t.same(shifted.ports, {
    dns: 18_600,
    http: 0,
    secrets: 0,
    https: -1,
    grpc: 0,
    grpcTls: -1,
    server: 18_300,
    serfLan: 18_301,
    serfWan: -1,
  })
  t.match(
    problemsOf(resolve({ flags: [{ name: 'port-offset', value: '60000' }] })),
    'ports.http: 8500 and the offset 60000 go beyond 65535',
  )
})

t.test('unknown keys are named with file and line', async t => {
  const result = resolve({
    texts: [
      text('datacenter = "a"\nnode_nam = "b"\ndns_config {\n  ttl = "1s"\n}', '/etc/g/a.hcl'),
    ],
  })
  t.equal(
    problemsOf(result),
    '/etc/g/a.hcl:2: unknown key "node_nam"; did you mean "node_name"?\n' +
      '/etc/g/a.hcl:4: unknown key "dns_config.ttl"',
  )
  t.match(problemsOf(hcl('node_ttl = "1s"')), 'did you mean "dns_config.node_ttl"?')
  t.match(problemsOf(hcl('port { http = 1 }')), 'did you mean "ports"?')
  t.match(problemsOf(hcl('a = {')), /^0\.hcl: line 1, column 6: /)
  t.match(problemsOf(hcl('__proto__ { x = 1 } constructor = 1')), 'unknown key "constructor"')
  t.match(problemsOf(resolve({ flags: [{ name: 'foo', value: 'x' }] })), '-foo: unknown flag')
})

t.test('types, ranges and choices', async t => {
  const wrong: Record<string, string> = {
    'datacenter = 1': '0.hcl:1: datacenter: must be a string',
    'log_json = "true"': 'log_json: must be true or false',
    'ports { http = 70000 }': 'ports.http: must be a whole number from -1 to 65535',
    'ports { http = 1.5 }': 'ports.http: must be a whole number',
    'ports = "x"': 'ports: must be a block',
    'check_update_interval = "5"': 'check_update_interval: must be a duration such as "30s"',
    'session_ttl_min = "-1s"': 'session_ttl_min: must be a duration',
    'node_meta { a = 1 }': 'node_meta: must be strings by key',
    'dns_config { service_ttl { web = 1 } }': 'service_ttl: must be an object of durations',
    'store { engine = "raft" }': 'store.engine: must be one of level, memory, etcd',
    'store { etcd { endpoints = "x" } }': 'store.etcd.endpoints: must be a list of strings',
    'store { etcd { endpoints = ["10.0.0.1"] } }': 'must be http or https addresses',
    'datacenter = "a b"': 'datacenter: must be 1 to 63',
    'node_id = "x"': 'node_id: must be a UUID',
    'domain = "a..b"': 'domain: must be a domain name',
    'data_dir = ""': 'data_dir: engine level needs a folder',
    'ports { dns = 8500 }': 'ports.http: is the port of DNS too',
    'default_query_time = "20m"': 'default_query_time: is longer than max_query_time',
    'service = 1': 'service: must be a block or a list of blocks',
    'bind_addr = "here"': 'bind_addr: must be an IP address',
    'advertise_addr = "0.0.0.0"': 'advertise_addr: must be the IP address of one machine',
    'client_addr = "localhost"': 'client_addr: must be IP addresses',
    'client_addr = " "': 'client_addr: names no address',
    'addresses { dns = "unix:///x" }': 'addresses.dns: DNS cannot be served on a socket',
    'addresses { http = "unix://" }': 'addresses.http: names no file',
    'client_addr = "{{ GetPrivateIP }}"': 'client_addr: the address template cannot be used: no',
    'unix_sockets { mode = "rw" }': 'unix_sockets.mode: must be three octal digits',
    'advertise_addr_wan = "x"': 'advertise_addr_wan: must be an address',
    'advertise_addr_ipv4 = "::1"': 'advertise_addr_ipv4: must be an address of one machine',
    'advertise_addr_wan_ipv6 = "::"': 'advertise_addr_wan_ipv6: must be an address of one machine',
    'http_config { allow_write_http_from = ["10.0.0.x"] }': 'must be networks such as 10.0.0.0/8',
    'http_config { block_endpoints = ["v1/kv"] }': 'must be paths, which begin with /',
    'limits { request_limits { mode = "strict" } }': 'must be one of disabled, permissive, enf',
    'limits { request_limits { read_rate = "5" } }': 'read_rate: must be a number, or -1',
  }
  for (const [body, problem] of Object.entries(wrong)) t.match(problemsOf(hcl(body)), problem, body)
  const flags = [{ name: 'node-meta', value: 'x' }]
  t.match(problemsOf(resolve({ flags })), '-node-meta: node_meta: must be strings by key')
})

t.test('problems never quote values that may be secret', async t => {
  const secret = 'c4nary'
  const result = hcl(
    `encrypt = "${secret}"`,
    `acl { tokens { default = "${secret}" } }`,
    `store { etcd { endpoints = ["user:${secret}@x"] } }`,
    `service { name = "a" token = ["${secret}"] }`,
    `node_id = "${secret}" ${secret}! = 1`,
  )
  t.equal(problemsOf(result).split('\n').length, 3)
  t.notMatch(problemsOf(result), secret)
})

t.test('what is not served yet is refused by name, unless it changes nothing', async t => {
  const refused: Record<string, string> = {
    'acl_datacenter = "dc1"': 'not served yet: acl_datacenter (access control)',
    'retry_join = ["10.0.0.1"]': 'retry_join: several servers need a store that they share',
    'start_join = ["127.0.0.1", "consul-2"]': 'several servers need a store that they share',
    'retry_join_wan = ["10.0.0.1"]': 'not served yet: retry_join_wan',
    'server = false\nwatches = [{ type = "nodes", args = ["/bin/true"] }]':
      'not served yet: watches on an agent that is no server',
    'bootstrap_expect = 3': 'bootstrap_expect: needs retry_join: where the other servers are',
    'bootstrap_expect = 3 store { engine = "level" }':
      'bootstrap_expect: several servers need a store that they share',
    'ports { server = -1 } store { engine = "etcd" } retry_join = ["10.0.0.1"]':
      'ports.server: is off, and agents are joined by it',
    'bootstrap_expect = 0': 'bootstrap_expect: must be at least 1',
    'primary_datacenter = "dc9"': 'not served yet: primary_datacenter',
  }
  for (const [body, problem] of Object.entries(refused)) {
    t.match(problemsOf(hcl(body)), problem, body)
  }
  const neutral = [
    'acl {} tls {} ports {} connect {}',
    'acl { enabled = false tokens {} } retry_join = []',
    'encrypt = "" tls { defaults { verify_incoming = false ca_file = "" } }',
    'primary_datacenter = "DC1" bootstrap = true server = true',
  ]
  for (const body of neutral) {
    const result = hcl(body)
    t.same('warnings' in result && result.warnings, [], body)
  }
  const byFlag = [
    { name: 'join-wan', value: '10.0.0.1' },
    { name: 'grpc-port', value: '8502' },
    { name: 'ui', value: true },
    { name: 'retry-join', value: '10.0.0.1' },
  ]
  t.equal(
    problemsOf(resolve({ flags: byFlag })),
    '-join-wan: not served yet: start_join_wan (several datacenters)\n' +
      '-retry-join: retry_join: several servers need a store that they share: ' +
      'store { engine = "etcd" }',
  )
})

t.test('what Consul knows and means nothing here is taken and told, in one line each', async t => {
  const told: Record<string, string> = {
    'raft_protocol = 3': '0.hcl:1: raft_protocol: taken, and means nothing here',
    'connect { enabled = true }': 'connect.enabled: taken; the service mesh and peering are not',
    'ports { grpc_tls = 8503 }': 'ports.grpc_tls: taken; nothing listens on it: gRPC with TLS',
    'ui_config { enabled = true }': 'ui_config.enabled: taken; the web interface is not served',
    'acl { tokens { master = "c4nary" } }': 'acl: what it says has no effect',
    'acl_default_policy = "deny"': 'acl: what it says has no effect',
    'acl { role_ttl = "1s" }': 'acl.role_ttl: taken; a server knows of every change at once',
    'encrypt = "c4nary"': 'encrypt: taken; agents find out about each other over mutual TLS',
    'cache { entry_fetch_rate = 1 }': 'cache.entry_fetch_rate: taken, and means nothing here',
  }
  for (const [body, line] of Object.entries(told)) {
    const result = hcl(body)
    const lines = 'warnings' in result ? result.warnings : result.problems
    t.equal(lines.length, 1, body)
    t.match(lines[0], line)
    t.notMatch(lines[0], 'c4nary', 'a value is never quoted')
  }
  const ui = resolve({ flags: [{ name: 'ui', value: true }] })
  t.match('warnings' in ui && ui.warnings, ['-ui: ui: taken; the web interface'])
})

t.test('recursors: addresses, with or without a port', async t => {
  const list = ['10.0.0.1', '10.0.0.2:5353', 'fd00::1', '[fd00::2]', '[fd00::3]:5353', '10.0.0.1']
  const body = `recursors = ${JSON.stringify(list)} dns_config { recursor_strategy = "random" }`
  t.match(configOf(hcl(body)).dns, {
    recursors: [
      { host: '10.0.0.1', port: 53 },
      { host: '10.0.0.2', port: 5_353 },
      { host: 'fd00::1', port: 53 },
      { host: 'fd00::2', port: 53 },
      { host: 'fd00::3', port: 5_353 },
    ],
    recursorStrategy: 'random',
    recursorTimeoutMs: 2_000,
  })
  const flags = ['10.0.0.1', '10.0.0.2'].map(value => ({ name: 'recursor', value }))
  t.equal(configOf(resolve({ flags })).dns.recursors.length, 2)
  const wrong = ['0.0.0.0', '::', '[::]:53', 'ns.example', '{{ GetPrivateIP }}', '10.0.0.1:0', '']
  for (const one of [...wrong, '10.0.0.1:65536', '[10.0.0.1]:53', '10.0.0.1:53x']) {
    t.match(problemsOf(hcl(`recursors = ["${one}"]`)), 'recursors: must be IP addresses', one)
  }
  const many = Array.from({ length: 17 }, (_, i) => `10.0.0.${i}`)
  t.match(problemsOf(hcl(`recursors = ${JSON.stringify(many)}`)), 'more than 16')
  t.match(problemsOf(hcl('recursors = ["127.0.0.1:8600"]')), 'this DNS server itself')
})

t.test('one DNS listener may have settings of its own', async t => {
  const body = `dns_config {
    listener "127.0.0.1" { udp_answer_limit = 8 }
    listener "::1" { enable_truncate = true }
  }`
  t.strictSame(configOf(hcl(body)).dns.listeners, {
    '127.0.0.1': { udpAnswerLimit: 8 },
    '::1': { enableTruncate: true },
  })
  const json = '{ "dns_config": { "listener": { "::1": { "udp_answer_limit": 1 } } } }'
  const given = resolve({ texts: [{ name: 'a.json', text: json, format: 'json' }] })
  t.strictSame(configOf(given).dns.listeners, { '::1': { udpAnswerLimit: 1 } })
  t.match(problemsOf(hcl('dns_config { listener "lo" {} }')), 'must be named by IP addresses')
  for (const inner of ['udp_answer_limit = -1', 'enable_truncate = 1', 'unknown = 1']) {
    t.match(problemsOf(hcl(`dns_config { listener "::1" { ${inner} } }`)), 'blocks by address')
  }
})

t.test('a server may name itself as the one to join', async t => {
  const machine = { ...surroundings, interfaces: ['127.0.0.1', '10.0.0.7'].map(onMachine) }
  const own = ['127.0.0.1', '10.0.0.7:8301', 'host-1', 'localhost:8301', '[::1]:8301', 'n1', '::1']
  const body = `node_name = "n1" retry_join = ${JSON.stringify(own)} start_join = ["host-1"]`
  t.equal(problemsOf(resolve({ texts: [text(body)] }, machine)), 'accepted')
  for (const other of ['10.0.0.8', '10.0.0.7x', 'provider=aws tag_key=x', '[10.0.0.7', '']) {
    const foreign = `retry_join = ${JSON.stringify([other])}`
    const problems = problemsOf(resolve({ texts: [text(foreign)] }, machine))
    t.match(problems, 'need a store that they share', other)
  }
})

t.test('nothing listens where others can reach it, unless that is stated', async t => {
  for (const address of ['0.0.0.0', '192.168.0.7', '::', 'fe80::1', '0:0:0:0:0:0:0:1']) {
    const problems = problemsOf(hcl(`client_addr = "${address}"`))
    t.match(problems, `DNS on ${address} and HTTP on ${address} can be reached by others`)
    t.match(problems, 'acl {')
    t.match(problems, 'tls {')
    t.match(problems, 'whoever reaches the address has all rights then')
    t.match(problems, 'cert_file = "dc1-server-consul-0.pem"')
    t.equal(problems.match(/acl \{/g)?.length, 2, 'on and off')
  }
  const dev = resolve({ isDev: true, flags: [{ name: 'client', value: '0.0.0.0' }] })
  const stated = hcl('client_addr = "0.0.0.0" acl { enabled = false } tls {}')
  for (const result of [dev, stated]) {
    t.match('warnings' in result && result.warnings, [
      /0\.0\.0\.0 can be reached by others, who have all rights.*TLS is off there/,
    ])
  }
  for (const half of ['acl { enabled = false }', 'tls {}', 'acl {} acl {}']) {
    t.match(problemsOf(hcl(`client_addr = "0.0.0.0" ${half}`)), 'both of these stated', half)
  }
  t.match(problemsOf(hcl('addresses { dns = "127.0.0.1 10.0.0.1" }')), 'DNS on 10.0.0.1 can be')
  const off = hcl('addresses { dns = "10.0.0.1" } ports { dns = -1 }')
  t.equal(problemsOf(off), 'accepted', 'a face that is off listens nowhere')
  const many = configOf(hcl('client_addr = "127.0.0.1 ::1"'))
  t.same(many.addresses.http, ['127.0.0.1', '::1'])
})

t.test('the node’s address', async t => {
  const address = (body: string, interfaces: string[] = []): string =>
    configOf(
      resolve({ texts: [text(body)] }, { ...surroundings, interfaces: interfaces.map(onMachine) }),
    ).advertiseAddress
  t.equal(address('bind_addr = "10.1.2.3"'), '10.1.2.3')
  t.equal(address('bind_addr = "0.0.0.0" advertise_addr = "10.9.9.9"'), '10.9.9.9')
  t.equal(address('bind_addr = "0.0.0.0"', ['127.0.0.1', '172.20.0.5', '8.8.8.8']), '172.20.0.5')
  const two = { ...surroundings, interfaces: ['10.0.0.1', '192.168.1.1'].map(onMachine) }
  t.match(
    problemsOf(resolve({ texts: [text('bind_addr = "0.0.0.0"')] }, two)),
    'needs advertise_addr, unless there is one private IPv4 address (found: 10.0.0.1, 192.168.1.1)',
  )
  t.match(problemsOf(hcl('bind_addr = "0.0.0.0"')), 'found: none')
})

t.test('tagged addresses: as stated, the others follow from the node’s address', async t => {
  const tagged = (body: string): Readonly<Record<string, string>> =>
    configOf(hcl(body)).taggedAddresses
  t.same(tagged(''), {})
  t.same(tagged('advertise_addr_wan = "203.0.113.1"'), {
    wan: '203.0.113.1',
    wan_ipv4: '203.0.113.1',
  })
  t.same(tagged('advertise_addr_ipv6 = "fd00::1" advertise_addr_wan_ipv6 = "2001:db8::1"'), {
    lan_ipv6: 'fd00::1',
    wan_ipv6: '2001:db8::1',
  })
  t.same(tagged('tagged_addresses { rack = "10.0.0.1" }'), { rack: '10.0.0.1' })
  t.equal(configOf(hcl('advertise_addr_ipv4 = "10.0.0.9"')).advertiseAddress, '10.0.0.9')
})

t.test('sockets in files', async t => {
  const config = configOf(
    hcl(
      'addresses { http = "unix://run/x.sock 127.0.0.1 unix:///abs" } unix_sockets { mode = "770" }',
    ),
  )
  t.same(config.addresses.http, ['unix:///w/run/x.sock', '127.0.0.1', 'unix:///abs'])
  t.equal(config.unixSockets.modeBits, 0o770)
  const alone = hcl('addresses { http = "unix:///abs" } ports { http = -1 }')
  t.same(configOf(alone).addresses.http, ['unix:///abs'], 'it has no port that could be off')
  const shown = hcl('addresses { http = "unix:///abs" }')
  t.equal(problemsOf(shown), 'accepted', 'others reach it only as its rights say')
})

t.test('time-outs never cut a blocking query', async t => {
  const result = hcl(
    'http_config { write_timeout = "10s" read_timeout = "0s" idle_timeout = "5s" }',
  )
  const { http } = configOf(result)
  t.equal(http.writeTimeoutMs, 600_000 * (17 / 16) + 10_000)
  t.match('warnings' in result && result.warnings, [/write_timeout: raised to 647.5 s/])
  t.equal(http.requestTimeoutMs, 900_000, '0 is the default')
  t.equal(http.idleTimeoutMs, 5_000)
  const long = configOf(
    hcl('http_config { write_timeout = "1h" } max_query_time = "1m" default_query_time = "1m"'),
  )
  t.equal(long.http.writeTimeoutMs, 3_600_000)
})

t.test('definitions take the names of the HTTP API', async t => {
  const config = configOf(
    hcl(`
      service {
        id = "web-1" name = "web" port = 80 tags = ["a"] enable_tag_override = true
        meta { x = "y" }
        weights { passing = 2 }
        check { http = "http://127.0.0.1" interval = "10s" docker_container_id = "d" tls_skip_verify = true
                header { x-a = ["1"] } }
      }
      service { Name = "api" Checks = [{ TTL = "10s" DeregisterCriticalServiceAfter = "1m" }] }
      check { name = "disk" ttl = "30s" ScriptArgs = ["df"] }
      check { name = "two" ttl = "1m" }`),
  )
  t.same(
    config.services.map(({ body }) => body),
    [
      {
        ID: 'web-1',
        Name: 'web',
        Port: 80,
        Tags: ['a'],
        EnableTagOverride: true,
        Meta: { x: 'y' },
        Weights: { passing: 2 },
        Check: {
          HTTP: 'http://127.0.0.1',
          Interval: '10s',
          DockerContainerID: 'd',
          TLSSkipVerify: true,
          Header: { 'x-a': ['1'] },
        },
      },
      { Name: 'api', Checks: [{ TTL: '10s', DeregisterCriticalServiceAfter: '1m' }] },
    ],
  )
  t.same(
    config.checks.map(({ body }) => body),
    [
      { Name: 'disk', TTL: '30s', ScriptArgs: ['df'] },
      { Name: 'two', TTL: '1m' },
    ],
  )
  t.equal(config.services[0]?.where, '0.hcl:3')
})

t.test('mistakes in definitions are named with their place', async t => {
  t.equal(
    problemsOf(
      hcl(`service {
        name = "web"
        prot = 80
        port = "80"
        check {
          script = "x"
        }
        check = {}
      }
      service { id = "no-name" }`),
    ),
    [
      '0.hcl:3: service: prot: unknown key; did you mean "Port"?',
      '0.hcl:4: service: port: must be a whole number',
      '0.hcl:8: service: check: must be one block (several stand in checks)',
      '0.hcl:10: services: a service needs a name',
    ].join('\n'),
  )
  t.match(
    problemsOf(hcl('service { name = "a"\ncheck { script = "x" } }')),
    '0.hcl:2: service: script: unknown key',
  )
})

t.test('a node name that DNS cannot find is a warning', async t => {
  const result = resolve({ flags: [{ name: 'node', value: 'a.b' }] })
  t.match('warnings' in result && result.warnings[0], '"a.b" is no DNS label')
})

t.test('every flag that Consul prints is known', async t => {
  const known = new Set(agentFlags.map(({ name }) => name))
  t.equal(known.size, agentFlags.length, 'no flag stands for two keys')
  const printed =
    'advertise advertise-wan allow-write-http-from alt-domain auto-reload-config bind bootstrap ' +
    'bootstrap-expect check_output_max_size client data-dir datacenter default-query-time ' +
    'disable-host-node-id disable-keyring-file dns-port domain enable-local-script-checks ' +
    'enable-script-checks encrypt grpc-port grpc-tls-port http-port https-port join join-wan ' +
    'log-file log-json log-level log-rotate-bytes log-rotate-duration log-rotate-max-files ' +
    'max-query-time node node-id node-meta non-voting-server pid-file primary-gateway protocol ' +
    'raft-protocol read-replica recursor rejoin retry-interval retry-interval-wan retry-join ' +
    'retry-join-wan retry-max retry-max-wan segment serf-lan-allowed-cidrs serf-lan-bind ' +
    'serf-lan-port serf-wan-allowed-cidrs serf-wan-bind serf-wan-port server server-port syslog ' +
    'ui ui-content-path ui-dir'
  for (const name of printed.split(' ')) t.ok(known.has(name), name)
})

t.test('the table: no key is served and later at once, every default is its own value', async t => {
  for (const path of Object.keys(served)) t.notOk(later.has(path), path)
  const paths = [...Object.keys(served), ...later.keys()]
  for (const path of paths) {
    t.notOk(
      paths.some(other => other.startsWith(`${path}.`)),
      `${path} is a key or a stanza, not both`,
    )
  }
})

t.test('property: any text is resolved or refused, never thrown at', async () => {
  const paths = [...Object.keys(served), ...later.keys()]
  const value = fc.constantFrom('1', '"x"', 'true', '[]', '{}', '["a"]', '"10s"', '-1', '[{}]')
  const item = fc.tuple(fc.constantFrom(...paths, 'x', 'service'), value).map(([path, each]) => {
    const parts = path.split('.')
    const last = parts.pop()
    const head = parts.map(part => `${part} {`).join(' ')
    return `${head} ${last} = ${each} ${'}'.repeat(parts.length)}`
  })
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), items => {
      const result = hcl(items.join('\n'))
      return 'problems' in result ? result.problems.length > 0 : Object.isFrozen(result.config)
    }),
    { numRuns: 5 * propertyRuns() },
  )
})

t.test('where logs and metrics go', async t => {
  const config = configOf(
    hcl(`log_file = "/var/log/x/"
      log_rotate_bytes = 5
      log_rotate_duration = "1h"
      log_rotate_max_files = -1
      enable_syslog = true
      syslog_facility = "daemon"
      log_level = "TRACE"
      telemetry {
        metrics_prefix = "m"
        prefix = "other"
        disable_hostname = true
        prometheus_retention_time = "60s"
        prefix_filter = ["+m.a", "-m"]
        filter_default = false
        statsd_address = "127.0.0.1:8125"
        statsite_address = "[::1]:8126"
        dogstatsd_addr = "dog.lan:8127"
        dogstatsd_tags = ["a:b"]
      }`),
  )
  t.same(config.log, {
    level: 'trace',
    json: false,
    file: {
      path: '/var/log/x/gatehouse.log',
      rotateSizeBytes: 5,
      rotateAfterMs: 3_600_000,
      keptFiles: -1,
    },
    syslogFacility: 'daemon',
  })
  t.match(config.telemetry, {
    prefix: 'm',
    hostName: undefined,
    prefixFilter: ['+m.a', '-m'],
    filterDefault: false,
    prometheusRetentionMs: 60_000,
    statsd: { host: '127.0.0.1', port: 8125 },
    statsite: { host: '::1', port: 8126 },
    dogstatsd: { host: 'dog.lan', port: 8127 },
  })
  t.equal(configOf(hcl('telemetry { prefix = "p" }')).telemetry.prefix, 'p')
  t.equal(configOf(hcl('')).telemetry.hostName, 'host-1')
  for (const [wrong, path] of [
    ['telemetry { statsd_address = "nohost" }', 'telemetry.statsd_address'],
    ['telemetry { dogstatsd_addr = "a:70000" }', 'telemetry.dogstatsd_addr'],
    ['telemetry { prefix_filter = ["consul"] }', 'telemetry.prefix_filter'],
    ['syslog_facility = "local9"', 'syslog_facility'],
  ] as const) {
    t.match(problemsOf(hcl(wrong)), path)
  }
})

t.test(
  'access control: off unless stated, its older names, and what is worth a warning',
  async t => {
    const off = configOf(hcl(''))
    t.match(off.acl, { enabled: false, defaultPolicy: 'allow', downPolicy: 'extend-cache' })
    t.equal(off.defaultIntentionPolicy, 'allow')
    const on = hcl(`acl {
    enabled = true
    default_policy = "DENY"
    down_policy = "async-cache"
    enable_key_list_policy = true
    enable_token_persistence = true
    tokens { default = "d" agent = "a" dns = "n" agent_recovery = "r" }
  }`)
    t.match(configOf(on), {
      defaultIntentionPolicy: 'deny',
      acl: {
        ...{ enabled: true, defaultPolicy: 'deny', downPolicy: 'async-cache' },
        ...{ keyListPolicy: true, keepsTokens: true, initialManagement: '' },
        tokens: { default: 'd', agent: 'a', dns: 'n', agent_recovery: 'r', replication: '' },
      },
    })
    t.strictSame('warnings' in on && on.warnings, [])
    const old =
      'acl { enabled = true } acl_default_policy = "deny" acl_token = "d" acl_agent_token = "a"'
    const { acl } = configOf(hcl(old))
    t.match(acl, { defaultPolicy: 'deny', tokens: { default: 'd', agent: 'a' } })
    const newer =
      'acl { tokens { default = "x" agent_master = "y" master = "c4nary" } } acl_token = "d"'
    t.match(configOf(hcl(newer)).acl, {
      initialManagement: 'c4nary',
      tokens: { default: 'x', agent_recovery: 'y' },
    })
    const weak = hcl('acl { enabled = true tokens { initial_management = "c4nary" } }')
    const warnings = 'warnings' in weak ? weak.warnings : []
    t.equal(warnings.length, 2)
    t.match(warnings[0], /initial_management is no UUID/)
    t.match(warnings[1], /default_policy = "allow"/)
    t.notMatch(warnings.join(), 'c4nary')
    t.match(problemsOf(hcl('acl { default_policy = "maybe" }')), 'acl.default_policy')
  },
)
