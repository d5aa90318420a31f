/**
 * Definitions in bodies and files: what is taken, as what, and the words of every refusal.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { checkFromFile, serviceFromFile } from '../../../src/http/registry/agent-body.ts'

const service = (body: unknown) => serviceFromFile('n', body)
const check = (body: unknown) => checkFromFile(body)
const refusal = (given: unknown): unknown =>
  given instanceof Refusal ? [given.status, given.text] : ['taken', given]

t.test('a service with everything', async t => {
  const given = service({
    Name: 'web',
    ID: 'w1',
    Tags: ['a'],
    Address: '10.0.0.1',
    Port: 80,
    TaggedAddresses: { wan_ipv4: { Address: '1.1.1.1', Port: 443 } },
    Meta: { k: 'v' },
    Weights: { Passing: 3, Warning: 0 },
    EnableTagOverride: true,
    Token: 'secret',
    Check: { TTL: '10s' },
  })
  t.match(given, {
    service: {
      node: 'n',
      id: 'w1',
      name: 'web',
      kind: '',
      port: 80,
      weights: { passing: 3, warning: 0 },
      enableTagOverride: true,
      connectNative: false,
      agentOwned: true,
      taggedAddresses: {
        lan_ipv4: { address: '10.0.0.1', port: 80 },
        wan_ipv4: { address: '1.1.1.1', port: 443 },
      },
    },
    checks: [{ status: '', check: { kind: 'ttl', checkId: '', name: '' } }],
    replaceChecks: false,
    token: 'secret',
  })
})

t.test('what a service is given when it does not say', async t => {
  t.match(service({ name: 'web' }), {
    service: { id: 'web', port: 0, weights: { passing: 1, warning: 1 }, taggedAddresses: {} },
    checks: [],
    token: '',
  })
  t.match(service({ Name: 'web', Address: '::1', Port: 1 }), {
    service: { taggedAddresses: { lan_ipv6: { address: '::1' }, wan_ipv6: { port: 1 } } },
  })
  const named = service({ Name: 'web', Address: 'web.example', Port: 1 })
  t.match(named, { service: { taggedAddresses: {} } }, 'a name has no family')
  t.match(service({ Name: 'web', Ports: [{ Name: 'a', Port: 7 }] }), { service: { port: 7 } })
})

t.test('what the incumbent takes is taken', async t => {
  const taken: object[] = [
    { Name: 'web', Port: 0 },
    { Name: 'web', Port: 70_000 },
    { Name: 'web with spaces' },
    { Name: 'web', Kind: 'nonsense' },
    { Name: 'web', Check: {} },
    { Name: 'web', Check: null, Checks: null, Tags: null, Meta: null, Weights: null },
    { Name: 'web', Proxy: {}, Connect: { Native: true } },
    { Name: 'web', check: { http: 'http://x', tcp: 'x:1', interval: '10s' } },
    { Name: 'web', Check: { TTL: 10e9 } },
    { Name: 'web', Namespace: 'default', Partition: '' },
  ]
  for (const body of taken) t.notOk(service(body) instanceof Refusal, JSON.stringify(body))
})

const meta = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '']))

t.test('refusals of services', async t => {
  t.notOk(service({ Name: 'w', Meta: meta(limits.metaPairs) }) instanceof Refusal, 'at the bound')
  const key = 'k'.repeat(limits.metaKeyChars)
  const value = 'v'.repeat(limits.metaValueChars)
  t.notOk(service({ Name: 'w', Meta: { [key]: value } }) instanceof Refusal, 'at the bound')
  const refused: [object, number, string | RegExp][] = [
    [{}, 400, 'Missing service name'],
    [{ Name: 'w', Nope: 1 }, 400, 'json: unknown field "Nope"'],
    [{ Name: 'w', Port: '80' }, 400, /^json: cannot unmarshal string into Go struct field .*Port/],
    [{ Name: 'w', Address: '0.0.0.0' }, 400, 'Invalid service address'],
    [{ Name: 'w', Address: '::' }, 400, 'Invalid service address'],
    [{ Name: 'w', Weights: { Passing: 0 } }, 400, /^Invalid Weights: Passing must be greater/],
    [{ Name: 'w', Weights: { Passing: 1, Warning: -1 } }, 400, /^Invalid Weights: Warning/],
    [{ Name: 'w', Weights: { Passing: 65_536 } }, 400, /^Invalid Weights: DNS Weight/],
    [{ Name: 'w', Meta: meta(limits.metaPairs + 1) }, 400, /^Invalid Service Meta: .*64 key/],
    [{ Name: 'w', Meta: { '': 'x' } }, 400, /^Invalid Service Meta: .*cannot be blank/],
    [{ Name: 'w', Meta: { 'a b': 'x' } }, 400, /^Invalid Service Meta: .*invalid characters/],
    [{ Name: 'w', Meta: { [`${key}k`]: '' } }, 400, /^Invalid Service Meta: .*too long/],
    [{ Name: 'w', Meta: { a: `${value}v` } }, 400, /^Invalid Service Meta: .*too long/],
    [{ Name: 'w', Meta: { 'consul-x': '' } }, 400, /^Invalid Service Meta: .*reserved/],
    [{ Name: 'w', Port: 2, Ports: [{ Name: 'a', Port: 1 }] }, 400, /^Validation failed: /],
    [{ Name: 'w', Ports: [{ Port: 1 }] }, 400, /^Validation failed: .*name/],
    [{ Name: 'w', Ports: [{ Name: 'a', Port: 0 }] }, 400, /^Validation failed: .*65535/],
    [{ Name: 'w', Ports: [{ Name: 'a', Port: 65_536 }] }, 400, /^Validation failed: .*65535/],
    [
      { Name: 'w', Ports: ['a', 'b'].map(Name => ({ Name, Port: 1, Default: true })) },
      400,
      /^Validation failed: .*default/,
    ],
    [
      { Name: 'w', Ports: ['a', 'a'].map(Name => ({ Name, Port: 1 })) },
      400,
      /^Validation failed: .*differ/,
    ],
    [{ Name: 'w', Namespace: 'x' }, 400, /Namespaces is a Consul Enterprise feature/],
    [
      { Name: 'w', Check: { TTL: '1m', Status: 'bad' } },
      400,
      "Status for checks must 'passing', 'warning', 'critical'",
    ],
    [{ Name: 'w', Checks: [{}] }, 400, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ Name: 'w', Kind: 'mesh-gateway' }, 501, 'not served yet: Kind mesh-gateway'],
    [{ Name: 'w', Proxy: { Mode: 'direct' } }, 501, 'not served yet: Proxy'],
    [{ Name: 'w', Connect: { SidecarService: {} } }, 501, 'not served yet: Connect.SidecarService'],
    [{ Name: 'w', Connect: { Nope: 1 } }, 400, 'json: unknown field "Nope"'],
    [{ Name: 'w', Locality: { Zone: 'z' } }, 501, 'not served yet: Locality'],
  ]
  for (const [body, status, text] of refused) {
    t.match(refusal(service(body)), [status, text], JSON.stringify(body).slice(0, 80))
  }
  const secret = service({ Name: 'w', Meta: { 'a b': 'hunter2' } })
  t.notMatch(refusal(secret), [400, /hunter2/], 'values are never told')
})

t.test('a check with everything', async t => {
  const body = {
    check_id: 'c',
    name: 'n',
    notes: 'note',
    service_id: 's',
    status: 'passing',
    http: 'https://x/',
    method: 'POST',
    header: { A: ['b'] },
    body: 'hello',
    disable_redirects: true,
    tls_server_name: 'x',
    tls_skip_verify: true,
    interval: '10s',
    timeout: '1s',
    success_before_passing: 2,
    failures_before_critical: 3,
    deregister_critical_service_after: '90m',
    output_max_size: 100,
  }
  t.match(check(body), {
    status: 'passing',
    check: {
      checkId: 'c',
      name: 'n',
      notes: 'note',
      kind: 'http',
      serviceId: 's',
      definition: {
        http: 'https://x/',
        method: 'POST',
        header: { A: ['b'] },
        body: 'hello',
        disableRedirects: true,
        tlsServerName: 'x',
        tlsSkipVerify: true,
        intervalMs: 10_000,
        timeoutMs: 1_000,
        deregisterCriticalServiceAfterMs: 5_400_000,
      },
      successBeforePassing: 2,
      failuresBeforeWarning: 3,
      failuresBeforeCritical: 3,
    },
  })
  t.match(check({ Name: 'n', ID: 'id', CheckID: 'other', TTL: '1s' }), { check: { checkId: 'id' } })
})

/** Every field of a definition in Consul's spelling, with the row's own name and value. */
const FIELDS: Record<string, [given: unknown, key: string, kept?: unknown]> = {
  HTTP: ['http://x/', 'http'],
  Method: ['PUT', 'method'],
  Header: [{ 'X-A': ['b'] }, 'header'],
  Body: ['hello', 'body'],
  DisableRedirects: [true, 'disableRedirects'],
  TLSServerName: ['x', 'tlsServerName'],
  TLSSkipVerify: [true, 'tlsSkipVerify'],
  TCP: ['x:1', 'tcp'],
  TCPUseTLS: [true, 'tcpUseTls'],
  UDP: ['x:1', 'udp'],
  GRPC: ['x:1/s', 'grpc'],
  GRPCUseTLS: [true, 'grpcUseTls'],
  H2PING: ['x:1', 'h2ping'],
  H2PingUseTLS: [true, 'h2pingUseTls'],
  OSService: ['x', 'osService'],
  Args: [['x', '-y'], 'scriptArgs'],
  ScriptArgs: [['x', '-y'], 'scriptArgs'],
  DockerContainerID: ['x', 'dockerContainerId'],
  Shell: ['/bin/sh', 'shell'],
  AliasNode: ['x', 'aliasNode'],
  AliasService: ['x', 'aliasService'],
  Timeout: ['2s', 'timeoutMs', 2_000],
  DeregisterCriticalServiceAfter: ['90m', 'deregisterCriticalServiceAfterMs', 5_400_000],
  OutputMaxSize: [100, 'outputMaxSizeBytes'],
}

/** What makes a field one of a kind that reads it. */
const BESIDE: Record<string, object> = {
  TCPUseTLS: { TCP: 'x:1' },
  GRPCUseTLS: { GRPC: 'x:1' },
  H2PingUseTLS: { H2PING: 'x:1' },
  DockerContainerID: { Args: ['x'] },
  Shell: { Args: ['x'], DockerContainerID: 'c' },
}
const OF_KINDS = /^(HTTP|TCP|UDP|GRPC|H2PING|OSService|Args|ScriptArgs|Alias\w+)$/

t.test('every field of a check in every spelling, alone and beside a service', async t => {
  const snake = (name: string): string =>
    name
      .replace(/([a-z])([A-Z])/g, '$1_$2')
      .replace(/(TLS|OS|DNS|TCP|UDP|GRPC)(?=[A-Z][a-z])/g, '$1_')
      .toLowerCase()
  for (const [name, [given, key, kept = given]] of Object.entries(FIELDS)) {
    const beside = BESIDE[name] ?? (OF_KINDS.test(name) ? {} : { HTTP: 'http://x/' })
    const interval = name.startsWith('Alias') ? {} : { Interval: '10s' }
    for (const spelled of [name, name.toLowerCase(), snake(name), name.toUpperCase()]) {
      const body = { ...beside, ...interval, [spelled]: given }
      const one = check({ Name: 'c', ...body })
      const nested = service({ Name: 'w', Checks: [{ ...body }] })
      if (one instanceof Refusal || nested instanceof Refusal) {
        t.fail(`${spelled}: ${JSON.stringify([one, nested])}`)
        continue
      }
      t.same(one.check.definition[key as 'http'], kept, spelled)
      t.same(nested.checks[0]?.check.definition[key as 'http'], kept, spelled)
    }
  }
})

t.test('HTTP/2 is asked with TLS unless that is switched off', async t => {
  const tls = (more: object) => {
    const given = check({ Name: 'c', H2PING: 'x:1', Interval: '1s', ...more })
    return given instanceof Refusal ? given : given.check.definition.h2pingUseTls
  }
  t.equal(tls({}), true)
  t.equal(tls({ H2PingUseTLS: null }), true)
  t.equal(tls({ h2_ping_use_tls: false }), undefined)
  t.equal(tls({ H2PingUseTLS: true }), true)
})

t.test('refusals of checks', async t => {
  const refused: [object, number, string | RegExp][] = [
    [{ TTL: '1m' }, 400, 'Missing check name'],
    [{ Name: 'c', TTL: '1m', Status: 'bad' }, 400, 'Bad check status'],
    [{ Name: 'c' }, 400, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ Name: 'c', TTL: '0s' }, 400, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ Name: 'c', Interval: '1s' }, 400, 'Invalid check: TTL must be > 0 for TTL checks'],
    [{ Name: 'c', HTTP: 'http://x' }, 400, /^Invalid check: Interval must be > 0 for Script, HTTP/],
    [{ Name: 'c', TTL: 'soon' }, 400, /^time: invalid duration/],
    [{ Name: 'c', script: 'x' }, 400, 'json: unknown field "script"'],
    [{ Name: 'c', TTL: '1m', OutputMaxSize: -1 }, 400, /^Invalid check: MaxOutputMaxSize/],
    [
      { Name: 'c', TTL: '1m', FailuresBeforeWarning: 2, FailuresBeforeCritical: 1 },
      400,
      /^Invalid check: FailuresBeforeWarning/,
    ],
  ]
  const contradictions: [object, RegExp][] = [
    [{ HTTP: 'http://x', Interval: '1s', TTL: '1s' }, /Interval and TTL cannot both be specified/],
    [{ AliasService: 'x', HTTP: 'http://x', Interval: '1s' }, /cannot be set for Alias checks/],
    [{ AliasService: 'x', TTL: '1s' }, /TTL must be not be set for Alias checks/],
    [{ DockerContainerID: 'd', Interval: '1s' }, /TTL must be > 0 for TTL checks/],
    [{ Args: [], Interval: '1s' }, /TTL must be > 0 for TTL checks/],
    ...['UDP', 'GRPC', 'H2PING', 'OSService', 'TCP'].map((field): [object, RegExp] => [
      { [field]: 'x:1' },
      /Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks/,
    ]),
  ]
  for (const [body, text] of contradictions) refused.push([{ Name: 'c', ...body }, 400, text])
  for (const [body, status, text] of refused) {
    t.match(refusal(check(body)), [status, text], JSON.stringify(body))
  }
})

t.test('whatever a file holds is taken or refused', async t => {
  const one = fc.anything({ maxDepth: 3 })
  fc.assert(
    fc.property(fc.oneof(one, fc.record({ Name: fc.string(), Check: one, Meta: one })), body => {
      for (const given of [service(body), check(body)]) {
        if (given instanceof Refusal) t.ok([400, 501].includes(given.status))
      }
    }),
    { numRuns: 300 },
  )
})
