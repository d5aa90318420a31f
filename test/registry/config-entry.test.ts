/**
 * The rules of configuration entries: what each kind refuses, and what a change may not break.
 */
import t from 'tap'
import { Refusal } from '../../src/base/errors.ts'
import { decodeEntry, entryKinds, laterKinds } from '../../src/registry/config-entry/mod.ts'
import { deleteEntry, putEntry } from '../../src/registry/config-entry.ts'
import type { Decide, Op } from '../../src/store/store.ts'
import { everybody, only, ruled, table, viewOf } from './rules.ts'

const datacenter = 'dc1'

const putting =
  (body: object, cas?: number, who = everybody): Decide<boolean> =>
  view => {
    const entry = decodeEntry(body)
    return entry instanceof Refusal ? entry : putEntry(view, who, { entry, cas, datacenter })
  }
const deleting =
  (kind: string, name: string, who = everybody): Decide<boolean> =>
  view =>
    deleteEntry(view, who, { kind, name, cas: undefined, datacenter })

/** The operations that write entries one after the other. */
function written(...bodies: object[]): Op[] {
  const ops: Op[] = []
  for (const body of bodies) {
    const given = putting(body)(viewOf(...ops), 0 as never, undefined as never)
    if (given instanceof Refusal) throw new Error(given.text)
    ops.push(...given.txn)
  }
  return ops
}

const service = (Name: string, Protocol: string) => ({ Kind: 'service-defaults', Name, Protocol })
const resolver = (Name: string, more: object) => ({ Kind: 'service-resolver', Name, ...more })
const intentions = (Name: string, ...Sources: object[]) => ({
  Kind: 'service-intentions',
  Name,
  Sources,
})
const permission = { Action: 'allow', HTTP: { PathPrefix: '/' } }

t.test('no kind is served and comes later', async t => {
  for (const { kind } of entryKinds) t.notOk(laterKinds.includes(kind), kind)
})

t.test('rights', async t => {
  const none = viewOf()
  t.match(ruled(none, putting(service('web', ''), undefined, only('service:read')))[0], /^403 /)
  t.match(ruled(none, putting(service('web', ''), undefined, only('service:write')))[0], /^put/)
  const general = { Kind: 'proxy-defaults' }
  t.match(ruled(none, putting(general, undefined, only('mesh:write')))[0], /^put/)
  t.match(ruled(none, putting(general, undefined, only('service:write')))[0], /^403 .*mesh:write/)
  const sent = resolver('web', { Redirect: { Service: 'other' } })
  const writer = only('service:write web')
  t.match(ruled(none, putting(sent, undefined, writer))[0], /'service:read' on "other"/)
  t.match(ruled(none, deleting('service-intentions', 'x', writer))[0], /'intention:write' on "x"/)
})

t.test('what a kind refuses', async t => {
  const source = { Name: 'a', Action: 'allow' }
  const http = (HTTP: object) =>
    intentions('web', { Name: 'a', Permissions: [{ Action: 'deny', HTTP }] })
  const wrong: [object, string][] = [
    [service('*', ''), 'service-defaults name must be the name of a service, and not a wildcard'],
    [{ ...service('a', ''), Mode: 'x' }, 'Invalid proxy mode: "x"'],
    [
      { ...service('a', ''), BalanceInboundConnections: 'x' },
      'invalid value for balance_inbound_connections: x',
    ],
    [
      { ...service('a', ''), RateLimits: { InstanceLevel: {} } },
      'rate limits are an enterprise-only feature',
    ],
    [
      { ...service('a', ''), UpstreamConfig: {}, Destination: {} },
      'UpstreamConfig and Destination are mutually exclusive for service defaults',
    ],
    [
      { ...service('a', ''), UpstreamConfig: { Overrides: [{}] } },
      'error in upstream override for : Name is required',
    ],
    [
      { ...service('a', ''), UpstreamConfig: { Defaults: { Name: 'x' } } },
      'error in upstream defaults: Name must be empty',
    ],
    [
      {
        ...service('a', ''),
        UpstreamConfig: { Defaults: { PassiveHealthCheck: { MaxEjectionPercent: 101 } } },
      },
      'error in upstream defaults: passive health check max_ejection_percent must be a percentage between 0 and 100',
    ],
    [
      { ...service('a', ''), Destination: { Port: 1 } },
      'Destination must contain at least one valid address',
    ],
    [
      { ...service('a', ''), Destination: { Addresses: ['a', 'a'], Port: 1 } },
      "Duplicate address 'a' is not allowed",
    ],
    [
      { ...service('a', ''), Destination: { Addresses: ['*.a'], Port: 1 } },
      "Destination address '*.a' is invalid Could not validate address *.a as an IP or Hostname",
    ],
    [{ ...service('a', ''), Destination: { Addresses: ['::1'] } }, 'Invalid Port number 0'],
    [{ Kind: 'proxy-defaults', Config: 'x' }, "'Config' expected a map"],
    [
      { Kind: 'proxy-defaults', AccessLogs: { Type: 'file' } },
      'path must be specified when using file type access logs',
    ],
    [resolver('', {}), 'Name is required'],
    [
      resolver('a', { Subsets: { A: {} } }),
      'Subset "A" is invalid: must be 63 characters or fewer, begin or end with lower case alphanumeric characters, and contain lower case alphanumeric characters or \'-\' in between',
    ],
    [resolver('a', { DefaultSubset: 'x' }), 'DefaultSubset "x" is not a valid subset'],
    [resolver('a', { Redirect: {} }), 'Redirect is empty'],
    [
      resolver('a', { Redirect: { Service: 'b' }, Failover: { '*': { Service: 'c' } } }),
      'Redirect and Failover cannot both be set',
    ],
    [
      resolver('a', { Redirect: { ServiceSubset: 'v' } }),
      'Redirect.ServiceSubset defined without Redirect.Service',
    ],
    [
      resolver('a', { Failover: { v: { Service: 'c' } } }),
      'Bad Failover["v"]: not a valid subset subset',
    ],
    [
      resolver('a', { Failover: { '*': {} } }),
      'Bad Failover["*"]: one of Service, ServiceSubset, Namespace, Targets, or Datacenters is required',
    ],
    [
      resolver('a', { Failover: { '*': { Service: 'b', Targets: [{ Service: 'c' }] } } }),
      'Bad Failover["*"]: Targets cannot be set with Service',
    ],
    [
      resolver('a', { Failover: { '*': { Targets: [{ ServiceSubset: 'v' }] } } }),
      'Bad Failover["*"].Targets[0]: ServiceSubset "v" is not a valid subset of "a"',
    ],
    [resolver('a', { ConnectTimeout: '-1s' }), "Bad ConnectTimeout '-1s', must be >= 0"],
    [
      resolver('a', { LoadBalancer: { Policy: 'x' } }),
      'Bad LoadBalancer policy: "x" is not supported',
    ],
    [
      resolver('a', { LoadBalancer: { Policy: 'maglev', RingHashConfig: {} } }),
      'Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balancing policy "maglev"',
    ],
    [
      resolver('a', { LoadBalancer: { Policy: 'maglev', HashPolicies: [{ Field: 'header' }] } }),
      'Bad LoadBalancer HashPolicy[0]: Field "header" was specified without a FieldValue',
    ],
    [intentions('web'), 'At least one source is required'],
    [intentions('w*b', source), "Name: wildcard character '*' cannot be used with partial values"],
    [intentions('web', {}), 'Sources[0].Name is required'],
    [intentions('web', { Name: 'a' }), "Sources[0].Action must be set to 'allow' or 'deny'"],
    [intentions('web', source, source), 'Sources[1] defines "a" more than once'],
    [intentions('web', { ...source, Type: 'x' }), "Sources[0].Type must be set to 'consul'"],
    [
      intentions('web', { ...source, LegacyMeta: { a: 'b' } }),
      'Sources[0].LegacyMeta must be omitted',
    ],
    [
      intentions('web', { ...source, Permissions: [permission] }),
      'Sources[0].Action must be omitted if Permissions are specified',
    ],
    [
      intentions('*', { Name: 'a', Permissions: [permission] }),
      'Sources[0].Permissions cannot be specified on intentions with wildcarded destinations',
    ],
    [http({}), 'Sources[0].Permissions[0].HTTP should not be empty'],
    [
      http({ PathExact: 'x' }),
      "Sources[0].Permissions[0].HTTP.PathExact doesn't start with '/': \"x\"",
    ],
    [
      http({ PathExact: '/x', PathRegex: 'y' }),
      'Sources[0].Permissions[0].HTTP should only contain at most one of PathExact, PathPrefix, or PathRegex',
    ],
    [
      http({ Header: [{ Name: 'x' }] }),
      'Sources[0].Permissions[0].HTTP.Header[0] should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex',
    ],
    [
      http({ Methods: ['get', 'GET'] }),
      'Sources[0].Permissions[0].HTTP.Methods contains "GET" more than once',
    ],
    [
      http({ Methods: ['FOO'] }),
      'Sources[0].Permissions[0].HTTP.Methods contains an invalid method "FOO"',
    ],
  ]
  table(
    t,
    wrong.map(([body, text]) => ({ name: text, rule: putting(body), gives: [`500 ${text}`] })),
  )
})

t.test('the filter of a subset is an expression', async t => {
  const withFilter = (Filter: string) => putting(resolver('a', { Subsets: { v1: { Filter } } }))
  t.match(ruled(viewOf(), withFilter('Service.Meta.version == v1'))[0], /^put /)
  const wrong = /^500 Filter for subset "v1" is not a valid expression: /
  t.match(ruled(viewOf(), withFilter('(Service.Meta.version'))[0], wrong)
})

t.test('entries fit to each other', async t => {
  const put = (kind: string, name: string) => [`put config-entries ${kind}|${name}`, 'answer true']
  const circle = written(resolver('a', { Redirect: { Service: 'b' } }))
  const versions = written(
    resolver('b', { Subsets: { v1: {} } }),
    resolver('a', { Redirect: { Service: 'b', ServiceSubset: 'v1' } }),
  )
  const noSubset = '500 service "b" does not have a subset named "v1"'
  const permitted = written(
    service('web', 'http'),
    intentions('web', { Name: 'a', Permissions: [permission] }),
  )
  const tcp =
    '500 service "web" has protocol "tcp", which is incompatible with L7 intentions permissions'
  const chained = written(
    service('a', 'http'),
    service('b', 'http'),
    resolver('a', { Failover: { '*': { Service: 'b' } } }),
  )
  table(t, [
    {
      name: 'a redirect does not come back',
      before: circle,
      rule: putting(resolver('b', { Redirect: { Service: 'a' } })),
      gives: [
        '500 detected circular resolver redirect: ' +
          '[b.default.default.dc1 -> a.default.default.dc1 -> b.default.default.dc1]',
      ],
    },
    {
      name: 'a redirect to the same service elsewhere is none',
      rule: putting(resolver('a', { Redirect: { Datacenter: 'dc2' } })),
      gives: put('service-resolver', 'a'),
    },
    {
      name: 'a subset that is named stays',
      before: versions,
      rule: putting(resolver('b', {})),
      gives: [noSubset],
    },
    {
      name: 'also its resolver',
      before: versions,
      rule: deleting('service-resolver', 'b'),
      gives: [noSubset],
    },
    {
      name: 'unless nobody names it any more',
      before: [...versions, ...written(resolver('a', {}))],
      rule: deleting('service-resolver', 'b'),
      gives: ['del config-entries service-resolver|b', 'answer true'],
    },
    {
      name: 'permissions need HTTP',
      rule: putting(intentions('web', { Name: 'a', Permissions: [permission] })),
      gives: [tcp],
    },
    { name: 'and keep it', before: permitted, rule: putting(service('web', 'tcp')), gives: [tcp] },
    {
      name: 'and its entry',
      before: permitted,
      rule: deleting('service-defaults', 'web'),
      gives: [tcp],
    },
    {
      name: 'unless all are HTTP',
      before: [...permitted, ...written({ Kind: 'proxy-defaults', Config: { protocol: 'http' } })],
      rule: deleting('service-defaults', 'web'),
      gives: ['del config-entries service-defaults|web', 'answer true'],
    },
    {
      name: 'which then stays',
      before: written(
        { Kind: 'proxy-defaults', Config: { protocol: 'grpc' } },
        intentions('web', { Name: 'a', Permissions: [permission] }),
      ),
      rule: deleting('proxy-defaults', 'global'),
      gives: [tcp],
    },
    {
      name: 'a chain speaks one protocol',
      before: chained,
      rule: putting(service('b', 'tcp')),
      gives: [
        '500 discovery chain "a" uses inconsistent protocols; service "b" has "tcp" which is not "http"',
      ],
    },
    {
      name: 'others are free',
      before: chained,
      rule: putting(service('c', 'tcp')),
      gives: put('service-defaults', 'c'),
    },
    {
      name: 'a JWT provider must be there, and none can be yet',
      rule: putting({
        ...intentions('web', { Name: 'a', Action: 'allow' }),
        JWT: { Providers: [{ Name: 'p' }] },
      }),
      gives: ['500 referenced JWT provider does not exist. Provider Name: p'],
    },
  ])
})
