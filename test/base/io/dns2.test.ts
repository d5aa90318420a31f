import { createSocket } from 'node:dgram'
import { utimesSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../src/base/clock.ts'
import { createResolver, lookUpAt, type Resolver } from '../../../src/base/io/dns2.ts'
import { FakeClock } from '../../fake/clock.ts'

const TYPES: Record<number, string> = { 1: 'A', 16: 'TXT', 28: 'AAAA', 33: 'SRV' }
const RCODES: Record<string, number> = { failed: 2, unknown: 3 }

/** Answers by `name TYPE`: addresses, a fault, or one that is cut over UDP. */
type Zone = Record<string, readonly number[][] | 'failed' | 'unknown' | 'cut'>

/** The answer to a question. */
function answer(question: Buffer, zone: Zone, asked: string[], isTcp: boolean): Buffer {
  const labels: string[] = []
  let at = 12
  while (question[at] !== 0) {
    labels.push(question.toString('latin1', at + 1, at + 1 + question[at]!))
    at += 1 + question[at]!
  }
  const type = question.readUInt16BE(at + 1)
  const key = `${labels.join('.')} ${TYPES[type]}`
  asked.push(isTcp ? `tcp ${key}` : key)
  const found = zone[key] ?? []
  const isCut = found === 'cut' && !isTcp
  const records =
    found === 'cut' ? (isTcp ? [[127, 0, 0, 9]] : []) : Array.isArray(found) ? found : []
  const head = Buffer.from(question.subarray(0, at + 5))
  head[2] = 0x81 | (isCut ? 0x02 : 0)
  head[3] = 0x80 | (typeof found === 'string' ? (RCODES[found] ?? 0) : 0)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(records.length, 6)
  const rows = records.map(bytes =>
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, bytes.length, ...bytes]),
  )
  return Buffer.concat([head, ...rows])
}

/** A server on one free port, over UDP and TCP. */
async function nameServer(t: Test, zone: Zone): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = []
  const tcp = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.on('data', data => {
      const bytes = answer(Buffer.from(data).subarray(2), zone, asked, true)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(bytes.length)
      socket.write(length)
      setTimeout(() => socket.write(bytes), 5)
    })
  })
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (data, from) => {
    udp.send(answer(data, zone, asked, false), from.port, from.address)
  })
  await new Promise<void>(resolve => udp.bind(port, '127.0.0.1', resolve))
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  return { port, asked }
}

interface Files {
  readonly hosts?: string
  readonly resolv?: string
}

function resolverWith(t: Test, port: number, files: Files, clock = systemClock): Resolver {
  const folder = t.testdir({})
  const [hostsPath, resolvConfPath] = [join(folder, 'hosts'), join(folder, 'resolv.conf')]
  writeFileSync(hostsPath, files.hosts ?? '')
  writeFileSync(resolvConfPath, files.resolv ?? 'nameserver 127.0.0.1\n')
  return createResolver({ clock, hostsPath, resolvConfPath, port })
}

t.test('the hosts file comes first, without case, IPv4 first', async t => {
  const { port, asked } = await nameServer(t, {})
  const resolver = resolverWith(t, port, {
    hosts: '# ours\n::1 Web.local\n10.0.0.1\tweb.local alias # one\nnonsense x\n10.0.0.2 alias\n',
  })
  t.same(await resolver.addressesOf('WEB.local'), ['10.0.0.1', '::1'])
  t.same(await resolver.addressesOf('alias'), ['10.0.0.1', '10.0.0.2'])
  t.same(await resolver.addressesOf('localhost'), ['127.0.0.1', '::1'])
  t.same(asked, [])
})

t.test('servers are asked for both families', async t => {
  const six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
  const { port } = await nameServer(t, {
    'both.example A': [
      [10, 0, 0, 1],
      [10, 0, 0, 2],
    ],
    'both.example AAAA': [six],
    'six.example AAAA': [six],
    'half.example A': [[10, 0, 0, 3]],
    'half.example AAAA': 'failed',
    'gone.example A': 'unknown',
    'gone.example AAAA': 'unknown',
    'bad.example A': 'failed',
  })
  const resolver = resolverWith(t, port, {})
  const both = await resolver.addressesOf('both.example')
  t.same(both.slice(0, 2), ['10.0.0.1', '10.0.0.2'])
  t.equal(both.length, 3)
  t.equal((await resolver.addressesOf('six.example')).length, 1)
  t.same(await resolver.addressesOf('half.example'), ['10.0.0.3'])
  await t.rejects(resolver.addressesOf('gone.example'), {
    message: 'lookup gone.example: no such host',
  })
  await t.rejects(resolver.addressesOf('bad.example'), {
    message: 'lookup bad.example: server misbehaving',
  })
  for (const name of ['', 'a..b', 'x'.repeat(64), `${'a.'.repeat(127)}b`]) {
    await t.rejects(resolver.addressesOf(name), { message: /no such host$/ })
  }
})

t.test('texts, each joined from its pieces, of a server that is named', async t => {
  const pieces = (...texts: string[]) =>
    texts.flatMap(text => [text.length, ...Buffer.from(text, 'latin1')])
  const { port, asked } = await nameServer(t, {
    '_x.web.example TXT': [pieces('one'), pieces('tw', 'o')],
    'bad.example TXT': 'failed',
    'web.example A': [[10, 0, 0, 1]],
  })
  const resolver = createResolver({ clock: systemClock, server: '127.0.0.1', port })
  t.same(await resolver.textsOf('_x.Web.example.'), ['one', 'two'])
  t.same(await resolver.textsOf('none.example'), [])
  t.same(await resolver.textsOf('a..b'), [])
  t.same(asked, ['_x.web.example TXT', 'none.example TXT'])
  await t.rejects(resolver.textsOf('bad.example'), {
    message: 'lookup bad.example: server misbehaving',
  })
  t.same(await resolver.addressesOf('web.example'), ['10.0.0.1'])
})

t.test('places of a service, first those of low priority numbers', async t => {
  const place = (priority: number, port: number, host: string) => [
    ...[0, priority, 0, 1, port >> 8, port & 255],
    ...host.split('.').flatMap(label => [label.length, ...Buffer.from(label, 'latin1')]),
    ...(host === '' ? [] : [0]),
  ]
  const { port, asked } = await nameServer(t, {
    '_gatehouse._tcp.example SRV': [place(20, 8300, 'c.example'), place(10, 8310, 'a.example')],
    '_none._tcp.example SRV': [place(0, 0, '')],
    'bad.example SRV': 'failed',
  })
  const resolver = createResolver({ clock: systemClock, server: '127.0.0.1', port })
  t.same(await resolver.placesOf('_Gatehouse._tcp.example.'), [
    { host: 'a.example', port: 8310 },
    { host: 'c.example', port: 8300 },
  ])
  t.same(await resolver.placesOf('_none._tcp.example'), [], 'the root: decidedly not there')
  t.same(await resolver.placesOf('absent.example'), [])
  t.same(await resolver.placesOf('a..b'), [])
  t.equal(asked[0], '_gatehouse._tcp.example SRV')
  await t.rejects(resolver.placesOf('bad.example'), {
    message: 'lookup bad.example: server misbehaving',
  })
})

t.test('search domains, by the number of dots', async t => {
  const { port, asked } = await nameServer(t, { 'web.b.example A': [[10, 0, 0, 1]] })
  const resolv = 'search a.example. b.example\noptions ndots:2\nnameserver 127.0.0.1\n'
  const resolver = resolverWith(t, port, { resolv })
  t.same(await resolver.addressesOf('web'), ['10.0.0.1'])
  const names = new Set(asked.map(question => question.split(' ')[0]))
  t.same([...names], ['web.a.example', 'web.b.example'])
  asked.length = 0
  await t.rejects(resolver.addressesOf('web.x.y'))
  t.match(asked[0], /^web\.x\.y /, 'enough dots: as it is first')
  asked.length = 0
  await t.rejects(resolver.addressesOf('web.'))
  t.same(asked.sort(), ['web A', 'web AAAA'], 'a dot at the end: as it is alone')
})

t.test('a silent server: the next one is asked', async t => {
  const { port } = await nameServer(t, { 'web.example A': [[10, 0, 0, 1]] })
  const resolv = 'nameserver 127.0.0.7\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n'
  const resolver = resolverWith(t, port, { resolv })
  t.same(await resolver.addressesOf('web.example'), ['10.0.0.1'])
  const alone = resolverWith(t, port, {
    resolv: 'nameserver 127.0.0.7\noptions timeout:1 attempts:1',
  })
  await t.rejects(alone.addressesOf('web.example'), { message: 'lookup web.example: i/o timeout' })
})

t.test('an answer that was cut is fetched over TCP', async t => {
  const { port, asked } = await nameServer(t, { 'big.example A': 'cut' })
  const resolver = resolverWith(t, port, {})
  t.same(await resolver.addressesOf('big.example'), ['127.0.0.9'])
  t.ok(asked.includes('tcp big.example A'))
})

t.test('an answer to another question is none', async t => {
  const udp = createSocket('udp4')
  udp.on('message', (data, from) => {
    const other = Buffer.from(data)
    other[13] = 'x'.charCodeAt(0)
    udp.send(
      answer(other, { 'xeb.example A': [[10, 0, 0, 1]] }, [], false),
      from.port,
      from.address,
    )
  })
  await new Promise<void>(resolve => udp.bind(0, '127.0.0.1', resolve))
  t.teardown(() => udp.close())
  const resolver = resolverWith(t, udp.address().port, {})
  await t.rejects(resolver.addressesOf('web.example'))
})

t.test('what one server knows of a name, with the aliases on the way', async t => {
  const { port } = await nameServer(t, {
    'web.example A': [[10, 0, 0, 1]],
    'bad.example A': 'failed',
    'gone.example A': 'unknown',
    'big.example A': 'cut',
  })
  const server = { host: '127.0.0.1', port, timeoutMs: 5_000, clock: systemClock }
  t.strictSame(await lookUpAt(server, 'web.example.', 'A'), [
    { name: 'web.example.', type: 'A', ttlS: 60, data: '10.0.0.1' },
  ])
  t.strictSame(await lookUpAt(server, 'gone.example', 'A'), [])
  t.strictSame(await lookUpAt(server, 'no such name', 'A'), [], 'it is not even asked for')
  t.equal((await lookUpAt(server, 'big.example', 'A')).length, 1, 'over TCP')
  await t.rejects(lookUpAt(server, 'bad.example', 'A'))
})

t.test('those who ask at the same time share an answer', async t => {
  const { port, asked } = await nameServer(t, { 'web.example A': [[10, 0, 0, 1]] })
  const resolver = resolverWith(t, port, {})
  await Promise.all(Array.from({ length: 50 }, () => resolver.addressesOf('web.example')))
  t.equal(asked.length, 2)
  await resolver.addressesOf('web.example')
  t.equal(asked.length, 4, 'nothing is kept')
})

t.test('files are read again when they changed, not at every question', async t => {
  const { port } = await nameServer(t, {})
  const folder = t.testdir({ hosts: '10.0.0.1 web\n', 'resolv.conf': 'nameserver 127.0.0.1\n' })
  const hostsPath = join(folder, 'hosts')
  const clock = new FakeClock()
  const resolver = createResolver({
    clock,
    hostsPath,
    resolvConfPath: join(folder, 'resolv.conf'),
    port,
  })
  t.same(await resolver.addressesOf('web'), ['10.0.0.1'])
  writeFileSync(hostsPath, '10.0.0.2 web\n')
  utimesSync(hostsPath, 1, 1)
  t.same(await resolver.addressesOf('web'), ['10.0.0.1'])
  await clock.pause(5_000)
  t.same(await resolver.addressesOf('web'), ['10.0.0.2'])
})
