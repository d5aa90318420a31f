/** Every form of names with every type, as BIND's dig reads the answers, on a real daemon. */
import t, { type Test } from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { type Daemon, startDaemon, target } from './daemon.ts'
import { outputOf } from './process.ts'

const warning = { CheckID: 'w', Name: 'w', Status: 'warning' }
const critical = { CheckID: 'c', Name: 'c', Status: 'critical' }
const instance = (service: string, port: number, more: object = {}) => {
  return { Service: { Service: service, Port: port, ...more } }
}
const node = (name: string, address: string, more: object = {}) => {
  return { Node: name, Address: address, ...more }
}
const registrations: readonly object[] = [
  node('one', '10.0.0.1', { NodeMeta: { rack: 'r1', 'rfc1035-note': 'bare' } }),
  node('one', '10.0.0.1', instance('web', 80, { ID: 'a', Tags: ['primary'] })),
  node('two', '10.0.0.2', {
    ...instance('web', 81, { ID: 'b', Address: '10.1.0.2', Weights: { Passing: 9, Warning: 4 } }),
    Check: { ...warning, ServiceID: 'b' },
  }),
  node('two', '10.0.0.2', {
    ...instance('web', 82, { ID: 'c', Address: '10.1.0.3' }),
    Check: { ...critical, ServiceID: 'c' },
  }),
  node('six', 'fd00::6', instance('six', 66)),
  node('named', 'Outside.example', instance('far', 443)),
  node('dotted.name', '10.0.0.9'),
  node('one', '10.0.0.1', instance('ours', 5, { Address: 'six.node.consul' })),
  node('one', '10.0.0.1', {
    Service: { Service: 'many', Ports: [{ Name: 'admin', Port: 9_000, Default: true }] },
  }),
]

const SOA = 'authority SOA'
const META = ['additional TXT "rack=r1"', 'additional TXT "bare"']
const WEB = ['A 10.0.0.1', 'A 10.1.0.2']
const WEB_SRV = [
  'SRV 1 1 80 one.node.dc1.consul.',
  'SRV 1 4 81 0a010002.addr.dc1.consul.',
  'additional A 10.0.0.1',
  'additional A 10.1.0.2',
  ...META,
]
const NOT_FOUND = ['NXDOMAIN', SOA]
const SERVERS = {
  server: ['here'],
  cluster: ['here', 'server-1', 'server-2'],
  agent: ['server-0', 'server-1', 'server-2'],
}[target()]
const NS = SERVERS.flatMap(name => [`NS ${name}.node.dc1.consul.`, 'additional A 127.0.0.1'])

/** Name and type, and what comes of it: the code unless it is NOERROR, then all records. */
const table: Readonly<Record<string, readonly string[]>> = {
  'one.node.consul A': ['A 10.0.0.1', ...META],
  'one.node.dc1.consul A': ['A 10.0.0.1', ...META],
  'one.node.dc1.dc.consul A': ['A 10.0.0.1', ...META],
  'one.node.consul AAAA': [SOA, ...META],
  'one.node.consul TXT': ['TXT "rack=r1"', 'TXT "bare"'],
  'one.node.consul ANY': ['A 10.0.0.1', 'TXT "rack=r1"', 'TXT "bare"'],
  'one.node.consul SRV': [SOA],
  'one.node.consul MX': [SOA],
  'one.node.consul CNAME': [SOA],
  'six.node.consul AAAA': ['AAAA fd00::6'],
  'six.node.consul A': [SOA],
  'named.node.consul A': ['CNAME Outside.example.'],
  'named.node.consul CNAME': ['CNAME Outside.example.'],
  'dotted.name.node.consul A': ['A 10.0.0.9'],
  'dotted\\.name.node.consul A': ['A 10.0.0.9'],
  'nobody.node.consul A': NOT_FOUND,
  'one.node.dc9.consul A': NOT_FOUND,
  'one.node.dc1.ap.consul A': NOT_FOUND,
  'web.service.consul A': WEB,
  'web.service.consul ANY': WEB,
  'web.service.consul TXT': WEB,
  'web.service.consul AAAA': [SOA],
  'web.service.consul MX': [SOA],
  'web.service.consul SRV': WEB_SRV,
  'WEB.Service.dc1.Consul SRV': WEB_SRV,
  'primary.web.service.consul A': ['A 10.0.0.1'],
  'absent.web.service.consul A': NOT_FOUND,
  'six.service.consul A': [SOA],
  'six.service.consul AAAA': ['AAAA fd00::6'],
  'six.service.consul SRV': ['SRV 1 1 66 six.node.dc1.consul.', 'additional AAAA fd00::6'],
  'far.service.consul A': ['CNAME Outside.example.'],
  'far.service.consul SRV': ['SRV 1 1 443 Outside.example.'],
  'ours.service.consul AAAA': ['CNAME six.node.consul.', 'AAAA fd00::6'],
  'nobody.service.consul A': NOT_FOUND,
  'nobody.service.consul SRV': NOT_FOUND,
  'admin.port.many.service.consul SRV': [
    'SRV 1 1 9000 one.node.dc1.consul.',
    'additional A 10.0.0.1',
    ...META,
  ],
  'none.port.many.service.consul SRV': NOT_FOUND,
  '_web._tcp.service.consul SRV': WEB_SRV,
  '_web._tcp.consul SRV': WEB_SRV,
  '_web._udp.consul SRV': WEB_SRV,
  '_web._primary.consul SRV': [WEB_SRV[0]!, 'additional A 10.0.0.1', ...META],
  '_web._none.consul SRV': NOT_FOUND,
  '0a010002.addr.dc1.consul A': ['A 10.1.0.2'],
  '0A010002.addr.consul A': ['A 10.1.0.2'],
  '0a010002.addr.dc1.consul AAAA': [SOA],
  'fd000000000000000000000000000006.addr.dc1.consul AAAA': ['AAAA fd00::6'],
  '0a01.addr.dc1.consul A': NOT_FOUND,
  '1.0.0.10.in-addr.arpa PTR': ['PTR one.node.dc1.consul.'],
  '2.0.1.10.in-addr.arpa PTR': ['PTR web.service.dc1.consul.'],
  [`6${'.0'.repeat(29)}.d.f.ip6.arpa PTR`]: ['PTR six.node.dc1.consul.'],
  '8.8.8.8.in-addr.arpa PTR': NOT_FOUND,
  'consul NS': NS,
  'consul A': NOT_FOUND,
  'ns.consul A': NOT_FOUND,
  'service.consul A': [SOA],
  'web.connect.consul SRV': ['NOTIMP'],
  'web.virtual.consul A': ['NOTIMP'],
  'web.ingress.consul A': ['NOTIMP'],
  'web.service.far.peer.consul A': ['NOTIMP'],
  'www.example A': ['REFUSED'],
  'web.service.consul IXFR=1': ['REFUSED'],
}

t.test('dig reads every form and type', { skip: absent('dig') }, async t => {
  const daemon = await startDaemon(t, { words: ['-node=here', '-hcl=alt_domain = "alt.test"'] })
  for (const body of registrations) {
    const { text } = await daemon.ask('PUT', '/v1/catalog/register', {
      ...body,
      SkipNodeUpdate: true,
    })
    if (text !== 'true') throw new Error(text)
  }
  for (const transport of ['+notcp', '+tcp']) {
    t.test(transport, async t => {
      for (const [question, expected] of Object.entries(table)) {
        t.strictSame(
          await recordsOf(t, daemon, transport, question),
          [...expected].sort(),
          question,
        )
      }
    })
  }
  t.test('under the other domain, with its names in the answers', async t => {
    for (const [question, expected] of Object.entries(table)) {
      if (!/consul /i.test(question)) continue
      const asked = question.replace(/consul (?=\S+$)/i, 'alt.test ')
      const given = expected.map(line => line.replace(/dc1\.consul\.$/, 'dc1.alt.test.'))
      t.strictSame(await recordsOf(t, daemon, '+notcp', asked), given.sort(), asked)
    }
  })
})

/** What dig says of a question: the code unless it is NOERROR, then the records by section. */
async function recordsOf(
  t: Test,
  { dnsPort }: Daemon,
  transport: string,
  question: string,
): Promise<string[]> {
  const words = ['@127.0.0.1', '-p', `${dnsPort}`, transport, '+tries=1', '+time=10', '+noidnout']
  const shown = ['+bufsize=4096', '+nocookie', '+noall', '+comments', '+answer', '+authority']
  const said = await outputOf(t, clientFile('dig'), [
    ...[...words, ...shown, '+additional'],
    ...question.split(' '),
  ])
  t.notMatch(said, /malformed|extra bytes|Warning|mismatch/, question)
  const status = /status: (\w+)/.exec(said)?.[1] ?? 'NO ANSWER'
  const lines = status === 'NOERROR' ? [] : [status]
  let section = ''
  for (const line of said.split('\n')) {
    section = /^;; (\w+) SECTION/.exec(line)?.[1]?.toLowerCase() ?? section
    const [, type, data] = /^[^;\s]\S*\s+\d+\s+IN\s+(\S+)\s+(.*)$/.exec(line) ?? []
    if (type === undefined) continue
    const where = section === 'answer' ? '' : `${section} `
    lines.push(`${where}${type}${type === 'SOA' ? '' : ` ${data}`}`)
  }
  return lines.sort()
}
